//! Rules of manifests, of blob links, and of the repositories that both make.

use serde_json::json;

use super::bench::{
    Bench, Outcome, entries, hold, manifest, record, referrer, repository, rules, same, tag,
};
use crate::{
    hash::Algorithm,
    page::Page,
    reference::Expect,
    store::{BlobLink, ReferrersFilter},
};

rules! {
    a_link_is_kept: "A blob's link is there, with its target, until it is removed.",
    a_later_link_replaces: "Linking is idempotent; a later link replaces an earlier one.",
    a_link_is_of_one_repository: "A blob linked in one repository is not linked in another.",
    unlink_says_whether_there_was_one: "Unlinking answers false when there was none.",
    a_repository_exists_once_something_was_linked: "A repository exists once anything was linked in it, and goes on existing.",
    a_manifest_is_kept_verbatim: "A manifest is read back with its media type, digest and size, and the very bytes.",
    a_manifest_is_of_one_repository: "A manifest stored in one repository is not in another.",
    a_manifest_may_be_stored_again: "Storing the same manifest again is fine and keeps its tags.",
    delete_takes_every_tag: "Deleting a manifest deletes every tag that points to it, and no other; false when there was none.",
    delete_takes_the_place_among_referrers: "Deleting a manifest deletes its place among the referrers.",
    every_live_digest_is_listed: "live_digests has every digest that a repository links as blob or holds as manifest.",
}

async fn a_link_is_kept(bench: &Bench) -> Outcome {
    let name = repository("suite/links");
    let long = Algorithm::Sha512.digest(b"one");
    let short = Algorithm::Sha256.digest(b"one");
    // The second is how Distribution links a sha512 name to the bytes.
    for (digest, target) in [(&short, &short), (&long, &short)] {
        let absent = bench.there.metadata.blob_link(&name, digest).await?;
        same!(absent, None, "the link before it was made");
        let link = BlobLink::new(target.clone(), Some(3));
        bench.here.metadata.link_blob(&name, digest, link).await?;
        for stores in [&bench.here, &bench.there] {
            let found = stores.metadata.blob_link(&name, digest).await?;
            same!(
                found.as_ref().map(|link| &link.target),
                Some(target),
                "the target"
            );
            let size = found.and_then(|link| link.size);
            hold!(
                size.is_none_or(|size| size == 3),
                "the link says {size:?} bytes"
            );
        }
    }
    Ok(())
}

async fn a_later_link_replaces(bench: &Bench) -> Outcome {
    let name = repository("suite/links");
    let digest = Algorithm::Sha512.digest(b"two");
    for target in [b"two", b"two", b"six"].map(|bytes| Algorithm::Sha256.digest(bytes)) {
        let link = BlobLink::new(target.clone(), None);
        bench.here.metadata.link_blob(&name, &digest, link).await?;
        let found = bench.there.metadata.blob_link(&name, &digest).await?;
        same!(found.map(|link| link.target), Some(target), "the target");
    }
    hold!(
        bench.there.metadata.unlink_blob(&name, &digest).await?,
        "there was no link"
    );
    same!(
        bench.here.metadata.blob_link(&name, &digest).await?,
        None,
        "the link"
    );
    Ok(())
}

async fn a_link_is_of_one_repository(bench: &Bench) -> Outcome {
    let digest = Algorithm::Sha256.digest(b"three");
    let link = || BlobLink::new(digest.clone(), Some(5));
    let (a, b) = (repository("suite/a"), repository("suite/b"));
    bench.here.metadata.link_blob(&a, &digest, link()).await?;
    for other in ["suite", "suite/b", "suite/a/c", "a"].map(repository) {
        let found = bench.there.metadata.blob_link(&other, &digest).await?;
        same!(found, None, "the link in {other}");
    }
    bench.here.metadata.link_blob(&b, &digest, link()).await?;
    hold!(
        bench.there.metadata.unlink_blob(&a, &digest).await?,
        "there was no link"
    );
    let found = bench.here.metadata.blob_link(&b, &digest).await?;
    hold!(found.is_some(), "unlinked in another repository");
    Ok(())
}

