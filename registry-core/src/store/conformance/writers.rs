//! Rules of one upload with several writers: who is superseded, and what that leaves.

use bytes::Bytes;
use futures_util::future;

use super::{
    Fault,
    bench::{Bench, Outcome, conflict, content, hint, hold, key, rules, same},
    bodies::{Stall, Watched, pieces},
};
use crate::{
    hash::Algorithm,
    store::{BodyEnd, StoreError, StoreErrorKind, UploadKey, UploadState, Written, pace::give_way},
};

rules! {
    a_stale_state_cannot_write: "A write from a state that is not the newest is a Conflict and touches nothing; its body is not polled.",
    a_superseded_writer_stops: "Whoever writes next supersedes the writer before, whose next step is a Conflict without having written.",
    looking_disturbs_no_writer: "Asking for an upload does not disturb a running writer.",
    a_commit_supersedes: "A commit supersedes a running writer, and publishes exactly the bytes that its state covers.",
    an_abort_supersedes: "An abort supersedes a running writer.",
    a_stale_state_cannot_be_committed: "Committing a state that is not the newest is a Conflict: nothing is published, and the upload stands.",
    of_two_writers_one_goes_on: "Of two writers from the same state at most one writes to the end.",
    of_two_commits_one_succeeds: "Of two commits of the same state exactly one succeeds.",
    a_commit_and_a_write_exclude_each_other: "Of a commit and a write from the same state one is a Conflict.",
}

async fn begun(bench: &Bench, id: &str) -> Result<(UploadKey, UploadState), Fault> {
    let key = key(id);
    let state = bench
        .here
        .blobs
        .begin_upload(&key, Algorithm::Sha256)
        .await?;
    Ok((key, state))
}

fn is_conflict<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(error) if error.kind() == StoreErrorKind::Conflict)
}

async fn a_stale_state_cannot_write(bench: &Bench) -> Outcome {
    let bytes = content(30, 50_000);
    let (key, first) = begun(bench, "stale-write").await?;
    let body = bytes.slice(..20_000).into();
    let second = bench
        .here
        .blobs
        .write_upload(&key, first.clone(), body)
        .await?
        .state;
    let body = bytes.slice(20_000..).into();
    let third = bench
        .there
        .blobs
        .write_upload(&key, second.clone(), body)
        .await?
        .state;
    for stale in [first, second] {
        for stores in [&bench.here, &bench.there] {
            let watched = Watched::default();
            let body = watched.body(&Bytes::from_static(b"intruder"));
            let write = stores.blobs.write_upload(&key, stale.clone(), body).await;
            conflict(write, "a write from a stale state")?;
            hold!(
                !watched.polled(),
                "the body was polled before the state was looked at"
            );
        }
    }
    bench.here.publish(&key, third, &bytes).await
}

/// Lets a writer stall half-way while `meanwhile` runs, then go on: its answer, and that of
/// `meanwhile`.
async fn stalled<T>(
    bench: &Bench,
    key: &UploadKey,
    from: UploadState,
    [first, then]: [&Bytes; 2],
    meanwhile: impl Future<Output = T>,
) -> (Result<Written, StoreError>, T) {
    let stall = Stall::default();
    let body = stall.body(first, then);
    let write = bench.here.blobs.write_upload(key, from, body);
    let meanwhile = async {
        stall.reached.wait().await;
        let answer = meanwhile.await;
        stall.release.set();
        answer
    };
    future::join(write, meanwhile).await
}

