//! Thousands of bad requests, as bytes on a socket: whatever comes, the answer is a refusal, soon,
//! and nothing is written.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufReader, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    path::Path,
};

use serde_json::json;

use crate::{
    seam::Seeded,
    support::{
        Client, OCI_INDEX, OCI_MANIFEST, Repository, Response, Server, Setup, Store, exchange,
        image, index, panics, read, sha256,
    },
};

/// Names that no repository has, as they stand in a path.
const NAMES: &[&str] = &[
    "..",
    "../..",
    "a/../b",
    "a/./b",
    "%2e%2e",
    "%2e%2e/%2e%2e",
    "..%2f..%2fetc",
    "a%2f..%2f..%2fb",
    "a%00b",
    "%00",
    "a%5cb",
    "..%5c..",
    "UPPER",
    "a//b",
    "/a",
    ".a",
    "_a",
    "a_",
    "-a",
    "a-",
    "%",
    "%zz",
    "%c0%ae%c0%ae",
    "a%20b",
    "a%0d%0aX-Injected:%20y",
    "a%3fb",
    "a%23b",
    "a;b",
    "a,b",
    "*",
    "~",
    "a@b",
    "a..b",
    "a___b",
    "_catalog/a",
    "a/_manifests",
    "_uploads",
    "%252e%252e",
    "\u{2603}",
    "%e2%98%83",
    "con%3a",
    "a:b",
    "\"a\"",
    "{a}",
    "a\\b",
];

/// What is neither a tag nor a digest.
const REFERENCES: &[&str] = &[
    "..",
    "%2e%2e",
    ".hidden",
    "-dash",
    "a%2fb",
    "a%00",
    "%00",
    "a%20b",
    "a%0ab",
    "sha256:abc",
    "sha256:",
    ":",
    "a:b:c",
    "sha256:..%2f..%2f",
    "sha512:0",
    "SHA256:0",
    "%",
    "%zz",
    "\u{fc}",
    "a,b",
    "a;b",
    "*",
    "sha256:ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ",
];

const NUMBERS: &[&str] = &[
    "9223372036854775808",
    "18446744073709551616",
    "99999999999999999999999999",
    "-1",
    "-9223372036854775808",
    "1e9",
    "0x10",
    "%00",
    "",
    "+",
    "NaN",
    "1.5",
    "\u{661}",
    "%2b1",
    "1%201",
    "[]",
    "2147483648",
];

const RANGES: &[&str] = &[
    "bytes=500-0",
    "bytes=-0",
    "bytes=",
    "bytes=--",
    "bytes=a-b",
    "bytes=0-0,",
    "bytes=99999999999999999999-",
    "bytes=0-18446744073709551615",
    "bytes=-18446744073709551616",
    "lines=1-2",
    "bytes",
    "=",
    "bytes=1-2-3",
    "bytes=0-,0-,0-,0-,0-,0-",
    "bytes=\u{661}-",
    "bytes 0-1",
    "BYTES=9-1",
    "bytes=+1-2",
    "bytes=1-+2",
];

const CONTENT_RANGES: &[&str] = &[
    "1-4",
    "9-2",
    "0",
    "-",
    "0-",
    "-4",
    "a-b",
    "0-18446744073709551615",
    "18446744073709551615-0",
    "18446744073709551614-18446744073709551615",
    "bytes 7-9/10",
    "bytes */10",
    "+0-4",
    "0--4",
    "\u{661}-4",
    "99999999999999999999-99999999999999999999",
    "",
    "0-4,5-6",
    "-1--1",
];

/// Whether a request must be answered, or the connection may just be closed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    May,
    Must,
}

#[derive(Debug)]
struct Bad {
    method: String,
    bytes: Vec<u8>,
    answer: Answer,
    /// Close our half when all is sent: the rest never comes.
    ends: bool,
}

/// What is there to be attacked.
struct Place {
    name: String,
    blob: String,
    upload: String,
}

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Bad {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: x\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend(format!("{name}: {value}\r\n").bytes());
    }
    if let Some(body) = body {
        bytes.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body.unwrap_or_default());
    let answer =
        if target.bytes().all(|b| b.is_ascii_graphic()) && !target.contains(['\\', '"', '{']) {
            Answer::Must
        } else {
            Answer::May
        };
    Bad {
        method: method.to_owned(),
        bytes,
        answer,
        ends: false,
    }
}

