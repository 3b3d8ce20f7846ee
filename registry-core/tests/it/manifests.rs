use std::sync::atomic::Ordering;

use registry_core::{
    Context, Digest, Engine, ErrorCode, Expect, MediaType, Reference, Registry, Result,
    access::Principal,
    engine::{Limits, ManifestPolicy, UrlPolicy},
    registry::{ManifestPush, PushedManifest},
    store::StoreErrorKind,
};

use crate::{double::Double, fixture::*};

async fn put(engine: &Engine, push: ManifestPush) -> Result<PushedManifest> {
    engine.put_manifest(&cx(), &name("a"), push).await
}

async fn tagged(engine: &Engine, text: &str) -> Option<Digest> {
    let manifest = engine.stat_manifest(&cx(), &name("a"), &by_tag(text)).await;
    manifest.ok().map(|manifest| manifest.digest)
}

#[tokio::test]
async fn what_was_pushed_is_read_verbatim() {
    let (engine, store) = engine();
    let bytes = format!("\n{}  ", index("x"));
    let cx = Context::of(Principal::named("alice"));
    let subject = sha256("absent");
    let about = referrer("y", &subject, "application/x");
    engine
        .put_manifest(&cx, &name("a"), push(about.clone()))
        .await
        .unwrap();
    let pushed = engine
        .put_manifest(
            &cx,
            &name("a"),
            push(bytes.clone()).tag(tag("v1"), Expect::Any),
        )
        .await
        .unwrap();
    assert_eq!((pushed.tags, pushed.subject), (vec![tag("v1")], None));
    for reference in [by_tag("v1"), Reference::Digest(sha256(&bytes))] {
        let read = engine
            .get_manifest(&cx, &name("a"), &reference)
            .await
            .unwrap();
        assert_eq!(read.bytes, bytes);
        assert_eq!(read.descriptor, pushed.descriptor);
        assert_eq!(read.descriptor.media_type, MediaType::oci_index());
    }
    let record = store.state().manifests[&(name("a"), sha256(&about))].clone();
    assert_eq!(record.by.as_deref(), Some("alice"));
    assert_eq!(record.subject, Some(subject));
    assert_eq!(
        record.descriptor.artifact_type.unwrap().as_str(),
        "application/x"
    );
    assert_eq!(record.descriptor.annotations.unwrap()["label"], "y");
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_not_stored() {
    let store = Double::new();
    let mut limits = Limits::default();
    limits.manifest.size = 200;
    let engine = builder(&store).limits(limits).build();
    let of_type = |text: &str| push(index("x")).media_type(MediaType::parse(text).unwrap());
    let table = [
        (push("{"), ErrorCode::ManifestInvalid),
        // Go's programs would read this as a manifest that has one child.
        (
            push(r#"{"schemaVersion":2,"manifests":[],"Manifests":[{"digest":"x"}]}"#),
            ErrorCode::ManifestInvalid,
        ),
        (of_type("text/plain"), ErrorCode::ManifestInvalid),
        (
            of_type(MediaType::oci_manifest().as_str()),
            ErrorCode::ManifestInvalid,
        ),
        (push(index(&"x".repeat(200))), ErrorCode::TooLarge),
        (
            push(index("x")).digest(sha256("other")),
            ErrorCode::DigestInvalid,
        ),
        (
            push(index("x")).digest(sha512("other")),
            ErrorCode::DigestInvalid,
        ),
        (
            push(index("x")).digest(Digest::parse("blake3:a").unwrap()),
            ErrorCode::DigestInvalid,
        ),
    ];
    for (push, expected) in table {
        let label = format!("{push:?}");
        let push = push.tag(tag("v1"), Expect::Any);
        assert_eq!(code(put(&engine, push).await), expected, "{label}");
    }
    assert!(store.state().manifests.is_empty() && store.state().tags.is_empty());
}

#[tokio::test]
async fn a_manifest_is_stored_under_the_digest_it_is_pushed_by() {
    let (engine, _) = engine();
    let digest = sha512(&index("x"));
    let pushed = put(&engine, push(index("x")).digest(digest.clone()))
        .await
        .unwrap();
    assert_eq!(pushed.descriptor.digest, digest);
    let (a, cx) = (name("a"), cx());
    engine
        .get_manifest(&cx, &a, &Reference::Digest(digest))
        .await
        .unwrap();
    let other = Reference::Digest(sha256(&index("x")));
    assert_eq!(
        code(engine.get_manifest(&cx, &a, &other).await),
        ErrorCode::ManifestUnknown
    );
}

#[tokio::test]
async fn a_manifest_is_unknown_in_a_repository_that_is_known_and_in_one_that_is_not() {
    let (engine, _) = engine();
    push_blob(&engine, "a", "hello").await;
    for reference in [by_tag("v1"), Reference::Digest(sha256("x"))] {
        let stat = engine.stat_manifest(&cx(), &name("a"), &reference).await;
        assert_eq!(code(stat), ErrorCode::ManifestUnknown);
        let read = engine.get_manifest(&cx(), &name("never"), &reference).await;
        assert_eq!(code(read), ErrorCode::ManifestUnknown);
    }
    let tags = engine
        .list_tags(&cx(), &name("never"), registry_core::Page::first(1))
        .await;
    assert_eq!(code(tags), ErrorCode::NameUnknown);
}

#[tokio::test]
async fn a_tag_that_moves_while_it_is_followed_is_followed_on() {
    let (engine, store) = engine();
    let old = push_index(&engine, "a", "old", &["v1"]).await;
    let new = push_index(&engine, "a", "new", &[]).await;
    let moved = new.clone();
    store.before("manifest", move |state| {
        state.tags.insert((name("a"), tag("v1")), moved);
        state.manifests.remove(&(name("a"), old));
    });
    assert_eq!(tagged(&engine, "v1").await, Some(new));
}

#[tokio::test]
async fn an_unanswering_store_is_not_an_absence() {
    let (engine, store) = engine();
    push_index(&engine, "a", "x", &["v1"]).await;
    for call in ["tag", "manifest"] {
        store.fail(call, StoreErrorKind::Unavailable);
        let read = engine.get_manifest(&cx(), &name("a"), &by_tag("v1")).await;
        assert_eq!(code(read), ErrorCode::Unavailable);
    }
}

#[tokio::test]
async fn expectations_hold_for_all_tags_or_as_far_as_the_store_promises() {
    for atomic in [true, false] {
        let (engine, store) = engine();
        store.atomic.store(atomic, Ordering::Relaxed);
        push_index(&engine, "a", "old", &["taken"]).await;
        let both = push(index("new"))
            .tag(tag("free"), Expect::Absent)
            .tag(tag("taken"), Expect::Absent);
        let pushed = put(&engine, both).await;
        if atomic {
            assert_eq!(code(pushed), ErrorCode::PreconditionFailed);
            assert_eq!(tagged(&engine, "free").await, None);
        } else {
            assert_eq!(pushed.unwrap().tags, [tag("free")]);
        }
        let none = push(index("new")).tag(tag("taken"), Expect::Absent);
        assert_eq!(
            code(put(&engine, none).await),
            ErrorCode::PreconditionFailed
        );
        assert_eq!(tagged(&engine, "taken").await, Some(sha256(&index("old"))));
    }
}

#[tokio::test]
async fn a_tag_named_twice_is_set_once_if_all_holds() {
    let (engine, _) = engine();
    let twice = |second| {
        push(index("x"))
            .tag(tag("v1"), Expect::Any)
            .tag(tag("v2"), Expect::Any)
            .tag(tag("v1"), second)
    };
    let refused = put(&engine, twice(Expect::Present)).await;
    assert_eq!(code(refused), ErrorCode::PreconditionFailed);
    let pushed = put(&engine, twice(Expect::Absent)).await.unwrap();
    assert_eq!(pushed.tags, [tag("v1"), tag("v2")]);
}

#[tokio::test]
async fn a_manifest_without_tags_has_an_expectation_of_its_own() {
    let (engine, _) = engine();
    let present = push(index("x")).expect(Expect::Present);
    assert_eq!(
        code(put(&engine, present).await),
        ErrorCode::PreconditionFailed
    );
    put(&engine, push(index("x")).expect(Expect::Absent))
        .await
        .unwrap();
    let again = push(index("x")).expect(Expect::Absent);
    assert_eq!(
        code(put(&engine, again).await),
        ErrorCode::PreconditionFailed
    );
    // With tags it is theirs that count.
    let with_tag = push(index("x"))
        .expect(Expect::Absent)
        .tag(tag("v1"), Expect::Absent);
    put(&engine, with_tag).await.unwrap();
}

#[tokio::test]
async fn urls_are_as_the_operator_wants() {
    let store = Double::new();
    let ours = UrlPolicy::new(|url| url.starts_with("https://ours/"));
    let engine = builder(&store).urls(ours).build();
    let config = push_blob(&engine, "a", "{}").await;
    let image = |url: &str| {
        let layer = sha256("layer");
        push(format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"a/b","digest":"{config}","size":2}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.nondistributable.v1.tar","digest":"{layer}","size":5,"urls":["{url}"]}}]}}"#
        ))
    };
    assert_eq!(
        code(put(&engine, image("https://x/")).await),
        ErrorCode::ManifestInvalid
    );
    put(&engine, image("https://ours/l")).await.unwrap();
}

