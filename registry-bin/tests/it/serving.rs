//! What it answers: a push and a pull, settings that show, paths that are none of the registry's.

use std::{fs, os::unix::net::UnixStream};

use tempfile::TempDir;

use crate::program::{Program, exchange, output};

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
    }
}
