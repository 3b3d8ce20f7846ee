//! What clients use of Distribution, beside the specification.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, Write as _},
};

use registry_core::server::RegistryService;

use crate::support::{Client, Repository, Server, Setup, Store, octets, read, sha256};

/// The parts of a `multipart/byteranges` body, each with its `Content-Range`.
fn parts(content_type: &str, body: &[u8]) -> Vec<(String, String)> {
    let boundary = content_type
        .split_once("boundary=")
        .unwrap_or_else(|| panic!("no boundary in {content_type}"))
        .1
        .trim_matches('"');
    let body = String::from_utf8(body.to_owned()).unwrap();
    let mut parts: Vec<&str> = body.split(&format!("--{boundary}")).skip(1).collect();
    assert!(
        parts.pop().unwrap().starts_with("--"),
        "the body has an end"
    );
    let part = |text: &str| {
        let (head, content) = text.split_once("\r\n\r\n").unwrap();
        let range = head
            .lines()
            .find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-range")
                    .then(|| value.trim().to_owned())
            })
            .expect("a part says where it lies");
        (range, content.trim_end_matches("\r\n").to_owned())
    };
    parts.into_iter().map(part).collect()
}

rules! {
    fn every_answer_has_the_api_version(r) {
        for response in [
            r.client.request("GET", "/v2/").send(),
            r.get("tags/list"),
            r.get("nothing"),
            r.ask("POST", "blobs/uploads/").send(),
            r.client.request("GET", "/v2/UPPER/tags/list").send(),
        ] {
            assert_eq!(response.header("Docker-Distribution-Api-Version"), "registry/2.0");
        }
    }

    fn uploads_have_their_uuid(r) {
        let started = r.ask("POST", "blobs/uploads/").send().is(202).has("Range", "0-0");
        let id = started.header("Docker-Upload-UUID").to_owned();
        let location = started.header("Location").to_owned();
        let sent = octets(r.at("PATCH", &location)).body("0").send().is(202);
        let location = sent.has("Docker-Upload-UUID", &id).header("Location").to_owned();
        r.at("GET", &location).send().is(204).has("Docker-Upload-UUID", &id);
        let cancelled = r.at("DELETE", &location).send().is(204);
        assert!(cancelled.get("Docker-Upload-UUID").is_none_or(|found| found == id));
    }

    fn etag_is_the_digest_and_if_none_match_is_304(r) {
        let bytes = r.image("latest");
        let (manifest, blob) = (sha256(&bytes), r.blob("a blob"));
        for (target, digest) in [
            ("manifests/latest".to_owned(), &manifest),
            (format!("manifests/{manifest}"), &manifest),
            (format!("blobs/{blob}"), &blob),
        ] {
            let etag = format!("\"{digest}\"");
            r.get(&target).is(200).has("ETag", &etag);
            for method in ["GET", "HEAD"] {
                for value in [etag.clone(), format!("\"x\", {etag}"), "*".into(), format!("W/{etag}")] {
                    let request = r.ask(method, &target).header("If-None-Match", value);
                    request.send().is(304).has("ETag", &etag);
                }
                let request = r.ask(method, &target).header("If-None-Match", "\"sha256:0\"");
                request.send().is(200);
            }
        }
    }

    fn an_if_none_match_without_quotes_is_read_as_distribution_does(r) {
        let digest = sha256(r.image("latest"));
        let request = r.ask("GET", "manifests/latest").header("If-None-Match", digest);
        request.send().is(304);
    }

    fn blobs_are_octet_streams_that_never_change(r) {
        let blob = r.get(&format!("blobs/{}", r.blob("a blob"))).is(200);
        assert_eq!(blob.header("Content-Type"), "application/octet-stream");
        assert!(blob.header("Cache-Control").contains("max-age=31536000"), "{blob}");
        assert_eq!(blob.header("Accept-Ranges"), "bytes");
    }

    fn several_ranges_are_a_multipart_answer(r) {
        let blob = format!("blobs/{}", r.blob("0123456789"));
        let pulled = r.ask("GET", &blob).header("Range", "bytes=0-1,5-6, -1").send().is(206);
        let content_type = pulled.header("Content-Type");
        assert!(content_type.starts_with("multipart/byteranges;"), "{content_type}");
        let expected = [
            ("bytes 0-1/10", "01"),
            ("bytes 5-6/10", "56"),
            ("bytes 9-9/10", "9"),
        ];
        let expected = expected.map(|(range, part)| (range.to_owned(), part.to_owned()));
        assert_eq!(parts(content_type, &pulled.body), expected);
        // What lies outside is left out, and one part alone is no multipart.
        let pulled = r.ask("GET", &blob).header("Range", "bytes=2-3,50-60").send().is(206);
        assert_eq!(pulled.body, b"23", "{pulled}");
    }

    fn if_range_that_does_not_match_gives_the_whole(r) {
        let digest = r.blob("0123456789");
        let blob = format!("blobs/{digest}");
        for (value, status) in [
            (format!("\"{digest}\""), 206),
            ("\"other\"".into(), 200),
            (format!("W/\"{digest}\""), 200),
            ("Wed, 21 Oct 2015 07:28:00 GMT".into(), 200),
        ] {
            let request = r.ask("GET", &blob).header("Range", "bytes=0-1");
            request.header("If-Range", value).send().is(status);
        }
    }

    fn a_range_at_head_is_ignored(r) {
        let blob = format!("blobs/{}", r.blob("0123456789"));
        let head = r.ask("HEAD", &blob).header("Range", "bytes=0-1").send();
        assert!([200, 206].contains(&head.status), "{head}");
    }

    fn trailing_slashes_may_be_missing_or_there(r) {
        r.image("latest");
        r.ask("POST", "blobs/uploads").send().is(202);
        r.ask("POST", "blobs/uploads/").send().is(202);
        r.get("tags/list/").is(200);
        r.get("manifests/latest/").is(200);
        r.client.request("GET", "/v2/_catalog/").send().is(200);
    }

    fn percent_encoding_is_undone(r) {
        let bytes = r.image("latest");
        let digest = sha256(&bytes).replace(':', "%3A");
        r.get(&format!("manifests/{digest}")).is(200).bytes(&bytes);
        let blob = r.blob("a blob").replace(':', "%3a");
        let location = r.start();
        r.close(&location, &blob).body("a blob").send().is(201);
        let from = r.beside("from");
        from.blob("b");
        let target = format!(
            "blobs/uploads/?mount={}&from={}",
            sha256("b").replace(':', "%3A"),
            from.name.replace('/', "%2F")
        );
        r.ask("POST", &target).send().is(201);
    }

    fn a_repository_may_be_named_like_an_end_point(r) {
        for name in ["blobs", "manifests", "tags/list", "uploads", "a/blobs/uploads", "referrers"] {
            let one = r.beside(name);
            let bytes = one.image("latest");
            one.get("manifests/latest").is(200).bytes(bytes);
            assert_eq!(one.get("tags/list").is(200).names("tags"), ["latest"]);
        }
    }

    fn a_body_is_asked_for_only_when_it_will_be_taken(r) {
        let first_line = |target: &str, body: &str| {
            let mut stream = r.client.connect();
            let head = format!(
                "PUT {target} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
                 Content-Length: {}\r\n\r\n",
                body.len()
            );
            stream.get_mut().write_all(head.as_bytes()).unwrap();
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            (line.trim_end().to_owned(), stream)
        };
        let location = r.start();
        let target = crate::support::and(&location, &format!("digest={}", sha256("a blob")));
        let (line, mut stream) = first_line(&target, "a blob");
        assert_eq!(line, "HTTP/1.1 100 Continue");
        stream.get_mut().write_all(b"a blob").unwrap();
        let mut end = String::new();
        stream.read_line(&mut end).unwrap();
        assert_eq!(read(&mut stream, "PUT").unwrap().status, 201);

        for (target, status) in [
            ("/v2/UPPER/manifests/x".to_owned(), "400"),
            (format!("/v2/{}/blobs/uploads/gone?digest={}", r.name, sha256("never")), "404"),
            (format!("/v2/{}/manifests/-", r.name), "400"),
        ] {
            let (line, _) = first_line(&target, "a blob");
            assert!(line.starts_with(&format!("HTTP/1.1 {status}")), "{target}: {line}");
        }
    }

    fn an_empty_patch_keeps_docker_s_upload_alive(r) {
        // Docker sends a POST, one streamed PATCH, one PUT without a body.
        let location = r.start();
        let sent = r.at("PATCH", &location).streamed("a layer").send().is(202);
        r.at("PUT", &crate::support::and(sent.header("Location"), &format!("digest={}", sha256("a layer"))))
            .send().is(201);
    }
}