async fn unlink_says_whether_there_was_one(bench: &Bench) -> Outcome {
    let (name, digest) = (repository("suite/links"), Algorithm::Sha256.digest(b"four"));
    let metadata = [&bench.here.metadata, &bench.there.metadata];
    hold!(
        !metadata[0].unlink_blob(&name, &digest).await?,
        "unlinked what was not linked"
    );
    let link = BlobLink::new(digest.clone(), Some(4));
    metadata[0].link_blob(&name, &digest, link).await?;
    hold!(
        metadata[1].unlink_blob(&name, &digest).await?,
        "there was no link"
    );
    hold!(
        !metadata[0].unlink_blob(&name, &digest).await?,
        "unlinked twice"
    );
    Ok(())
}

async fn a_repository_exists_once_something_was_linked(bench: &Bench) -> Outcome {
    let metadata = [&bench.here.metadata, &bench.there.metadata];
    let linked = repository("suite/linked/deep");
    let pushed = repository("suite/pushed");
    hold!(
        !metadata[1].repository_exists(&linked).await?,
        "it exists from the first"
    );
    let absent = Algorithm::Sha256.digest(b"absent");
    metadata[0].unlink_blob(&linked, &absent).await?;
    metadata[0].delete_manifest(&linked, &absent).await?;
    metadata[0]
        .delete_tag(&linked, &tag("absent"), &Expect::Any)
        .await?;
    hold!(
        !metadata[1].repository_exists(&linked).await?,
        "it exists by deletes"
    );

    let digest = Algorithm::Sha256.digest(b"five");
    let link = BlobLink::new(digest.clone(), Some(4));
    metadata[0].link_blob(&linked, &digest, link).await?;
    hold!(
        metadata[1].repository_exists(&linked).await?,
        "a link does not make it exist"
    );
    metadata[0].unlink_blob(&linked, &digest).await?;
    hold!(
        metadata[1].repository_exists(&linked).await?,
        "it ended with its last link"
    );

    let digest = bench.here.put(&pushed, &manifest(1), &[]).await?;
    hold!(
        metadata[1].repository_exists(&pushed).await?,
        "a manifest does not make it exist"
    );
    metadata[0].delete_manifest(&pushed, &digest).await?;
    hold!(
        metadata[1].repository_exists(&pushed).await?,
        "it ended with its last manifest"
    );

    for other in ["suite", "suite/linked", "suite/linke", "suite/pushed/more"].map(repository) {
        hold!(
            !metadata[1].repository_exists(&other).await?,
            "{other} exists"
        );
    }
    Ok(())
}

async fn a_manifest_is_kept_verbatim(bench: &Bench) -> Outcome {
    let name = repository("suite/verbatim");
    for algorithm in Algorithm::ALL {
        let record = record(
            json!({ "z": "\u{e9}\\u00e9", "a": [1, 2.50, null] }),
            algorithm,
        );
        let digest = &record.descriptor.digest;
        same!(
            bench.there.metadata.manifest(&name, digest).await?,
            None,
            "before it was put"
        );
        bench.here.put(&name, &record, &["verbatim"]).await?;
        for stores in [&bench.here, &bench.there] {
            let Some(found) = stores.metadata.manifest(&name, digest).await? else {
                return Err(super::Fault(format!("{digest} is not there")));
            };
            same!(found.bytes, record.bytes, "the bytes");
            let (found, put) = (&found.descriptor, &record.descriptor);
            same!(found.media_type, put.media_type, "the media type");
            same!(found.digest, put.digest, "the digest");
            same!(found.size, put.size, "the size");
            let tagged = stores.metadata.tag(&name, &tag("verbatim")).await?;
            same!(tagged.as_ref(), Some(digest), "the tag");
        }
    }
    Ok(())
}

async fn a_manifest_is_of_one_repository(bench: &Bench) -> Outcome {
    let (a, b) = (repository("suite/a"), repository("suite/a/b"));
    let digest = bench.here.put(&a, &manifest(1), &["one"]).await?;
    same!(
        bench.there.metadata.manifest(&b, &digest).await?,
        None,
        "the manifest elsewhere"
    );
    same!(
        bench.there.metadata.tag(&b, &tag("one")).await?,
        None,
        "the tag elsewhere"
    );
    bench.here.put(&b, &manifest(1), &["one"]).await?;
    hold!(
        bench.there.metadata.delete_manifest(&a, &digest).await?,
        "there was none"
    );
    let found = bench.here.metadata.manifest(&b, &digest).await?;
    hold!(
        found.is_some(),
        "the manifest was deleted in another repository"
    );
    let found = bench.here.metadata.tag(&b, &tag("one")).await?;
    same!(found, Some(digest), "the tag in the other repository");
    Ok(())
}

