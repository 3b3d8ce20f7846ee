//! Configurations that are wrong: each stops the start, and says which key, where, and what to do.

use std::{
    fs,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::program::output;

const KEYS: &str = include_str!("../keys/distribution.txt");

/// What is refused, by the begin of the path.
const REFUSED: [&str; 16] = [
    "log.hooks",
    "storage.s3",
    "storage.gcs",
    "storage.azure",
    "storage.oss",
    "storage.swift",
    "auth.silly",
    "auth.token",
    "health.file",
    "health.http",
    "health.tcp",
    "middleware",
    "notifications",
    "proxy",
    "redis",
    "compatibility",
];

/// A file with one setting in it, on a line of its own, and what else must be there for it to count.
fn file(path: &str, value: &str) -> String {
    let mut keys: Vec<_> = path.split('.').collect();
    let mut value = value.to_owned();
    if keys.last() == Some(&"[]") {
        keys.pop();
    }
    while keys.len() > 1 {
        let key = keys.pop().unwrap_or_default();
        value = match key {
            "*" => format!("{{x: {value}}}"),
            "[]" => format!("[{value}]"),
            key => format!("{{{key}: {value}}}"),
        };
    }
    if keys[0] == "storage" && !path.contains("filesystem") && value.starts_with('{') {
        value = value.replacen('{', "{inmemory: , ", 1);
    }
    let mut text = String::from("# line 1\n");
    text.push_str(&format!("{}: {value}\n", keys[0]));
    for (section, plain) in [("version", "0.1"), ("storage", "{inmemory: }")] {
        if keys[0] != section {
            text.push_str(&format!("{section}: {plain}\n"));
        }
    }
    text
}

/// A file that is wrong, what must be named, and what to do about it: one of these.
struct Row {
    file: String,
    named: String,
    remedies: &'static [&'static str],
}

const BOOLEAN: &[&str] = &["must be true or false, without quotes"];
const DURATION: &[&str] = &[
    "must be a duration such as 168h, 1m30s or 500ms",
    "must not be negative; write a duration such as 168h",
];
const LEVEL: &[&str] = &["must be one of info, error, warn, debug"];
const LIST: &[&str] = &[
    "must be a list of texts, such as [a, b]",
    "must be a list of sections",
];
const NUMBER: &[&str] = &["must be a whole number"];
const REMEDY: &[&str] = &["What to do: "];
const TEXT: &[&str] = &[
    "must be a text; a text that begins with [ or {",
    "must be one of ",
    "is missing, such as ",
];
const TYPO: &[&str] = &["; the keys here are: "];
const VERSION: &[&str] = &["; this registry knows 0.1", "must be a text; "];

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for line in KEYS.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<_> = line.split('\t').collect();
        let (path, kind) = (fields[0], fields[1]);
        let refused = REFUSED.iter().find(|refused| path.starts_with(*refused));
        let refused = refused.is_some() || path.starts_with("reporting");
        let known = path
            .split(".*")
            .next()
            .unwrap_or(path)
            .split(".[]")
            .next()
            .unwrap_or(path);
        if refused {
            let named = REFUSED.iter().chain(&["reporting"]);
            let named = named.filter(|refused| path.starts_with(**refused)).max();
            rows.push(Row {
                file: file(path, "x"),
                named: (*named.unwrap_or(&path)).to_owned(),
                remedies: REMEDY,
            });
            continue;
        }
        let list = path.ends_with("[]");
        let (values, remedies): (&[&str], _) = match kind {
            "bool" => (&["'true'", "1", "[]", "on a day"], BOOLEAN),
            // There, zero is a default, or the least.
            "number" if path.ends_with("maxthreads") => (&["1.5", "many", "[]"], NUMBER),
            "number" => (&["-1", "1.5", "many", "[]"], NUMBER),
            "duration" => (&["1 day", "-1s", "[]", "soon"], DURATION),
            "level" => (&["trace", "[]", "7"], LEVEL),
            "version" => (&["0.2", "[]", "latest"], VERSION),
            "text" if list => (&["x", "{a: b}", "[[x]]"], LIST),
            "text" => (&["[]", "{a: b}"], TEXT),
            _ => (&[], TYPO),
        };
        // A list may be empty, and an empty section is none.
        for value in values {
            let value = if path.contains("platformlist.[]") && !list {
                "[]"
            } else {
                value
            };
            rows.push(Row {
                file: file(path, value),
                named: known.to_owned(),
                remedies,
            });
        }
        // A typing error.
        let mut keys: Vec<String> = known.split('.').map(str::to_owned).collect();
        if let Some(last) = keys.last_mut() {
            last.push('q');
        }
        let typo = keys.join(".");
        rows.push(Row {
            file: file(&typo, "x"),
            named: typo,
            remedies: TYPO,
        });
    }
    rows
}

