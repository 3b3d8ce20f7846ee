//! Rules of tags: conditions, deletes, listings.

use super::{
    Fault,
    bench::{Bench, Outcome, hold, manifest, repository, rules, same, tag},
};
use crate::{
    digest::Digest,
    page::Page,
    reference::{Expect, Tag},
    store::{BlobLink, TagChange},
};

rules! {
    a_tag_moves: "A tag points to the manifest that it was last set to.",
    a_condition_decides: "A tag is set only if what is expected of it holds; a refusal says what it points to.",
    a_refused_manifest_is_stored: "A manifest whose tags were all refused is stored all the same.",
    several_conditions_decide_together: "With atomic_tags either all tags are set or none; without, each by itself. The answer has one entry for each.",
    a_tag_delete_leaves_the_manifest: "Deleting a tag leaves the manifest, and other tags.",
    a_tag_delete_has_conditions: "A tag is deleted only if what is expected of it holds; where there is none the answer is Refused(None).",
    tags_are_listed_in_byte_order: "Tags are listed in byte order and start strictly after the one named, which need not exist.",
    pages_of_tags_have_their_limit: "A page has at most its limit and says whether there is more.",
    pages_neither_skip_nor_repeat: "Following the pages neither skips nor repeats what was there all along.",
    an_unknown_repository_has_no_tags: "A repository without tags, or that does not exist, lists none.",
}

/// Names whose byte order is not that of an alphabet, of lengths, or of a walk through folders.
const NAMES: [&str; 14] = [
    "0",
    "1",
    "10",
    "2",
    "A",
    "Z",
    "_",
    "a",
    "a-b",
    "a.b",
    "a_b",
    "aa",
    "b",
    "v1.0-rc.1",
];

async fn a_tag_moves(bench: &Bench) -> Outcome {
    let name = repository("suite/moves");
    same!(
        bench.there.metadata.tag(&name, &tag("latest")).await?,
        None,
        "the tag at first"
    );
    for number in [1, 2, 1, 3] {
        let digest = bench
            .here
            .put(&name, &manifest(number), &["latest"])
            .await?;
        for stores in [&bench.here, &bench.there] {
            let found = stores.metadata.tag(&name, &tag("latest")).await?;
            same!(found.as_ref(), Some(&digest), "the tag");
            hold!(
                stores.metadata.manifest(&name, &digest).await?.is_some(),
                "no manifest"
            );
        }
    }
    let long = "x".repeat(Tag::MAX_LENGTH);
    let digest = bench.here.put(&name, &manifest(1), &[&long]).await?;
    same!(
        bench.there.metadata.tag(&name, &tag(&long)).await?,
        Some(digest),
        "the longest tag"
    );
    Ok(())
}

/// Every expectation that tells the three cases apart: no tag, one at `a`, one at `b`.
fn expectations(a: &Digest, b: &Digest) -> Vec<Expect> {
    vec![
        Expect::Any,
        Expect::Absent,
        Expect::Present,
        Expect::Is(vec![a.clone()]),
        Expect::Is(vec![a.clone(), b.clone()]),
        Expect::Is(vec![]),
        Expect::IsNot(vec![a.clone()]),
        Expect::IsNot(vec![a.clone(), b.clone()]),
    ]
}

async fn a_condition_decides(bench: &Bench) -> Outcome {
    let name = repository("suite/conditions");
    let a = bench.here.put(&name, &manifest(1), &[]).await?;
    let b = bench.here.put(&name, &manifest(2), &[]).await?;
    for (number, expect) in expectations(&a, &b).into_iter().enumerate() {
        for (case, current) in [None, Some(1), Some(2)].into_iter().enumerate() {
            let text = format!("t{number}-{case}");
            let before = match current {
                Some(current) => Some(bench.there.put(&name, &manifest(current), &[&text]).await?),
                None => None,
            };
            let record = manifest(3);
            let pushed = record.descriptor.digest.clone();
            let wanted = [(tag(&text), expect.clone())];
            let changes = bench
                .here
                .metadata
                .put_manifest(&name, record, &wanted)
                .await?;
            let (change, after) = if expect.holds(before.as_ref()) {
                (TagChange::Applied, Some(pushed))
            } else {
                (TagChange::Refused(before.clone()), before.clone())
            };
            same!(changes, vec![change], "{expect:?} over {before:?}");
            let found = bench.there.metadata.tag(&name, &tag(&text)).await?;
            same!(found, after, "the tag after {expect:?} over {before:?}");
        }
    }
    Ok(())
}

