//! What requests leave in the logs.

use std::{
    fs,
    io::{Read as _, Write as _},
};

use registry_core::Algorithm;
use tempfile::TempDir;

use crate::program::Program;

const SIZE: usize = 64 << 20;

#[test]
fn a_line_has_the_bytes_that_were_sent_and_what_was_asked() {
    let home = TempDir::new().unwrap();
    let program = Program::in_memory(home.path(), &[("REGISTRY_HTTP_DRAINTIMEOUT", "0s")]);
    let content = vec![b'x'; SIZE];
    let digest = Algorithm::Sha256.digest(&content);
    let upload = || program.request("POST /v2/a/blobs/uploads/", b"");
    let location = upload().header("location").unwrap().to_owned();
    let pushed = program.request(&format!("PUT {location}&digest={digest}"), &content);
    assert_eq!(pushed.status, 201);
    let blob = format!("/v2/a/blobs/{digest}");

    let listed = program.request("GET /v2/a/tags/list?n=5&token=hunter2", b"");
    assert_eq!(listed.status, 200);
    assert_eq!(program.request(&format!("HEAD {blob}"), b"").status, 200);
    let mut leaves = program.connect();
    write!(leaves, "GET {blob} HTTP/1.1\r\nHost: r\r\n\r\n").unwrap();
    leaves.read_exact(&mut [0; 1000]).unwrap();
    drop(leaves);
    // One that still sends when the program ends.
    let (mut sends, location) = (
        program.connect(),
        upload().header("location").unwrap().to_owned(),
    );
    write!(
        sends,
        "PATCH {location} HTTP/1.1\r\nHost: r\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"
    )
    .unwrap();
    sends.read_exact(&mut [0; 21]).unwrap();
    program.signal("TERM");

    let printed = program.wait().1;
    let line = |with: &str| {
        let found = printed.lines().find(|line| line.contains(with));
        found.unwrap_or_else(|| panic!("{with} is not in\n{printed}"))
    };
    let sent = |with: &str| -> usize {
        let rest = line(with).split(" HTTP/1.1\" 200 ").nth(1).unwrap();
        rest.split(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!(sent(&format!("HEAD {blob}")), 0);
    let some = sent(&format!("GET {blob}"));
    assert!((1..SIZE).contains(&some), "{some}");
    line("\"GET /v2/a/tags/list?n=5&token=*** HTTP/1.1\" 200 ");
    let path = location.split('?').next().unwrap();
    let cut_off = line(&format!("\"PATCH {path}"));
    assert!(cut_off.contains(" HTTP/1.1\" 499 0 "), "{cut_off}");
}

#[test]
fn refusals_are_told_at_debug_and_logins_that_failed_always() {
    let home = TempDir::new().unwrap();
    let users = home.path().join("htpasswd");
    // testuser, testpassword
    let line = "testuser:$2y$04$VL8FdW.0tX1Yjk1q9EY97e.PqVCIRhJVXgb5mhlkc.rslWAljY1Zi\n";
    fs::write(&users, line).unwrap();
    let wrong = "GET /v2/\nAuthorization: Basic dGVzdHVzZXI6d3Jvbmc=";
    for level in ["info", "debug"] {
        let variables = [
            ("REGISTRY_LOG_LEVEL", level),
            ("REGISTRY_AUTH", "htpasswd"),
            ("REGISTRY_AUTH_HTPASSWD_PATH", users.to_str().unwrap()),
            ("REGISTRY_AUTH_HTPASSWD_REALM", "r"),
        ];
        let program = Program::in_memory(home.path(), &variables);
        assert_eq!(program.request("GET /v2/a/tags/list", b"").status, 401);
        assert_eq!(program.request(wrong, b"").status, 401);
        program.signal("TERM");
        program.wait_for("stopped");
        let log = program.log();
        assert_eq!(log.matches("login failed: ").count(), 1, "{log}");
        assert!(log.contains("client=127.0.0.1"), "{log}");
        assert!(!log.contains("d3Jvbmc"), "{log}");
        let refused = log.matches("refused: ").count();
        assert_eq!(refused, usize::from(level == "debug"), "{log}");
    }
}
