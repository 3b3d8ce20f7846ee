//! Several at once, at seam 1: on disk through two instances of the store, as two processes have
//! them, in memory through one.

use std::{future::Future, sync::Arc};

use registry_core::{Context, ErrorCode, Expect, Reference, Registry};

use crate::{
    seam::{
        Registries, Seeded, append, assert_tags_lead_somewhere, digest, finish, manifest,
        points_to, push_tag, read_blob, repository, start,
    },
    support::Store,
};

const SEEDS: u64 = 1000;

/// Every seed over one tree, on both stores.
fn on_both(run: &impl AsyncFn(&Registries, u64)) {
    for store in [Store::Fs, Store::Memory] {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let registries = Registries::new(store, 2);
            for seed in 0..SEEDS {
                run(&registries, seed).await;
            }
        });
    }
}

/// Both at once, the second a few steps of the scheduler later.
async fn both<A, B>(
    seed: u64,
    first: impl Future<Output = A> + Send + 'static,
    second: impl Future<Output = B> + Send + 'static,
) -> (A, B)
where
    A: Send + 'static,
    B: Send + 'static,
{
    let later = Seeded::new(seed).below(6);
    let first = tokio::spawn(first);
    let second = tokio::spawn(async move {
        for _ in 0..later {
            tokio::task::yield_now().await;
        }
        second.await
    });
    (first.await.unwrap(), second.await.unwrap())
}

fn pair(registries: &Registries) -> (Arc<dyn Registry>, Arc<dyn Registry>) {
    (
        Arc::clone(&registries.each[0]),
        Arc::clone(&registries.each[1]),
    )
}

#[test]
fn two_chunks_at_one_offset_never_mix() {
    on_both(&async |registries, seed| {
        let name = repository("races/chunks");
        let (one, other) = pair(registries);
        let id = start(&*one, &name).await.id;
        let begin = format!("{seed:06}");
        append(&*one, &name, &id, 0, begin.as_bytes())
            .await
            .unwrap();
        let mut random = Seeded::new(seed);
        let a = vec![b'a'; 1 + random.below(20_000)];
        let b = vec![b'b'; 1 + random.below(20_000)];
        let wholes = [
            begin.as_bytes().to_vec(),
            [begin.as_bytes(), &a].concat(),
            [begin.as_bytes(), &b].concat(),
        ];
        let ours = (name.clone(), id.clone(), a.clone());
        let theirs = (name.clone(), id.clone(), b.clone());
        let (first, second) = both(
            seed,
            async move { append(&*one, &ours.0, &ours.1, 6, &ours.2).await },
            async move { append(&*other, &theirs.0, &theirs.1, 6, &theirs.2).await },
        )
        .await;
        for refused in [&first, &second]
            .into_iter()
            .filter_map(|done| done.as_ref().err())
        {
            assert_eq!(
                refused.code(),
                ErrorCode::RangeInvalid,
                "seed {seed}: {refused:?}"
            );
        }
        assert!(
            !(first.is_ok() && second.is_ok()),
            "seed {seed}: both chunks at one offset were taken"
        );
        // Whatever is there now ends only as what it is.
        let (one, other) = pair(registries);
        let mut ended = 0;
        for whole in &wholes {
            let done = finish(&*one, &name, &id, &digest(whole)).await;
            match done {
                Ok(()) => {
                    ended += 1;
                    let found = read_blob(&*other, &name, &digest(whole)).await;
                    assert_eq!(found.as_ref(), Some(whole), "seed {seed}");
                }
                Err(error) => assert!(
                    [ErrorCode::DigestInvalid, ErrorCode::BlobUploadUnknown]
                        .contains(&error.code()),
                    "seed {seed}: {error:?}"
                ),
            }
        }
        assert!(ended <= 1, "seed {seed}: one upload ended as {ended} blobs");
        let answered = first.is_ok() || second.is_ok();
        assert!(
            !answered || ended == 1,
            "seed {seed}: what was answered is gone"
        );
    });
}

