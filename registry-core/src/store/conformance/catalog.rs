//! Rules of the catalog.

use super::bench::{Bench, Outcome, hold, manifest, repository, rules, same};
use crate::{access::Visible, hash::Algorithm, name::RepositoryName, page::Page, store::BlobLink};

rules! {
    a_store_that_works_says_so: "A check of a store that works passes, before anything was written and after.",
    the_catalog_has_those_with_a_manifest: "The catalog lists the repositories that have a manifest, tagged or not.",
    the_catalog_is_in_byte_order: "The catalog is in byte order of the whole name and starts strictly after the name given, which need not exist.",
    the_catalog_shows_the_visible: "The catalog lists those that are visible, and pages are filled with them.",
    pages_of_the_catalog_have_their_limit: "A page of the catalog has at most its limit and says whether there is more.",
}

/// In byte order, which is not that of a walk through folders: `a/b` sorts after `a-b` and `a.b`.
const NAMES: [&str; 12] = [
    "a", "a-b", "a-b/c", "a.b", "a/b", "a/b-c", "a/b/c", "a/b/c/d", "a0", "a__b", "ab", "b/a",
];

async fn filled(bench: &Bench) -> Result<Vec<RepositoryName>, super::Fault> {
    let mut shuffled = NAMES;
    shuffled.reverse();
    shuffled.swap(0, 5);
    for (number, name) in shuffled.into_iter().enumerate() {
        bench
            .here
            .put(&repository(name), &manifest(number), &["latest"])
            .await?;
    }
    Ok(NAMES.map(repository).to_vec())
}

async fn a_store_that_works_says_so(bench: &Bench) -> Outcome {
    bench.there.blobs.check().await?;
    bench.there.metadata.check().await?;
    bench
        .here
        .put(&repository("suite/checked"), &manifest(1), &["one"])
        .await?;
    bench.there.blobs.check().await?;
    bench.there.metadata.check().await?;
    Ok(())
}

async fn the_catalog_has_those_with_a_manifest(bench: &Bench) -> Outcome {
    let page = || Page::first(100);
    let all = Visible::All;
    let listed = bench.here.metadata.repositories(page(), &all).await?;
    same!(
        (listed.items, listed.more),
        (vec![], false),
        "the catalog of an empty store"
    );
    let [linked, tagged, untagged, emptied] = [
        "suite/linked",
        "suite/tagged",
        "suite/untagged",
        "suite/emptied",
    ]
    .map(repository);
    let digest = Algorithm::Sha256.digest(b"x");
    let link = BlobLink::new(digest.clone(), Some(1));
    bench
        .here
        .metadata
        .link_blob(&linked, &digest, link)
        .await?;
    bench.here.put(&tagged, &manifest(1), &["one"]).await?;
    bench.here.put(&untagged, &manifest(2), &[]).await?;
    let first = bench.here.put(&emptied, &manifest(3), &["one"]).await?;
    let second = bench.here.put(&emptied, &manifest(4), &[]).await?;
    let most = vec![emptied.clone(), tagged.clone(), untagged.clone()];
    let listed = bench.there.metadata.repositories(page(), &all).await?;
    same!(listed.items, most, "the catalog");
    bench
        .there
        .metadata
        .delete_manifest(&emptied, &first)
        .await?;
    let listed = bench.here.metadata.repositories(page(), &all).await?;
    same!(listed.items, most, "the catalog with one manifest left");
    bench
        .there
        .metadata
        .delete_manifest(&emptied, &second)
        .await?;
    for stores in [&bench.here, &bench.there] {
        let listed = stores.metadata.repositories(page(), &all).await?;
        let wanted = vec![tagged.clone(), untagged.clone()];
        same!(listed.items, wanted, "the catalog with no manifest left");
    }
    bench.there.put(&emptied, &manifest(3), &[]).await?;
    let listed = bench.here.metadata.repositories(page(), &all).await?;
    same!(listed.items, most, "the catalog with a manifest again");
    Ok(())
}

async fn the_catalog_is_in_byte_order(bench: &Bench) -> Outcome {
    let names = filled(bench).await?;
    let all = Visible::All;
    for stores in [&bench.here, &bench.there] {
        let listed = stores.metadata.repositories(Page::first(100), &all).await?;
        same!(
            (listed.items, listed.more),
            (names.clone(), false),
            "the catalog"
        );
    }
    let odd = [
        "", "-", "a-", "a-c", "a.", "a/", "a/b/", "a/b/c/", "aa", "..", "zzz", "\u{e9}",
    ];
    for after in NAMES.iter().chain(&odd) {
        let wanted: Vec<_> = names
            .iter()
            .filter(|name| name.as_str() > *after)
            .cloned()
            .collect();
        let page = Page::first(100).after(*after);
        let listed = bench.there.metadata.repositories(page, &all).await?;
        same!(
            (listed.items, listed.more),
            (wanted, false),
            "the catalog after {after:?}"
        );
    }
    Ok(())
}

async fn the_catalog_shows_the_visible(bench: &Bench) -> Outcome {
    let names = filled(bench).await?;
    let prefixes = |list: &[&str]| Visible::prefixes(list.iter().map(ToString::to_string));
    let sets = [
        Visible::All,
        Visible::none(),
        prefixes(&["a/b"]),
        prefixes(&["a/b/", "b", "a/"]),
        prefixes(&["zzz", "a-"]),
        Visible::filter(|name| name.as_str().len() == 3),
        Visible::filter(|name| name.as_str() == "b/a"),
    ];
    for visible in sets {
        let wanted: Vec<_> = names
            .iter()
            .filter(|name| visible.contains(name))
            .cloned()
            .collect();
        for limit in [1, 2, 100] {
            let (mut seen, mut page) = (Vec::new(), Page::first(limit));
            loop {
                let listed = bench.there.metadata.repositories(page, &visible).await?;
                let full = listed.items.len() == limit;
                hold!(
                    full || !listed.more,
                    "a page with more behind it is not full"
                );
                seen.extend(listed.items);
                hold!(seen.len() <= NAMES.len(), "the pages do not end: {seen:?}");
                let Some(last) = seen.last().filter(|_| listed.more) else {
                    break;
                };
                page = Page::first(limit).after(last.as_str());
            }
            same!(seen, wanted, "{visible:?} in pages of {limit}");
        }
    }
    Ok(())
}

async fn pages_of_the_catalog_have_their_limit(bench: &Bench) -> Outcome {
    let names = filled(bench).await?;
    for limit in [
        1,
        5,
        NAMES.len() - 1,
        NAMES.len(),
        NAMES.len() + 1,
        usize::MAX,
    ] {
        let page = Page::first(limit);
        let listed = bench
            .there
            .metadata
            .repositories(page, &Visible::All)
            .await?;
        let wanted = names[..limit.min(names.len())].to_vec();
        same!(listed.items, wanted, "a page of {limit}");
        same!(
            listed.more,
            limit < names.len(),
            "whether a page of {limit} says more"
        );
    }
    let listed = bench
        .there
        .metadata
        .repositories(Page::first(0), &Visible::All)
        .await?;
    same!(listed.items, vec![], "a page of 0");
    Ok(())
}