/// Repositories with a manifest are listed, in byte order of whole names, in pages that neither
/// skip nor repeat.
fn catalog(store: Store) {
    let server = Server::start(Setup::new(store));
    let client = Client::new(server.address());
    let ask = |query: &str| {
        client
            .request("GET", &format!("/v2/_catalog{query}"))
            .send()
    };
    assert_eq!(ask("").is(200).names("repositories"), [""; 0]);
    let names = ["b", "a/b", "a-b", "a.b", "a", "a/b/c", "ab", "a0"];
    for name in names {
        let mut repository = Repository::new(server.clone(), "x");
        repository.name = name.to_owned();
        repository.tagged("latest", name);
    }
    let mut unlisted = Repository::new(server.clone(), "x");
    unlisted.name = "only/blobs".to_owned();
    unlisted.blob("no manifest");

    let sorted: Vec<_> = names
        .into_iter()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    assert_eq!(ask("").is(200).names("repositories"), sorted);
    for n in 1..=9 {
        let mut target = format!("/v2/_catalog?n={n}");
        let mut listed = Vec::new();
        loop {
            let page = client.request("GET", &target).send().is(200);
            let here = page.names("repositories");
            assert!(here.len() <= n && !here.is_empty(), "{page}");
            listed.extend(here);
            match page.next_page() {
                Some(next) => target = next,
                None => break,
            }
        }
        assert_eq!(listed, sorted, "{n}");
    }
    assert_eq!(ask("?last=a0&n=1").is(200).names("repositories"), ["ab"]);
    assert_eq!(ask("?last=a1").is(200).names("repositories"), ["ab", "b"]);
    let none = ask("?n=0").is(200).lacks("Link");
    assert_eq!(none.names("repositories"), [""; 0]);
    for bad in ["-1", "x", "1.5"] {
        ask(&format!("?n={bad}")).refused(400, "PAGINATION_NUMBER_INVALID");
    }
    ask("?n=9223372036854775808").is(200);
    ask("?last=..%2F..%00").is(200);
    client.request("HEAD", "/v2/_catalog").send().is(200);
}

