//! What a file and variables come to, as a table: every default, and every complaint.

use serde_json::Value;

use super::{
    Config, ConfigError, Driver, Environment, Listen, Origin, Resolved, Source, environment,
    reader::Section,
    resolve::{ROOT_WITH_A_FILE, config},
    schema::{Node, ROOT, Setting},
    source::Reading,
    tree::{Tree, join},
};

/// What people start from.
pub(super) const STOCK: [&str; 5] = [
    include_str!("../../tests/stock/debian-docker-registry.yml"),
    include_str!("../../tests/stock/image-registry-2.yml"),
    include_str!("../../tests/stock/image-registry-3.yml"),
    include_str!("../../tests/stock/distribution-example.yml"),
    include_str!("../../tests/stock/distribution-development.yml"),
];

pub(super) fn load(file: Option<&str>, variables: &str) -> Result<Config, String> {
    let variables = ["HOME=/home/u"].into_iter().chain(variables.lines());
    let variable = |line: &str| {
        let (name, value) = line.split_once('=').expect("each row is NAME=value");
        (name.into(), value.into())
    };
    let environment = Environment::new(variables.map(variable));
    let source = file.map_or(Source::None, |_| Source::Argument("c.yml".into()));
    let load = || {
        let mut tree = match file {
            Some(text) => Tree::parse(text, Origin::File("c.yml".into(), None))?,
            None => Tree::empty(),
        };
        let warnings = environment::apply(&mut tree, environment.variables(), Reading::First)?;
        config(source, warnings, &tree, &environment)
    };
    load().map_err(|error: ConfigError| error.to_string())
}

/// What was set, line by line, without the padding.
fn shown(config: &Config) -> String {
    let text = config.resolved.to_string();
    let lines = text.lines().map(|line| {
        let (setting, origin) = line.split_once(" # ").unwrap_or((line, ""));
        format!("{}|{origin}\n", setting.trim_end())
    });
    lines.collect()
}

