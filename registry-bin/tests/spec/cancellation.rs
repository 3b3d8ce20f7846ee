//! Futures that are dropped at each await of each verb that writes, at seam 1.

use std::{
    future::Future,
    pin::pin,
    task::{Context as Task, Poll, Waker},
};

use bytes::Bytes;
use registry_core::{
    ByteStream, Context, Digest, Error, ErrorCode, Expect, Reference, Registry, RepositoryName,
    event::EventAction,
    registry::{Chunk, Finish, ManifestPush, Mount, StartUpload, UploadStart},
};

use crate::{
    seam::{
        Registries, Seeded, append, assert_tags_lead_somewhere, digest, finish, manifest,
        points_to, push_blob, push_tag, read_blob, repository, start, tag,
    },
    support::Store,
};

const SEEDS: u64 = 1000;

/// Polls a future at most `polls` times, giving what it waits for time in between, then drops it.
async fn cut<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let mut waker = Task::from_waker(Waker::noop());
        if let Poll::Ready(done) = future.as_mut().poll(&mut waker) {
            return Some(done);
        }
        // Nobody wakes us: what it waits for goes on in another thread, or a moment later here.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        let _ = tokio::task::spawn_blocking(|| ()).await;
    }
    None
}

/// A body of these pieces, with a wait before each.
fn slow(pieces: Vec<Bytes>) -> ByteStream {
    let mut pieces = pieces.into_iter();
    let mut waited = false;
    ByteStream::new(futures_util::stream::poll_fn(move |cx| {
        if !std::mem::replace(&mut waited, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        waited = false;
        Poll::Ready(pieces.next().map(Ok))
    }))
}

/// One verb that is cut, and what must hold afterwards.
struct Trial<'a> {
    registries: &'a Registries,
    repository: RepositoryName,
    seed: u64,
    polls: usize,
}

impl Trial<'_> {
    fn registry(&self) -> &dyn Registry {
        self.registries.one()
    }

    /// The same call, cut at another place by each seed.
    async fn cut<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        cut(self.polls, future).await
    }

    fn told(&self, action: EventAction, digest: &Digest) {
        assert!(
            self.registries.events.has(action, digest),
            "seed {}: no event of {action:?} {digest}",
            self.seed
        );
    }
}

/// Runs a trial over both stores until its future is done before it is dropped, again and again up
/// to the number of seeds.
fn on_both(trial: &impl AsyncFn(&Trial<'_>) -> bool) {
    for store in [Store::Fs, Store::Memory] {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let registries = Registries::new(store, 1);
            let mut polls = 1;
            for seed in 0..SEEDS {
                let trial_of = Trial {
                    registries: &registries,
                    repository: repository(&format!("cut/r{}", seed % 50)),
                    seed,
                    polls,
                };
                let done = trial(&trial_of).await;
                assert!(polls < 10_000, "seed {seed}: it never ends");
                polls = if done { 1 } else { polls + 1 };
            }
        });
    }
}

#[test]
fn a_cut_append_keeps_what_arrived_and_no_more() {
    on_both(&async |trial| {
        let (registry, name) = (trial.registry(), &trial.repository);
        let id = start(registry, name).await.id;
        let content = format!("{:05}-", trial.seed).repeat(1 + Seeded::new(trial.seed).below(300));
        let pieces = content
            .as_bytes()
            .chunks(97)
            .map(Bytes::copy_from_slice)
            .collect();
        let chunk = Chunk::new(slow(pieces)).at(0);
        let cx = Context::anonymous();
        let done = trial
            .cut(registry.append_upload(&cx, name, &id, chunk))
            .await;
        let done = done.map(|answer| answer.unwrap().offset);
        // The store may still be at it: whoever goes on supersedes it.
        let mut offset = resumable(registry, name, &id).await;
        assert!(done.is_none_or(|done| done == offset && done == content.len() as u64));
        let tail = |offset: u64| &content.as_bytes()[usize::try_from(offset).unwrap()..];
        for _ in 0..100 {
            match append_rest(registry, name, &id, offset, tail(offset)).await {
                Ok(()) => break,
                Err(error) => assert_eq!(error.code(), ErrorCode::RangeInvalid, "{error:?}"),
            }
            offset = resumable(registry, name, &id).await;
        }
        let whole = digest(content.as_bytes());
        finish(registry, name, &id, &whole)
            .await
            .unwrap_or_else(|error| panic!("seed {}: {error:?}", trial.seed));
        assert_eq!(
            read_blob(registry, name, &whole).await.unwrap(),
            content.as_bytes()
        );
        trial.told(EventAction::Push, &whole);
        done.is_some()
    });
}