async fn a_refused_manifest_is_stored(bench: &Bench) -> Outcome {
    let name = repository("suite/refused");
    let record = manifest(1);
    let digest = record.descriptor.digest.clone();
    let wanted = [
        (tag("one"), Expect::Present),
        (tag("two"), Expect::Is(vec![])),
    ];
    let changes = bench
        .here
        .metadata
        .put_manifest(&name, record, &wanted)
        .await?;
    same!(changes, vec![TagChange::Refused(None); 2], "the tags");
    hold!(
        bench
            .there
            .metadata
            .manifest(&name, &digest)
            .await?
            .is_some(),
        "it is not stored"
    );
    let listed = bench.there.metadata.tags(&name, Page::first(10)).await?;
    same!(listed.items, vec![], "the tags of the repository");
    let catalog = (bench.there.metadata)
        .repositories(Page::first(10), &crate::access::Visible::All)
        .await?;
    same!(catalog.items, vec![name], "the catalog");
    Ok(())
}

async fn several_conditions_decide_together(bench: &Bench) -> Outcome {
    let name = repository("suite/together");
    let old = bench.here.put(&name, &manifest(1), &["old"]).await?;
    let wanted = [
        (tag("new-1"), Expect::Absent),
        (tag("old"), Expect::Absent),
        (tag("new-2"), Expect::Any),
    ];
    let record = manifest(2);
    let pushed = record.descriptor.digest.clone();
    let changes = bench
        .here
        .metadata
        .put_manifest(&name, record, &wanted)
        .await?;
    let atomic = bench.here.metadata.capabilities().atomic_tags;
    let other = if atomic {
        TagChange::Refused(None)
    } else {
        TagChange::Applied
    };
    let expected = [other.clone(), TagChange::Refused(Some(old.clone())), other];
    same!(changes, expected, "the answer");
    let new = (!atomic).then(|| pushed.clone());
    for (text, wanted) in [("new-1", new.clone()), ("old", Some(old)), ("new-2", new)] {
        let found = bench.there.metadata.tag(&name, &tag(text)).await?;
        same!(found, wanted, "the tag {text}");
    }
    let wanted = ["old", "new-1", "new-2", "new-3"].map(|text| (tag(text), Expect::Any));
    let changes = bench
        .there
        .metadata
        .put_manifest(&name, manifest(2), &wanted)
        .await?;
    same!(
        changes,
        vec![TagChange::Applied; 4],
        "the answer where all conditions hold"
    );
    for (tag, _) in wanted {
        let found = bench.here.metadata.tag(&name, &tag).await?;
        same!(found.as_ref(), Some(&pushed), "the tag {tag}");
    }
    Ok(())
}

async fn a_tag_delete_leaves_the_manifest(bench: &Bench) -> Outcome {
    let name = repository("suite/untagged");
    let digest = bench.here.put(&name, &manifest(1), &["one", "two"]).await?;
    let change = bench
        .there
        .metadata
        .delete_tag(&name, &tag("one"), &Expect::Any)
        .await?;
    same!(change, TagChange::Applied, "the delete");
    same!(
        bench.here.metadata.tag(&name, &tag("one")).await?,
        None,
        "the deleted tag"
    );
    same!(
        bench.here.metadata.tag(&name, &tag("two")).await?,
        Some(digest.clone()),
        "the other"
    );
    hold!(
        bench
            .here
            .metadata
            .manifest(&name, &digest)
            .await?
            .is_some(),
        "the manifest is gone"
    );
    let listed = bench.here.metadata.tags(&name, Page::first(10)).await?;
    same!(listed.items, vec![tag("two")], "the tags left");
    Ok(())
}

async fn a_tag_delete_has_conditions(bench: &Bench) -> Outcome {
    let name = repository("suite/conditions");
    let a = bench.here.put(&name, &manifest(1), &[]).await?;
    let b = bench.here.put(&name, &manifest(2), &[]).await?;
    for expect in expectations(&a, &b) {
        let metadata = &bench.there.metadata;
        for name in [&name, &repository("suite/unknown")] {
            let change = metadata.delete_tag(name, &tag("absent"), &expect).await?;
            same!(
                change,
                TagChange::Refused(None),
                "{expect:?} where there is no tag"
            );
        }
        for number in [1, 2] {
            let current = bench
                .here
                .put(&name, &manifest(number), &["present"])
                .await?;
            let change = metadata.delete_tag(&name, &tag("present"), &expect).await?;
            let (wanted, left) = if expect.holds(Some(&current)) {
                (TagChange::Applied, None)
            } else {
                (
                    TagChange::Refused(Some(current.clone())),
                    Some(current.clone()),
                )
            };
            same!(change, wanted, "{expect:?} over {current}");
            let found = bench.here.metadata.tag(&name, &tag("present")).await?;
            same!(found, left, "the tag after {expect:?} over {current}");
        }
    }
    Ok(())
}