#[test]
fn no_debug_shows_a_secret() {
    let text = "version: 0.1\nstorage: inmemory\nhttp: {secret: hunter2-file}\n";
    let origin = Origin::File("c.yml".into(), None);
    for secret in ["hunter2-file", "hunter2-variable"] {
        let mut tree = Tree::parse(text, origin.clone()).unwrap();
        let variable = ("REGISTRY_HTTP_SECRET".into(), secret.into());
        let environment = Environment::new([variable]);
        environment::apply(&mut tree, environment.variables(), Reading::First).unwrap();
        let section = Section::root(&tree).section("http").unwrap();
        assert_eq!(section.written("secret").unwrap().unwrap(), secret);
        let source = Source::Argument("c.yml".into());
        let config = config(source, Vec::new(), &tree, &environment).unwrap();
        let shown = [
            format!("{tree:?}"),
            format!("{section:?}"),
            format!("{config:?}"),
            format!("{environment:?}"),
        ];
        for shown in shown {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        assert!(format!("{section:?}").contains("\"secret\""));
    }
}

#[test]
fn without_anything() {
    let config = load(None, "").unwrap();
    let expected = "\
version: \"0.1\"|default
log:|
  level: \"info\"|default
  accesslog:|
    disabled: false|default
    format: \"combined\"|default
  formatter: \"text\"|default
  reportcaller: false|default
storage:|
  filesystem:|
    rootdirectory: \"/home/u/.local/share/registry\"|default
    maxthreads: 100|default
  redirect:|
    disable: false|default
  delete:|
    enabled: true|default
  maintenance:|
    readonly:|
      enabled: false|default
    uploadpurging:|
      enabled: true|default
      age: \"168h\"|default
      interval: \"24h\"|default
      dryrun: false|default
http:|
  net: \"tcp\"|default
  addr: \"127.0.0.1:5000\"|default
  draintimeout: \"5s\"|default
  http2:|
    disabled: false|default
  h2c:|
    enabled: true|default
  debug:|
    prometheus:|
      enabled: false|default
health:|
  storagedriver:|
    enabled: false|default
    interval: \"10s\"|default
    threshold: 3|default
validation:|
  disabled: false|default
  manifests:|
    indexes:|
      platforms: \"all\"|default
    references: \"all\"|default
catalog:|
  maxentries: 1000|default
tags:|
  maxtags: 1000|default
";
    assert_eq!(shown(&config), expected);
    assert!(config.auth.is_none() && config.http.tls.is_none() && config.health.is_none());
}

const EVERYTHING: &str = r"version: 0.1
log: {level: debug, levels: {registry_core: warn}, formatter: json, fields: {n: 1}, file: /log, accesslog: {file: /access}}
loglevel: error
storage:
  filesystem: {rootdirectory: /data, maxthreads: 10}
  delete: {enabled: true}
  cache: {blobdescriptor: inmemory, blobdescriptorsize: 100, layerinfo: inmemory}
  redirect: {disable: true}
  tag: {concurrencylimit: 8}
  maintenance:
    uploadpurging: {enabled: true, age: 1h, interval: 90s, dryrun: true}
    readonly: {enabled: true}
auth:
  htpasswd: {realm: Registry Realm, path: /auth/htpasswd}
http:
  addr: /run/registry.sock
  net: unix
  host: https://registry.example.org
  prefix: /oci/
  secret: hunter2
  relativeurls: false
  draintimeout: 60s
  headers: {X-Content-Type-Options: [nosniff]}
  trustedproxies: [10.0.0.0/8]
  tls:
    certificate: /c.pem
    key: /k.pem
    clientcas: [/ca.pem]
    clientauth: verify-client-cert-if-given
    minimumtls: tls1.3
    ciphersuites: [TLS_AES_128_GCM_SHA256]
  http2: {disabled: true}
  h2c: {enabled: false}
  debug: {addr: 'localhost:5001', prometheus: {enabled: false, path: /metrics}}
health: {storagedriver: {enabled: true, interval: 5s, threshold: 2}}
validation:
  enabled: true
  disabled: true
  manifests:
    urls: {allow: ['^https://'], deny: ['evil']}
    indexes: {platforms: list, platformlist: [{architecture: amd64, os: linux}]}
    references: none
policy: {repository: {classes: [image, plugin]}}
catalog: {maxentries: 10}
tags: {maxtags: 20}
";

const ACME: &str = "version: 0.1\nstorage: inmemory\nhttp: {tls: {letsencrypt: {cachefile: /c, email: a@b.c, \
                    hosts: [a.b], directoryurl: 'https://d', directoryca: /ca}}}\n";

#[test]
fn with_everything() {
    let mut config = load(Some(EVERYTHING), "").unwrap();
    let told = config.resolved.to_string();
    assert!(!format!("{config:?}{told}").contains("hunter2"));
    assert!(told.contains("secret: \"***\""), "{told}");
    config.resolved = Resolved::default();
    let expected = r#"Config { source: Argument("c.yml"), warnings: ["loglevel: is deprecated; write log.level instead"], resolved: Resolved([]), log: Log { level: Debug, levels: {"registry_core": Warn}, formatter: Json, fields: {"n": "1"}, report_caller: false, file: Some("/log"), access: Some(Combined), access_file: Some("/access") }, storage: Storage { driver: Filesystem { root: "/data", threads: 25 }, deletes: true, read_only: true, upload_purging: Some(UploadPurging { age: 3600s, interval: 90s, dry_run: true }) }, auth: Some(Htpasswd { realm: "Registry Realm", path: "/auth/htpasswd" }), http: Http { listen: Unix("/run/registry.sock"), host: Some("https://registry.example.org"), prefix: Some("/oci/"), secret: Some(Secret(…)), relative_urls: Some(false), drain: 60s, headers: [("x-content-type-options", "nosniff")], trusted: TrustedPeers { networks: [10.0.0.0/8], unix: false }, tls: Some(Tls { certificate: Files { certificate: "/c.pem", key: "/k.pem" }, clients: Some(ClientCertificates { authorities: ["/ca.pem"], auth: VerifyIfGiven }), minimum: Tls13, cipher_suites: ["TLS_AES_128_GCM_SHA256"] }), http2: false, h2c: false, debug: Some("localhost:5001") }, health: Some(StorageHealth { interval: 5s, threshold: 2 }), validation: Validation { references: None, indexes: List([Platform { architecture: "amd64", os: "linux" }]), urls_allow: [Regex("^https://")], urls_deny: [Regex("evil")] }, classes: [Image, Plugin], catalog_entries: 10, tag_entries: 20 }"#;
    assert_eq!(format!("{config:?}"), expected);
}

/// Each setting of the table is read by somebody, and what its default is said to be, it is.
#[test]
fn the_table_and_the_reader_agree() {
    fn collect(node: &'static Node, path: &str, found: &mut Vec<(String, &'static Setting)>) {
        match node {
            Node::List(setting, _) | Node::Map(setting, _) | Node::Value(setting) => {
                found.push((path.to_owned(), setting));
            }
            Node::Refused(_) => {}
            Node::Section(keys) => {
                for (key, node) in *keys {
                    collect(node, &join(path, key), found);
                }
            }
        }
    }
    let mut settings = Vec::new();
    collect(&ROOT, "", &mut settings);
    let read = |config: Config| config.resolved.values();
    let mut seen = read(load(Some(EVERYTHING), "").unwrap());
    seen.append(&mut read(load(Some(ACME), "").unwrap()));
    let mut plain = read(load(None, "").unwrap());
    let tls = "REGISTRY_HTTP_TLS={certificate: /c, key: /k, clientcas: [/a]}";
    plain.append(&mut read(load(None, tls).unwrap()));
    for (path, setting) in settings {
        let below = |known: &&String| known.starts_with(&format!("{path}."));
        let there = seen.contains_key(&path) || seen.keys().any(|known| below(&known));
        // Checked, and nothing more: it has no effect.
        let idle = ["blobdescriptorsize", "concurrencylimit"];
        assert!(
            there || idle.iter().any(|key| path.ends_with(key)),
            "{path} is not read"
        );
        if setting.default.contains([' ', '\'']) || setting.default == "none" {
            continue;
        }
        let found = plain.get(&path).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        let idle = path == "storage.cache.blobdescriptor";
        assert!(
            idle || found.as_deref() == Some(setting.default),
            "{path}: {found:?}"
        );
    }
}