async fn a_superseded_writer_stops(bench: &Bench) -> Outcome {
    for length in [100, 100_000, 600_000] {
        let bytes = content(31, length);
        let (key, state) = begun(bench, &format!("superseded-{length}")).await?;
        let intruder = content(99, length);
        let parts = [&bytes.slice(..length / 2), &intruder];
        let next = bench.there.go_on(&key, &state, &bytes);
        let (write, next) = stalled(bench, &key, state.clone(), parts, next).await;
        next?;
        conflict(write, "the superseded writer")?;
        bench
            .here
            .holds(&Algorithm::Sha256.digest(&bytes), &bytes)
            .await?;
    }
    // And when nothing is committed meanwhile.
    let bytes = content(32, 90_000);
    let (key, state) = begun(bench, "superseded").await?;
    let parts = [&bytes.slice(..30_000), &content(98, 50_000)];
    let next = async {
        for _ in 0..10_000 {
            let found = bench.there.blobs.upload(&key, hint(&state)).await?;
            let found = found.ok_or_else(|| Fault("the upload is gone".to_owned()))?;
            let body = pieces(&bytes.slice(found.length as usize..60_000), 7_000);
            match bench.there.blobs.write_upload(&key, found, body).await {
                Err(error) if error.kind() == StoreErrorKind::Conflict => give_way().await,
                other => return Ok::<_, Fault>(other?.state),
            }
        }
        Err(Fault("nobody could take the upload over".to_owned()))
    };
    let (write, next) = stalled(bench, &key, state.clone(), parts, next).await;
    conflict(write, "the superseded writer")?;
    let next = next?;
    same!(next.length, 60_000, "what the second writer wrote");
    let rest = bytes.slice(60_000..).into();
    let last = bench.here.blobs.write_upload(&key, next, rest).await?;
    bench.there.publish(&key, last.state, &bytes).await
}

async fn looking_disturbs_no_writer(bench: &Bench) -> Outcome {
    let bytes = content(33, 200_000);
    let (key, state) = begun(bench, "looked-at").await?;
    let parts = [&bytes.slice(..100_000), &bytes.slice(100_000..)];
    let look = async {
        for stores in [&bench.here, &bench.there] {
            let found = stores.blobs.upload(&key, hint(&state)).await?;
            hold!(found.is_some(), "an upload with a writer is not found");
            let length = found.map_or(0, |state| state.length);
            hold!(
                length <= 100_000,
                "{length} bytes are there before they were sent"
            );
        }
        Ok(())
    };
    let (written, look) = stalled(bench, &key, state.clone(), parts, look).await;
    look?;
    let written = written?;
    hold!(
        matches!(written.end, BodyEnd::Complete),
        "the body ended by {:?}",
        written.end
    );
    bench.there.publish(&key, written.state, &bytes).await
}

async fn a_commit_supersedes(bench: &Bench) -> Outcome {
    let bytes = content(34, 120_000);
    let (key, state) = begun(bench, "commit-over").await?;
    let parts = [&bytes.slice(..60_000), &bytes.slice(60_000..)];
    let commit = async {
        for _ in 0..10_000 {
            let found = bench.there.blobs.upload(&key, hint(&state)).await?;
            let found = found.ok_or_else(|| Fault("the upload is gone".to_owned()))?;
            let covered = bytes.slice(..found.length as usize);
            let digest = Algorithm::Sha256.digest(&covered);
            match bench.there.blobs.commit_upload(&key, found, &digest).await {
                Err(error) if error.kind() == StoreErrorKind::Conflict => give_way().await,
                other => return other.map(|()| (digest, covered)).map_err(Fault::from),
            }
        }
        Err(Fault("nobody could commit the upload".to_owned()))
    };
    let (write, commit) = stalled(bench, &key, state.clone(), parts, commit).await;
    let (digest, covered) = commit?;
    conflict(write, "the writer of an upload that was committed")?;
    bench.here.holds(&digest, &covered).await?;
    same!(
        bench.here.blobs.upload(&key, hint(&state)).await?,
        None,
        "the committed upload"
    );
    Ok(())
}

async fn an_abort_supersedes(bench: &Bench) -> Outcome {
    let bytes = content(35, 120_000);
    let (key, state) = begun(bench, "abort-over").await?;
    let parts = [&bytes.slice(..60_000), &bytes.slice(60_000..)];
    let abort = bench.there.blobs.abort_upload(&key, hint(&state));
    let (write, abort) = stalled(bench, &key, state.clone(), parts, abort).await;
    abort?;
    conflict(write, "the writer of an upload that was aborted")?;
    for stores in [&bench.here, &bench.there] {
        same!(
            stores.blobs.upload(&key, hint(&state)).await?,
            None,
            "the aborted upload"
        );
        let left = super::bench::entries(stores.blobs.list_uploads()).await?;
        hold!(
            left.is_empty(),
            "the superseded writer left an upload behind"
        );
    }
    Ok(())
}

