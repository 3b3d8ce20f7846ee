//! Rules of blobs that are there, or not.

use bytes::Bytes;
use std::time::Duration;

use super::{
    bench::{Bench, Outcome, all, content, entries, foreign, hold, key, rules, same, whole},
    bodies::pieces,
};
use crate::{hash::Algorithm, range::ByteRange, store::BlobLink};

rules! {
    absence_is_no_error: "Absence is None or false, never an error.",
    a_committed_blob_is_seen_by_every_instance: "Ok of commit_upload means that the blob is there, whole, for every instance.",
    a_blob_is_never_visible_before_its_commit: "A blob is never visible in part.",
    a_reader_reads_to_the_end: "A reader that opened a blob can read it to its end, whatever is deleted meanwhile.",
    ranges_are_taken_after_opening: "Ranges are taken after opening, any number of them.",
    reading_now_agrees_with_reading: "read_now gives at most max bytes from the offset on, or none.",
    delete_says_whether_there_was_one: "Deleting a blob answers false when there was none.",
    every_blob_is_listed: "list has every blob, with its size.",
    an_empty_blob_is_a_blob: "A blob may have no bytes.",
    sha512_is_content_too: "Content is stored under every Algorithm.",
    other_algorithms_find_nothing: "A method that is given the digest of another algorithm finds nothing.",
    a_location_is_of_a_blob: "There is no location where there is no blob.",
}

async fn absence_is_no_error(bench: &Bench) -> Outcome {
    let digest = Algorithm::Sha256.digest(b"absent");
    bench.here.lacks(&digest).await?;
    hold!(
        !bench.here.blobs.delete(&digest).await?,
        "deleted what was not there"
    );
    hold!(
        entries(bench.here.blobs.list()).await?.is_empty(),
        "an empty store lists blobs"
    );
    let uploads = entries(bench.here.blobs.list_uploads()).await?;
    hold!(uploads.is_empty(), "an empty store lists uploads");
    Ok(())
}

async fn a_committed_blob_is_seen_by_every_instance(bench: &Bench) -> Outcome {
    for (id, length) in [("a", 1), ("b", 5_000), ("c", 300_000), ("d", 1 << 20)] {
        let bytes = content(id.as_bytes()[0], length);
        let digest = bench.here.push(id, &bytes).await?;
        bench.there.holds(&digest, &bytes).await?;
        bench.here.holds(&digest, &bytes).await?;
    }
    Ok(())
}

async fn a_blob_is_never_visible_before_its_commit(bench: &Bench) -> Outcome {
    let bytes = content(1, 200_000);
    let digest = Algorithm::Sha256.digest(&bytes);
    let key = key("hidden");
    let mut state = bench
        .here
        .blobs
        .begin_upload(&key, Algorithm::Sha256)
        .await?;
    bench.there.lacks(&digest).await?;
    for half in [bytes.slice(..70_000), bytes.slice(70_000..)] {
        let body = pieces(&half, 10_000);
        state = bench
            .here
            .blobs
            .write_upload(&key, state, body)
            .await?
            .state;
        bench.there.lacks(&digest).await?;
        bench.here.lacks(&digest).await?;
    }
    bench.here.publish(&key, state, &bytes).await?;
    bench.there.holds(&digest, &bytes).await
}

async fn a_reader_reads_to_the_end(bench: &Bench) -> Outcome {
    for length in [10, 700_000] {
        let bytes = content(2, length);
        let digest = bench.here.push(&format!("reader-{length}"), &bytes).await?;
        let blob = bench.there.blobs.open(&digest).await?;
        hold!(
            bench.here.blobs.delete(&digest).await?,
            "there was nothing to delete"
        );
        bench.here.lacks(&digest).await?;
        let blob = blob.ok_or_else(|| super::bench::Fault("it cannot be opened".to_owned()))?;
        hold!(
            whole(&blob).await? == bytes[..],
            "the open blob changed by its deletion"
        );
    }
    Ok(())
}

async fn ranges_are_taken_after_opening(bench: &Bench) -> Outcome {
    let bytes = content(3, 150_000);
    let digest = bench.here.push("ranges", &bytes).await?;
    let Some(blob) = bench.there.blobs.open(&digest).await? else {
        return bench.there.holds(&digest, &bytes).await;
    };
    let ranges = [
        (0, 150_000),
        (0, 1),
        (149_999, 150_000),
        (65_535, 65_537),
        (7, 7),
        (100, 140_000),
    ];
    for (start, end) in ranges {
        let read = all(blob.source.read(ByteRange { start, end })).await?;
        hold!(
            read == bytes[start as usize..end as usize],
            "other bytes at {start}..{end}"
        );
    }
    Ok(())
}

async fn reading_now_agrees_with_reading(bench: &Bench) -> Outcome {
    let bytes = content(4, 40_000);
    let digest = bench.here.push("now", &bytes).await?;
    let Some(blob) = bench.there.blobs.open(&digest).await? else {
        return bench.there.holds(&digest, &bytes).await;
    };
    for (at, max) in [(0, 1), (0, 100_000), (39_999, 10), (20_000, 5_000)] {
        if let Some(read) = blob.source.read_now(at, max)? {
            hold!(
                !read.is_empty() && read.len() <= max,
                "{} bytes of {max}",
                read.len()
            );
            hold!(
                bytes[at as usize..].starts_with(&read),
                "other bytes at {at}"
            );
        }
    }
    Ok(())
}

