//! Rules of one upload with one writer.

use bytes::Bytes;
use std::io;

use super::{
    bench::{Bench, Outcome, conflict, content, entries, hint, hold, key, repository, rules, same},
    bodies::{cut, pieces},
};
use crate::{
    hash::{Algorithm, Hasher},
    store::{BodyEnd, UploadKey, UploadState},
};

rules! {
    an_upload_begins_empty: "A new upload is there, has no bytes, and hashes under the algorithm that was named.",
    an_upload_goes_on_where_it_ended: "A write puts the bytes of the body behind those that its state covers.",
    a_cut_body_keeps_its_bytes: "When the body ends by an error, the bytes that arrived are kept and the answer says Cut.",
    an_empty_body_changes_no_byte: "A body without bytes leaves the bytes as they were.",
    a_late_algorithm_reads_again: "digest_upload re-reads where the state was hashed under another algorithm.",
    a_lagging_hash_reads_again: "digest_upload re-reads where the state's hash lags.",
    covered_bytes_never_change: "Bytes that an UploadState covers never change any more.",
    a_state_survives_the_client: "A state is all that a store needs to go on; as a hint it has at most 1 KiB.",
    an_upload_belongs_to_its_repository: "An upload begun in another repository is no upload.",
    a_commit_ends_the_upload: "commit_upload makes a blob of exactly the bytes covered, and ends the upload.",
    a_blob_may_be_there_already: "Committing is fine when the blob is there already.",
    a_short_blob_is_replaced: "A blob that is there but shorter than its upload is replaced.",
    abort_is_idempotent: "abort_upload drops an upload; fine when there is none.",
    open_uploads_are_listed: "list_uploads has every upload that is open.",
}

/// An upload of `bytes`, not committed.
async fn begun(bench: &Bench, key: &UploadKey, bytes: &Bytes) -> Result<UploadState, super::Fault> {
    let blobs = &bench.here.blobs;
    let state = blobs.begin_upload(key, Algorithm::Sha256).await?;
    Ok(blobs
        .write_upload(key, state, pieces(bytes, 3_000))
        .await?
        .state)
}

async fn an_upload_begins_empty(bench: &Bench) -> Outcome {
    for algorithm in Algorithm::ALL {
        let key = key(&format!("new-{algorithm}"));
        same!(
            bench.here.blobs.upload(&key, None).await?,
            None,
            "an upload never begun"
        );
        let begun = bench.here.blobs.begin_upload(&key, algorithm).await?;
        let found = bench.there.blobs.upload(&key, hint(&begun)).await?;
        hold!(found.is_some(), "the new upload is not there");
        for state in [Some(begun), found].into_iter().flatten() {
            same!(
                (state.length, state.algorithm()),
                (0, algorithm),
                "the new upload"
            );
        }
    }
    Ok(())
}

async fn an_upload_goes_on_where_it_ended(bench: &Bench) -> Outcome {
    let bytes = content(10, 260_000);
    let key = key("chunks");
    let mut state = bench
        .here
        .blobs
        .begin_upload(&key, Algorithm::Sha256)
        .await?;
    let mut sent = 0;
    for (number, end) in [1, 2, 100, 4_096, 70_000, 70_001, 260_000]
        .into_iter()
        .enumerate()
    {
        // Turn by turn by either instance, from what it finds itself.
        let writer = if number % 2 == 0 {
            &bench.here
        } else {
            &bench.there
        };
        let found = writer.blobs.upload(&key, hint(&state)).await?;
        let Some(found) = found else {
            return Err(super::Fault("the upload is gone".to_owned()));
        };
        same!(found.length, sent as u64, "the length that is found");
        let body = pieces(&bytes.slice(sent..end), 9_999);
        let written = writer.blobs.write_upload(&key, found, body).await?;
        hold!(
            matches!(written.end, BodyEnd::Complete),
            "the body ended by {:?}",
            written.end
        );
        same!(
            written.state.length,
            end as u64,
            "the length after the write"
        );
        (state, sent) = (written.state, end);
    }
    bench.there.publish(&key, state, &bytes).await
}

async fn a_cut_body_keeps_its_bytes(bench: &Bench) -> Outcome {
    for (sent, size) in [(0, 1), (1, 1), (999, 7), (65_536, 65_536), (100_000, 4_096)] {
        let bytes = content(11, 120_000);
        let key = key(&format!("cut-{sent}"));
        let state = bench
            .here
            .blobs
            .begin_upload(&key, Algorithm::Sha256)
            .await?;
        let body = cut(&bytes.slice(..sent), size);
        let written = bench.here.blobs.write_upload(&key, state, body).await?;
        let BodyEnd::Cut(why) = &written.end else {
            return Err(super::Fault(
                "a cut body was taken for a whole one".to_owned(),
            ));
        };
        same!(
            why.kind(),
            io::ErrorKind::ConnectionReset,
            "the reason of the cut"
        );
        same!(
            written.state.length,
            sent as u64,
            "the bytes that were kept"
        );
        let found = bench.there.blobs.upload(&key, hint(&written.state)).await?;
        let length = found.map(|state| state.length);
        same!(length, Some(sent as u64), "the bytes found after the cut");
        bench.there.go_on(&key, &written.state, &bytes).await?;
        bench
            .here
            .blobs
            .delete(&Algorithm::Sha256.digest(&bytes))
            .await?;
    }
    Ok(())
}