async fn a_stale_state_cannot_be_committed(bench: &Bench) -> Outcome {
    let bytes = content(36, 40_000);
    let (key, first) = begun(bench, "stale-commit").await?;
    let half = bytes.slice(..15_000);
    let body = half.clone().into();
    let second = bench
        .here
        .blobs
        .write_upload(&key, first.clone(), body)
        .await?
        .state;
    let body = bytes.slice(15_000..).into();
    let third = bench
        .there
        .blobs
        .write_upload(&key, second.clone(), body)
        .await?
        .state;
    for (stale, covered) in [(first, Bytes::new()), (second, half)] {
        let digest = Algorithm::Sha256.digest(&covered);
        for stores in [&bench.here, &bench.there] {
            let commit = stores
                .blobs
                .commit_upload(&key, stale.clone(), &digest)
                .await;
            conflict(commit, "the commit of a stale state")?;
            stores.lacks(&digest).await?;
        }
    }
    bench.here.publish(&key, third, &bytes).await
}

async fn of_two_writers_one_goes_on(bench: &Bench) -> Outcome {
    for round in 0..20_usize {
        let (key, state) = begun(bench, &format!("two-writers-{round}")).await?;
        let bytes = [content(37, 50_000), content(38, 50_000)];
        let size = 1_000 * (round + 1);
        let [first, second] = bytes.each_ref().map(|bytes| pieces(bytes, size));
        let here = bench.here.blobs.write_upload(&key, state.clone(), first);
        let there = bench.there.blobs.write_upload(&key, state.clone(), second);
        let (a, b) = future::join(here, there).await;
        hold!(
            a.is_ok() || b.is_ok(),
            "neither writer went on: {a:?}, {b:?}"
        );
        for (write, bytes) in [a, b].into_iter().zip(&bytes) {
            match write {
                Ok(written) => {
                    bench.there.publish(&key, written.state, bytes).await?;
                    bench
                        .here
                        .blobs
                        .delete(&Algorithm::Sha256.digest(bytes))
                        .await?;
                }
                Err(error) => conflict(Err::<(), _>(error), "the other writer")?,
            }
        }
    }
    Ok(())
}

async fn of_two_commits_one_succeeds(bench: &Bench) -> Outcome {
    for round in 0..20 {
        let bytes = content(round, 5_000);
        let digest = Algorithm::Sha256.digest(&bytes);
        let (key, state) = begun(bench, &format!("two-commits-{round}")).await?;
        let body = bytes.clone().into();
        let state = bench
            .here
            .blobs
            .write_upload(&key, state, body)
            .await?
            .state;
        let here = bench.here.blobs.commit_upload(&key, state.clone(), &digest);
        let there = bench
            .there
            .blobs
            .commit_upload(&key, state.clone(), &digest);
        let (a, b) = future::join(here, there).await;
        let fine = a.is_ok() && is_conflict(&b) || b.is_ok() && is_conflict(&a);
        hold!(fine, "the commits came to {a:?} and {b:?}");
        bench.there.holds(&digest, &bytes).await?;
    }
    Ok(())
}

async fn a_commit_and_a_write_exclude_each_other(bench: &Bench) -> Outcome {
    for round in 0..20 {
        let bytes = content(round, 9_000);
        let half = bytes.slice(..4_000);
        let digest = Algorithm::Sha256.digest(&half);
        let (key, state) = begun(bench, &format!("commit-or-write-{round}")).await?;
        let body = half.clone().into();
        let state = bench
            .here
            .blobs
            .write_upload(&key, state, body)
            .await?
            .state;
        let commit = bench.here.blobs.commit_upload(&key, state.clone(), &digest);
        let body = pieces(&bytes.slice(4_000..), 500);
        let write = bench.there.blobs.write_upload(&key, state.clone(), body);
        // Which of them is asked first changes from round to round.
        let (commit, write) = if round % 2 == 0 {
            future::join(commit, write).await
        } else {
            let (write, commit) = future::join(write, commit).await;
            (commit, write)
        };
        match (commit, write) {
            (Ok(()), write) => {
                conflict(write, "the write beside a commit")?;
                bench.there.holds(&digest, &half).await?;
            }
            (commit, Ok(written)) => {
                conflict(commit, "the commit beside a write")?;
                bench.there.lacks(&digest).await?;
                bench.there.publish(&key, written.state, &bytes).await?;
            }
            (commit, write) => {
                return Err(Fault(format!("both failed: {commit:?}, {write:?}")));
            }
        }
    }
    Ok(())
}
