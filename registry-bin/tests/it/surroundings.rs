//! What surrounds the registry: the debug address, SIGHUP, proxies that are trusted.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Command,
    thread,
};

use tempfile::TempDir;

use crate::program::{Program, exchange, until};

#[test]
fn health_is_told_at_the_debug_address_and_switched_there() {
    let home = TempDir::new().unwrap();
    let program = Program::in_memory(
        home.path(),
        &[
            ("REGISTRY_HTTP_DEBUG_ADDR", "127.0.0.1:0"),
            ("REGISTRY_HEALTH_STORAGEDRIVER_ENABLED", "true"),
        ],
    );
    let log = program.log();
    let address = log.split("health: at http://").nth(1).unwrap();
    let address = address.split('/').next().unwrap().to_owned();
    let debug = |request: &str| {
        let stream = TcpStream::connect(&address).unwrap();
        exchange(stream, request, b"")
    };
    let told = debug("GET /debug/health");
    assert_eq!((told.status, told.body.as_str()), (200, "{}"));
    assert_eq!(debug("POST /debug/health/down").status, 200);
    let told = debug("GET /debug/health");
    assert_eq!(told.status, 503);
    assert!(told.body.contains("manual_http_status"), "{}", told.body);
    let refused = program.request("GET /v2/", b"");
    assert_eq!(refused.status, 503);
    assert!(refused.body.contains("UNAVAILABLE"), "{}", refused.body);
    assert_eq!(debug("POST /debug/health/up").status, 200);
    assert_eq!(program.request("GET /v2/", b"").status, 200);
    assert_eq!(debug("GET /metrics").status, 404);
    // While what is under way ends, another registry can have the addresses already.
    let started = program.request("POST /v2/a/blobs/uploads/", b"");
    let location = started.header("location").unwrap();
    let head = format!("PATCH {location} HTTP/1.1\r\nHost: r\r\nContent-Length: 2\r\n");
    let mut upload = program.connect();
    write!(upload, "{head}Expect: 100-continue\r\n\r\n").unwrap();
    upload.read_exact(&mut [0; 25]).unwrap();
    program.signal("TERM");
    until("the debug address is left", || {
        TcpStream::connect(&address).is_err()
    });
    upload.write_all(b"ab").unwrap();
    let mut answer = String::new();
    upload.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert_eq!(program.end().status.code(), Some(0));
}

#[test]
fn a_hangup_reads_the_levels_of_the_log_again() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("c.yml");
    let config = |level| format!("version: 0.1\nstorage: inmemory\nlog: {{level: {level}}}\n");
    fs::write(&file, config("info")).unwrap();
    let program = Program::start(home.path(), &[file.to_str().unwrap()], &[]);
    fs::write(&file, config("loud")).unwrap();
    program.signal("HUP");
    program.wait_for("log levels: could not be read again");
    fs::write(&file, config("debug")).unwrap();
    program.signal("HUP");
    program.wait_for("log levels: read again");
    assert_eq!(program.request("GET /v2/", b"").status, 200);
    // What goes wrong with a connection is told at `debug` alone.
    program
        .connect()
        .write_all(b"GET /v2/ HTTP/1.1\r\nHost")
        .unwrap();
    program.wait_for("level=debug msg=\"a connection failed\"");
}

/// Makes a named pipe, and writes `text` to whoever opens it first.
fn pipe(path: &Path, text: &'static str) -> thread::JoinHandle<()> {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.expect("mkfifo is everywhere").success());
    let path = path.to_owned();
    thread::spawn(move || fs::write(path, text).expect("it is read"))
}

#[test]
fn what_came_through_a_pipe_is_read_once_and_a_hangup_does_not_wait_for_it() {
    let home = TempDir::new().unwrap();
    let (config, secret) = (home.path().join("c.yml"), home.path().join("secret"));
    let written = pipe(&config, "version: 0.1\nstorage: inmemory\n");
    let program = Program::start(home.path(), &[config.to_str().unwrap()], &[]);
    written.join().unwrap();
    for times in 1..=2 {
        program.signal("HUP");
        let said = "c.yml is no regular file: it was read at the start, and cannot be read again";
        program.wait_for_times(said, times);
    }
    assert!(!program.log().contains("log levels: read again"));
    assert_eq!(program.request("GET /v2/", b"").status, 200);
    program.signal("TERM");
    assert_eq!(program.end().status.code(), Some(0));

    let written = pipe(&secret, "hunter2\n");
    let variables = [("REGISTRY_HTTP_SECRET_FILE", secret.to_str().unwrap())];
    let program = Program::in_memory(home.path(), &variables);
    written.join().unwrap();
    for times in 1..=2 {
        program.signal("HUP");
        program.wait_for_times("log levels: could not be read again", times);
    }
    assert_eq!(program.request("GET /v2/", b"").status, 200);
    program.signal("TERM");
    let ended = program.end();
    assert_eq!(ended.status.code(), Some(0));
    let said = "it is no regular file: it was read at the start, and cannot be read again";
    assert!(ended.log.contains(said), "{}", ended.log);
}

#[test]
fn only_a_trusted_proxy_says_where_clients_are() {
    let home = TempDir::new().unwrap();
    let upload = "POST /v2/a/blobs/uploads/\nX-Forwarded-Proto: https\nX-Forwarded-Host: r.example\n\
                  X-Request-Id: from-the-proxy";
    let plain = Program::in_memory(home.path(), &[]);
    let answer = plain.request(upload, b"");
    assert!(answer.header("location").unwrap().starts_with("/v2/a/"));
    assert_ne!(answer.header("x-request-id"), Some("from-the-proxy"));
    let trusting = Program::in_memory(
        home.path(),
        &[("REGISTRY_HTTP_TRUSTEDPROXIES", "[127.0.0.0/8]")],
    );
    let answer = trusting.request(upload, b"");
    let location = answer.header("location").unwrap();
    assert!(
        location.starts_with("https://r.example/v2/a/"),
        "{location}"
    );
    assert_eq!(answer.header("x-request-id"), Some("from-the-proxy"));
}