async fn delete_says_whether_there_was_one(bench: &Bench) -> Outcome {
    let bytes = content(5, 100);
    let digest = bench.here.push("deleted", &bytes).await?;
    let other = bench.here.push("kept", &content(6, 100)).await?;
    hold!(
        bench.there.blobs.delete(&digest).await?,
        "there was nothing to delete"
    );
    bench.here.lacks(&digest).await?;
    bench.there.lacks(&digest).await?;
    hold!(!bench.here.blobs.delete(&digest).await?, "deleted twice");
    bench.here.holds(&other, &content(6, 100)).await?;
    bench.here.push("again", &bytes).await?;
    bench.there.holds(&digest, &bytes).await
}

async fn every_blob_is_listed(bench: &Bench) -> Outcome {
    let mut wanted = Vec::new();
    for number in 0..20_u8 {
        let algorithm = Algorithm::ALL[usize::from(number % 2)];
        let bytes = content(number, usize::from(number));
        let digest = bench
            .here
            .push_as(&format!("list-{number}"), &bytes, algorithm)
            .await?;
        wanted.push((digest, u64::from(number)));
    }
    let listed = entries(bench.there.blobs.list()).await?;
    let mut listed: Vec<_> = listed
        .into_iter()
        .map(|blob| (blob.digest, blob.size))
        .collect();
    listed.sort();
    wanted.sort();
    same!(listed, wanted, "the list");
    Ok(())
}

async fn an_empty_blob_is_a_blob(bench: &Bench) -> Outcome {
    let digest = bench.here.push("empty", &Bytes::new()).await?;
    bench.there.holds(&digest, &Bytes::new()).await?;
    // Without any write at all.
    let key = key("never-written");
    let state = bench
        .here
        .blobs
        .begin_upload(&key, Algorithm::Sha512)
        .await?;
    bench.here.publish(&key, state, &Bytes::new()).await
}

async fn sha512_is_content_too(bench: &Bench) -> Outcome {
    let bytes = content(7, 90_000);
    let long = bench
        .here
        .push_as("long", &bytes, Algorithm::Sha512)
        .await?;
    bench.there.holds(&long, &bytes).await?;
    bench.there.lacks(&Algorithm::Sha256.digest(&bytes)).await?;
    let short = bench.here.push("short", &bytes).await?;
    hold!(
        bench.here.blobs.delete(&long).await?,
        "there was nothing to delete"
    );
    bench.there.lacks(&long).await?;
    bench.there.holds(&short, &bytes).await
}

async fn other_algorithms_find_nothing(bench: &Bench) -> Outcome {
    let repository = super::bench::repository("suite/foreign");
    for digest in foreign() {
        bench.here.lacks(&digest).await?;
        hold!(!bench.here.blobs.delete(&digest).await?, "deleted {digest}");
        let location = bench
            .here
            .blobs
            .location(&digest, Duration::from_secs(60))
            .await?;
        hold!(location.is_none(), "{digest} has a location");
        let key = key("foreign");
        let state = bench
            .here
            .blobs
            .begin_upload(&key, Algorithm::Sha256)
            .await?;
        let committed = bench
            .here
            .blobs
            .commit_upload(&key, state.clone(), &digest)
            .await;
        hold!(committed.is_err(), "a blob was stored under {digest}");
        bench.here.lacks(&digest).await?;
        bench
            .here
            .blobs
            .abort_upload(&key, super::bench::hint(&state))
            .await?;
        let metadata = &bench.here.metadata;
        let link = BlobLink::new(digest.clone(), Some(1));
        let _refused = metadata.link_blob(&repository, &digest, link).await;
        same!(
            metadata.blob_link(&repository, &digest).await?,
            None,
            "the link of {digest}"
        );
        hold!(
            !metadata.unlink_blob(&repository, &digest).await?,
            "unlinked {digest}"
        );
        same!(
            metadata.manifest(&repository, &digest).await?,
            None,
            "the manifest {digest}"
        );
        hold!(
            !metadata.delete_manifest(&repository, &digest).await?,
            "deleted {digest}"
        );
    }
    Ok(())
}

async fn a_location_is_of_a_blob(bench: &Bench) -> Outcome {
    let lifetime = Duration::from_secs(60);
    let bytes = content(8, 10);
    let digest = Algorithm::Sha256.digest(&bytes);
    hold!(
        bench
            .here
            .blobs
            .location(&digest, lifetime)
            .await?
            .is_none(),
        "of what is absent"
    );
    bench.here.push("located", &bytes).await?;
    if let Some(location) = bench.there.blobs.location(&digest, lifetime).await? {
        hold!(!location.as_str().is_empty(), "an empty location");
    }
    bench.here.blobs.delete(&digest).await?;
    hold!(
        bench
            .there
            .blobs
            .location(&digest, lifetime)
            .await?
            .is_none(),
        "of what was deleted"
    );
    Ok(())
}
