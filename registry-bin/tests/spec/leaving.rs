//! Clients that leave in the middle of a request, or before its answer.

use std::{
    io::Write as _,
    net::Shutdown,
    sync::Arc,
    time::{Duration, Instant},
};

use registry_core::{Digest, event::EventAction};
use serde_json::json;

use crate::{
    seam::{Recorded, Seeded},
    support::{OCI_INDEX, Repository, Server, Setup, Store, and, index, sha256},
};

const SEEDS: u64 = 1000;

/// What was said holds, soon: a bound on what is waited for, not a wait.
#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::yield_now();
    }
}

/// Sends a part of a request, and closes the connection in one of three ways.
fn leave(r: &Repository, random: &mut Seeded, head: &str, body: &[u8]) {
    let mut bytes = format!(
        "{head}\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    let head_ends = bytes.len();
    bytes.extend(body);
    let sent = match random.below(4) {
        0 => bytes.len(),
        1 => head_ends + random.below(body.len() + 1),
        2 => random.below(head_ends + 1),
        _ => bytes.len() - usize::from(!body.is_empty()),
    };
    let mut stream = r.client.connect();
    stream.get_mut().write_all(&bytes[..sent]).unwrap();
    match random.below(3) {
        0 => drop(stream),
        1 => stream.get_mut().shutdown(Shutdown::Write).unwrap(),
        _ => stream.get_mut().shutdown(Shutdown::Both).unwrap(),
    }
}

/// A registry that tells, and what it told.
fn observed(store: Store, name: &str) -> (Repository, Arc<Recorded>) {
    let events = Arc::new(Recorded::default());
    let sink = Arc::clone(&events);
    (
        Repository::new(Server::start(Setup::new(store).observed(sink)), name),
        events,
    )
}

/// The tag leads to what was pushed, and that was told; or it leads nowhere.
fn pushing_manifests(store: Store) {
    let (r, events) = observed(store, "leaving/manifests");
    for seed in 0..SEEDS {
        let mut random = Seeded::new(seed);
        let bytes = index(&[], &json!({ "annotations": { "seed": seed.to_string() } }));
        let digest = Digest::parse(&sha256(&bytes)).unwrap();
        let target = format!("/v2/{}/manifests/{digest}?tag=a{seed}&tag=b{seed}", r.name);
        let head = format!("PUT {target} HTTP/1.1\r\nContent-Type: {OCI_INDEX}");
        leave(&r, &mut random, &head, &bytes);
        for tag in ["a", "b"] {
            let found = r.get(&format!("manifests/{tag}{seed}"));
            if found.status == 200 {
                found.bytes(&bytes);
                eventually("its event", || events.has(EventAction::Push, &digest));
                eventually("the other tag", || {
                    r.head(&format!("manifests/b{seed}")).status == 200
                });
            }
        }
        for tag in r.get("tags/list?n=3").names_or_none("tags") {
            r.get(&format!("manifests/{tag}")).is(200);
        }
        r.manifest(&format!("a{seed}"), &bytes).send().is(201);
        r.delete(&format!("manifests/{digest}")).is(202);
    }
}

/// The upload stands with a prefix of what was sent, and goes on from there.
fn pushing_blobs(store: Store) {
    let (r, events) = observed(store, "leaving/blobs");
    for seed in 0..SEEDS {
        let mut random = Seeded::new(seed);
        let content = format!("{seed:05}-").repeat(1 + random.below(2000));
        let digest = sha256(&content);
        let location = r.start();
        leave(
            &r,
            &mut random,
            &format!("PATCH {location} HTTP/1.1"),
            content.as_bytes(),
        );
        // Whoever still writes is superseded by going on.
        let mut attempts = 0;
        loop {
            attempts += 1;
            assert!(attempts < 100, "seed {seed}: it cannot be gone on with");
            let status = r.at("GET", &location).send().is(204);
            let range = status.header("Range");
            let last: usize = range.trim_start_matches("0-").parse().unwrap();
            // An empty upload says the same as one of a single byte.
            let offset = if last == 0 && attempts % 2 == 1 {
                0
            } else {
                last + 1
            };
            let here = status.header("Location").to_owned();
            let rest = &content[offset..];
            let mut put = r.close(&here, &digest);
            if !rest.is_empty() {
                put = put.header("Content-Range", format!("{offset}-{}", content.len() - 1));
            }
            let put = put.body(rest).send();
            match put.status {
                201 => break,
                416 => {}
                404 => panic!("seed {seed}: {put}"),
                _ => panic!("seed {seed}, from {offset}: {put}"),
            }
        }
        r.get(&format!("blobs/{digest}")).is(200).bytes(&content);
        assert!(
            events.has(EventAction::Push, &Digest::parse(&digest).unwrap()),
            "seed {seed}"
        );
    }
}

/// The blob is whole or not there, and where it is there it was told.
fn closing_uploads(store: Store) {
    let (r, events) = observed(store, "leaving/closing");
    for seed in 0..SEEDS {
        let mut random = Seeded::new(seed);
        let content = format!("{seed:05}-").repeat(1 + random.below(2000));
        let digest = sha256(&content);
        let at = random.below(content.len());
        let location = match at {
            0 => r.start(),
            _ => r.append(&r.start(), 0, &content[..at]),
        };
        let target = and(&location, &format!("digest={digest}"));
        leave(
            &r,
            &mut random,
            &format!("PUT {target} HTTP/1.1"),
            &content.as_bytes()[at..],
        );
        let found = r.get(&format!("blobs/{digest}"));
        if found.status == 200 {
            found.bytes(&content);
            let digest = Digest::parse(&digest).unwrap();
            eventually("its event", || events.has(EventAction::Push, &digest));
        }
        r.blob(&content);
        r.get(&format!("blobs/{digest}")).is(200).bytes(&content);
    }
}

/// A delete is done whole or not at all.
fn deleting_manifests(store: Store) {
    let (r, events) = observed(store, "leaving/deletes");
    for seed in 0..SEEDS {
        let mut random = Seeded::new(seed);
        let bytes = index(&[], &json!({ "annotations": { "seed": seed.to_string() } }));
        let digest = sha256(&bytes);
        r.manifest(&format!("{digest}?tag=a&tag=b"), &bytes)
            .send()
            .is(201);
        let target = format!("/v2/{}/manifests/{digest}", r.name);
        leave(&r, &mut random, &format!("DELETE {target} HTTP/1.1"), b"");
        for tag in ["a", "b"] {
            if r.get(&format!("manifests/{tag}")).status == 404 {
                eventually("the rest is gone", || {
                    r.head(&format!("manifests/{digest}")).status == 404
                });
                let digest = Digest::parse(&digest).unwrap();
                eventually("its event", || events.has(EventAction::Delete, &digest));
            }
        }
        let deleted = r.delete(&format!("manifests/{digest}")).status;
        assert!([202, 404].contains(&deleted), "seed {seed}: {deleted}");
        r.get("manifests/a").is(404);
        r.get("manifests/b").is(404);
    }
}

macro_rules! on_each_store {
    ($($name:ident)*) => {$(
        mod $name {
            #[test]
            fn fs() {
                super::$name(crate::support::Store::Fs);
            }

            #[test]
            fn memory() {
                super::$name(crate::support::Store::Memory);
            }
        }
    )*};
}

on_each_store! { pushing_manifests pushing_blobs closing_uploads deleting_manifests }