#[tokio::test]
async fn deleting() {
    let (engine, store) = engine();
    let (a, cx) = (name("a"), cx());
    let digest = push_index(&engine, "a", "x", &["v1", "v2"]).await;
    let other = push_index(&engine, "a", "y", &["v3"]).await;
    let delete = |reference: Reference, expect| {
        let (engine, a, cx) = (engine.clone(), a.clone(), cx.clone());
        async move { engine.delete_manifest(&cx, &a, &reference, expect).await }
    };
    let by = |digest: &Digest| Reference::Digest(digest.clone());

    assert_eq!(
        code(delete(by_tag("no"), Expect::Any).await),
        ErrorCode::ManifestUnknown
    );
    let unexpected = delete(by_tag("v1"), Expect::Is(vec![other.clone()])).await;
    assert_eq!(code(unexpected), ErrorCode::PreconditionFailed);
    delete(by_tag("v1"), Expect::Is(vec![digest.clone()]))
        .await
        .unwrap();
    assert_eq!(tagged(&engine, "v2").await, Some(digest.clone()));

    let unexpected = delete(by(&digest), Expect::Is(vec![other.clone()])).await;
    assert_eq!(code(unexpected), ErrorCode::PreconditionFailed);
    delete(by(&digest), Expect::Present).await.unwrap();
    assert_eq!(tagged(&engine, "v2").await, None);
    assert_eq!(
        code(delete(by(&digest), Expect::Any).await),
        ErrorCode::ManifestUnknown
    );

    let kept = builder(&store).deletes(false).build();
    for reference in [by_tag("v3"), by(&other)] {
        let refused = kept.delete_manifest(&cx, &a, &reference, Expect::Any).await;
        assert_eq!(code(refused), ErrorCode::Unsupported);
    }
    assert_eq!(tagged(&engine, "v3").await, Some(other));
}

#[tokio::test]
async fn what_is_not_admitted_is_denied_in_the_operators_words() {
    let store = Double::new();
    let policy = ManifestPolicy::new(|document| match &document.subject {
        None => Ok(()),
        Some(_) => Err("no attachments here".to_owned()),
    });
    let engine = builder(&store).manifests(policy).build();
    put(&engine, push(index("plain"))).await.unwrap();
    let about = referrer("x", &sha256("y"), "a/b");
    let refused = put(&engine, push(about)).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Denied);
    assert_eq!(refused.to_string(), "no attachments here");
    assert_eq!(store.state().manifests.len(), 1);
}
