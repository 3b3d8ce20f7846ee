//! Rules of writers of records at the same time.

use futures_util::future;

use super::{
    Fault,
    bench::{Bench, Outcome, entries, hold, manifest, repository, rules, same, tag},
};
use crate::{
    hash::Algorithm,
    name::RepositoryName,
    page::Page,
    reference::{Expect, Tag},
    store::{BlobLink, TagChange, pace::give_way},
};

rules! {
    of_two_that_expect_absence_one_wins: "Of two racing writers that both expect a tag to be absent exactly one wins.",
    racing_pushes_of_several_tags_do_not_mix: "With atomic_tags either all tags of a push are set, or none.",
    of_two_that_expect_the_same_one_wins: "Of two racing writers that expect what is there exactly one wins.",
    a_tag_that_was_set_has_its_manifest: "A tag that was set points to a manifest that is there, whatever deletes ran meanwhile.",
    whoever_sees_a_tag_can_read_its_manifest: "Whoever sees a tag can read its manifest.",
    a_racing_tag_delete_takes_what_it_expects: "A tag is deleted only while what is expected of it holds.",
    the_same_content_can_come_twice_at_once: "Two uploads of the same content at once make one blob.",
    links_do_not_hinder_each_other: "A link that was answered is there, whatever else is written at the same time.",
}

/// How often each race is run.
const ROUNDS: usize = 30;

/// Gives way a number of times that differs from round to round.
async fn stagger(turns: usize) {
    for _ in 0..turns {
        give_way().await;
    }
}

/// A tag may only point to a manifest that can be read.
async fn sound(bench: &Bench, name: &RepositoryName, tag: &Tag) -> Outcome {
    for stores in [&bench.here, &bench.there] {
        if let Some(digest) = stores.metadata.tag(name, tag).await? {
            let manifest = stores.metadata.manifest(name, &digest).await?;
            hold!(
                manifest.is_some(),
                "{tag} points to {digest}, which is not there"
            );
        }
    }
    Ok(())
}

async fn of_two_that_expect_absence_one_wins(bench: &Bench) -> Outcome {
    let name = repository("suite/race");
    let atomic = bench.here.metadata.capabilities().atomic_tags;
    for round in 0..ROUNDS {
        let wanted = [(tag(&format!("t{round}")), Expect::Absent)];
        let put = async |stores: &super::Stores, number, turns| {
            stagger(turns).await;
            stores
                .metadata
                .put_manifest(&name, manifest(number), &wanted)
                .await
        };
        let here = put(&bench.here, 1, round % 3);
        let there = put(&bench.there, 2, round % 2);
        let (a, b) = future::join(here, there).await;
        let (a, b) = (a?, b?);
        let digests = [1, 2].map(|number| manifest(number).descriptor.digest);
        let refused = |winner: usize| vec![TagChange::Refused(Some(digests[winner].clone()))];
        let applied = vec![TagChange::Applied];
        let found = bench.there.metadata.tag(&name, &wanted[0].0).await?;
        let first = a == applied && b == refused(0) && found.as_ref() == Some(&digests[0]);
        let second = b == applied && a == refused(1) && found.as_ref() == Some(&digests[1]);
        let both = !atomic && a == applied && b == applied;
        hold!(
            first || second || both,
            "{a:?} and {b:?}, and the tag is at {found:?}"
        );
    }
    Ok(())
}

async fn racing_pushes_of_several_tags_do_not_mix(bench: &Bench) -> Outcome {
    if !bench.here.metadata.capabilities().atomic_tags {
        return Ok(());
    }
    for round in 0..ROUNDS {
        let name = repository(&format!("suite/race-{round}"));
        let texts = ["a", "b", "c", "d"];
        let forth = texts.map(|text| (tag(text), Expect::Absent));
        let mut back = forth.clone();
        back.reverse();
        let here = bench.here.metadata.put_manifest(&name, manifest(1), &forth);
        let there = bench.there.metadata.put_manifest(&name, manifest(2), &back);
        let (a, b) = future::join(here, there).await;
        let applied = vec![TagChange::Applied; texts.len()];
        let (a, b) = (a? == applied, b? == applied);
        hold!(
            a != b,
            "{} of the pushes were set",
            if a { "both" } else { "none" }
        );
        let winner = manifest(if a { 1 } else { 2 }).descriptor.digest;
        for tag in texts.map(tag) {
            let found = bench.there.metadata.tag(&name, &tag).await?;
            same!(found.as_ref(), Some(&winner), "the tag {tag}");
        }
    }
    Ok(())
}

async fn of_two_that_expect_the_same_one_wins(bench: &Bench) -> Outcome {
    let name = repository("suite/race");
    let atomic = bench.here.metadata.capabilities().atomic_tags;
    let mut current = bench.here.put(&name, &manifest(0), &["head"]).await?;
    for round in 1..ROUNDS {
        let wanted = [(tag("head"), Expect::Is(vec![current.clone()]))];
        let [mine, other] = [manifest(round * 2), manifest(round * 2 + 1)];
        let digests = [&mine, &other].map(|record| record.descriptor.digest.clone());
        let here = bench.here.metadata.put_manifest(&name, mine, &wanted);
        let there = bench.there.metadata.put_manifest(&name, other, &wanted);
        let (a, b) = future::join(here, there).await;
        let wins = [a?, b?].map(|changes| changes == [TagChange::Applied]);
        let one = wins[0] != wins[1] || !atomic && wins[0];
        hold!(one, "{wins:?} won");
        let found = bench.there.metadata.tag(&name, &tag("head")).await?;
        let winner = found.filter(|found| {
            digests
                .iter()
                .zip(wins)
                .any(|(digest, won)| won && digest == found)
        });
        current = winner.ok_or_else(|| Fault("the tag is not at the winner".to_owned()))?;
    }
    Ok(())
}

