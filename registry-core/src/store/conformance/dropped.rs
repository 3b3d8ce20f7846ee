//! Rules of calls whose future is dropped half-way.

use std::{pin::pin, task::Poll};

use futures_util::future;

use super::{
    Fault,
    bench::{Bench, Outcome, content, hint, hold, key, manifest, repository, rules, same, tag},
    bodies::pieces,
};
use crate::{
    hash::Algorithm,
    reference::Expect,
    store::{StoreErrorKind, TagChange, UploadKey, pace::give_way},
};

rules! {
    a_dropped_write_keeps_what_had_arrived: "Dropping the future of a write keeps what had reached the store, as a cut does.",
    a_dropped_begin_can_be_repeated: "A begin whose future is dropped can be followed by another upload.",
    a_dropped_commit_is_whole_or_nothing: "A dropped commit has happened in whole or not at all; calling again is fine.",
    a_dropped_abort_can_be_repeated: "A dropped abort can be called again.",
    a_dropped_delete_can_be_repeated: "A dropped delete can be called again.",
    a_dropped_put_leaves_no_tag_without_manifest: "Dropping put_manifest leaves the manifest, and of the tags any of the first ones set.",
    a_dropped_manifest_delete_can_be_repeated: "Calling delete_manifest again finishes the work.",
}

/// At how many polls a future is dropped.
const POLLS: usize = 12;

/// Polls a future at most that often, then drops it.
async fn drop_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let answer = future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(answer) = answer {
            return Some(answer);
        }
        give_way().await;
    }
    None
}

async fn a_dropped_write_keeps_what_had_arrived(bench: &Bench) -> Outcome {
    let bytes = content(40, 400_000);
    for polls in 0..POLLS * 2 {
        let key = key(&format!("dropped-{polls}"));
        let state = bench
            .here
            .blobs
            .begin_upload(&key, Algorithm::Sha256)
            .await?;
        let body = pieces(&bytes, 50_000);
        let write = bench.here.blobs.write_upload(&key, state.clone(), body);
        drop(drop_after(polls, write).await);
        bench.there.go_on(&key, &state, &bytes).await?;
        bench
            .here
            .blobs
            .delete(&Algorithm::Sha256.digest(&bytes))
            .await?;
    }
    Ok(())
}

async fn a_dropped_begin_can_be_repeated(bench: &Bench) -> Outcome {
    for polls in 0..POLLS {
        let first = key(&format!("dropped-begin-{polls}"));
        let begin = bench.here.blobs.begin_upload(&first, Algorithm::Sha256);
        drop(drop_after(polls, begin).await);
        let bytes = content(41, polls * 100);
        let digest = bench
            .there
            .push(&format!("after-begin-{polls}"), &bytes)
            .await?;
        bench.here.holds(&digest, &bytes).await?;
        bench.there.blobs.abort_upload(&first, None).await?;
    }
    Ok(())
}

async fn a_dropped_commit_is_whole_or_nothing(bench: &Bench) -> Outcome {
    for polls in 0..POLLS {
        let bytes = content(42, 100_000 + polls);
        let digest = Algorithm::Sha256.digest(&bytes);
        let key = key(&format!("dropped-commit-{polls}"));
        let state = bench
            .here
            .blobs
            .begin_upload(&key, Algorithm::Sha256)
            .await?;
        let body = bytes.clone().into();
        let state = bench
            .here
            .blobs
            .write_upload(&key, state, body)
            .await?
            .state;
        let commit = bench.here.blobs.commit_upload(&key, state.clone(), &digest);
        drop(drop_after(polls, commit).await);
        if let Some(size) = bench.there.blobs.stat(&digest).await? {
            same!(size, bytes.len() as u64, "the size after a dropped commit");
        }
        finish_commit(bench, &key, &state, &digest).await?;
        bench.there.holds(&digest, &bytes).await?;
        bench.here.holds(&digest, &bytes).await?;
    }
    Ok(())
}

