use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::SystemTime,
};

use bytes::Bytes;
use registry_core::{
    Algorithm, Digest, Engine, ErrorCode, Registry, Result,
    engine::Limits,
    registry::{Chunk, Finish, StartUpload, UploadSession, UploadStart},
    store::{BlobLink, StoreErrorKind, UploadId},
};

use crate::{double::Double, fixture::*};

async fn append(engine: &Engine, id: &UploadId, chunk: Chunk) -> Result<UploadSession> {
    engine.append_upload(&cx(), &name("a"), id, chunk).await
}

async fn finish(engine: &Engine, id: &UploadId, finish: Finish) -> Result<u64> {
    let finished = engine.finish_upload(&cx(), &name("a"), id, finish).await;
    Ok(finished?.size)
}

async fn offset(engine: &Engine, id: &UploadId) -> u64 {
    let session = engine.upload_session(&cx(), &name("a"), id, None).await;
    session.unwrap().offset
}

fn chunk(content: &'static str) -> Chunk {
    Chunk::new(Bytes::from(content))
}

#[tokio::test]
async fn chunk_by_chunk() {
    let (engine, store) = engine();
    let id = started(&engine, "a").await.id;
    assert_eq!(
        append(&engine, &id, chunk("he").at(0).length(2))
            .await
            .unwrap()
            .offset,
        2
    );
    assert_eq!(
        append(&engine, &id, chunk("ll").at(2))
            .await
            .unwrap()
            .offset,
        4
    );
    let last = Finish::new(sha256("hello")).chunk(chunk("o").at(4).length(1));
    assert_eq!(finish(&engine, &id, last).await.unwrap(), 5);
    let state = store.state();
    assert_eq!(state.blobs[&sha256("hello")], "hello");
    let link = BlobLink::new(sha256("hello"), Some(5));
    assert_eq!(state.links[&(name("a"), sha256("hello"))], link);
}

#[tokio::test]
async fn refusals_come_before_the_body_and_leave_the_upload() {
    let store = Double::new();
    let mut limits = Limits::default();
    limits.blob_bytes = Some(10);
    let engine = builder(&store).limits(limits).build();
    let id = started(&engine, "a").await.id;
    append(&engine, &id, chunk("hello")).await.unwrap();
    let body = || Chunk::new(untouchable());
    let table = [
        (body().at(4), ErrorCode::RangeInvalid),
        (body().at(6).length(1), ErrorCode::RangeInvalid),
        (body().length(6), ErrorCode::TooLarge),
    ];
    for (chunk, expected) in table {
        assert_eq!(code(append(&engine, &id, chunk).await), expected);
    }
    let table = [
        (sha256("x"), body().at(4), ErrorCode::RangeInvalid),
        (sha256("x"), body().length(6), ErrorCode::TooLarge),
        (
            Digest::parse("blake3:abc").unwrap(),
            body(),
            ErrorCode::DigestInvalid,
        ),
    ];
    for (digest, chunk, expected) in table {
        let last = Finish::new(digest).chunk(chunk);
        assert_eq!(code(finish(&engine, &id, last).await), expected);
    }
    assert_eq!(offset(&engine, &id).await, 5);
}

#[tokio::test]
async fn a_body_is_held_to_what_was_declared() {
    let store = Double::new();
    let mut limits = Limits::default();
    limits.blob_bytes = Some(10);
    let engine = builder(&store).limits(limits).build();
    let cut = |kind| Chunk::new(cut_body("abc", kind));
    let table = [
        (chunk("abc").length(2), ErrorCode::SizeInvalid, 2),
        (chunk("abc").length(4), ErrorCode::SizeInvalid, 3),
        (chunk("abc").length(0), ErrorCode::SizeInvalid, 0),
        (
            cut(io::ErrorKind::ConnectionReset),
            ErrorCode::SizeInvalid,
            3,
        ),
        (cut(io::ErrorKind::TimedOut), ErrorCode::RequestTimeout, 3),
        (
            Chunk::new(body(&["01234567", "", "89ab"])),
            ErrorCode::TooLarge,
            10,
        ),
    ];
    for (chunk, expected, kept) in table {
        let id = started(&engine, "a").await.id;
        let label = format!("{chunk:?}");
        assert_eq!(code(append(&engine, &id, chunk).await), expected, "{label}");
        assert_eq!(offset(&engine, &id).await, kept, "{label}");
    }
}

#[tokio::test]
async fn an_empty_chunk_is_fine_anywhere_and_writes_nothing() {
    let (engine, store) = engine();
    let id = started(&engine, "a").await.id;
    append(&engine, &id, chunk("hello")).await.unwrap();
    store.calls();
    let empty = chunk("").at(0).length(0);
    assert_eq!(append(&engine, &id, empty).await.unwrap().offset, 5);
    assert_eq!(store.calls(), ["upload"]);
    finish(&engine, &id, Finish::new(sha256("hello")))
        .await
        .unwrap();
    let expected = ["upload", "digest_upload", "commit_upload", "link_blob"];
    assert_eq!(store.calls(), expected);
}