/// A body that is no manifest.
fn bad_manifest(random: &mut Seeded) -> Vec<u8> {
    let valid = index(&[], &json!({}));
    let mut noise = |length: usize| -> Vec<u8> {
        (0..length)
            .map(|_| random.next().to_le_bytes()[0])
            .collect()
    };
    let (some, length) = (noise(64), noise(2));
    match length[0] % 12 {
        0 => "[".repeat(10_000).into_bytes(),
        1 => (r#"{"a":"#.repeat(10_000) + "1" + &"}".repeat(10_000)).into_bytes(),
        2 => format!(
            r#"{{"schemaVersion":2,"manifests":[],"x":{}1{}}}"#,
            "[".repeat(9_999),
            "]".repeat(9_999)
        )
        .into_bytes(),
        3 => some,
        4 => Vec::new(),
        5 => valid[..usize::from(length[1]) % (valid.len() - 1)].to_vec(),
        6 => [valid.as_slice(), b"x"].concat(),
        7 => br#"{"schemaVersion":2,"config":{},"layers":[],"manifests":[]}"#.to_vec(),
        8 => image("absent", &["absent too"], &json!({})),
        9 => index(&[&some], &json!({})),
        10 => br#"{"schemaVersion":2,"schemaVersion":2,"manifests":[]}"#.to_vec(),
        _ => format!(
            r#"{{"schemaVersion":2,"manifests":[{{"digest":"{}","size":-{}}}]}}"#,
            sha256("x"),
            length[1]
        )
        .into_bytes(),
    }
}

/// A name, a reference or a number that is none, sometimes far too long.
fn bad(random: &mut Seeded, choices: &[&str]) -> String {
    match random.below(20) {
        0 => "a".repeat(300 + random.below(3000)),
        1 => "A/".repeat(1 + random.below(500)),
        2 => format!("{}{}", random.of(choices), random.of(choices)),
        _ => random.of(choices).to_owned(),
    }
}

fn generate(random: &mut Seeded, place: &Place) -> Bad {
    let Place { name, blob, upload } = place;
    let digest = sha256(random.next().to_le_bytes());
    let manifest = [("Content-Type", OCI_MANIFEST)];
    match random.below(16) {
        // Names that are none, at every end-point.
        0..=2 => {
            // Joined to something, a bad name stays bad.
            let bad_name = format!("{}/UPPER", bad(random, NAMES));
            let rest = random.of(&[
                "manifests/latest",
                "tags/list",
                "blobs/uploads/",
                "referrers/sha256:0",
            ]);
            let method = random.of(&["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"]);
            let body: Option<&[u8]> = (!["GET", "HEAD"].contains(&method)).then_some(b"{}");
            request(method, &format!("/v2/{bad_name}/{rest}"), &manifest, body)
        }
        3 => {
            let bad_name = bad(random, NAMES);
            let rest = format!("blobs/{digest}");
            request(
                random.of(&["GET", "HEAD", "DELETE"]),
                &format!("/v2/{bad_name}/{rest}"),
                &[],
                None,
            )
        }
        // References that are none.
        4 | 5 => {
            let reference = bad(random, REFERENCES);
            let kind = random.of(&["manifests", "blobs", "referrers"]);
            let method = random.of(&["GET", "HEAD", "DELETE", "PUT"]);
            let body = bad_manifest(random);
            let body = (method == "PUT").then_some(body.as_slice());
            request(
                method,
                &format!("/v2/{name}/{kind}/{reference}"),
                &manifest,
                body,
            )
        }
        // Pages.
        6 => {
            let number = bad(random, NUMBERS);
            let last = random.of(REFERENCES);
            let list = match random.below(3) {
                0 => "_catalog".to_owned(),
                1 => format!("{name}/tags/list"),
                _ => format!("{name}/referrers/{digest}"),
            };
            let query = random.of(&["n", "last", "artifactType", "n=1&n", "%6e"]);
            request(
                "GET",
                &format!("/v2/{list}?{query}={number}&last={last}"),
                &[],
                None,
            )
        }
        // Uploads of what cannot be.
        7 => {
            let wrong = bad(random, REFERENCES);
            let target = match random.below(3) {
                0 => format!("/v2/{name}/blobs/uploads/?digest={wrong}"),
                1 => format!("/v2/{name}/blobs/uploads/?digest-algorithm={wrong}"),
                _ => format!("/v2/{name}/blobs/uploads/?digest={digest}"),
            };
            request("POST", &target, &[], Some(b"not that"))
        }
        // Chunks out of place, for an upload that is there.
        8 | 9 => {
            let range = random.of(CONTENT_RANGES);
            let headers = [
                ("Content-Range", range),
                ("Content-Type", "application/octet-stream"),
            ];
            if random.once_in(2) {
                request("PATCH", upload, &headers, Some(b"01234"))
            } else {
                let target = crate::support::and(upload, &format!("digest={digest}"));
                request("PUT", &target, &headers, Some(b"01234"))
            }
        }
        // Uploads that are not there.
        10 => {
            let id = bad(random, REFERENCES);
            let method = random.of(&["GET", "PATCH", "PUT", "DELETE"]);
            let query = random.of(&[
                "",
                "?digest=sha256:0",
                "?_state=x",
                "?state=%00",
                "?digest=",
            ]);
            let target = format!("/v2/{name}/blobs/uploads/{id}{query}");
            request(method, &target, &[], Some(b"x"))
        }
        // Documents that are none.
        11 | 12 => {
            let body = bad_manifest(random);
            let media_type =
                random.of(&[OCI_MANIFEST, OCI_INDEX, "", "text/plain", "\u{fc}", ";;;"]);
            let headers = [("Content-Type", media_type), ("If-Match", "\"")];
            let count = random.below(2);
            request(
                "PUT",
                &format!("/v2/{name}/manifests/bad"),
                &headers[..=count],
                Some(&body),
            )
        }
        // Reading with odd headers.
        13 => {
            let range = random.of(RANGES);
            let long = format!("bytes={}", "0-0,".repeat(random.below(2000)));
            let value = if random.once_in(10) {
                long.as_str()
            } else {
                range
            };
            let header = random.of(&[
                "Range",
                "If-None-Match",
                "If-Range",
                "Accept",
                "Authorization",
                "Forwarded",
                "X-Forwarded-Host",
                "If-Modified-Since",
                "Accept-Encoding",
                "Connection",
            ]);
            let headers = [("Range", range), (header, value)];
            let target = format!(
                "/v2/{name}/{}",
                random.of(&[blob.as_str(), "manifests/latest"])
            );
            let mut bad = request(random.of(&["GET", "HEAD"]), &target, &headers, None);
            bad.answer = Answer::May;
            bad
        }
        // What is hardly HTTP.
        14 => {
            let target = format!("/v2/{name}/manifests/bad");
            let odd = random.of(&[
                "Content-Length: -1",
                "Content-Length: x",
                "Content-Length: 1\r\nContent-Length: 2",
                "Content-Length: 99999999999999999999",
                "Transfer-Encoding: gzip",
                "Transfer-Encoding: chunked\r\nContent-Length: 3",
                "no colon",
                ": empty",
                "A\0: b",
                "A: \0",
                "Expect: 200-maybe",
                "Host: y\r\nHost: z",
                "Transfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n0",
                "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
                "Content-Encoding: gzip",
            ]);
            let first = random.of(&["PUT", "GET", "put", "P\0T", "", "VERY-LONG-METHOD-INDEED"]);
            let version = random.of(&["HTTP/1.1", "HTTP/1.0", "HTTP/9.9", "", "HTTP/1.1 x"]);
            let bytes =
                format!("{first} {target} {version}\r\nHost: x\r\n{odd}\r\n\r\n{{}}").into_bytes();
            Bad {
                method: first.to_owned(),
                bytes,
                answer: Answer::May,
                ends: true,
            }
        }
        // Requests that stop in the middle, and noise.
        _ => {
            let body = bad_manifest(random);
            let whole = request(
                "PUT",
                &format!("/v2/{name}/manifests/bad"),
                &manifest,
                Some(&body),
            );
            let mut bytes = whole.bytes;
            if random.once_in(3) {
                bytes = (0..random.below(300))
                    .map(|_| random.next().to_le_bytes()[0])
                    .collect();
            } else if random.once_in(20) {
                bytes = format!("GET /v2/ HTTP/1.1\r\nX: {}\r\n", "x".repeat(1 << 20)).into_bytes();
            } else {
                bytes.truncate(random.below(bytes.len()));
            }
            Bad {
                method: "PUT".to_owned(),
                bytes,
                answer: Answer::May,
                ends: true,
            }
        }
    }
}

/// Every file below a folder with its content, every folder without.
fn tree(folder: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let content = (!path.is_dir()).then(|| fs::read(&path).unwrap());
            found.insert(path.to_str().unwrap().to_owned(), content);
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

/// What became of one request.
fn attack(kept: &mut Option<BufReader<TcpStream>>, client: &Client, bad: &Bad) -> Option<Response> {
    for _ in 0..2 {
        let reused = kept.is_some();
        let mut stream = kept.take().unwrap_or_else(|| client.connect());
        let answer = if bad.ends {
            let _ = stream.get_mut().write_all(&bad.bytes);
            let _ = stream.get_mut().shutdown(Shutdown::Write);
            read(&mut stream, &bad.method)
        } else {
            exchange(&mut stream, &bad.bytes, &bad.method)
        };
        match answer {
            Ok(response) => {
                let closes = bad.ends || response.get("connection") == Some("close");
                // What was not HTTP may have been read as two requests.
                if !closes && bad.answer == Answer::Must {
                    *kept = Some(stream);
                } else {
                    let _ = stream.get_mut().shutdown(Shutdown::Write);
                }
                return Some(response);
            }
            Err(error) => {
                let kind = error.kind();
                assert!(
                    kind != std::io::ErrorKind::WouldBlock && kind != std::io::ErrorKind::TimedOut,
                    "no answer: {}",
                    String::from_utf8_lossy(&bad.bytes[..bad.bytes.len().min(500)])
                );
                if !reused {
                    return None;
                }
            }
        }
    }
    None
}

fn withstands(store: Store, count: usize) {
    let r = Repository::new(Server::start(Setup::new(store)), "hostile");
    r.image("latest");
    let blob = format!("blobs/{}", r.blob("0123456789"));
    let upload = r.append(&r.start(), 0, "begun");
    let place = Place {
        name: r.name.clone(),
        blob,
        upload,
    };
    let before = r.server.folder().map(tree);

    let mut random = Seeded::new(0x5eed);
    let mut kept = None;
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for number in 0..count {
        let bad = generate(&mut random, &place);
        let shown = || {
            let shown = &bad.bytes[..bad.bytes.len().min(500)];
            format!("request {number}: {}", String::from_utf8_lossy(shown))
        };
        let answer = attack(&mut kept, &r.client, &bad);
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        *statuses.entry(status).or_default() += 1;
        assert!(status < 500, "{status} to {}", shown());
        assert!(
            status != 0 || bad.answer == Answer::May,
            "no answer to {}",
            shown()
        );
        let reads = ["GET", "HEAD"].contains(&bad.method.as_str());
        assert!(
            reads || !(200..300).contains(&status),
            "{status} to {}",
            shown()
        );
        assert_eq!(panics(), 0, "a panic at {}", shown());
    }
    // Most were understood well enough to be refused, in more than one way.
    assert!(statuses.len() > 6, "{statuses:?}");

    if let (Some(before), Some(folder)) = (before, r.server.folder()) {
        let after = tree(folder);
        let changed: Vec<_> = after
            .iter()
            .filter(|(path, _)| !before.contains_key(*path))
            .collect();
        assert!(changed.is_empty(), "written: {changed:?}");
        assert!(before == after, "something changed that was there");
    }
    assert_eq!(r.get("tags/list").is(200).names("tags"), ["latest"]);
    let upload = r.append(&place.upload, 5, " and ended");
    r.close(&upload, &sha256("begun and ended")).send().is(201);
}

#[test]
fn twenty_thousand_bad_requests_write_nothing_fs() {
    withstands(Store::Fs, 20_000);
}

#[test]
fn bad_requests_are_refused_memory() {
    withstands(Store::Memory, 5_000);
}

/// A client that opens a connection and says nothing, or says it slowly, holds up nobody else.
#[test]
fn silent_clients_hold_up_nobody() {
    let r = Repository::new(Server::start(Setup::new(Store::Memory)), "silent");
    let silent: Vec<_> = (0..50).map(|_| r.client.connect()).collect();
    let slow: Vec<_> = (0..50)
        .map(|_| {
            let mut stream = r.client.connect();
            stream
                .get_mut()
                .write_all(b"PUT /v2/a/manifests/b HTTP/1.1\r\nHost: x\r\nContent-Le")
                .unwrap();
            stream
        })
        .collect();
    r.image("latest");
    r.get("manifests/latest").is(200);
    drop((silent, slow));
    let mut rest = Vec::new();
    let mut stream = r.client.connect();
    stream
        .get_mut()
        .write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.starts_with(b"HTTP/1.1 200"));
}