#[test]
fn two_hundred_and_more() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("c.yml");
    let name = path.to_str().unwrap();
    let rows = rows();
    assert!(rows.len() > 200, "{}", rows.len());
    let mut took = Vec::new();
    for Row {
        file,
        named,
        remedies,
    } in rows
    {
        fs::write(&path, &file).unwrap();
        let begun = Instant::now();
        let output = output(home.path(), &["serve", name], &[]);
        took.push(begun.elapsed());
        let told = String::from_utf8(output.stderr).unwrap();
        let context = format!("{file}\n{told}");
        assert_eq!(output.status.code(), Some(78), "{context}");
        // The place, the key, and then what is wrong with it and what to do.
        let line = told.lines().next().unwrap_or_default();
        let rest = line.strip_prefix(&format!("registry: {name}:2: "));
        let (key, said) = rest
            .and_then(|rest| rest.split_once(": "))
            .unwrap_or_default();
        assert!(
            key.starts_with(&named),
            "{named} is not named in\n{context}"
        );
        let remedy = remedies.iter().any(|remedy| said.contains(remedy));
        assert!(remedy, "none of {remedies:?} is in\n{context}");
    }
    // One may wait its turn on a machine that does much else; all of them are within a second.
    took.sort();
    let (median, longest) = (took[took.len() / 2], took[took.len() - 1]);
    assert!(median < Duration::from_secs(1), "{median:?}");
    assert!(longest < Duration::from_secs(10), "{longest:?}");
}

