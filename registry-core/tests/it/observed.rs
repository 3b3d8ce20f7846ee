use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use registry_core::{
    Context, Engine, ErrorCode, Expect, Page, Reference, Registry,
    access::{AuthError, Authorizer, Decision, Principal, Resource, Visible},
    event::{Event, EventAction, EventError, EventSink},
    layer::{Authorized, Observed},
    registry::{Chunk, Finish, GetBlob, Mount, ReferrersFilter, StartUpload},
};

use crate::{double::Double, fixture::*};

#[derive(Debug, Default)]
struct Sink {
    events: Mutex<Vec<Event>>,
    down: AtomicBool,
}

impl Sink {
    fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    fn actions(&self) -> Vec<EventAction> {
        self.take().into_iter().map(|event| event.action).collect()
    }

    fn down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
    }
}

#[async_trait]
impl EventSink for Sink {
    async fn publish(&self, event: &Event) -> Result<(), EventError> {
        // An answer that does not wait for this would come before the event.
        tokio::task::yield_now().await;
        if self.down.load(Ordering::Relaxed) {
            return Err(EventError::new("down"));
        }
        self.events.lock().unwrap().push(event.clone());
        Ok(())
    }
}

fn observed<R: Registry>(inner: R) -> (Observed<R>, Arc<Sink>) {
    let sink = Arc::new(Sink::default());
    let told: Arc<dyn EventSink> = Arc::<Sink>::clone(&sink);
    let registry = Observed::new(inner, told);
    (registry, sink)
}

fn fixture() -> (Observed<Engine>, Arc<Sink>, Arc<Double>) {
    let (engine, store) = engine();
    let (registry, sink) = observed(engine);
    (registry, sink, store)
}

#[tokio::test]
async fn what_happened_is_told_before_the_answer() {
    let (registry, sink, _) = fixture();
    let mut cx = Context::of(Principal::named("alice"));
    cx.request_id = Some("r1".into());
    let a = name("a");

    let blob = push_blob(&registry, "a", "hello").await;
    let [event] = <[Event; 1]>::try_from(sink.take()).unwrap();
    assert_eq!(
        (event.action, event.repository),
        (EventAction::Push, Some(a.clone()))
    );
    assert_eq!(event.target.unwrap().size, 5);

    registry
        .get_blob(&cx, &a, &blob, GetBlob::default())
        .await
        .unwrap();
    let [event] = <[Event; 1]>::try_from(sink.take()).unwrap();
    assert_eq!(event.action, EventAction::Pull);
    assert_eq!(event.target.unwrap().digest, blob);
    assert_eq!(
        (event.actor.as_deref(), event.request_id.as_deref()),
        (Some("alice"), Some("r1"))
    );
    assert_eq!(event.id.len(), 32);

    let mount = StartUpload::mount(Mount::new(blob.clone(), Some(a.clone())));
    registry.start_upload(&cx, &name("b"), mount).await.unwrap();
    let [event] = <[Event; 1]>::try_from(sink.take()).unwrap();
    assert_eq!(
        (event.action, event.from),
        (EventAction::Mount, Some(a.clone()))
    );

    let digest = push_index(&registry, "a", "x", &["v1", "v2"]).await;
    let [event] = <[Event; 1]>::try_from(sink.take()).unwrap();
    assert_eq!(
        (event.action, event.tags),
        (EventAction::Push, vec![tag("v1"), tag("v2")])
    );
    assert_eq!(event.target.unwrap().digest, digest);

    registry.get_manifest(&cx, &a, &by_tag("v1")).await.unwrap();
    let [event] = <[Event; 1]>::try_from(sink.take()).unwrap();
    assert_eq!(
        (event.action, event.tags),
        (EventAction::Pull, vec![tag("v1")])
    );

    registry
        .delete_manifest(&cx, &a, &by_tag("v1"), Expect::Any)
        .await
        .unwrap();
    let by_digest = Reference::Digest(digest.clone());
    registry
        .delete_manifest(&cx, &a, &by_digest, Expect::Any)
        .await
        .unwrap();
    registry.delete_blob(&cx, &a, &blob).await.unwrap();
    let events = sink.take();
    assert!(
        events
            .iter()
            .all(|event| event.action == EventAction::Delete)
    );
    assert_eq!(events[0].tags, [tag("v1")]);
    assert_eq!(events[1].target.as_ref().unwrap().digest, digest);
    assert_eq!(events[2].target.as_ref().unwrap().digest, blob);
}

#[tokio::test]
async fn what_is_no_event() {
    let (registry, sink, _) = fixture();
    let (a, cx) = (name("a"), cx());
    let blob = push_blob(&registry, "a", "hello").await;
    push_index(&registry, "a", "x", &["v1"]).await;
    sink.take();
    registry.stat_blob(&cx, &a, &blob).await.unwrap();
    registry
        .stat_manifest(&cx, &a, &by_tag("v1"))
        .await
        .unwrap();
    registry.list_tags(&cx, &a, Page::first(1)).await.unwrap();
    let id = started(&registry, "a").await.id;
    registry
        .append_upload(&cx, &a, &id, Chunk::new(body(&["x"])))
        .await
        .unwrap();
    registry.upload_session(&cx, &a, &id, None).await.unwrap();
    let wrong = registry
        .finish_upload(&cx, &a, &id, Finish::new(blob))
        .await;
    assert_eq!(code(wrong), ErrorCode::DigestInvalid);
    registry.cancel_upload(&cx, &a, &id, None).await.unwrap();
    let missing = registry.get_manifest(&cx, &a, &by_tag("no")).await;
    assert_eq!(code(missing), ErrorCode::ManifestUnknown);
    assert!(sink.take().is_empty());
}