async fn a_tag_that_was_set_has_its_manifest(bench: &Bench) -> Outcome {
    let (name, latest) = (repository("suite/race"), tag("latest"));
    for round in 0..ROUNDS {
        let digest = bench
            .here
            .put(&name, &manifest(1), &["old", "latest"])
            .await?;
        let push = async {
            stagger(round % 4).await;
            bench.here.put(&name, &manifest(1), &["latest"]).await
        };
        let delete = async {
            stagger(round % 3).await;
            bench.there.metadata.delete_manifest(&name, &digest).await
        };
        let (push, delete) = future::join(push, delete).await;
        push?;
        delete?;
        sound(bench, &name, &latest).await?;
        sound(bench, &name, &tag("old")).await?;
        let tagged = bench.here.metadata.tag(&name, &latest).await?.is_some();
        let stored = bench
            .there
            .metadata
            .manifest(&name, &digest)
            .await?
            .is_some();
        same!(tagged, stored, "the tag beside its manifest");
        let listed = bench.there.metadata.tags(&name, Page::first(10)).await?;
        let listed = listed.items.contains(&latest);
        same!(listed, tagged, "the tag in the list");
    }
    Ok(())
}

async fn whoever_sees_a_tag_can_read_its_manifest(bench: &Bench) -> Outcome {
    let (name, head) = (repository("suite/race"), tag("head"));
    bench.here.put(&name, &manifest(0), &["head"]).await?;
    let write = async {
        for round in 1..ROUNDS {
            bench.here.put(&name, &manifest(round), &["head"]).await?;
            stagger(round % 3).await;
        }
        Ok::<_, Fault>(())
    };
    let read = async {
        for round in 0..ROUNDS {
            let found = bench.there.metadata.tag(&name, &head).await?;
            hold!(found.is_some(), "the tag is away while it moves");
            sound(bench, &name, &head).await?;
            stagger(round % 2).await;
        }
        Ok(())
    };
    let (write, read) = future::join(write, read).await;
    write.and(read)
}

async fn a_racing_tag_delete_takes_what_it_expects(bench: &Bench) -> Outcome {
    let (name, head) = (repository("suite/race"), tag("head"));
    let atomic = bench.here.metadata.capabilities().atomic_tags;
    for round in 0..ROUNDS {
        let old = bench.here.put(&name, &manifest(1), &["head"]).await?;
        let push = async {
            stagger(round % 3).await;
            bench.here.put(&name, &manifest(2), &["head"]).await
        };
        let delete = async {
            stagger(round % 2).await;
            let expect = Expect::Is(vec![old.clone()]);
            bench.there.metadata.delete_tag(&name, &head, &expect).await
        };
        let (new, delete) = future::join(push, delete).await;
        let (new, delete) = (new?, delete?);
        let found = bench.there.metadata.tag(&name, &head).await?;
        let refused = TagChange::Refused(Some(new.clone()));
        let known = delete == TagChange::Applied || delete == refused;
        hold!(known, "the delete came to {delete:?}");
        // Either order leaves the tag at the new manifest.
        hold!(
            found == Some(new) || !atomic,
            "the delete took a tag that had moved: {found:?}"
        );
    }
    Ok(())
}

async fn the_same_content_can_come_twice_at_once(bench: &Bench) -> Outcome {
    for round in 0..ROUNDS as u8 {
        let bytes = super::bench::content(round, 20_000);
        let ids = [format!("left-{round}"), format!("right-{round}")];
        let here = bench.here.push(&ids[0], &bytes);
        let there = bench.there.push(&ids[1], &bytes);
        let (a, b) = future::join(here, there).await;
        same!(a?, b?, "the digests");
        bench
            .there
            .holds(&Algorithm::Sha256.digest(&bytes), &bytes)
            .await?;
    }
    let listed = entries(bench.here.blobs.list()).await?;
    same!(listed.len(), ROUNDS, "the number of blobs");
    Ok(())
}

async fn links_do_not_hinder_each_other(bench: &Bench) -> Outcome {
    let name = repository("suite/race");
    let digests: Vec<_> = (0..ROUNDS as u8)
        .map(|number| Algorithm::Sha256.digest(&[number]))
        .collect();
    let link = async |stores: &super::Stores, digest: &crate::digest::Digest| {
        let link = BlobLink::new(digest.clone(), Some(1));
        stores.metadata.link_blob(&name, digest, link).await?;
        Ok::<_, Fault>(())
    };
    let linking = digests.iter().enumerate().map(|(number, digest)| {
        link(
            if number % 2 == 0 {
                &bench.here
            } else {
                &bench.there
            },
            digest,
        )
    });
    let record = manifest(1);
    let push = bench.here.put(&name, &record, &["one"]);
    let (linked, push) = future::join(future::join_all(linking), push).await;
    linked.into_iter().collect::<Result<(), _>>()?;
    push?;
    for digest in &digests {
        let found = bench.there.metadata.blob_link(&name, digest).await?;
        hold!(found.is_some(), "the link of {digest} is lost");
    }
    Ok(())
}