#[tokio::test]
async fn what_is_not_there_is_unknown() {
    let (engine, _) = engine();
    let id = started(&engine, "a").await.id;
    let (b, cx) = (name("b"), cx());
    let never = UploadId::parse("never").unwrap();
    for (repository, id) in [(&b, &id), (&name("a"), &never)] {
        let last = Finish::new(sha256("x")).chunk(Chunk::new(untouchable()));
        let answers = [
            engine
                .upload_session(&cx, repository, id, None)
                .await
                .map(drop),
            engine
                .append_upload(&cx, repository, id, Chunk::new(untouchable()))
                .await
                .map(drop),
            engine
                .finish_upload(&cx, repository, id, last)
                .await
                .map(drop),
            engine.cancel_upload(&cx, repository, id, None).await,
        ];
        for answer in answers {
            assert_eq!(code(answer), ErrorCode::BlobUploadUnknown);
        }
    }
    engine
        .cancel_upload(&cx, &name("a"), &id, None)
        .await
        .unwrap();
    let again = engine.cancel_upload(&cx, &name("a"), &id, None).await;
    assert_eq!(code(again), ErrorCode::BlobUploadUnknown);
}

#[tokio::test]
async fn cancelling_needs_no_deletes() {
    let store = Double::new();
    let engine = builder(&store).deletes(false).build();
    let id = started(&engine, "a").await.id;
    engine
        .cancel_upload(&cx(), &name("a"), &id, None)
        .await
        .unwrap();
    assert!(store.state().uploads.is_empty());
}

#[tokio::test]
async fn a_wrong_digest_leaves_the_upload() {
    let (engine, store) = engine();
    let id = started(&engine, "a").await.id;
    let wrong = Finish::new(sha256("other")).chunk(chunk("hello"));
    assert_eq!(
        code(finish(&engine, &id, wrong).await),
        ErrorCode::DigestInvalid
    );
    assert!(store.state().blobs.is_empty() && store.state().links.is_empty());
    finish(&engine, &id, Finish::new(sha256("hello")))
        .await
        .unwrap();
}

#[tokio::test]
async fn sha512_early_and_late() {
    let (engine, store) = engine();
    for request in [
        StartUpload::default(),
        StartUpload::algorithm(Algorithm::Sha512),
    ] {
        let algorithm = request.algorithm.unwrap_or_default();
        let session = engine.start_upload(&cx(), &name("a"), request).await;
        let UploadStart::Started(session) = session.unwrap() else {
            panic!("nothing was to be mounted")
        };
        let began = store.state().uploads.values().next().unwrap().algorithm;
        assert_eq!(began, algorithm);
        let last = Finish::new(sha512("hello")).chunk(chunk("hello"));
        assert_eq!(finish(&engine, &session.id, last).await.unwrap(), 5);
        assert_eq!(
            store.state().blobs.remove(&sha512("hello")).unwrap(),
            "hello"
        );
    }
}

#[tokio::test]
async fn a_finish_whose_answer_was_lost_can_be_done_again() {
    let (engine, store) = engine();
    let id = started(&engine, "a").await.id;
    append(&engine, &id, chunk("hel")).await.unwrap();
    let again = |chunk| Finish::new(sha256("hello")).chunk(chunk);
    finish(&engine, &id, again(chunk("lo").at(3)))
        .await
        .unwrap();

    let fine = [
        chunk("").length(0),
        chunk("lo"),
        chunk("lo").at(3).length(2),
        chunk("hello").at(0),
    ];
    for chunk in fine {
        let label = format!("{chunk:?}");
        assert_eq!(
            finish(&engine, &id, again(chunk)).await.unwrap(),
            5,
            "{label}"
        );
    }
    let contradicting = [
        chunk("hallo"),
        chunk("lo").at(1),
        chunk("hello world"),
        Chunk::new(untouchable()).length(6),
    ];
    for chunk in contradicting {
        let label = format!("{chunk:?}");
        let refused = finish(&engine, &id, again(chunk)).await;
        assert_eq!(code(refused), ErrorCode::BlobUploadUnknown, "{label}");
    }
    // Only where this repository links it, and its bytes are there.
    let elsewhere = engine
        .finish_upload(&cx(), &name("b"), &id, Finish::new(sha256("hello")))
        .await;
    assert_eq!(code(elsewhere), ErrorCode::BlobUploadUnknown);
    store.state().blobs.clear();
    let gone = finish(&engine, &id, Finish::new(sha256("hello"))).await;
    assert_eq!(code(gone), ErrorCode::BlobUploadUnknown);
}