#[test]
fn of_two_that_create_one_tag_exactly_one_wins() {
    on_both(&async |registries, seed| {
        let name = repository("races/create");
        let (one, other) = pair(registries);
        let tag = format!("t{seed}");
        let (a, b) = (format!("a{seed}"), format!("b{seed}"));
        let ours = (name.clone(), tag.clone(), a.clone());
        let theirs = (name.clone(), tag.clone(), b.clone());
        let (first, second) = both(
            seed,
            async move { push_tag(&*one, &ours.0, &ours.2, &ours.1, Expect::Absent).await },
            async move { push_tag(&*other, &theirs.0, &theirs.2, &theirs.1, Expect::Absent).await },
        )
        .await;
        let winner = match (first, second) {
            (Ok(digest), Err(error)) | (Err(error), Ok(digest)) => {
                assert_eq!(
                    error.code(),
                    ErrorCode::PreconditionFailed,
                    "seed {seed}: {error:?}"
                );
                digest
            }
            answers => panic!("seed {seed}: {answers:?}"),
        };
        for registry in &registries.each {
            let found = points_to(&**registry, &name, &tag).await;
            assert_eq!(found.as_ref(), Some(&winner), "seed {seed}");
        }
    });
}

#[test]
fn a_delete_against_a_push_leaves_both_or_neither() {
    on_both(&async |registries, seed| {
        let name = repository("races/delete");
        let (one, other) = pair(registries);
        let target = digest(&manifest("same"));
        push_tag(&*one, &name, "same", "t", Expect::Any)
            .await
            .unwrap();
        let ours = name.clone();
        let theirs = (name.clone(), Reference::Digest(target.clone()));
        let (pushed, deleted) = both(
            seed,
            async move { push_tag(&*one, &ours, "same", "t", Expect::Any).await },
            async move {
                let cx = Context::anonymous();
                other
                    .delete_manifest(&cx, &theirs.0, &theirs.1, Expect::Any)
                    .await
            },
        )
        .await;
        pushed.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        deleted.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        let mut seen = Vec::new();
        for registry in &registries.each {
            assert_tags_lead_somewhere(&**registry, &name).await;
            let by_digest = registry
                .get_manifest(
                    &Context::anonymous(),
                    &name,
                    &Reference::Digest(target.clone()),
                )
                .await;
            let tagged = points_to(&**registry, &name, "t").await;
            assert_eq!(tagged.is_some(), by_digest.is_ok(), "seed {seed}");
            seen.push(tagged);
        }
        assert_eq!(
            seen[0], seen[1],
            "seed {seed}: two instances see different things"
        );
    });
}

#[test]
fn a_delete_of_a_tag_against_a_move_of_it() {
    on_both(&async |registries, seed| {
        let name = repository("races/untag");
        let (one, other) = pair(registries);
        let old = push_tag(&*one, &name, "old", "t", Expect::Any)
            .await
            .unwrap();
        let ours = name.clone();
        let theirs = name.clone();
        let expect = Expect::Is(vec![old]);
        let (moved, deleted) = both(
            seed,
            async move { push_tag(&*one, &ours, "new", "t", Expect::Present).await },
            async move {
                let reference = Reference::Tag(crate::seam::tag("t"));
                other
                    .delete_manifest(&Context::anonymous(), &theirs, &reference, expect)
                    .await
            },
        )
        .await;
        let now = points_to(registries.one(), &name, "t").await;
        // One of the two came first, and the other saw it.
        match (moved, deleted) {
            (Ok(new), Err(error)) => {
                assert_eq!(
                    error.code(),
                    ErrorCode::PreconditionFailed,
                    "seed {seed}: {error:?}"
                );
                assert_eq!(now, Some(new), "seed {seed}");
            }
            (Err(error), Ok(())) => {
                assert_eq!(
                    error.code(),
                    ErrorCode::PreconditionFailed,
                    "seed {seed}: {error:?}"
                );
                assert_eq!(now, None, "seed {seed}");
            }
            answers => panic!("seed {seed}: {answers:?}"),
        }
    });
}
