//! Where the configuration comes from, and that what cannot be honoured stops the start.

use std::fs;

use tempfile::TempDir;

use crate::program::{Program, output};

#[test]
fn without_anything_it_says_what_it_does() {
    let home = TempDir::new().unwrap();
    let program = Program::start(
        home.path(),
        &[],
        &[("REGISTRY_PORT", "tcp://10.0.0.1:5000")],
    );
    let log = program.log();
    let root = home.path().join(".local/share/registry");
    for line in [
        "configuration: no file: neither the command line nor REGISTRY_CONFIGURATION_PATH names one; \
         defaults and variables alone",
        "cache: on, in this process and bounded, checked against the disk; no Redis",
        &format!("storage: filesystem, in {}", root.display()),
        "deletes: on (",
        "read-only: off",
        "validation: what a manifest refers to must be there",
        "upload purging: after 168h without a byte, every 24h",
        "drain: 5s after SIGTERM or SIGINT",
        "REGISTRY_PORT: not a setting, ignored",
        "listening on http://127.0.0.1:",
    ] {
        assert!(log.contains(line), "{line}\nis not in\n{log}");
    }
    assert!(root.is_dir());
}

#[test]
fn a_file_by_argument_or_by_variable() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("config.yml");
    fs::write(
        &file,
        "version: 0.1\nstorage: inmemory\nlog: {formatter: json}\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let by_argument = Program::start(home.path(), &[file], &[]);
    let log = by_argument.log();
    assert!(
        log.contains(&format!("configuration: {file} (from the command line)")),
        "{log}"
    );
    assert!(log.contains("deletes: off ("), "{log}");
    assert!(log.lines().all(|line| line.starts_with('{')), "{log}");
    let variables = [("REGISTRY_CONFIGURATION_PATH", file)];
    let log = Program::start(home.path(), &[], &variables).log();
    assert!(
        log.contains(&format!("{file} (from REGISTRY_CONFIGURATION_PATH)")),
        "{log}"
    );
}

#[test]
fn what_it_cannot_honour_stops_it() {
    let home = TempDir::new().unwrap();
    let variables = [
        ("REGISTRY_AUTH", "token"),
        ("REGISTRY_AUTH_TOKEN_ISSUER", "hunter2"),
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS", "[{url: hunter2}]"),
    ];
    let output = output(home.path(), &["serve"], &variables);
    assert_eq!(output.status.code(), Some(78));
    let told = String::from_utf8(output.stderr).unwrap();
    let start = "registry: REGISTRY_AUTH: auth.token: not supported";
    assert!(told.starts_with(start), "{told}");
    for line in [
        "REGISTRY_AUTH_TOKEN_ISSUER: auth.token: not supported",
        "REGISTRY_NOTIFICATIONS_ENDPOINTS: notifications: not supported",
    ] {
        assert!(told.contains(line), "{told}");
    }
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn secrets_are_not_logged() {
    let home = TempDir::new().unwrap();
    let variables = [
        ("REGISTRY_HTTP_SECRET", "hunter2"),
        ("REGISTRY_LOG_LEVEL", "debug"),
    ];
    let program = Program::in_memory(home.path(), &variables);
    assert_eq!(program.request("GET /v2/", b"").status, 200);
    program.signal("TERM");
    let ended = program.end();
    assert!(ended.log.contains("stopped"), "{}", ended.log);
    assert!(ended.printed.contains("GET /v2/"), "{}", ended.printed);
    for said in [ended.log, ended.printed] {
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_debug_address_that_others_reach_is_warned_about() {
    let home = TempDir::new().unwrap();
    let warned = |address| {
        let variables = [("REGISTRY_HTTP_DEBUG_ADDR", address)];
        let log = Program::in_memory(home.path(), &variables).log();
        assert!(log.contains("/debug/health"), "{log}");
        log.contains("whoever reaches the debug address can take the registry out of service")
    };
    assert!(warned(":0"));
    assert!(!warned("127.0.0.1:0"));
}