#[tokio::test]
async fn a_write_that_could_not_be_told_stands_and_is_told_when_done_again() {
    let (registry, sink, _) = fixture();
    let (a, cx) = (name("a"), cx());
    let id = started(&registry, "a").await.id;
    let finish = || Finish::new(sha256("hello")).chunk(Chunk::new(Bytes::from("hello")));
    let manifest = || push(index("x")).tag(tag("v1"), Expect::Any);

    sink.down(true);
    let refused = registry.finish_upload(&cx, &a, &id, finish()).await;
    assert_eq!(code(refused), ErrorCode::Unavailable);
    let refused = registry.put_manifest(&cx, &a, manifest()).await;
    assert_eq!(code(refused), ErrorCode::Unavailable);
    registry.stat_blob(&cx, &a, &sha256("hello")).await.unwrap();
    registry
        .stat_manifest(&cx, &a, &by_tag("v1"))
        .await
        .unwrap();

    sink.down(false);
    registry
        .finish_upload(&cx, &a, &id, finish())
        .await
        .unwrap();
    registry.put_manifest(&cx, &a, manifest()).await.unwrap();
    assert_eq!(sink.actions(), [EventAction::Push, EventAction::Push]);
}

#[tokio::test]
async fn a_delete_that_could_not_be_told_is_told_when_done_again() {
    let (registry, sink, _) = fixture();
    let (a, cx) = (name("a"), cx());
    let blob = push_blob(&registry, "a", "hello").await;
    push_index(&registry, "a", "x", &["v1", "v2"]).await;
    sink.take();
    sink.down(true);
    for _ in 0..2 {
        let refused = registry.delete_blob(&cx, &a, &blob).await;
        assert_eq!(code(refused), ErrorCode::Unavailable);
        let refused = registry
            .delete_manifest(&cx, &a, &by_tag("v1"), Expect::Any)
            .await;
        assert_eq!(code(refused), ErrorCode::Unavailable);
    }
    sink.down(false);
    registry.delete_blob(&cx, &a, &blob).await.unwrap();
    registry
        .delete_manifest(&cx, &a, &by_tag("v1"), Expect::Any)
        .await
        .unwrap();
    assert_eq!(sink.actions(), [EventAction::Delete, EventAction::Delete]);
    // Told once: from here on it is simply gone.
    assert_eq!(
        code(registry.delete_blob(&cx, &a, &blob).await),
        ErrorCode::BlobUnknown
    );
    let gone = registry
        .delete_manifest(&cx, &a, &by_tag("v1"), Expect::Any)
        .await;
    assert_eq!(code(gone), ErrorCode::ManifestUnknown);
    assert!(sink.take().is_empty());
}

#[derive(Debug)]
struct Nobody;

#[async_trait]
impl Authorizer for Nobody {
    async fn permitted(&self, _: &Context, _: &Resource) -> Result<Decision, AuthError> {
        Ok(Decision::default())
    }

    async fn visible(&self, _: &Context) -> Result<Visible, AuthError> {
        Ok(Visible::none())
    }
}

#[tokio::test]
async fn every_denied_verb_is_told() {
    let (registry, sink) = observed(Authorized::new(engine().0, Arc::new(Nobody)));
    let (a, cx, digest) = (name("a"), cx(), sha256("x"));
    let id = registry_core::store::UploadId::parse("1").unwrap();
    let (by, page, none) = (by_tag("v1"), Page::first(1), ReferrersFilter::none());
    let refused = [
        registry.stat_blob(&cx, &a, &digest).await.map(drop),
        registry
            .get_blob(&cx, &a, &digest, GetBlob::default())
            .await
            .map(drop),
        registry.delete_blob(&cx, &a, &digest).await,
        registry
            .start_upload(&cx, &a, StartUpload::default())
            .await
            .map(drop),
        registry.upload_session(&cx, &a, &id, None).await.map(drop),
        registry
            .append_upload(&cx, &a, &id, Chunk::new(untouchable()))
            .await
            .map(drop),
        registry
            .finish_upload(&cx, &a, &id, Finish::new(digest.clone()))
            .await
            .map(drop),
        registry.cancel_upload(&cx, &a, &id, None).await,
        registry.stat_manifest(&cx, &a, &by).await.map(drop),
        registry.get_manifest(&cx, &a, &by).await.map(drop),
        registry
            .put_manifest(&cx, &a, push(index("x")))
            .await
            .map(drop),
        registry.delete_manifest(&cx, &a, &by, Expect::Any).await,
        registry
            .list_repositories(&cx, page.clone(), Visible::All)
            .await
            .map(drop),
        registry.list_tags(&cx, &a, page.clone()).await.map(drop),
        registry
            .list_referrers(&cx, &a, &digest, page, none)
            .await
            .map(drop),
    ];
    for answer in refused {
        assert_eq!(code(answer), ErrorCode::Denied);
    }
    assert_eq!(sink.actions(), [EventAction::Denied; 15]);
    sink.down(true);
    assert_eq!(
        code(registry.stat_blob(&cx, &a, &digest).await),
        ErrorCode::Unavailable
    );
}
