//! What it answers: a push and a pull, settings that show, paths that are none of the registry's.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
};

use tempfile::TempDir;

use crate::program::{Program, exchange, output, until};

const INDEX: &[u8] = br#"{"schemaVersion":2,"manifests":[]}"#;
const PUT: &str = "PUT /v2/a/b/manifests/v1\n\
                   Content-Type: application/vnd.oci.image.index.v1+json";

#[test]
fn a_push_and_a_pull_on_disk_and_in_memory() {
    let home = TempDir::new().unwrap();
    for variables in [&[][..], &[("REGISTRY_STORAGE", "inmemory")]] {
        let program = Program::start(home.path(), &[], variables);
        assert_eq!(program.request(PUT, INDEX).status, 201);
        let pulled = program.request("GET /v2/a/b/manifests/v1", b"");
        assert_eq!((pulled.status, pulled.body.as_bytes()), (200, INDEX));
        assert_eq!(
            program.request("GET /v2/_catalog", b"").body.trim(),
            r#"{"repositories":["a/b"]}"#
        );
        assert_eq!(
            program.request("DELETE /v2/a/b/manifests/v1", b"").status,
            202
        );
    }
}

#[test]
fn paths_of_nobodys() {
    let home = TempDir::new().unwrap();
    let program = Program::in_memory(home.path(), &[]);
    for (path, status, body) in [
        ("/", 200, Some("")),
        ("/v2/", 200, Some("{}")),
        ("/_ping", 200, Some("")),
        ("/v1/_ping", 200, Some("")),
        (
            "/v1/search?q=a",
            404,
            Some("v1 not supported: this registry speaks /v2/\n"),
        ),
        ("/elsewhere", 404, Some("404 page not found\n")),
    ] {
        let answer = program.request(&format!("GET {path}"), b"");
        assert_eq!(answer.status, status, "{path}");
        assert!(
            body.is_none_or(|body| body == answer.body),
            "{path}: {}",
            answer.body
        );
        let asked_first = program.request(&format!("OPTIONS {path}"), b"");
        assert_eq!(asked_first.status, status, "{path}");
        let allows = asked_first.header("allow").is_some();
        assert_eq!(allows, status == 200, "{path}");
    }
}

#[test]
fn settings_that_show() {
    let home = TempDir::new().unwrap();
    let rows: [(&[_], _, _); 4] = [
        (&[], 201, 202),
        (&[("REGISTRY_STORAGE_DELETE_ENABLED", "false")], 201, 405),
        (
            &[("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "true")],
            405,
            405,
        ),
        (
            &[("REGISTRY_HTTP_HEADERS_X-FRAME-OPTIONS", "[DENY]")],
            201,
            202,
        ),
    ];
    for (variables, put, delete) in rows {
        let program = Program::in_memory(home.path(), variables);
        let pushed = program.request(PUT, INDEX);
        assert_eq!(pushed.status, put, "{variables:?}");
        let deleted = program.request("DELETE /v2/a/b/manifests/v1", b"");
        assert_eq!(deleted.status, delete, "{variables:?}");
        let header = variables.iter().any(|(name, _)| name.contains("HEADERS"));
        assert_eq!(
            deleted.header("x-frame-options").is_some(),
            header,
            "{variables:?}"
        );
    }
}

#[test]
fn whoever_asks_for_no_number_of_tags_has_all() {
    let home = TempDir::new().unwrap();
    let program = Program::in_memory(home.path(), &[("REGISTRY_TAGS_MAXTAGS", "2")]);
    for tag in ["v1", "v2", "v3"] {
        assert_eq!(
            program
                .request(
                    &PUT.replace("manifests/v1", &format!("manifests/{tag}")),
                    INDEX
                )
                .status,
            201
        );
    }
    let listed = |query: &str| {
        let answer = program.request(&format!("GET /v2/a/b/tags/list{query}"), b"");
        let tags = answer.body.matches("\"v").count();
        (tags, answer.header("link").is_some())
    };
    assert_eq!(listed(""), (3, false));
    assert_eq!(listed("?last=v1"), (2, false));
    assert_eq!(listed("?n=1"), (1, true));
    assert_eq!(listed("?n=3"), (2, true));
}

#[test]
fn references_and_urls_are_checked_as_configured() {
    let home = TempDir::new().unwrap();
    let zeros = "0".repeat(64);
    let child = format!(
        r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:{zeros}","size":2,"platform":{{"architecture":"arm","os":"linux"}}}}"#
    );
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{child}]}}"#);
    let rows: [(&[_], _); 5] = [
        (&[], 400),
        (&[("REGISTRY_VALIDATION_DISABLED", "true")], 201),
        (&[("REGISTRY_VALIDATION_MANIFESTS_REFERENCES", "none")], 201),
        (
            &[("REGISTRY_VALIDATION_MANIFESTS_INDEXES", "{platforms: none}")],
            201,
        ),
        (
            &[(
                "REGISTRY_VALIDATION_MANIFESTS_INDEXES",
                "{platforms: list, platformlist: [{architecture: amd64, os: linux}]}",
            )],
            201,
        ),
    ];
    for (variables, status) in rows {
        let program = Program::in_memory(home.path(), variables);
        let pushed = program.request(PUT, index.as_bytes());
        assert_eq!(pushed.status, status, "{variables:?}: {}", pushed.body);
    }
}

