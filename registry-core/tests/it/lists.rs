use registry_core::{
    Digest, Engine, ErrorCode, MediaType, Page, Registry, Tag, access::Visible, engine::Limits,
    registry::ReferrersFilter, store::StoreErrorKind,
};

use crate::{double::Double, fixture::*};

#[tokio::test]
async fn tags_of_nothing_and_of_nobody() {
    let (engine, _) = engine();
    push_blob(&engine, "a", "hello").await;
    for limit in [0, 5] {
        let never = engine
            .list_tags(&cx(), &name("never"), Page::first(limit))
            .await;
        assert_eq!(code(never), ErrorCode::NameUnknown);
        let none = engine
            .list_tags(&cx(), &name("a"), Page::first(limit))
            .await
            .unwrap();
        assert!(none.items.is_empty() && !none.more);
    }
}

#[tokio::test]
async fn pages_are_bounded_and_none_is_none() {
    let store = Double::new();
    let mut limits = Limits::default();
    (limits.repositories, limits.tags) = (2, 2);
    let engine = builder(&store).limits(limits).build();
    for repository in ["a", "b", "c"] {
        push_index(&engine, repository, "x", &["1", "2", "3"]).await;
    }
    let a = name("a");
    for (limit, shown, more) in [(0, 0, false), (1, 1, true), (usize::MAX, 2, true)] {
        let page = Page::first(limit);
        let tags = engine.list_tags(&cx(), &a, page.clone()).await.unwrap();
        assert_eq!((tags.items.len(), tags.more), (shown, more));
        let names = engine
            .list_repositories(&cx(), page, Visible::All)
            .await
            .unwrap();
        assert_eq!((names.items.len(), names.more), (shown, more));
    }
    let rest = engine
        .list_tags(&cx(), &a, Page::first(9).after("2"))
        .await
        .unwrap();
    assert_eq!((rest.items, rest.more), (vec![tag("3")], false));
}

/// The digests of all pages.
async fn walk(
    engine: &Engine,
    subject: &Digest,
    limit: usize,
    filter: &ReferrersFilter,
) -> Vec<Digest> {
    let (mut page, mut found) = (Page::first(limit), Vec::new());
    loop {
        let listing = engine
            .list_referrers(&cx(), &name("a"), subject, page, filter.clone())
            .await
            .unwrap();
        assert!(listing.items.len() <= limit);
        found.extend(listing.items.into_iter().map(|item| item.digest));
        if !listing.more {
            return found;
        }
        page = Page::first(limit).after(found.last().unwrap().as_str());
    }
}

#[tokio::test]
async fn referrers_are_listed_for_anything() {
    let (engine, _) = engine();
    let filter = ReferrersFilter::none();
    let none = walk(&engine, &sha256("never"), 5, &filter).await;
    assert!(none.is_empty());
    let odd = Digest::parse("sha256+b64:abc=").unwrap();
    assert!(walk(&engine, &odd, 5, &filter).await.is_empty());
}

#[tokio::test]
async fn a_fallback_tag_is_merged_in_order_verified_and_paged() {
    let (engine, store) = engine();
    let subject = sha256("subject");
    let mut expected = Vec::new();
    let mut named = vec![
        sha256("absent"),
        push_index(&engine, "a", "unrelated", &[]).await,
    ];
    for i in 0..30 {
        let kind = if i % 2 == 0 { "a/even" } else { "a/odd" };
        // Those that the store lists are large: behind them there is room for others on a page.
        let label = format!("{i}{}", "x".repeat(if i % 3 == 0 { 300 } else { 0 }));
        let about = push(referrer(&label, &subject, kind));
        let pushed = engine.put_manifest(&cx(), &name("a"), about).await.unwrap();
        let digest = pushed.descriptor.digest;
        if i % 3 != 0 {
            store.state().unlisted.insert(digest.clone());
        }
        // Of three, one is listed and maybe named, one is only named, one is neither.
        if i % 3 == 1 || i % 12 == 0 {
            named.push(digest.clone());
        }
        if i % 3 != 2 {
            expected.push((digest, kind));
        }
    }
    // Another subject's, and another repository's.
    let other = push(referrer("o", &sha256("other"), "a/even"));
    let other = engine.put_manifest(&cx(), &name("a"), other).await.unwrap();
    named.push(other.descriptor.digest);
    let foreign = push(referrer("f", &subject, "a/even"));
    let foreign = engine
        .put_manifest(&cx(), &name("b"), foreign)
        .await
        .unwrap();
    named.push(foreign.descriptor.digest);

    let children: Vec<_> = named
        .iter()
        .map(|digest| {
            let of = MediaType::oci_index();
            format!(r#"{{"mediaType":"{of}","digest":"{digest}","size":1,"artifactType":"a/lie"}}"#)
        })
        .collect();
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
        children.join(",")
    );
    let fallback = Tag::referrers_fallback(&subject);
    let sparse = builder(&store)
        .references(registry_core::engine::ReferencePolicy::Nothing)
        .build();
    let index = push(index).tag(fallback, Default::default());
    sparse.put_manifest(&cx(), &name("a"), index).await.unwrap();

    expected.sort();
    let all: Vec<_> = expected.iter().map(|(digest, _)| digest.clone()).collect();
    let even = expected.iter().filter(|(_, kind)| *kind == "a/even");
    let even: Vec<_> = even.map(|(digest, _)| digest.clone()).collect();
    let only_even = ReferrersFilter::none().artifact_type(MediaType::parse("a/even").unwrap());
    for limit in 1..=20 {
        assert_eq!(
            walk(&engine, &subject, limit, &ReferrersFilter::none()).await,
            all
        );
        assert_eq!(walk(&engine, &subject, limit, &only_even).await, even);
    }
    for bytes in (1..=40).map(|part| part * 50) {
        let filter = ReferrersFilter::none().max_bytes(bytes);
        assert_eq!(walk(&engine, &subject, 30, &filter).await, all);
    }
    let page = Page::first(30);
    let listed = engine
        .list_referrers(&cx(), &name("a"), &subject, page.clone(), only_even)
        .await
        .unwrap();
    assert!(
        listed
            .items
            .iter()
            .all(|item| item.annotations.is_some() && item.size > 1)
    );

    let mut limits = Limits::default();
    limits.referrers_bytes = 1;
    let narrow = builder(&store).limits(limits).build();
    let one = narrow
        .list_referrers(
            &cx(),
            &name("a"),
            &subject,
            page.clone(),
            ReferrersFilter::none(),
        )
        .await
        .unwrap();
    assert_eq!((one.items.len(), one.more), (1, true));

    // What is damaged is skipped; a store that cannot tell is an error.
    store.fail("manifest", StoreErrorKind::Corrupt);
    let filter = ReferrersFilter::none();
    let skipped = engine
        .list_referrers(&cx(), &name("a"), &subject, page.clone(), filter.clone())
        .await;
    assert!(skipped.unwrap().items.len() < all.len());
    store.fail("manifest", StoreErrorKind::Unavailable);
    let unknown = engine
        .list_referrers(&cx(), &name("a"), &subject, page, filter)
        .await;
    assert_eq!(code(unknown), ErrorCode::Unavailable);
}