#[test]
fn sections_that_contradict_each_other_and_files_that_are_missing() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("c.yml");
    let name = path.to_str().unwrap();
    let rows = [
        (
            "auth: {htpasswd: {realm: a}}",
            ":3: auth.htpasswd.path: is missing; write",
        ),
        (
            "auth: {htpasswd: {path: /a}}",
            ":3: auth.htpasswd.realm: is missing; write",
        ),
        (
            "auth: htpasswd",
            ":3: auth.htpasswd.realm: is missing; write",
        ),
        (
            "auth: {none: , htpasswd: {realm: a, path: /a}}",
            ":3: auth: several kinds",
        ),
        ("http: {net: unix}", ":3: http.addr: must be the path"),
        (
            "http: {net: udp}",
            ":3: http.net: must be one of tcp, unix\n",
        ),
        (
            "http: {addr: localhost}",
            ":3: http.addr: must be a host and a port",
        ),
        (
            "http: {tls: {certificate: /a}}",
            ":3: http.tls.key: is missing; write",
        ),
        (
            "http: {tls: {key: /a}}",
            ":3: http.tls.certificate: is missing; write",
        ),
        (
            "http: {tls: {clientcas: [/a]}}",
            ":3: http.tls.clientcas: is without effect",
        ),
        (
            "http: {tls: {certificate: /a, key: /a, clientauth: verify-client-cert-if-given}}",
            ":3: http.tls.clientcas: is missing; write",
        ),
        (
            "http: {tls: {certificate: /a, key: /a, letsencrypt: {cachefile: /c, hosts: [a]}}}",
            ":3: http.tls.letsencrypt: there is a certificate",
        ),
        (
            "http: {tls: {letsencrypt: {email: a@b.c}}}",
            ":3: http.tls.letsencrypt.cachefile: is missing; write",
        ),
        (
            "http: {tls: {letsencrypt: {cachefile: /a}}}",
            ":3: http.tls.letsencrypt.hosts: is missing; write",
        ),
        (
            "http: {tls: {letsencrypt: {cachefile: /a, hosts: [\"*.example.org\"]}}}",
            ":3: http.tls.letsencrypt.hosts: \"*.example.org\" is no name that certificates are had for",
        ),
        (
            "http: {tls: {letsencrypt: {cachefile: /a, hosts: [127.0.0.1]}}}",
            ":3: http.tls.letsencrypt.hosts: \"127.0.0.1\" is no name",
        ),
        (
            "http: {tls: {letsencrypt: {cachefile: /a, hosts: [\"a.example.org:443\"]}}}",
            ":3: http.tls.letsencrypt.hosts: \"a.example.org:443\" is no name",
        ),
        (
            "http: {tls: {letsencrypt: {cachefile: /a, hosts: [a.b], email: admin}}}",
            ":3: http.tls.letsencrypt.email: must be an address",
        ),
        (
            "http: {tls: {letsencrypt: {cachefile: /a, hosts: [a.b], directoryurl: \"http://a/b\"}}}",
            ":3: http.tls.letsencrypt.directoryurl: must be a URL that begins with https://",
        ),
        (
            "http: {tls: {certificate: /a, key: /a, minimumtls: tls1.0}}",
            ":3: http.tls.minimumtls: tls1.0 is not supported: it is broken",
        ),
        (
            "http: {addr: 'tcp://127.0.0.1:5999'}",
            ":3: http.addr: must be a host and a port up to 65535, such as 127.0.0.1:5000",
        ),
        (
            "http: {addr: '*:5999'}",
            ":3: http.addr: must be a host and a port",
        ),
        (
            "http: {addr: '127.0.0.1:65536'}",
            ":3: http.addr: must be a host and a port",
        ),
        (
            "http: {addr: '127.0.0.1:5000', debug: {addr: ':5000'}}",
            ":3: http.debug.addr: is the address of http.addr, too; choose another port",
        ),
        (
            "http: {debug: {addr: x}}",
            ":3: http.debug.addr: must be a host",
        ),
        (
            "http: {debug: {addr: ':1', prometheus: {enabled: true}}}",
            ":3: http.debug.prometheus.enabled: metrics come with",
        ),
        (
            "policy: {repository: {classes: [chart]}}",
            ":3: policy.repository.classes: \"chart\" is no class; write",
        ),
        (
            "validation: {manifests: {urls: {allow: ['(']}}}",
            ":3: validation.manifests.urls.allow: `(` is no regular expression: unclosed",
        ),
        (
            "validation: {manifests: {indexes: {platforms: list}}}",
            ":3: validation.manifests.indexes.platformlist: must have an entry",
        ),
        (
            "http: {prefix: a}",
            ":3: http.prefix: must begin with a slash",
        ),
        (
            "http: {host: localhost}",
            ":3: http.host: must be a URL without",
        ),
        (
            "http: {host: 'https://r.example?a=b'}",
            ":3: http.host: must be a URL without",
        ),
        (
            "http: {host: 'https://me:pw@r.example'}",
            ":3: http.host: must be a URL without",
        ),
        ("storage: ''", "storage: no driver is configured"),
        (
            "http: {headers: {transfer-encoding: [chunked]}}",
            ":3: http.headers.transfer-encoding: is about the connection",
        ),
        (
            "storage: {inmemory: {}, maintenance: {readonly: {enabled: }}}",
            ":3: storage.maintenance.readonly.enabled: is empty; write true or false",
        ),
        (
            "storage: {inmemory: {}, maintenance: {readonly: }}",
            ":3: storage.maintenance.readonly.enabled: is empty; write true or false",
        ),
        (
            "http: {headers: {'X Y': [z]}}",
            ":3: http.headers.X Y: is no name",
        ),
        (
            "storage: {inmemory: , filesystem: }",
            ":3: storage: several drivers",
        ),
        (
            "storage: {delete: {enabled: true}}",
            ":3: storage: no driver",
        ),
        (
            "storage: {cache: {blobdescriptor: redis}, inmemory: }",
            ":3: storage.cache.blobdescr",
        ),
        (
            "storage: {inmemory: , maintenance: {uploadpurging: {interval: 0}}}",
            ":3: storage.maintenance.uploadpurging.interval: must be at least 1s",
        ),
        (
            "health: {storagedriver: {interval: 1ms}}",
            ":3: health.storagedriver.interval: must",
        ),
        (
            "http: {}\nhttp: {}",
            ":4: `http` is written twice in one section; keep one",
        ),
        ("a: [", "not YAML"),
    ];
    for (line, said) in rows {
        let rest = if line.starts_with("storage") {
            "\n"
        } else {
            "\nstorage: inmemory\n"
        };
        let (rest, line) = if line.contains("\nhttp") || line == "a: [" {
            ("", line)
        } else {
            (rest, line)
        };
        fs::write(&path, format!("version: 0.1\n\n{line}{rest}")).unwrap();
        let output = output(home.path(), &["serve", name], &[]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{line}\n{told}");
        assert!(told.contains(said), "{said} is not in\n{told}");
    }
    for (variables, said) in [
        (
            vec![("REGISTRY_HTTP_ADDR", "[::1]:5000")],
            "REGISTRY_HTTP_ADDR: http.addr: not YAML",
        ),
        (
            vec![("REGISTRY_HTTP_PREFIX", "Registry: mine")],
            "REGISTRY_HTTP_PREFIX: http.prefix: must be a text; a text that begins with [ or { or holds `: ` \
             needs quotes, as in",
        ),
        (
            vec![("REGISTRY_HTTP_SECRET_FILE", "/absent")],
            "REGISTRY_HTTP_SECRET_FILE: http.secret: /absent cannot be read",
        ),
        (
            vec![("REGISTRY_STORAGE", "s3")],
            "REGISTRY_STORAGE: storage.s3: not supported",
        ),
        (
            vec![("REGISTRY_AUTH_HTPASSWD_PATH_FILE", "/x")],
            "REGISTRY_AUTH_HTPASSWD_PATH_FILE: auth.htpasswd.path.file: unknown setting; ",
        ),
        (
            vec![("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED_FOO", "true")],
            "storage.maintenance.readonly.enabled.foo: unknown setting; \
             REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED is meant, maybe",
        ),
        (
            vec![("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "")],
            "REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED: storage.maintenance.readonly.enabled: is empty",
        ),
        (
            vec![("REGISTRY_HTTP_TLS_CLIENTCA_0", "/ca.pem")],
            "REGISTRY_HTTP_TLS_CLIENTCA_0: http.tls.clientca.0: unknown setting; ",
        ),
        (
            vec![("REGISTRY_PROXY_REMOTEURL", "x")],
            "REGISTRY_PROXY_REMOTEURL: proxy: not supp",
        ),
        (
            vec![("REGISTRY_CONFIGURATION_PATH", "/dev/zero")],
            "/dev/zero: cannot be read: it is larger than 16 MiB; name the file",
        ),
        (
            vec![("REGISTRY_HTTP_SECRET_FILE", "/dev/zero")],
            "http.secret: /dev/zero cannot be read: it is larger than 16 MiB",
        ),
        (
            vec![("REGISTRY_CONFIGURATION_PATH", "/absent")],
            "/absent: cannot be read",
        ),
    ] {
        let output = output(home.path(), &["serve"], &variables);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{told}");
        assert!(told.contains(said), "{said} is not in\n{told}");
    }
}