/// Commits until the upload is gone, by this call or by the dropped one.
async fn finish_commit(
    bench: &Bench,
    key: &UploadKey,
    state: &crate::store::UploadState,
    digest: &crate::digest::Digest,
) -> Outcome {
    for _ in 0..10_000 {
        let Some(found) = bench.there.blobs.upload(key, hint(state)).await? else {
            return Ok(());
        };
        match bench.there.blobs.commit_upload(key, found, digest).await {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == StoreErrorKind::Conflict => give_way().await,
            Err(error) => return Err(error.into()),
        }
    }
    Err(Fault(
        "the upload can neither be committed nor does it end".to_owned(),
    ))
}

async fn a_dropped_abort_can_be_repeated(bench: &Bench) -> Outcome {
    for polls in 0..POLLS {
        let key = key(&format!("dropped-abort-{polls}"));
        let state = bench
            .here
            .blobs
            .begin_upload(&key, Algorithm::Sha256)
            .await?;
        let body = content(43, 10_000).into();
        let state = bench
            .here
            .blobs
            .write_upload(&key, state, body)
            .await?
            .state;
        drop(drop_after(polls, bench.here.blobs.abort_upload(&key, hint(&state))).await);
        bench.there.blobs.abort_upload(&key, hint(&state)).await?;
        same!(
            bench.here.blobs.upload(&key, hint(&state)).await?,
            None,
            "the aborted upload"
        );
    }
    Ok(())
}

async fn a_dropped_delete_can_be_repeated(bench: &Bench) -> Outcome {
    for polls in 0..POLLS {
        let bytes = content(44, 1_000 + polls);
        let digest = bench
            .here
            .push(&format!("dropped-delete-{polls}"), &bytes)
            .await?;
        drop(drop_after(polls, bench.here.blobs.delete(&digest)).await);
        bench.there.blobs.delete(&digest).await?;
        bench.here.lacks(&digest).await?;
    }
    Ok(())
}

async fn a_dropped_put_leaves_no_tag_without_manifest(bench: &Bench) -> Outcome {
    let names = ["one", "two", "three"];
    let tags = names.map(|name| (tag(name), Expect::Any));
    for polls in 0..POLLS {
        let name = repository(&format!("suite/dropped-put-{polls}"));
        let record = manifest(polls);
        let digest = record.descriptor.digest.clone();
        let put = bench
            .here
            .metadata
            .put_manifest(&name, record.clone(), &tags);
        drop(drop_after(polls, put).await);
        for tag in names.map(tag) {
            if let Some(found) = bench.there.metadata.tag(&name, &tag).await? {
                same!(found, digest, "the tag after a dropped put");
                let manifest = bench.there.metadata.manifest(&name, &found).await?;
                hold!(manifest.is_some(), "a tag without its manifest");
            }
        }
        let changes = bench
            .there
            .metadata
            .put_manifest(&name, record, &tags)
            .await?;
        same!(changes, vec![TagChange::Applied; 3], "the second put");
        for tag in names.map(tag) {
            let found = bench.here.metadata.tag(&name, &tag).await?;
            same!(
                found.as_ref(),
                Some(&digest),
                "the tag after the second put"
            );
        }
    }
    Ok(())
}

async fn a_dropped_manifest_delete_can_be_repeated(bench: &Bench) -> Outcome {
    for polls in 0..POLLS {
        let name = repository(&format!("suite/dropped-delete-{polls}"));
        let digest = bench
            .here
            .put(&name, &manifest(polls), &["one", "two"])
            .await?;
        drop(drop_after(polls, bench.here.metadata.delete_manifest(&name, &digest)).await);
        bench.there.metadata.delete_manifest(&name, &digest).await?;
        same!(
            bench.here.metadata.manifest(&name, &digest).await?,
            None,
            "the manifest"
        );
        for tag in ["one", "two"].map(tag) {
            same!(
                bench.here.metadata.tag(&name, &tag).await?,
                None,
                "the tag {tag}"
            );
        }
    }
    Ok(())
}
