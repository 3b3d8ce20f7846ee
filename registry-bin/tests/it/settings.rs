//! Settings and what they do: each is looked at from outside, so that none is read and then forgotten.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use registry_bin::{
    assemble,
    config::{Config, Environment},
    serve,
};
use tempfile::TempDir;

use crate::program::Program;

const INDEX: &[u8] = br#"{"schemaVersion":2,"manifests":[]}"#;
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const IMAGE_TYPE: &str = "application/vnd.docker.distribution.manifest.v2+json";
const ZEROS: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// Pushes a manifest, and answers with the status and the body.
fn push(program: &Program, repository: &str, media_type: &str, manifest: &[u8]) -> (u16, String) {
    let head = format!("PUT /v2/{repository}/manifests/v1\nContent-Type: {media_type}");
    let answer = program.request(&head, manifest);
    (answer.status, answer.body)
}

/// An image whose configuration is of that type, with a layer that is at `url`.
fn image(config: &str, url: &str) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{IMAGE_TYPE}",
            "config":{{"mediaType":"{config}","digest":"{ZEROS}","size":2}},
            "layers":[{{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                        "digest":"{ZEROS}","size":2,"urls":["{url}"]}}]}}"#
    )
}

const IMAGE: &str = "application/vnd.docker.container.image.v1+json";
const PLUGIN: &str = "application/vnd.docker.plugin.v1+json";
const OTHER: &str = "application/vnd.example.chart.v1+json";
const HERE: &str = "https://layers.example.org/1";

/// A registry that does not look for what a manifest refers to.
fn without_references(home: &Path, variables: &[(&str, &str)]) -> Program {
    let own = [("REGISTRY_VALIDATION_MANIFESTS_REFERENCES", "none")];
    Program::in_memory(home, &[&own, variables].concat())
}

#[test]
fn urls_of_layers_are_those_that_the_lists_allow() {
    const ALLOW: &str = "REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW";
    const DENY: &str = "REGISTRY_VALIDATION_MANIFESTS_URLS_DENY";
    const DISABLED: (&str, &str) = ("REGISTRY_VALIDATION_DISABLED", "true");
    const ENABLED: (&str, &str) = ("REGISTRY_VALIDATION_ENABLED", "true");
    let home = TempDir::new().unwrap();
    let rows: [(&[_], _, _); 9] = [
        (&[], HERE, 201),
        (&[(ALLOW, "['^https://layers']")], HERE, 201),
        (
            &[(ALLOW, "['^https://else', '^https://layers']")],
            HERE,
            201,
        ),
        (&[(ALLOW, "['^https://else']")], HERE, 400),
        (&[(DENY, "['^https://layers']")], HERE, 400),
        (&[(DENY, "['^https://else']")], HERE, 201),
        (&[(ALLOW, "['^https:']"), (DENY, "[layers]")], HERE, 400),
        (&[(ALLOW, "['^https://else']"), DISABLED], HERE, 201),
        (
            &[(ALLOW, "['^https://else']"), DISABLED, ENABLED],
            HERE,
            400,
        ),
    ];
    for (variables, url, status) in rows {
        let program = without_references(home.path(), variables);
        let (found, body) = push(&program, "a", IMAGE_TYPE, image(IMAGE, url).as_bytes());
        assert_eq!(found, status, "{variables:?}: {body}");
    }
}

#[test]
fn classes_of_images_are_those_that_the_policy_names() {
    let home = TempDir::new().unwrap();
    for (classes, config, taken) in [
        ("[]", IMAGE, true),
        ("[]", PLUGIN, true),
        ("[]", OTHER, true),
        ("[image]", IMAGE, true),
        ("[image]", PLUGIN, false),
        ("[image]", OTHER, false),
        ("[plugin]", IMAGE, false),
        ("[plugin]", PLUGIN, true),
        ("[image, plugin]", PLUGIN, true),
    ] {
        let variables = [("REGISTRY_POLICY_REPOSITORY_CLASSES", classes)];
        let program = without_references(home.path(), &variables);
        let (found, body) = push(&program, "a", IMAGE_TYPE, image(config, HERE).as_bytes());
        assert_eq!(
            found,
            if taken { 201 } else { 403 },
            "{classes} {config}: {body}"
        );
    }
}