async fn resumable(
    registry: &dyn Registry,
    name: &RepositoryName,
    id: &registry_core::store::UploadId,
) -> u64 {
    let session = registry
        .upload_session(&Context::anonymous(), name, id, None)
        .await;
    session.expect("a cut upload stands").offset
}

async fn append_rest(
    registry: &dyn Registry,
    name: &RepositoryName,
    id: &registry_core::store::UploadId,
    offset: u64,
    rest: &[u8],
) -> Result<(), Error> {
    if rest.is_empty() {
        return Ok(());
    }
    append(registry, name, id, offset, rest).await.map(|_| ())
}

#[test]
fn a_cut_finish_leaves_a_whole_blob_or_none() {
    on_both(&async |trial| {
        let (registry, name) = (trial.registry(), &trial.repository);
        let content = format!("finished {}", trial.seed);
        let whole = digest(content.as_bytes());
        let id = start(registry, name).await.id;
        let (head, tail) = content.split_at(5);
        append(registry, name, &id, 0, head.as_bytes())
            .await
            .unwrap();
        let chunk = || Chunk::new(slow(vec![Bytes::copy_from_slice(tail.as_bytes())])).at(5);
        let cx = Context::anonymous();
        let end = Finish::new(whole.clone()).chunk(chunk());
        let done = trial.cut(registry.finish_upload(&cx, name, &id, end)).await;
        if let Some(answer) = &done {
            answer.as_ref().unwrap();
            trial.told(EventAction::Push, &whole);
            assert!(read_blob(registry, name, &whole).await.is_some());
        } else {
            read_blob(registry, name, &whole).await;
            // A client comes back: its upload is finished, stands, or is gone and begun anew.
            let session = registry.upload_session(&cx, name, &id, None).await;
            match session {
                Ok(session) if session.offset < content.len() as u64 => {
                    let rest = &content.as_bytes()[usize::try_from(session.offset).unwrap()..];
                    let _ = append(registry, name, &id, session.offset, rest).await;
                }
                Ok(_) => {}
                Err(error) => assert_eq!(error.code(), ErrorCode::BlobUploadUnknown, "{error:?}"),
            }
            if let Err(error) = finish(registry, name, &id, &whole).await {
                assert!(
                    [
                        ErrorCode::BlobUploadUnknown,
                        ErrorCode::RangeInvalid,
                        ErrorCode::DigestInvalid
                    ]
                    .contains(&error.code()),
                    "seed {}: {error:?}",
                    trial.seed
                );
                push_blob(registry, name, content.as_bytes()).await;
            }
            assert_eq!(
                read_blob(registry, name, &whole).await.unwrap(),
                content.as_bytes()
            );
            trial.told(EventAction::Push, &whole);
        }
        done.is_some()
    });
}

#[test]
fn a_cut_manifest_push_leaves_no_tag_without_its_manifest() {
    on_both(&async |trial| {
        let (registry, name) = (trial.registry(), &trial.repository);
        let bytes = manifest(&format!("cut {}", trial.seed));
        let whole = digest(&bytes);
        let cx = Context::anonymous();
        let push = || {
            ["a", "b", "c"]
                .into_iter()
                .fold(ManifestPush::new(bytes.clone()), |push, one| {
                    push.tag(tag(one), Expect::Any)
                })
        };
        let done = trial.cut(registry.put_manifest(&cx, name, push())).await;
        assert_tags_lead_somewhere(registry, name).await;
        if let Some(answer) = &done {
            assert_eq!(answer.as_ref().unwrap().tags.len(), 3);
            trial.told(EventAction::Push, &whole);
        }
        registry.put_manifest(&cx, name, push()).await.unwrap();
        for one in ["a", "b", "c"] {
            assert_eq!(points_to(registry, name, one).await, Some(whole.clone()));
        }
        trial.told(EventAction::Push, &whole);
        done.is_some()
    });
}