#[test]
fn below_a_prefix_and_under_a_host() {
    let home = TempDir::new().unwrap();
    let variables = [("REGISTRY_HTTP_PREFIX", "/oci/")];
    let program = Program::in_memory(home.path(), &variables);
    assert_eq!(program.request("GET /oci/v2/", b"").status, 200);
    assert_eq!(program.request("GET /v2/", b"").status, 404);
    let started = program.request("POST /oci/v2/a/blobs/uploads/", b"");
    let location = started.header("location").unwrap_or_default();
    assert!(
        location.starts_with("/oci/v2/a/blobs/uploads/"),
        "{location}"
    );

    let variables = [("REGISTRY_HTTP_HOST", "https://registry.example.org")];
    let program = Program::in_memory(home.path(), &variables);
    let started = program.request("POST /v2/a/blobs/uploads/", b"");
    let location = started.header("location").unwrap_or_default();
    assert!(
        location.starts_with("https://registry.example.org/v2/a/"),
        "{location}"
    );
}

#[test]
fn on_a_unix_socket() {
    let home = TempDir::new().unwrap();
    let socket = home.path().join("registry.sock");
    let path = socket.to_str().unwrap();
    let variables = [("REGISTRY_HTTP_NET", "unix"), ("REGISTRY_HTTP_ADDR", path)];
    let program = Program::in_memory(home.path(), &variables);
    let stream = UnixStream::connect(&socket).unwrap();
    assert_eq!(exchange(stream, "GET /v2/", b"").status, 200);

    let second = output(home.path(), &["serve"], &variables);
    assert_eq!(second.status.code(), Some(1), "the first one still answers");
    program.signal("KILL");
    drop(program.wait());
    assert!(socket.exists(), "nobody removed it");
    let program = Program::in_memory(home.path(), &variables);
    program.signal("TERM");
    assert!(program.wait().0.success());
    assert!(!socket.exists());
}

#[test]
fn a_registry_that_drains_leaves_its_successor_the_socket() {
    const BEGUN: &[u8] = b"POST /v2/a/blobs/uploads/?digest=sha256:\
        2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 HTTP/1.1\r\n\
        Host: registry\r\nContent-Type: application/octet-stream\r\nContent-Length: 5\r\n\
        Expect: 100-continue\r\n\r\n";
    let home = TempDir::new().unwrap();
    let socket = home.path().join("registry.sock");
    let variables = [
        ("REGISTRY_HTTP_NET", "unix"),
        ("REGISTRY_HTTP_ADDR", socket.to_str().unwrap()),
        ("REGISTRY_HTTP_DRAINTIMEOUT", "10m"),
    ];
    let first = Program::in_memory(home.path(), &variables);
    let mut slow = UnixStream::connect(&socket).unwrap();
    slow.write_all(BEGUN).unwrap();
    let mut ready = [0; 12];
    slow.read_exact(&mut ready).unwrap();
    assert_eq!(&ready, b"HTTP/1.1 100");
    first.signal("TERM");
    first.wait_for("draining");
    until("the socket is free", || !socket.exists());
    let second = Program::in_memory(home.path(), &variables);
    slow.write_all(b"hello").unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("HTTP/1.1 201"), "{answer}");
    assert_eq!(first.end().status.code(), Some(0));

    let stream = UnixStream::connect(&socket).unwrap();
    assert_eq!(exchange(stream, "GET /v2/", b"").status, 200);
    // What is not the socket any more is not removed with it.
    fs::rename(&socket, home.path().join("moved")).unwrap();
    fs::write(&socket, "of somebody else's").unwrap();
    second.signal("TERM");
    assert_eq!(second.end().status.code(), Some(0));
    assert!(socket.exists());
}

