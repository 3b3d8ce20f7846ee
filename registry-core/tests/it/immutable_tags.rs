use std::sync::{Arc, atomic::Ordering};

use registry_core::{
    Digest, Engine, ErrorCode, Expect, Reference, Registry, Result, layer::ImmutableTags,
};

use crate::fixture::*;

fn versions_stay(engine: &Engine) -> ImmutableTags<Engine> {
    ImmutableTags::new(engine.clone(), |repository, tag| {
        repository.as_str() == "a" && tag.as_str().starts_with('v')
    })
}

async fn set(registry: &impl Registry, label: &str, text: &str, expect: Expect) -> Result<Digest> {
    let push = push(index(label)).tag(tag(text), expect);
    let pushed = registry.put_manifest(&cx(), &name("a"), push).await;
    Ok(pushed?.descriptor.digest)
}

#[tokio::test]
async fn a_tag_is_set_once() {
    let (engine, _) = engine();
    let registry = versions_stay(&engine);
    let one = set(&registry, "one", "v1", Expect::Any).await.unwrap();
    set(&registry, "one", "v1", Expect::Any).await.unwrap();
    let moved = set(&registry, "two", "v1", Expect::Any).await;
    assert_eq!(code(moved), ErrorCode::PreconditionFailed);
    let asked_for = set(&registry, "two", "v1", Expect::Is(vec![one.clone()])).await;
    assert_eq!(code(asked_for), ErrorCode::PreconditionFailed);
    // What the caller expects counts too.
    let absent = set(&registry, "one", "v1", Expect::Absent).await;
    assert_eq!(code(absent), ErrorCode::PreconditionFailed);
    let present = set(&registry, "one", "v2", Expect::Present).await;
    assert_eq!(code(present), ErrorCode::PreconditionFailed);
    let read = engine.stat_manifest(&cx(), &name("a"), &by_tag("v1")).await;
    assert_eq!(read.unwrap().digest, one);

    set(&registry, "one", "latest", Expect::Any).await.unwrap();
    set(&registry, "two", "latest", Expect::Any).await.unwrap();
    push_index(&registry, "b", "one", &["v1"]).await;
    push_index(&registry, "b", "two", &["v1"]).await;
}

#[tokio::test]
async fn it_is_not_deleted_nor_its_manifest() {
    let (engine, _) = engine();
    let registry = versions_stay(&engine);
    let delete = async |reference: Reference| {
        registry
            .delete_manifest(&cx(), &name("a"), &reference, Expect::Any)
            .await
    };
    let fixed = push_index(&registry, "a", "one", &["latest", "v1"]).await;
    let free = push_index(&registry, "a", "two", &["latest"]).await;
    assert_eq!(
        code(delete(by_tag("v1")).await),
        ErrorCode::PreconditionFailed
    );
    assert_eq!(code(delete(by_tag("v2")).await), ErrorCode::ManifestUnknown);
    let by_digest = delete(Reference::Digest(fixed.clone())).await;
    assert_eq!(code(by_digest), ErrorCode::PreconditionFailed);
    delete(by_tag("latest")).await.unwrap();
    delete(Reference::Digest(free)).await.unwrap();
    engine
        .stat_manifest(&cx(), &name("a"), &by_tag("v1"))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_immutable_tag_is_found_behind_many_others() {
    let (engine, _) = engine();
    let registry = versions_stay(&engine);
    let tags: Vec<_> = (0..2500).map(|i| format!("t{i:04}")).collect();
    let tags: Vec<_> = tags.iter().map(String::as_str).chain(["v1"]).collect();
    let digest = push_index(&engine, "a", "one", &tags).await;
    let reference = Reference::Digest(digest);
    let refused = registry
        .delete_manifest(&cx(), &name("a"), &reference, Expect::Any)
        .await;
    assert_eq!(code(refused), ErrorCode::PreconditionFailed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_racing_pushers_one_wins() {
    for round in 0..50 {
        let (engine, _) = engine();
        let registry = Arc::new(versions_stay(&engine));
        let pushers = (0..8).map(|i| {
            let registry = Arc::clone(&registry);
            let label = format!("{round}-{i}");
            tokio::spawn(async move { set(&registry, &label, "v1", Expect::Any).await })
        });
        let mut won = Vec::new();
        for pusher in pushers.collect::<Vec<_>>() {
            match pusher.await.unwrap() {
                Ok(digest) => won.push(digest),
                Err(error) => assert_eq!(error.code(), ErrorCode::PreconditionFailed),
            }
        }
        let read = engine.stat_manifest(&cx(), &name("a"), &by_tag("v1")).await;
        assert_eq!(won, [read.unwrap().digest]);
    }
}

#[tokio::test]
async fn a_set_tag_survives_a_racing_delete_of_its_manifest() {
    let mut both = [0; 3];
    for seed in 1..=500 {
        let (engine, store) = engine();
        let registry = versions_stay(&engine);
        let digest = push_index(&engine, "a", "x", &[]).await;
        store.seed.store(seed, Ordering::Relaxed);
        let (a, cx, reference) = (name("a"), cx(), Reference::Digest(digest));
        let (pushed, deleted) = tokio::join!(
            set(&registry, "x", "v1", Expect::Any),
            registry.delete_manifest(&cx, &a, &reference, Expect::Any),
        );
        store.seed.store(0, Ordering::Relaxed);
        let read = engine.stat_manifest(&cx, &a, &by_tag("v1")).await;
        assert_eq!(
            pushed.is_ok(),
            read.is_ok(),
            "{seed}: {pushed:?} {deleted:?}"
        );
        both[usize::from(pushed.is_ok()) + usize::from(deleted.is_ok())] += 1;
    }
    assert!(both[1] > 0, "{both:?}");
}
