//! How it ends: drained, cut, or at once; and that what was pushed is there again.

use std::io::{Read, Write};

use tempfile::TempDir;

use crate::program::Program;

/// A POST whose body is not there yet: it is under way until the rest of it comes.
const BEGUN: &[u8] = b"POST /v2/a/blobs/uploads/?digest=sha256:\
    2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 HTTP/1.1\r\n\
    Host: registry\r\nContent-Type: application/octet-stream\r\nContent-Length: 5\r\n\
    Expect: 100-continue\r\n\r\n";

#[test]
fn a_signal_drains() {
    let home = TempDir::new().unwrap();
    for signal in ["TERM", "INT"] {
        let drain = [("REGISTRY_HTTP_DRAINTIMEOUT", "1m")];
        let program = Program::in_memory(home.path(), &drain);
        let mut stream = program.connect();
        stream.write_all(BEGUN).unwrap();
        let mut ready = [0; 12];
        stream.read_exact(&mut ready).unwrap();
        assert_eq!(&ready, b"HTTP/1.1 100");
        program.signal(signal);
        program.wait_for("draining");
        stream.write_all(b"hello").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("HTTP/1.1 201"), "{answer}");
        assert_eq!(program.wait().0.code(), Some(0));
    }
}

#[test]
fn the_drain_has_an_end_and_a_second_signal_is_one() {
    let home = TempDir::new().unwrap();
    for (drain, second, status) in [("100ms", false, 0), ("1h", true, 143)] {
        let program = Program::in_memory(home.path(), &[("REGISTRY_HTTP_DRAINTIMEOUT", drain)]);
        let mut stream = program.connect();
        stream.write_all(BEGUN).unwrap();
        let mut ready = [0; 12];
        stream.read_exact(&mut ready).unwrap();
        program.signal("TERM");
        if second {
            program.wait_for("draining");
            program.signal("TERM");
        }
        assert_eq!(program.wait().0.code(), Some(status), "{drain}");
    }
}

#[test]
fn what_was_pushed_is_there_again() {
    let home = TempDir::new().unwrap();
    let program = Program::start(home.path(), &[], &[]);
    let put = "PUT /v2/a/manifests/v1\nContent-Type: application/vnd.oci.image.index.v1+json";
    let index = br#"{"schemaVersion":2,"manifests":[]}"#;
    assert_eq!(program.request(put, index).status, 201);
    program.signal("KILL");
    drop(program.wait());
    let program = Program::start(home.path(), &[], &[]);
    assert_eq!(program.request("GET /v2/a/manifests/v1", b"").status, 200);
}