#[test]
fn a_header_that_an_answer_has_stays_what_it_is() {
    let home = TempDir::new().unwrap();
    let headers = "{Cache-Control: [max-age=1], Content-Type: [text/x-added], \
                   X-Request-Id: [added], X-Added: [one, two]}";
    let program = Program::in_memory(home.path(), &[("REGISTRY_HTTP_HEADERS", headers)]);
    for method in ["GET", "HEAD"] {
        for (path, status, cache, media_type) in [
            ("/", 200, "no-cache", "text/x-added"),
            ("/_ping", 200, "no-cache", "text/x-added"),
            ("/v1/_ping", 200, "no-cache", "text/x-added"),
            ("/nothing", 404, "max-age=1", "text/plain; charset=utf-8"),
            ("/v2/", 200, "max-age=1", "application/json"),
        ] {
            let answer = program.request(&format!("{method} {path}"), b"");
            assert_eq!(answer.status, status, "{method} {path}");
            let all = |name: &str| -> Vec<_> {
                let found = answer.headers.iter().filter(|(key, _)| key == name);
                found.map(|(_, value)| value.as_str()).collect()
            };
            assert_eq!(all("cache-control"), [cache], "{method} {path}");
            assert_eq!(all("content-type"), [media_type], "{method} {path}");
            let id = all("x-request-id");
            assert!(id.len() == 1 && id != ["added"], "{method} {path}: {id:?}");
            assert_eq!(all("x-added"), ["one", "two"], "{method} {path}");
        }
    }
}

#[test]
fn the_access_log_is_on_standard_output() {
    let home = TempDir::new().unwrap();
    for (disabled, lines) in [("false", 1), ("true", 0)] {
        let variables = [("REGISTRY_LOG_ACCESSLOG_DISABLED", disabled)];
        let program = Program::in_memory(home.path(), &variables);
        let head = "GET /v2/a/tags/list?n=1\nUser-Agent: curl/8\nReferer: http://r/";
        program.request(head, b"");
        program.signal("TERM");
        let printed = program.wait().1;
        assert_eq!(printed.lines().count(), lines, "{printed}");
        if lines > 0 {
            assert!(printed.starts_with("127.0.0.1 - - ["), "{printed}");
            assert!(
                printed.contains(r#"] "GET /v2/a/tags/list?n=1 HTTP/1.1" 404 "#),
                "{printed}"
            );
            assert!(printed.ends_with("\"http://r/\" \"curl/8\"\n"), "{printed}");
        }
    }
}

#[test]
fn where_it_cannot_start_it_says_why() {
    let home = TempDir::new().unwrap();
    let program = Program::in_memory(home.path(), &[]);
    let taken = [
        ("REGISTRY_STORAGE", "inmemory"),
        ("REGISTRY_HTTP_ADDR", &program.address),
    ];
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let file = [
        ("REGISTRY_HTTP_ADDR", "127.0.0.1:0"),
        (
            "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY",
            file.to_str().unwrap(),
        ),
    ];
    for (variables, told) in [
        (
            taken,
            "stop what listens there, or choose another http.addr",
        ),
        (file, "name another in storage.filesystem.rootdirectory"),
    ] {
        let output = output(home.path(), &["serve"], &variables);
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(log.contains(told), "{log}");
        // The cause is said once, behind what to do.
        assert_eq!(log.matches("(os error ").count(), 1, "{log}");
        assert!(log.contains("\n  because: "), "{log}");
    }
}