async fn tags_are_listed_in_byte_order(bench: &Bench) -> Outcome {
    let name = repository("suite/order");
    let mut shuffled = NAMES;
    shuffled.reverse();
    shuffled.swap(2, 9);
    for (number, text) in shuffled.iter().enumerate() {
        bench
            .here
            .put(&name, &manifest(number % 3), &[text])
            .await?;
    }
    let all = NAMES.map(tag);
    for stores in [&bench.here, &bench.there] {
        let listed = stores.metadata.tags(&name, Page::first(1_000)).await?;
        same!(
            (&listed.items[..], listed.more),
            (&all[..], false),
            "the tags"
        );
    }
    let (long, high) = ("b".repeat(10_000), "\u{10ffff}".to_owned());
    let odd = [
        "", "-", "a-", "a.", "a/b", "aaa", "../x", "\u{e9}", "v1.0-rc.", "zz", &long, &high,
    ];
    for after in NAMES.iter().chain(&odd) {
        let wanted: Vec<_> = NAMES
            .iter()
            .filter(|name| *name > after)
            .map(|name| tag(name))
            .collect();
        let page = Page::first(1_000).after(*after);
        let listed = bench.there.metadata.tags(&name, page).await?;
        same!(
            (&listed.items, listed.more),
            (&wanted, false),
            "the tags after {after:.20}"
        );
    }
    Ok(())
}

async fn pages_of_tags_have_their_limit(bench: &Bench) -> Outcome {
    let name = repository("suite/limits");
    bench.here.put(&name, &manifest(1), &NAMES).await?;
    for limit in [
        1,
        2,
        NAMES.len() - 1,
        NAMES.len(),
        NAMES.len() + 1,
        usize::MAX,
    ] {
        let listed = bench.there.metadata.tags(&name, Page::first(limit)).await?;
        let wanted = NAMES.map(tag)[..limit.min(NAMES.len())].to_vec();
        same!(listed.items, wanted, "a page of {limit}");
        same!(
            listed.more,
            limit < NAMES.len(),
            "whether a page of {limit} says more"
        );
        let last = Page::first(limit).after("b");
        let listed = bench.there.metadata.tags(&name, last).await?;
        same!(
            (listed.items, listed.more),
            (vec![tag("v1.0-rc.1")], false),
            "the last page"
        );
    }
    let listed = bench.there.metadata.tags(&name, Page::first(0)).await?;
    same!(listed.items, vec![], "a page of 0");
    Ok(())
}

async fn pages_neither_skip_nor_repeat(bench: &Bench) -> Outcome {
    let name = repository("suite/pages");
    let constant: Vec<_> = (0..40)
        .map(|number| format!("k{:02}", number * 2))
        .collect();
    let names: Vec<_> = constant.iter().map(String::as_str).collect();
    bench.here.put(&name, &manifest(1), &names).await?;
    for limit in [1, 3, 7] {
        let (mut seen, mut page, mut turn) = (Vec::new(), Page::first(limit), 0);
        loop {
            let listed = bench.there.metadata.tags(&name, page).await?;
            seen.extend(listed.items.iter().map(ToString::to_string));
            let Some(last) = listed.items.last().filter(|_| listed.more) else {
                break;
            };
            page = Page::first(limit).after(last.as_str());
            // What comes and goes meanwhile lies between, before and behind.
            turn += 1;
            let passing = format!("k{:02}", (turn * 13) % 80 / 2 * 2 + 1);
            bench.here.put(&name, &manifest(2), &[&passing]).await?;
            if turn % 2 == 0 {
                let passing = tag(&passing);
                bench
                    .here
                    .metadata
                    .delete_tag(&name, &passing, &Expect::Any)
                    .await?;
            }
            hold!(turn < 1_000, "the pages do not end");
        }
        hold!(
            seen.is_sorted_by(|a, b| a < b),
            "out of order or twice: {seen:?}"
        );
        let skipped = constant.iter().find(|name| !seen.contains(name));
        hold!(
            skipped.is_none(),
            "skipped {skipped:?} with pages of {limit}"
        );
    }
    Ok(())
}

async fn an_unknown_repository_has_no_tags(bench: &Bench) -> Outcome {
    let (unknown, linked) = (repository("suite/unknown"), repository("suite/linked"));
    let digest = crate::hash::Algorithm::Sha256.digest(b"x");
    let link = BlobLink::new(digest.clone(), Some(1));
    bench
        .here
        .metadata
        .link_blob(&linked, &digest, link)
        .await?;
    for name in [&unknown, &linked] {
        let listed = bench.there.metadata.tags(name, Page::first(10)).await?;
        if !listed.items.is_empty() || listed.more {
            return Err(Fault(format!("{name} lists {listed:?}")));
        }
        same!(
            bench.there.metadata.tag(name, &tag("a")).await?,
            None,
            "a tag of {name}"
        );
        same!(
            bench.there.metadata.manifest(name, &digest).await?,
            None,
            "a manifest of {name}"
        );
    }
    Ok(())
}
