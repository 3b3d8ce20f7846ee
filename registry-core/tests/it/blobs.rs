use std::{sync::atomic::Ordering, time::Duration};

use registry_core::{BlobReply, ErrorCode, Registry, registry::GetBlob, store::BlobLink};

use crate::fixture::*;

#[tokio::test]
async fn reading_costs_two_calls_and_writes_nothing() {
    let (engine, store) = engine();
    let digest = push_blob(&engine, "a", "hello").await;
    store.calls();

    let stat = engine.stat_blob(&cx(), &name("a"), &digest).await.unwrap();
    assert_eq!((stat.digest, stat.size), (digest.clone(), 5));
    assert_eq!(store.calls(), ["blob_link", "stat"]);

    let reply = engine
        .get_blob(&cx(), &name("a"), &digest, GetBlob::default())
        .await;
    assert_eq!(store.calls(), ["blob_link", "open"]);
    let BlobReply::Blob(blob) = reply.unwrap() else {
        panic!("no redirects were asked for")
    };
    assert_eq!(text(&blob).await, "hello");
}

#[tokio::test]
async fn a_blob_is_in_the_repositories_that_link_it() {
    let (engine, _) = engine();
    let digest = push_blob(&engine, "a", "hello").await;
    push_blob(&engine, "b", "hello").await;
    for repository in ["c", "a/b"] {
        let other = name(repository);
        let options = GetBlob::default();
        assert_eq!(
            code(engine.stat_blob(&cx(), &other, &digest).await),
            ErrorCode::BlobUnknown
        );
        assert_eq!(
            code(engine.get_blob(&cx(), &other, &digest, options).await),
            ErrorCode::BlobUnknown
        );
        assert_eq!(
            code(engine.delete_blob(&cx(), &other, &digest).await),
            ErrorCode::BlobUnknown
        );
    }
    engine
        .delete_blob(&cx(), &name("a"), &digest)
        .await
        .unwrap();
    assert_eq!(
        code(engine.stat_blob(&cx(), &name("a"), &digest).await),
        ErrorCode::BlobUnknown
    );
    engine.stat_blob(&cx(), &name("b"), &digest).await.unwrap();
}

#[tokio::test]
async fn a_link_is_followed_and_answered_as_asked() {
    let (engine, store) = engine();
    let (target, asked) = (push_blob(&engine, "a", "hello").await, sha512("hello"));
    let link = BlobLink::new(target, None);
    store.state().links.insert((name("a"), asked.clone()), link);
    let stat = engine.stat_blob(&cx(), &name("a"), &asked).await.unwrap();
    assert_eq!((stat.digest, stat.size), (asked.clone(), 5));
    let reply = engine
        .get_blob(&cx(), &name("a"), &asked, GetBlob::default())
        .await;
    assert!(matches!(reply, Ok(BlobReply::Blob(blob)) if blob.size == 5));
}

#[tokio::test]
async fn short_or_missing_bytes_are_no_blob() {
    let (engine, store) = engine();
    let digest = push_blob(&engine, "a", "hello").await;
    for bytes in [Some("hell"), None] {
        match bytes {
            Some(bytes) => store.state().blobs.insert(digest.clone(), bytes.into()),
            None => store.state().blobs.remove(&digest),
        };
        let stat = engine.stat_blob(&cx(), &name("a"), &digest).await;
        assert_eq!(code(stat), ErrorCode::BlobUnknown);
        let read = engine
            .get_blob(&cx(), &name("a"), &digest, GetBlob::default())
            .await;
        assert_eq!(code(read), ErrorCode::BlobUnknown);
    }
}

#[tokio::test]
async fn deletes_can_be_off() {
    let (engine, store) = engine();
    let digest = push_blob(&engine, "a", "hello").await;
    let kept = builder(&store).deletes(false).build();
    let refused = kept.delete_blob(&cx(), &name("a"), &digest).await;
    assert_eq!(code(refused), ErrorCode::Unsupported);
    engine.stat_blob(&cx(), &name("a"), &digest).await.unwrap();
}

#[tokio::test]
async fn readers_are_redirected_where_that_is_wanted_and_possible() {
    let (plain, store) = engine();
    let engine = builder(&store)
        .redirects(Some(Duration::from_secs(60)))
        .build();
    let digest = push_blob(&plain, "a", "hello").await;
    store.redirects.store(true, Ordering::Relaxed);
    let read = |engine: registry_core::Engine, options| {
        let digest = digest.clone();
        async move {
            let reply = engine.get_blob(&cx(), &name("a"), &digest, options).await;
            match reply.unwrap() {
                BlobReply::Redirect(location) => Some(location.as_str().to_owned()),
                BlobReply::Blob(_) => None,
            }
        }
    };
    let url = read(engine.clone(), GetBlob::default()).await;
    assert!(url.unwrap().ends_with("?for=60"));
    assert_eq!(read(engine.clone(), GetBlob::direct()).await, None);
    assert_eq!(read(plain, GetBlob::default()).await, None);
    store.redirects.store(false, Ordering::Relaxed);
    assert_eq!(read(engine, GetBlob::default()).await, None);
}