#[test]
fn the_catalog_fs() {
    catalog(Store::Fs);
}

#[test]
fn the_catalog_memory() {
    catalog(Store::Memory);
}

/// Where an upload is said to go on, by a registry with those settings, to a client that sends those
/// headers.
fn location(
    configure: fn(RegistryService) -> RegistryService,
    prefix: &str,
    headers: &[(&str, &str)],
) -> String {
    let server = Server::start(Setup::new(Store::Memory).configured(configure));
    let client = Client::new(server.address());
    let mut request = client.request("POST", &format!("{prefix}/v2/a/blobs/uploads/"));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let started = request.send().is(202);
    let location = started.header("Location");
    let (place, _) = location
        .split_once("/v2/a/blobs/uploads/")
        .expect("it is an upload");
    place.replace(&server.address().to_string(), "HERE")
}

#[test]
fn location_is_relative_or_what_was_configured_or_what_a_trusted_proxy_says() {
    let forwarded = [("Forwarded", "for=1.2.3.4;host=f.example;proto=https")];
    let x_forwarded = [
        ("X-Forwarded-Host", "x.example"),
        ("X-Forwarded-Proto", "https"),
    ];
    assert_eq!(location(|s| s, "", &[]), "");
    assert_eq!(location(|s| s, "", &forwarded), "");
    assert_eq!(location(|s| s, "", &x_forwarded), "");
    assert_eq!(
        location(|s| s.relative_locations(false), "", &[]),
        "http://HERE"
    );
    assert_eq!(
        location(|s| s.relative_locations(false), "", &x_forwarded),
        "http://HERE"
    );
    let host = |s: RegistryService| s.host("https://r.example");
    assert_eq!(location(host, "", &[]), "https://r.example");
    assert_eq!(location(host, "", &x_forwarded), "https://r.example");
    let trusting = |s: RegistryService| s.trusted_proxies(|ip| ip.is_loopback());
    assert_eq!(location(trusting, "", &[]), "");
    assert_eq!(location(trusting, "", &forwarded), "https://f.example");
    assert_eq!(location(trusting, "", &x_forwarded), "https://x.example");
    let junk = [
        ("X-Forwarded-Host", "a b/../"),
        ("X-Forwarded-Proto", "javascript"),
    ];
    let answered = location(trusting, "", &junk);
    assert!(
        !answered.contains("javascript") && !answered.contains(".."),
        "{answered}"
    );
    let prefixed = |s: RegistryService| s.prefix("/below");
    assert_eq!(location(prefixed, "/below", &[]), "/below");
}

#[test]
fn under_a_prefix_everything_is_below_it() {
    let setup = Setup::new(Store::Memory).configured(|service| service.prefix("/below/this/"));
    let server = Server::start(setup);
    let client = Client::new(server.address());
    client.request("GET", "/below/this/v2/").send().is(200);
    client.request("GET", "/v2/").send().is(404);
    client.request("GET", "/below/thisv2/").send().is(404);
}