#[test]
fn a_page_of_the_catalog_has_so_many() {
    let home = TempDir::new().unwrap();
    for (most, names, more) in [
        ("2", r#"{"repositories":["a","b"]}"#, true),
        ("3", r#"{"repositories":["a","b","c"]}"#, false),
    ] {
        let program = Program::in_memory(home.path(), &[("REGISTRY_CATALOG_MAXENTRIES", most)]);
        for repository in ["a", "b", "c"] {
            assert_eq!(push(&program, repository, INDEX_TYPE, INDEX).0, 201);
        }
        for query in ["", "?n=3", "?n=1000"] {
            let answer = program.request(&format!("GET /v2/_catalog{query}"), b"");
            assert_eq!(answer.body.trim(), names, "{most} {query}");
            assert_eq!(answer.header("link").is_some(), more, "{most} {query}");
        }
    }
}

#[test]
fn locations_are_relative_or_not() {
    const RELATIVE: &str = "REGISTRY_HTTP_RELATIVEURLS";
    const HOST: (&str, &str) = ("REGISTRY_HTTP_HOST", "https://r.example.org");
    let home = TempDir::new().unwrap();
    let rows: [(&[_], _); 6] = [
        (&[], "/v2/a/"),
        (&[(RELATIVE, "true")], "/v2/a/"),
        (&[(RELATIVE, "false")], "http://registry/v2/a/"),
        (&[HOST], "https://r.example.org/v2/a/"),
        (&[HOST, (RELATIVE, "true")], "https://r.example.org/v2/a/"),
        (&[HOST, (RELATIVE, "false")], "https://r.example.org/v2/a/"),
    ];
    for (variables, begin) in rows {
        let program = Program::in_memory(home.path(), variables);
        let answer = program.request("POST /v2/a/blobs/uploads/", b"");
        let location = answer.header("location").unwrap_or_default();
        assert!(location.starts_with(begin), "{variables:?}: {location}");
    }
}

#[test]
fn http2_without_tls_is_spoken_where_it_is_on() {
    // What a client begins with (RFC 9113 §3.4), its settings empty.
    const BEGIN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    const SETTINGS: u8 = 4;
    let home = TempDir::new().unwrap();
    for (enabled, speaks) in [("true", true), ("false", false)] {
        let program = Program::in_memory(home.path(), &[("REGISTRY_HTTP_H2C_ENABLED", enabled)]);
        let mut stream = program.connect();
        stream.write_all(BEGIN).unwrap();
        let mut answer = [0; 9];
        // Whoever does not understand may close without a word.
        let answered = stream.read_exact(&mut answer).is_ok();
        assert_eq!(answered && answer[3] == SETTINGS, speaks, "{answer:?}");
        assert_eq!(program.request("GET /v2/", b"").status, 200);
    }
}

#[test]
fn the_storage_is_asked_as_often_as_it_says_and_forgiven_as_often() {
    let home = TempDir::new().unwrap();
    let root = home.path().join("data");
    let variables = [
        (
            "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY",
            root.to_str().unwrap(),
        ),
        ("REGISTRY_HEALTH_STORAGEDRIVER_ENABLED", "true"),
        ("REGISTRY_HEALTH_STORAGEDRIVER_INTERVAL", "1s"),
        ("REGISTRY_HEALTH_STORAGEDRIVER_THRESHOLD", "2"),
    ];
    let program = Program::start(home.path(), &[], &variables);
    assert_eq!(program.request("GET /v2/", b"").status, 200);
    fs::rename(&root, home.path().join("moved")).unwrap();
    program.wait_for("health: the storage failed a check, 1 of 2 in a row");
    let first = Instant::now();
    program.wait_for("health: the storage failed 2 checks in a row");
    // By default it is asked every ten seconds.
    assert!(
        first.elapsed() < Duration::from_secs(9),
        "{:?}",
        first.elapsed()
    );
    assert_eq!(program.request("GET /v2/", b"").status, 503);

    let off = Program::start(home.path(), &[], &variables[..1]);
    assert!(off.log().contains("health: the storage is not asked"));
}

#[test]
fn requests_under_way_are_cut_after_the_drain() {
    /// A POST whose body never comes.
    const BEGUN: &[u8] = b"POST /v2/a/blobs/uploads/?digest=sha256:\
        2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 HTTP/1.1\r\n\
        Host: registry\r\nContent-Type: application/octet-stream\r\nContent-Length: 5\r\n\
        Expect: 100-continue\r\n\r\n";
    let home = TempDir::new().unwrap();
    let variables = [("REGISTRY_HTTP_DRAINTIMEOUT", "100ms")];
    let program = Program::in_memory(home.path(), &variables);
    let mut stream = program.connect();
    stream.write_all(BEGUN).unwrap();
    let mut ready = [0; 12];
    stream.read_exact(&mut ready).unwrap();
    let begun = Instant::now();
    program.signal("TERM");
    program.wait_for("stopped, requests still under way after 100ms were cut");
    // By default it is five seconds.
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn uploads_are_purged_as_configured() {
    let home = TempDir::new().unwrap();
    for (dry_run, said, status) in [
        ("false", "uploads: 1 purged, ", 404),
        ("true", "uploads: 1 would be purged, ", 204),
    ] {
        let purging = format!("{{enabled: true, age: 1s, interval: 1s, dryrun: {dry_run}}}");
        let variables = [(
            "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING",
            purging.as_str(),
        )];
        let program = Program::in_memory(home.path(), &variables);
        let begun = program.request("POST /v2/a/blobs/uploads/", b"");
        let location = begun.header("location").unwrap().to_owned();
        program.wait_for(said);
        let asked = program.request(&format!("GET {location}"), b"");
        assert_eq!(asked.status, status, "{dry_run}");
    }
    for (variable, value, purges) in [
        (
            "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED",
            "true",
            true,
        ),
        (
            "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED",
            "false",
            false,
        ),
        (
            "REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED",
            "true",
            false,
        ),
    ] {
        let config = loaded(&[("REGISTRY_STORAGE", "inmemory"), (variable, value)]);
        let registry = assemble::registry(&config, None).unwrap();
        assert_eq!(
            registry.upload_purging.is_some(),
            purges,
            "{variable}={value}"
        );
    }
}

/// A configuration of variables alone.
fn loaded(variables: &[(&str, &str)]) -> Config {
    let own = [("HOME", "/home/u")];
    let variables = own
        .iter()
        .chain(variables)
        .map(|(name, value)| (name.into(), value.into()));
    Config::load(None, &Environment::new(variables)).unwrap()
}

#[test]
fn so_many_operations_on_files_run_at_once() {
    const THREADS: usize = 25;
    /// How long one more is waited for, which must not come.
    const PATIENCE: Duration = Duration::from_millis(500);
    let config = loaded(&[("REGISTRY_STORAGE_FILESYSTEM_MAXTHREADS", "25")]);
    let runtime = serve::runtime(&config).unwrap();
    let running = Arc::new((Mutex::new((0, 0)), Condvar::new()));
    let operations: Vec<_> = (0..2 * THREADS)
        .map(|_| {
            let running = Arc::clone(&running);
            runtime.spawn_blocking(move || {
                let (counts, changed) = &*running;
                let mut now = counts.lock().unwrap();
                now.0 += 1;
                now.1 = now.0.max(now.1);
                changed.notify_all();
                let too_few = |now: &mut (usize, usize)| now.1 <= THREADS;
                let (mut now, _) = changed.wait_timeout_while(now, PATIENCE, too_few).unwrap();
                now.0 -= 1;
            })
        })
        .collect();
    for operation in operations {
        runtime.block_on(operation).unwrap();
    }
    assert_eq!(running.0.lock().unwrap().1, THREADS);
}

#[test]
fn lines_of_the_log_are_as_configured() {
    let home = TempDir::new().unwrap();
    for (setting, value, has) in [
        ("FORMATTER", "text", "level=info msg=\"listening on http"),
        ("FORMATTER", "logstash", "\"@version\":"),
        ("FORMATTER", "json", "\"level\":\"info\""),
        ("FIELDS", "{service: mine, of: [a]}", "service=mine"),
        ("REPORTCALLER", "true", "announce.rs:"),
    ] {
        let variable = format!("REGISTRY_LOG_{setting}");
        let log = Program::in_memory(home.path(), &[(&variable, value)]).log();
        let line = log.lines().find(|line| line.contains("listening on"));
        assert!(line.unwrap_or_default().contains(has), "{variable}: {log}");
        // Nobody else has it.
        for mark in ["service=", "announce.rs:", "@version"] {
            assert_eq!(log.contains(mark), has.contains(mark), "{variable}: {log}");
        }
    }
}

#[test]
fn levels_are_those_of_the_file_for_everything_and_for_modules() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("c.yml");
    // `listening on` must be told, or nobody knows where it listens.
    let announced = "levels: {registry_bin::announce: info}";
    for (log, told) in [
        (format!("log: {{level: info, {announced}}}"), true),
        (format!("log: {{level: error, {announced}}}"), false),
        (format!("log: {{{announced}}}\nloglevel: error"), false),
        (
            format!("log: {{level: info, {announced}}}\nloglevel: error"),
            true,
        ),
        (
            "log: {levels: {registry_bin::reload: error}}".to_owned(),
            false,
        ),
    ] {
        fs::write(&file, format!("version: 0.1\nstorage: inmemory\n{log}\n")).unwrap();
        let program = Program::start(home.path(), &[file.to_str().unwrap()], &[]);
        fs::write(&file, "no configuration").unwrap();
        program.signal("HUP");
        // An error, which comes after what is told for information.
        program.wait_for("log levels: could not be read again");
        let found = program.log().contains("SIGHUP: reading again what can be");
        assert_eq!(found, told, "{log}:\n{}", program.log());
    }
}