async fn an_empty_body_changes_no_byte(bench: &Bench) -> Outcome {
    let bytes = content(12, 5_000);
    let key = key("nothing-more");
    let mut state = begun(bench, &key, &bytes).await?;
    for body in [Bytes::new(), Bytes::new()] {
        state = bench
            .there
            .blobs
            .write_upload(&key, state, body.into())
            .await?
            .state;
        same!(state.length, 5_000, "the length");
    }
    bench.here.publish(&key, state, &bytes).await
}

async fn a_late_algorithm_reads_again(bench: &Bench) -> Outcome {
    let bytes = content(13, 123_456);
    let key = key("late");
    let state = begun(bench, &key, &bytes).await?;
    let digest = bench
        .there
        .blobs
        .digest_upload(&key, &state, Algorithm::Sha512)
        .await?;
    same!(digest, Algorithm::Sha512.digest(&bytes), "the late digest");
    let early = bench
        .there
        .blobs
        .digest_upload(&key, &state, Algorithm::Sha256)
        .await?;
    same!(
        early,
        Algorithm::Sha256.digest(&bytes),
        "the early digest after the late one"
    );
    bench.here.blobs.commit_upload(&key, state, &digest).await?;
    bench.there.holds(&digest, &bytes).await
}

async fn a_lagging_hash_reads_again(bench: &Bench) -> Outcome {
    let bytes = content(14, 80_000);
    let key = key("lagging");
    let mut state = begun(bench, &key, &bytes).await?;
    for covered in [0, 1, 40_000, 80_000] {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(&bytes[..covered]);
        state.hash = hasher.save();
        let digest = bench
            .there
            .blobs
            .digest_upload(&key, &state, Algorithm::Sha256)
            .await?;
        same!(
            digest,
            Algorithm::Sha256.digest(&bytes),
            "with {covered} bytes hashed"
        );
    }
    Ok(())
}

async fn covered_bytes_never_change(bench: &Bench) -> Outcome {
    let bytes = content(15, 60_000);
    let key = key("covered");
    let early = begun(bench, &key, &bytes.slice(..20_000)).await?;
    let body = pieces(&bytes.slice(20_000..), 5_000);
    let late = bench
        .there
        .blobs
        .write_upload(&key, early.clone(), body)
        .await?
        .state;
    for algorithm in Algorithm::ALL {
        let digest = bench
            .here
            .blobs
            .digest_upload(&key, &early, algorithm)
            .await?;
        same!(
            digest,
            algorithm.digest(&bytes[..20_000]),
            "what the first state covers"
        );
    }
    bench.here.publish(&key, late, &bytes).await
}

async fn a_state_survives_the_client(bench: &Bench) -> Outcome {
    let bytes = content(16, 50_000);
    let key = key("carried");
    let state = begun(bench, &key, &bytes.slice(..30_000)).await?;
    let json = serde_json::to_vec(&state).map_err(|error| super::Fault(error.to_string()))?;
    let fits = !state.hint || json.len() <= 1024;
    hold!(fits, "the hint has {} bytes", json.len());
    let carried: UploadState =
        serde_json::from_slice(&json).map_err(|error| super::Fault(error.to_string()))?;
    same!(carried, state, "the state that came back");
    let body = pieces(&bytes.slice(30_000..), 4_000);
    let written = bench.there.blobs.write_upload(&key, carried, body).await?;
    bench.here.publish(&key, written.state, &bytes).await
}

async fn an_upload_belongs_to_its_repository(bench: &Bench) -> Outcome {
    let bytes = content(17, 100);
    let key = key("owned");
    let state = begun(bench, &key, &bytes).await?;
    for name in ["suite", "suite/uploads/owned", "suite/upload", "other"] {
        let other = UploadKey::new(repository(name), key.id.clone());
        same!(
            bench.there.blobs.upload(&other, None).await?,
            None,
            "the upload in {name}"
        );
        bench.there.blobs.abort_upload(&other, None).await?;
        if !state.hint {
            let digest = bench
                .there
                .blobs
                .digest_upload(&other, &state, Algorithm::Sha256)
                .await;
            conflict(digest, "digest_upload in another repository")?;
            let body = Bytes::from_static(b"x").into();
            let written = bench
                .there
                .blobs
                .write_upload(&other, state.clone(), body)
                .await;
            conflict(written, "write_upload in another repository")?;
            let digest = Algorithm::Sha256.digest(&bytes);
            let commit = bench
                .there
                .blobs
                .commit_upload(&other, state.clone(), &digest)
                .await;
            conflict(commit, "commit_upload in another repository")?;
            bench.here.lacks(&digest).await?;
        }
    }
    bench.here.publish(&key, state, &bytes).await
}