#[tokio::test]
async fn a_finish_that_stopped_short_of_the_link_goes_on() {
    let (engine, store) = engine();
    let id = started(&engine, "a").await.id;
    append(&engine, &id, chunk("hello")).await.unwrap();
    store.fail("link_blob", StoreErrorKind::Unavailable);
    let last = || Finish::new(sha256("hello"));
    assert_eq!(
        code(finish(&engine, &id, last()).await),
        ErrorCode::Unavailable
    );
    let other = finish(&engine, &id, Finish::new(sha256("other"))).await;
    assert_eq!(code(other), ErrorCode::BlobUploadUnknown);
    assert_eq!(finish(&engine, &id, last()).await.unwrap(), 5);
    // Once linked it is remembered no more: a delete is final.
    engine
        .delete_blob(&cx(), &name("a"), &sha256("hello"))
        .await
        .unwrap();
    assert_eq!(
        code(finish(&engine, &id, last()).await),
        ErrorCode::BlobUploadUnknown
    );
}

#[tokio::test]
async fn an_upload_that_the_storage_has_no_room_for_is_given_up() {
    let (engine, store) = engine();
    for finishes in [false, true] {
        let id = started(&engine, "a").await.id;
        append(&engine, &id, chunk("hel")).await.unwrap();
        store.fail("write_upload", StoreErrorKind::Full);
        let refused = if finishes {
            let last = Finish::new(sha256("hello")).chunk(chunk("lo"));
            code(finish(&engine, &id, last).await)
        } else {
            code(append(&engine, &id, chunk("lo")).await)
        };
        assert_eq!(refused, ErrorCode::Unavailable);
        assert!(store.state().uploads.is_empty());
        let gone = append(&engine, &id, chunk("lo")).await;
        assert_eq!(code(gone), ErrorCode::BlobUploadUnknown);
    }
    // What fails for a while does not cost what arrived.
    let id = started(&engine, "a").await.id;
    append(&engine, &id, chunk("hel")).await.unwrap();
    store.fail("write_upload", StoreErrorKind::Unavailable);
    let failed = append(&engine, &id, chunk("lo")).await;
    assert_eq!(code(failed), ErrorCode::Unavailable);
    assert_eq!(offset(&engine, &id).await, 3);
}

#[tokio::test]
async fn whoever_is_superseded_is_told_so() {
    for call in ["write_upload", "digest_upload", "commit_upload"] {
        for gone in [false, true] {
            let (engine, store) = engine();
            let id = started(&engine, "a").await.id;
            store.before(call, move |state| {
                if gone {
                    state.uploads.clear();
                }
                for upload in state.uploads.values_mut() {
                    upload.epoch += 1;
                }
            });
            let last = Finish::new(sha256("hello")).chunk(chunk("hello"));
            let expected = if gone {
                ErrorCode::BlobUploadUnknown
            } else {
                ErrorCode::RangeInvalid
            };
            assert_eq!(
                code(finish(&engine, &id, last).await),
                expected,
                "{call} {gone}"
            );
            assert!(store.state().links.is_empty() && store.state().blobs.is_empty());
        }
    }
}

#[tokio::test]
async fn bytes_are_there_before_they_are_linked() {
    let (engine, store) = engine();
    let id = started(&engine, "a").await.id;
    store.before("link_blob", |state| {
        assert!(state.blobs.contains_key(&sha256("hello")))
    });
    finish(
        &engine,
        &id,
        Finish::new(sha256("hello")).chunk(chunk("hello")),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn open_uploads_are_bounded() {
    let store = Double::new();
    let mut limits = Limits::default();
    limits.open_uploads = 2;
    let clock = Arc::new(Stopped(SystemTime::UNIX_EPOCH));
    let engine = builder(&store).limits(limits).clock(clock).build();
    let start = || async {
        let request = StartUpload::default();
        engine.start_upload(&cx(), &name("a"), request).await
    };
    store.fail("begin_upload", StoreErrorKind::Full);
    assert_eq!(code(start().await), ErrorCode::Unavailable);
    let (first, second) = (started(&engine, "a").await, started(&engine, "a").await);
    let refused = start().await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::TooManyRequests);
    assert!(refused.retry_delay().is_some());
    engine
        .cancel_upload(&cx(), &name("a"), &first.id, None)
        .await
        .unwrap();
    start().await.unwrap();
    let last = Finish::new(sha256("hello")).chunk(chunk("hello"));
    finish(&engine, &second.id, last).await.unwrap();
    start().await.unwrap();
    assert_eq!(code(start().await), ErrorCode::TooManyRequests);
}

#[tokio::test]
async fn a_hint_goes_out_where_the_store_wants_it() {
    let (engine, store) = engine();
    assert_eq!(started(&engine, "a").await.hint, None);
    store.hints.store(true, Ordering::Relaxed);
    let session = started(&engine, "a").await;
    assert_eq!(session.hint.unwrap().length, 0);
    let session = append(&engine, &session.id, chunk("hello")).await.unwrap();
    assert_eq!(session.hint.unwrap().length, 5);
}