/// The files that people start from start here too.
#[test]
fn stock_files() {
    for text in STOCK {
        let config = load(Some(text), "").unwrap();
        assert_eq!(config.http.listen, Listen::Tcp(":5000".into()));
    }
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
fn without_a_file_content_is_where_the_surroundings_say() {
    let root = |file, variables| match load(file, variables).unwrap().storage.driver {
        Driver::Filesystem { root, .. } => root.to_str().unwrap().to_owned(),
        Driver::Inmemory => panic!("not asked for"),
    };
    let user = "XDG_DATA_HOME=/xdg\n";
    let service = "XDG_DATA_HOME=/xdg\nSTATE_DIRECTORY=/var/lib/one:/var/lib/two\n";
    assert_eq!(root(None, user), "/xdg/registry");
    assert_eq!(root(None, service), "/var/lib/one");
    assert_eq!(
        root(None, "STATE_DIRECTORY=one\nXDG_DATA_HOME=/xdg"),
        "/xdg/registry"
    );
    let named = format!("{service}REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/v");
    assert_eq!(root(None, &named), "/v");
    let file = "version: 0.1\nstorage: {filesystem: {rootdirectory: /srv/registry}}";
    assert_eq!(root(Some(file), service), "/srv/registry");
    let file = "version: 0.1\nstorage: filesystem";
    assert_eq!(root(Some(file), service), ROOT_WITH_A_FILE);
}

/// A variable wins over the file: a unit that sets one would take the file's setting away.
#[test]
fn the_unit_of_systemd_sets_nothing() {
    let unit = include_str!("../../../dist/systemd/registry.service");
    let set = unit
        .lines()
        .filter(|line| line.contains("REGISTRY_") && !line.starts_with('#'));
    assert_eq!(set.collect::<Vec<_>>(), [""; 0]);
    assert!(unit.lines().any(|line| line == "StateDirectory=registry"));
}

#[test]
fn rivals_are_named_with_their_places() {
    let rows = [
        (
            Some("version: 0.1\nstorage:\n  inmemory:\n"),
            "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/v",
            "c.yml:2: storage: several drivers are configured (filesystem: \
             REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY, inmemory: c.yml:3); keep one; ",
        ),
        (
            Some("version: 0.1\nstorage:\n  inmemory:\n  filesystem:\n"),
            "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/v",
            "c.yml:2: storage: several drivers are configured (filesystem: c.yml:4, inmemory: c.yml:3)",
        ),
        (
            None,
            "REGISTRY_STORAGE=inmemory\nREGISTRY_STORAGE_FILESYSTEM_MAXTHREADS=30",
            "REGISTRY_STORAGE: storage: several drivers are configured (filesystem: \
             REGISTRY_STORAGE_FILESYSTEM_MAXTHREADS, inmemory: REGISTRY_STORAGE)",
        ),
        (
            Some("version: 0.1\nstorage: inmemory\nauth: none\n"),
            "REGISTRY_AUTH_HTPASSWD_REALM=r",
            "c.yml:3: auth: several kinds are configured (htpasswd: \
             REGISTRY_AUTH_HTPASSWD_REALM, none: c.yml:3)",
        ),
    ];
    for (file, variables, begin) in rows {
        let told = load(file, variables).unwrap_err();
        assert!(told.starts_with(begin), "{told}");
    }
}

#[test]
fn durations_have_their_unit() {
    let set = |name: &str, value: &str| load(None, &format!("REGISTRY_{name}={value}"));
    let purging = "STORAGE_MAINTENANCE_UPLOADPURGING";
    for (key, value, said) in [
        ("AGE", "168", "168 has no unit; write 168h for hours"),
        ("AGE", "\"168\"", "168 has no unit; write 168h for hours"),
        ("AGE", "0", "must be at least 1s"),
        ("AGE", "0s", "must be at least 1s"),
        ("AGE", "-1h", "must not be negative"),
        ("AGE", "-1", "must not be negative"),
        ("INTERVAL", "24", "24 has no unit; write 24h for hours"),
        ("INTERVAL", "999ms", "must be at least 1s"),
    ] {
        let told = set(&format!("{purging}_{key}"), value).unwrap_err();
        assert!(
            told.ends_with(said) || told.contains(&format!(": {said}")),
            "{told}"
        );
    }
    for (value, warned) in [
        ("60", true),
        ("60s", false),
        ("500ms", false),
        ("2000000000", false),
        ("0", false),
    ] {
        let config = set("HTTP_DRAINTIMEOUT", value).unwrap();
        let warning =
            "http.draintimeout: 60 has no unit, so it is nanoseconds; write 60s for seconds";
        let expected = if warned { vec![warning] } else { Vec::new() };
        assert_eq!(config.warnings, expected, "{value}");
    }
    for (value, said) in [
        ("\"60\"", "60 has no unit"),
        ("-1", "must not be negative"),
        ("-1s", "must not be negative"),
    ] {
        let told = set("HTTP_DRAINTIMEOUT", value).unwrap_err();
        assert!(told.contains(said), "{told}");
    }
    let told = set("HEALTH_STORAGEDRIVER_INTERVAL", "10").unwrap_err();
    assert!(
        told.contains("must be at least 1s; with its unit"),
        "{told}"
    );
}

/// YAML takes them for numbers and truth values; whoever wrote them did not.
#[test]
fn texts_are_as_they_were_written() {
    let text = "version: 0.1\nstorage: {filesystem: {rootdirectory: 010}}\nauth: {htpasswd: {realm: 1e5, \
                path: 0x10}}\nhttp: {headers: {X-T: [1.10, 0123, 1e3, yes, 0x1F, 1_000, off]}, tls: \
                {certificate: 1.10, key: 1_0}}\nlog: {fields: {a: 1.10}}\n";
    let config = load(
        Some(text),
        "REGISTRY_HTTP_HEADERS_X-T_7=1.20\nREGISTRY_HTTP_TLS_KEY=0o7 # c",
    )
    .unwrap();
    let headers: Vec<_> = config
        .http
        .headers
        .iter()
        .map(|(_, value)| value.to_str().unwrap())
        .collect();
    assert_eq!(
        headers,
        ["1.10", "0123", "1e3", "yes", "0x1F", "1_000", "off", "1.20"]
    );
    let auth = config.auth.unwrap();
    assert_eq!(
        (auth.realm.as_str(), auth.path.to_str()),
        ("1e5", Some("0x10"))
    );
    let values = config.resolved.values();
    for (path, written) in [
        ("storage.filesystem.rootdirectory", "010"),
        ("http.tls.certificate", "1.10"),
        ("http.tls.key", "0o7"),
        ("log.fields.a", "1.10"),
    ] {
        assert_eq!(values.get(path), Some(&written.into()), "{path}");
    }
}

/// What a variable makes of a list is said of the variable, not of the file that has no such list.
#[test]
fn an_entry_of_a_list_is_of_its_variable() {
    let file = Some("version: 0.1\nstorage: inmemory\nhttp: {tls: {minimumtls: tls1.2}}\n");
    let told = load(file, "REGISTRY_HTTP_TLS_CLIENTCAS_0=/x").unwrap_err();
    let start = "REGISTRY_HTTP_TLS_CLIENTCAS_0: http.tls.clientcas: is without effect";
    assert!(told.starts_with(start), "{told}");
    let variables = "REGISTRY_HTTP_TLS_CLIENTCAS=[]\nREGISTRY_HTTP_TLS_CLIENTCAS_0=/x";
    let told = load(file, variables).unwrap_err();
    assert!(
        told.starts_with("REGISTRY_HTTP_TLS_CLIENTCAS: http"),
        "{told}"
    );
    let file = Some("version: 0.1\nstorage: inmemory\nhttp: {tls: {clientcas: [/y]}}\n");
    let told = load(file, "REGISTRY_HTTP_TLS_CLIENTCAS_1=/x").unwrap_err();
    assert!(
        told.starts_with("c.yml:3: http.tls.clientcas: is without"),
        "{told}"
    );
}

/// What is printed can be a configuration, and comes to the same.
#[test]
fn what_is_shown_comes_to_the_same() {
    let tls = "version: 0.1\nstorage: {filesystem: }\nhttp: {tls: {certificate: /c, key: /k}}\n";
    let odd = "version: 0.1\nstorage: inmemory\nauth: none\nlog: {fields: {service.name: 1.10, '1: #': 5, 'no': x}, \
               levels: {'a::b': warn}}\nhttp: {draintimeout: 60, headers: {X-A: [off, '\"']}}\n";
    let files = STOCK.into_iter().chain([EVERYTHING, ACME, tls, odd]);
    for file in files.map(Some).chain([None]) {
        let (one, other) = there_and_back(load(file, "").unwrap());
        assert_eq!(one, other);
    }
}

/// A configuration, and what comes of what is shown of it; places, warnings and secrets aside.
pub(super) fn there_and_back(config: Config) -> (String, String) {
    let shown = config.resolved.to_string();
    let again = load(Some(&shown), "").unwrap_or_else(|told| panic!("{shown}\n{told}"));
    let plain = |mut config: Config| {
        config.resolved = Resolved::default();
        config.source = Source::None;
        config.warnings = Vec::new();
        format!("{config:?}")
    };
    (plain(config), plain(again))
}

/// What Distribution takes for a default, or for the least.
#[test]
fn numbers_as_distribution_takes_them() {
    let threads = |value: &str| {
        let set = format!("REGISTRY_STORAGE_FILESYSTEM_MAXTHREADS={value}");
        load(None, &set).map(|config| match config.storage.driver {
            Driver::Filesystem { threads, .. } => threads,
            Driver::Inmemory => panic!("not asked for"),
        })
    };
    for (value, expected) in [
        ("\"100\"", 100),
        ("0", 25),
        ("-7", 25),
        ("24", 25),
        ("26", 26),
        ("~", 100),
    ] {
        assert_eq!(threads(value), Ok(expected), "{value}");
    }
    for value in ["many", "\"-1\"", "1.5", "[]", "true"] {
        let told = threads(value).unwrap_err();
        assert!(
            told.contains("maxthreads: must be a whole number"),
            "{told}"
        );
    }
    let health = "REGISTRY_HEALTH_STORAGEDRIVER={enabled: true, interval: 0s, threshold: 0}";
    let health = load(None, health).unwrap().health.unwrap();
    assert_eq!((health.interval.as_secs(), health.threshold), (10, 3));
    load(
        None,
        "REGISTRY_STORAGE_CACHE_BLOBDESCRIPTORSIZE=0\nREGISTRY_STORAGE_TAG_CONCURRENCYLIMIT=0",
    )
    .unwrap();
    let fields = "REGISTRY_LOG_FIELDS={a: {b: [1, x]}, c: true, d: 1.50, e: ~}";
    let fields = load(None, fields).unwrap().log.fields;
    let fields: Vec<_> = fields
        .iter()
        .map(|(key, text)| format!("{key}={text}"))
        .collect();
    assert_eq!(fields, [r#"a={"b":[1,"x"]}"#, "c=true", "d=1.50", "e="]);
}