async fn a_manifest_may_be_stored_again(bench: &Bench) -> Outcome {
    let name = repository("suite/again");
    let digest = bench.here.put(&name, &manifest(1), &["one"]).await?;
    bench.there.put(&name, &manifest(1), &[]).await?;
    bench.there.put(&name, &manifest(1), &["two"]).await?;
    for tag in ["one", "two"].map(tag) {
        same!(
            bench.here.metadata.tag(&name, &tag).await?,
            Some(digest.clone()),
            "the tag {tag}"
        );
    }
    let listed = bench.here.metadata.tags(&name, Page::first(10)).await?;
    same!(listed.items, ["one", "two"].map(tag), "the tags");
    Ok(())
}

async fn delete_takes_every_tag(bench: &Bench) -> Outcome {
    let name = repository("suite/deleted");
    let gone = bench
        .here
        .put(&name, &manifest(1), &["a", "b", "moved", "z"])
        .await?;
    let kept = bench
        .there
        .put(&name, &manifest(2), &["moved", "other"])
        .await?;
    hold!(
        bench.there.metadata.delete_manifest(&name, &gone).await?,
        "there was none"
    );
    for stores in [&bench.here, &bench.there] {
        same!(
            stores.metadata.manifest(&name, &gone).await?,
            None,
            "the deleted manifest"
        );
        for tag in ["a", "b", "z"].map(tag) {
            same!(
                stores.metadata.tag(&name, &tag).await?,
                None,
                "the tag {tag}"
            );
        }
        for tag in ["moved", "other"].map(tag) {
            same!(
                stores.metadata.tag(&name, &tag).await?,
                Some(kept.clone()),
                "the tag {tag}"
            );
        }
        let listed = stores.metadata.tags(&name, Page::first(10)).await?;
        same!(listed.items, ["moved", "other"].map(tag), "the tags left");
        hold!(
            !stores.metadata.delete_manifest(&name, &gone).await?,
            "deleted twice"
        );
    }
    bench.here.put(&name, &manifest(1), &[]).await?;
    same!(
        bench.there.metadata.tag(&name, &tag("a")).await?,
        None,
        "a tag came back"
    );
    Ok(())
}

async fn delete_takes_the_place_among_referrers(bench: &Bench) -> Outcome {
    let name = repository("suite/referrers");
    let subject = Algorithm::Sha256.digest(b"subject");
    let mut digests = Vec::new();
    for number in 0..3 {
        let record = referrer(number, &subject, "application/suite");
        digests.push(bench.here.put(&name, &record, &[]).await?);
    }
    hold!(
        bench
            .there
            .metadata
            .delete_manifest(&name, &digests[1])
            .await?,
        "there was none"
    );
    let filter = ReferrersFilter::none();
    let listed = bench
        .here
        .metadata
        .referrers(&name, &subject, Page::first(10), &filter)
        .await?;
    let mut left: Vec<_> = listed.items.into_iter().map(|found| found.digest).collect();
    left.sort();
    digests.remove(1);
    digests.sort();
    same!(left, digests, "the referrers left");
    Ok(())
}

async fn every_live_digest_is_listed(bench: &Bench) -> Outcome {
    let listed = entries(bench.here.metadata.live_digests()).await?;
    same!(listed, vec![], "the live digests of an empty store");
    let mut wanted = Vec::new();
    for (number, name) in ["a", "a/b", "a/b/c", "a-b"]
        .map(repository)
        .iter()
        .enumerate()
    {
        let blob = Algorithm::ALL[number % 2].digest(&[number as u8]);
        let link = BlobLink::new(blob.clone(), Some(1));
        bench.here.metadata.link_blob(name, &blob, link).await?;
        let dropped = Algorithm::Sha256.digest(&[100 + number as u8]);
        let link = BlobLink::new(dropped.clone(), Some(1));
        bench.here.metadata.link_blob(name, &dropped, link).await?;
        bench.here.metadata.unlink_blob(name, &dropped).await?;
        let kept = bench.here.put(name, &manifest(number), &["tag"]).await?;
        let deleted = bench
            .here
            .put(name, &manifest(100 + number), &["old"])
            .await?;
        bench.here.metadata.delete_manifest(name, &deleted).await?;
        wanted.extend([blob, kept]);
    }
    let mut listed = entries(bench.there.metadata.live_digests()).await?;
    listed.sort();
    listed.dedup();
    wanted.sort();
    same!(listed, wanted, "the live digests");
    Ok(())
}
