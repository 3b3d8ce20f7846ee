use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use registry_core::{
    ByteStream, ErrorCode, Registry,
    registry::Chunk,
    store::{StoreErrorKind, UploadId},
};

use crate::{double::Double, fixture::*};

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn old_uploads_are_purged_and_young_ones_are_not() {
    let store = Double::new();
    let clock = Arc::new(Stopped(SystemTime::UNIX_EPOCH + 10 * DAY));
    let engine = builder(&store).clock(clock).build();
    let (old, young) = (started(&engine, "a").await, started(&engine, "b").await);
    for (key, upload) in &mut store.state().uploads {
        let days = if key.id == old.id { 2 } else { 4 };
        upload.modified = SystemTime::UNIX_EPOCH + days * DAY;
    }
    let ids = |keys: &[registry_core::store::UploadKey]| -> Vec<UploadId> {
        keys.iter().map(|key| key.id.clone()).collect()
    };

    let report = engine.purge_uploads(7 * DAY, true).await.unwrap();
    assert_eq!(
        (ids(&report.purged), report.kept),
        (vec![old.id.clone()], 1)
    );
    assert_eq!(store.state().uploads.len(), 2);

    store.fail("abort_upload", StoreErrorKind::Unavailable);
    let report = engine.purge_uploads(7 * DAY, false).await.unwrap();
    assert_eq!(report.failed[0].1.code(), ErrorCode::Unavailable);
    assert_eq!(store.state().uploads.len(), 2);

    let report = engine.purge_uploads(7 * DAY, false).await.unwrap();
    assert_eq!(ids(&report.purged), [old.id]);
    let left: Vec<_> = store
        .state()
        .uploads
        .keys()
        .map(|key| key.id.clone())
        .collect();
    assert_eq!(left, [young.id]);

    store.fail("list_uploads", StoreErrorKind::Unavailable);
    assert_eq!(
        code(engine.purge_uploads(DAY, false).await),
        ErrorCode::Unavailable
    );
}

#[tokio::test]
async fn what_is_being_written_is_not_purged() {
    let (engine, store) = engine();
    let session = started(&engine, "a").await;
    let polled = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&polled);
    let endless = futures_util::stream::once(async move {
        polled.store(true, Ordering::Relaxed);
        std::future::pending().await
    });
    let writer = {
        let (engine, id) = (engine.clone(), session.id.clone());
        let chunk = Chunk::new(ByteStream::new(endless));
        tokio::spawn(async move { engine.append_upload(&cx(), &name("a"), &id, chunk).await })
    };
    while !seen.load(Ordering::Relaxed) {
        tokio::task::yield_now().await;
    }
    assert_eq!(engine.purge_uploads(DAY, false).await.unwrap().kept, 1);
    writer.abort();
    assert!(writer.await.unwrap_err().is_cancelled());
    assert_eq!(
        engine.purge_uploads(DAY, false).await.unwrap().purged.len(),
        1
    );
    assert!(store.state().uploads.is_empty());
}

#[tokio::test]
async fn a_check_asks_both_stores() {
    let store = Double::new();
    let engine = builder(&store).build();
    engine.check().await.unwrap();
    assert_eq!(store.calls(), ["check_blobs", "check_records"]);
    for call in ["check_blobs", "check_records"] {
        store.fail(call, StoreErrorKind::Unavailable);
        let error = engine.check().await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{call}");
    }
}
