//! What a file and variables come to, as a table: every default, and every complaint.

use super::{
    Config, ConfigError, Driver, Environment, Origin, Source, environment,
    resolve::{ROOT_WITH_A_FILE, config},
    tree::Tree,
};

fn load(file: Option<&str>, variables: &str) -> Result<Config, String> {
    let variables = ["HOME=/home/u"].into_iter().chain(variables.lines());
    let variable = |line: &str| {
        let (name, value) = line.split_once('=').expect("each row is NAME=value");
        (name.into(), value.into())
    };
    let environment = Environment::new(variables.map(variable));
    let source = file.map_or(Source::None, |_| Source::Argument("c.yml".into()));
    let load = || {
        let mut tree = match file {
            Some(text) => Tree::of_file(text, Origin::File("c.yml".into()))?,
            None => Tree::empty(),
        };
        let warnings = environment::apply(&mut tree, environment.variables())?;
        config(source, warnings, &tree, &environment)
    };
    load().map_err(|error: ConfigError| error.to_string())
}

#[test]
fn without_anything() {
    let config = load(None, "").unwrap();
    let expected = r#"Config { source: None, warnings: [], log: Log { level: Info, formatter: Text, fields: {}, access: true }, storage: Storage { driver: Filesystem { root: "/home/u/.local/share/registry", threads: 100 }, deletes: true, read_only: false, upload_purging: Some(UploadPurging { age: 604800s, interval: 86400s, dry_run: false }) }, http: Http { listen: Tcp("127.0.0.1:5000"), host: None, prefix: None, secret: None, relative_urls: None, drain: 5s, headers: [] }, validation: Validation { references: All, indexes: All, urls_allow: [], urls_deny: [] }, catalog_entries: 1000, tag_entries: 1000 }"#;
    assert_eq!(format!("{config:?}"), expected);
}

#[test]
fn with_everything() {
    let file = r"
version: 0.1
log: {level: debug, formatter: json, fields: {service: registry, n: 1}, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: /data, maxthreads: 10}
  delete: {enabled: true}
  maintenance:
    uploadpurging: {enabled: true, age: 1h, interval: 90s, dryrun: true}
    readonly: {enabled: true}
http:
  addr: /run/registry.sock
  net: unix
  host: https://registry.example.org
  prefix: /oci/
  secret: hunter2
  relativeurls: false
  draintimeout: 60s
  headers: {X-Content-Type-Options: [nosniff]}
validation:
  manifests:
    urls: {allow: ['^https://'], deny: ['evil']}
    indexes: {platforms: list, platformlist: [{architecture: amd64, os: linux}]}
    references: none
catalog: {maxentries: 10}
tags: {maxtags: 20}
";
    let config = load(Some(file), "").unwrap();
    let expected = r#"Config { source: Argument("c.yml"), warnings: [], log: Log { level: Debug, formatter: Json, fields: {"n": "1", "service": "registry"}, access: false }, storage: Storage { driver: Filesystem { root: "/data", threads: 25 }, deletes: true, read_only: true, upload_purging: Some(UploadPurging { age: 3600s, interval: 90s, dry_run: true }) }, http: Http { listen: Unix("/run/registry.sock"), host: Some("https://registry.example.org"), prefix: Some("/oci/"), secret: Some(Secret(…)), relative_urls: Some(false), drain: 60s, headers: [("x-content-type-options", "nosniff")] }, validation: Validation { references: None, indexes: List([Platform { architecture: "amd64", os: "linux" }]), urls_allow: [Regex("^https://")], urls_deny: [Regex("evil")] }, catalog_entries: 10, tag_entries: 20 }"#;
    assert_eq!(format!("{config:?}"), expected);
}

#[test]
fn deletes_follow_whether_there_is_a_file() {
    let file = "version: 0.1\nstorage: {filesystem: {}, delete: {enabled: true}}";
    let plain = Some("version: 0.1\nstorage: filesystem");
    let rows = [
        (None, "", true),
        (None, "REGISTRY_STORAGE=inmemory", true),
        (None, "REGISTRY_STORAGE_DELETE_ENABLED=false", false),
        (plain, "", false),
        (plain, "REGISTRY_STORAGE_DELETE_ENABLED=true", true),
        (Some(file), "REGISTRY_STORAGE=inmemory", false),
    ];
    for (file, variables, deletes) in rows {
        let config = load(file, variables).unwrap();
        assert_eq!(config.storage.deletes, deletes, "{file:?} {variables:?}");
    }
    let root = |variables| match load(plain, variables).unwrap().storage.driver {
        Driver::Filesystem { root, .. } => root,
        Driver::Inmemory => panic!("not asked for"),
    };
    assert_eq!(root("").to_str(), Some(ROOT_WITH_A_FILE));
    let variable = "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/v";
    assert_eq!(root(variable).to_str(), Some("/v"));
}