async fn a_commit_ends_the_upload(bench: &Bench) -> Outcome {
    let bytes = content(18, 10_000);
    let key = key("committed");
    let state = begun(bench, &key, &bytes).await?;
    bench.here.publish(&key, state.clone(), &bytes).await?;
    let digest = Algorithm::Sha256.digest(&bytes);
    for stores in [&bench.there, &bench.here] {
        let found = stores.blobs.upload(&key, hint(&state)).await?;
        same!(found, None, "the upload after its commit");
        let again = stores
            .blobs
            .commit_upload(&key, state.clone(), &digest)
            .await;
        conflict(again, "the second commit")?;
        let body = Bytes::from_static(b"x").into();
        let write = stores.blobs.write_upload(&key, state.clone(), body).await;
        conflict(write, "a write after the commit")?;
        let digest = stores
            .blobs
            .digest_upload(&key, &state, Algorithm::Sha512)
            .await;
        conflict(digest, "digest_upload after the commit")?;
        stores.blobs.abort_upload(&key, hint(&state)).await?;
    }
    let uploads = entries(bench.there.blobs.list_uploads()).await?;
    hold!(uploads.is_empty(), "the upload is listed after its commit");
    bench.there.holds(&digest, &bytes).await
}

async fn a_blob_may_be_there_already(bench: &Bench) -> Outcome {
    let bytes = content(19, 30_000);
    let digest = bench.here.push("first", &bytes).await?;
    let opened = bench.there.blobs.open(&digest).await?;
    bench.there.push("second", &bytes).await?;
    bench.here.holds(&digest, &bytes).await?;
    if let Some(blob) = opened {
        let read = super::bench::whole(&blob).await?;
        hold!(read == bytes[..], "an open blob changed by a second commit");
    }
    same!(
        entries(bench.here.blobs.list()).await?.len(),
        1,
        "the number of blobs"
    );
    let uploads = entries(bench.here.blobs.list_uploads()).await?;
    hold!(uploads.is_empty(), "an upload is left over");
    Ok(())
}

async fn a_short_blob_is_replaced(bench: &Bench) -> Outcome {
    let bytes = content(20, 40_000);
    let digest = Algorithm::Sha256.digest(&bytes);
    let first = key("too-short");
    let state = begun(bench, &first, &bytes.slice(..10_000)).await?;
    // A store may find out that the caller is wrong, and refuse: then it has no short blobs.
    if bench
        .here
        .blobs
        .commit_upload(&first, state, &digest)
        .await
        .is_ok()
    {
        same!(
            bench.there.blobs.stat(&digest).await?,
            Some(10_000),
            "the short blob"
        );
    }
    let second = key("whole");
    let state = begun(bench, &second, &bytes).await?;
    bench.here.publish(&second, state, &bytes).await?;
    bench.there.holds(&digest, &bytes).await
}

async fn abort_is_idempotent(bench: &Bench) -> Outcome {
    let key = key("aborted");
    bench.here.blobs.abort_upload(&key, None).await?;
    let bytes = content(21, 10_000);
    let state = begun(bench, &key, &bytes).await?;
    for stores in [&bench.there, &bench.here, &bench.there] {
        stores.blobs.abort_upload(&key, hint(&state)).await?;
        same!(
            stores.blobs.upload(&key, hint(&state)).await?,
            None,
            "the upload after its abort"
        );
        let body = Bytes::from_static(b"x").into();
        let write = stores.blobs.write_upload(&key, state.clone(), body).await;
        conflict(write, "a write after the abort")?;
        let digest = stores
            .blobs
            .digest_upload(&key, &state, Algorithm::Sha512)
            .await;
        conflict(digest, "digest_upload after the abort")?;
        let digest = Algorithm::Sha256.digest(&bytes);
        let commit = stores
            .blobs
            .commit_upload(&key, state.clone(), &digest)
            .await;
        conflict(commit, "a commit after the abort")?;
        stores.lacks(&digest).await?;
    }
    let uploads = entries(bench.there.blobs.list_uploads()).await?;
    hold!(uploads.is_empty(), "the upload is listed after its abort");
    Ok(())
}

async fn open_uploads_are_listed(bench: &Bench) -> Outcome {
    let mut wanted = Vec::new();
    for number in 0..5 {
        let name = repository(["suite", "suite/uploads", "a", "a/b", "a/b/c"][number]);
        let key = UploadKey::new(name, key(&format!("open-{number}")).id);
        begun(bench, &key, &content(22, 1_000)).await?;
        wanted.push(key);
    }
    let listed = entries(bench.there.blobs.list_uploads()).await?;
    hold!(
        listed
            .iter()
            .all(|upload| upload.started <= upload.modified),
        "modified before begun"
    );
    let mut listed: Vec<_> = listed.into_iter().map(|upload| upload.key).collect();
    listed.sort();
    wanted.sort();
    same!(listed, wanted, "the open uploads");
    Ok(())
}