#[test]
fn a_cut_delete_leaves_no_tag_without_its_manifest() {
    on_both(&async |trial| {
        let (registry, name) = (trial.registry(), &trial.repository);
        let text = format!("deleted {}", trial.seed);
        let whole = digest(&manifest(&text));
        for one in ["a", "b", "c"] {
            push_tag(registry, name, &text, one, Expect::Any)
                .await
                .unwrap();
        }
        let cx = Context::anonymous();
        let reference = Reference::Digest(whole.clone());
        let delete = registry.delete_manifest(&cx, name, &reference, Expect::Any);
        let done = trial.cut(delete).await;
        assert_tags_lead_somewhere(registry, name).await;
        if let Some(answer) = &done {
            answer.as_ref().unwrap();
            trial.told(EventAction::Delete, &whole);
        } else if let Err(error) = registry
            .delete_manifest(&cx, name, &reference, Expect::Any)
            .await
        {
            assert_eq!(error.code(), ErrorCode::ManifestUnknown, "{error:?}");
        }
        for one in ["a", "b", "c"] {
            assert_eq!(
                points_to(registry, name, one).await,
                None,
                "seed {}",
                trial.seed
            );
        }
        done.is_some()
    });
}

#[test]
fn a_cut_untag_is_done_or_not_done() {
    on_both(&async |trial| {
        let (registry, name) = (trial.registry(), &trial.repository);
        push_tag(registry, name, "untagged", "t", Expect::Any)
            .await
            .unwrap();
        let cx = Context::anonymous();
        let reference = Reference::Tag(tag("t"));
        let done = trial
            .cut(registry.delete_manifest(&cx, name, &reference, Expect::Any))
            .await;
        assert_tags_lead_somewhere(registry, name).await;
        if done.is_some() {
            assert_eq!(points_to(registry, name, "t").await, None);
        }
        done.is_some()
    });
}

#[test]
fn a_cut_blob_delete_is_done_or_not_done() {
    on_both(&async |trial| {
        let (registry, name) = (trial.registry(), &trial.repository);
        let whole = push_blob(registry, name, b"deleted").await;
        let cx = Context::anonymous();
        let done = trial.cut(registry.delete_blob(&cx, name, &whole)).await;
        let found = read_blob(registry, name, &whole).await;
        assert!(done.is_none() || found.is_none(), "seed {}", trial.seed);
        done.is_some()
    });
}

#[test]
fn a_cut_mount_is_done_or_not_done() {
    on_both(&async |trial| {
        let registry = trial.registry();
        let from = repository("cut/source");
        let name = repository(&format!("cut/mounted{}", trial.seed));
        let content = b"mounted";
        let whole = digest(content);
        if read_blob(registry, &from, &whole).await.is_none() {
            push_blob(registry, &from, content).await;
        }
        let cx = Context::anonymous();
        let request = StartUpload::mount(Mount::new(whole.clone(), Some(from)));
        let done = trial.cut(registry.start_upload(&cx, &name, request)).await;
        let found = read_blob(registry, &name, &whole).await;
        if let Some(answer) = &done {
            assert!(
                matches!(answer, Ok(UploadStart::Mounted { .. })),
                "{answer:?}"
            );
            assert!(found.is_some());
            trial.told(EventAction::Mount, &whole);
        }
        done.is_some()
    });
}

#[test]
fn a_cut_cancel_can_be_cancelled_again() {
    on_both(&async |trial| {
        let (registry, name) = (trial.registry(), &trial.repository);
        let id = start(registry, name).await.id;
        append(registry, name, &id, 0, b"cancelled").await.unwrap();
        let cx = Context::anonymous();
        let done = trial
            .cut(registry.cancel_upload(&cx, name, &id, None))
            .await;
        if done.is_none()
            && let Err(error) = registry.cancel_upload(&cx, name, &id, None).await
        {
            assert_eq!(error.code(), ErrorCode::BlobUploadUnknown, "{error:?}");
        }
        let session = registry.upload_session(&cx, name, &id, None).await;
        assert_eq!(session.unwrap_err().code(), ErrorCode::BlobUploadUnknown);
        done.is_some()
    });
}