#[test]
fn what_is_wrong_is_named_where_it_was_written() {
    let rows = [
        (
            "http: {}",
            "c.yml: version: is missing; begin the file with `version: 0.1`",
        ),
        (
            "version: 0.2",
            "c.yml: version: 0.2 is not supported; this registry knows 0.1",
        ),
        ("version: 0.1", "c.yml: storage: no driver is configured"),
        (
            "storage: {filesystem: {}, inmemory: {}}",
            "c.yml: storage: several drivers are",
        ),
        (
            "http: {addr: 5000}",
            "c.yml: http.addr: must be a host and a port",
        ),
        (
            "http: {net: udp}",
            "c.yml: http.net: must be one of tcp, unix",
        ),
        (
            "http: {net: unix}",
            "c.yml: http.addr: must be the path of the socket",
        ),
        (
            "http: {host: localhost}",
            "c.yml: http.host: must be a URL without user, query and fragment, such as https://",
        ),
        (
            "http: {host: 'https://r.example?a=b'}",
            "c.yml: http.host: must be a URL without",
        ),
        (
            "http: {host: 'https://r.example/#a'}",
            "c.yml: http.host: must be a URL without",
        ),
        (
            "http: {host: 'https://me:secret@r.example'}",
            "c.yml: http.host: must be a URL without",
        ),
        (
            "http: {prefix: a}",
            "c.yml: http.prefix: must begin with a slash",
        ),
        (
            "http: {draintimeout: 1 day}",
            "c.yml: http.draintimeout: must be a duration such",
        ),
        (
            "http: {headers: {X: y}}",
            "c.yml: http.headers.X: must be a list of texts",
        ),
        (
            "http: {headers: {'X Y': [z]}}",
            "c.yml: http.headers.X Y: is no name of a header",
        ),
        ("http: 1", "c.yml: http: must be a section"),
        (
            "log: {level: trace}",
            "c.yml: log.level: must be one of error, warn, info, debug",
        ),
        (
            "catalog: {maxentries: 0}",
            "c.yml: catalog.maxentries: must be a whole number, at",
        ),
        ("storage: {delete: {enabled: 'true'}}", "c.yml: storage"),
        (
            "validation: {manifests: {urls: {allow: ['(']}}}",
            "c.yml: validation.manifests.urls.allow: `(` is no regular expression: unclosed group",
        ),
        (
            "validation: {manifests: {indexes: {platforms: list}}}",
            "c.yml: validation.manifests.indexes.platformlist: must have an entry",
        ),
        (
            "storage: {inmemory: , maintenance: {uploadpurging: {interval: 0}}}",
            "c.yml: storage.maintenance.uploadpurging.interval: must be at least 1s",
        ),
    ];
    for (text, start) in rows {
        let version = if text.starts_with("version") || start.contains("version:") {
            ""
        } else {
            "version: 0.1\n"
        };
        let driver = if text.contains("storage") || start.contains("storage") {
            ""
        } else {
            "storage: inmemory\n"
        };
        let told = load(Some(&format!("{version}{driver}{text}")), "").unwrap_err();
        assert!(told.starts_with(start), "{text}: {told}");
    }
    let told = load(None, "REGISTRY_HTTP_DRAINTIMEOUT=soon").unwrap_err();
    assert!(
        told.starts_with("REGISTRY_HTTP_DRAINTIMEOUT: http.draintimeout: must"),
        "{told}"
    );
    let told = load(None, "REGISTRY_HTTP_ADDR=[::1]:5000").unwrap_err();
    assert!(told.contains("needs quotes"), "{told}");
    let told = load(
        Some("version: 0.1\nhttp: {net: udp}"),
        "REGISTRY_STORAGE=inmemory",
    );
    assert!(told.unwrap_err().ends_with("tcp, unix"));
    let told = load(None, "HOME=").unwrap_err();
    assert!(
        told.starts_with("storage.filesystem.rootdirectory: there is no home"),
        "{told}"
    );
}
