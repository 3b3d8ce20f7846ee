//! What the tree means: every default is filled in here, and nowhere else.

use std::{path::PathBuf, time::Duration};

use registry_core::{access::Secret, manifest::Platform};

use super::{
    Config, ConfigError, Driver, Environment, Http, Indexes, Listen, Log, LogFormatter, LogLevel,
    References, Source, Storage, UploadPurging, Validation, reader::Section,
    schema::BESIDE_THE_DRIVER, tree::Tree,
};

type Result<T> = std::result::Result<T, ConfigError>;

const VERSION: &str = "0.1";
const ENTRIES: usize = 1000;
const ADDRESS: &str = "127.0.0.1:5000";
const ROOT_WITH_A_FILE: &str = "/var/lib/registry";
const THREADS: usize = 100;
const FEWEST_THREADS: usize = 25;
const PURGE_AGE: Duration = Duration::from_secs(168 * 3600);
const PURGE_INTERVAL: Duration = Duration::from_secs(24 * 3600);
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
const DRAIN: Duration = Duration::from_secs(5);

pub(crate) fn config(
    source: Source,
    warnings: Vec<String>,
    tree: &Tree,
    environment: &Environment,
) -> Result<Config> {
    let root = Section::root(tree);
    let with_a_file = source.is_file();
    version(&root, with_a_file)?;
    Ok(Config {
        log: log(&root.section("log")?)?,
        storage: storage(&root, with_a_file, environment)?,
        http: http(&root.section("http")?)?,
        validation: validation(&root.section("validation")?)?,
        catalog_entries: root
            .section("catalog")?
            .count("maxentries")?
            .unwrap_or(ENTRIES),
        tag_entries: root.section("tags")?.count("maxtags")?.unwrap_or(ENTRIES),
        source,
        warnings,
    })
}

fn version(root: &Section<'_>, required: bool) -> Result<()> {
    match root.string("version")?.as_deref() {
        Some(VERSION) => Ok(()),
        None if !required => Ok(()),
        None => Err(root.error("version", "is missing; begin the file with `version: 0.1`")),
        Some(other) => {
            let message = format!("{other} is not supported; this registry knows 0.1");
            Err(root.error("version", message))
        }
    }
}

fn log(log: &Section<'_>) -> Result<Log> {
    let levels = [
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
    ];
    let formatters = [
        ("text", LogFormatter::Text),
        ("json", LogFormatter::Json),
        ("logstash", LogFormatter::Logstash),
    ];
    let disabled = log.section("accesslog")?.boolean("disabled")?;
    Ok(Log {
        level: log.word("level", &levels)?.unwrap_or(LogLevel::Info),
        formatter: log
            .word("formatter", &formatters)?
            .unwrap_or(LogFormatter::Text),
        fields: log.texts("fields")?,
        access: !disabled.unwrap_or(false),
    })
}

fn storage(root: &Section<'_>, with_a_file: bool, environment: &Environment) -> Result<Storage> {
    let storage = root.section("storage")?;
    let drivers: Vec<_> = storage
        .keys()
        .filter(|key| !BESIDE_THE_DRIVER.contains(&key.as_str()))
        .map(String::as_str)
        .collect();
    let driver = match drivers[..] {
        ["inmemory"] => Driver::Inmemory,
        ["filesystem"] => filesystem(&storage.section("filesystem")?, with_a_file, environment)?,
        [] if !with_a_file => {
            filesystem(&storage.section("filesystem")?, with_a_file, environment)?
        }
        [] => {
            let message = "no driver is configured; write `filesystem: {rootdirectory: …}` in it";
            return Err(root.error("storage", message));
        }
        _ => {
            let message = format!("several drivers are configured ({})", drivers.join(", "));
            let remedy = "a scalar, as in REGISTRY_STORAGE=inmemory, replaces the section";
            return Err(root.error("storage", format!("{message}; keep one; {remedy}")));
        }
    };
    let maintenance = storage.section("maintenance")?;
    Ok(Storage {
        driver,
        deletes: storage
            .section("delete")?
            .boolean("enabled")?
            .unwrap_or(!with_a_file),
        read_only: maintenance
            .section("readonly")?
            .boolean("enabled")?
            .unwrap_or(false),
        upload_purging: upload_purging(&maintenance.section("uploadpurging")?)?,
    })
}

fn filesystem(
    filesystem: &Section<'_>,
    with_a_file: bool,
    environment: &Environment,
) -> Result<Driver> {
    let root = match filesystem
        .string("rootdirectory")?
        .filter(|root| !root.is_empty())
    {
        Some(root) => root.into(),
        None if with_a_file => ROOT_WITH_A_FILE.into(),
        None => data_home(environment).ok_or_else(|| {
            let message = "there is no home directory to put content in; set \
                           REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY";
            filesystem.error("rootdirectory", message)
        })?,
    };
    let threads = filesystem.count("maxthreads")?.unwrap_or(THREADS);
    Ok(Driver::Filesystem {
        root,
        threads: threads.max(FEWEST_THREADS),
    })
}

fn data_home(environment: &Environment) -> Option<PathBuf> {
    let absolute = |name| Some(PathBuf::from(environment.value(name)?)).filter(|p| p.is_absolute());
    let home = || Some(absolute("HOME")?.join(".local/share"));
    Some(absolute("XDG_DATA_HOME").or_else(home)?.join("registry"))
}

fn upload_purging(purging: &Section<'_>) -> Result<Option<UploadPurging>> {
    let settings = UploadPurging {
        age: purging.duration("age")?.unwrap_or(PURGE_AGE),
        interval: purging.duration("interval")?.unwrap_or(PURGE_INTERVAL),
        dry_run: purging.boolean("dryrun")?.unwrap_or(false),
    };
    if settings.interval < SHORTEST_INTERVAL {
        return Err(purging.error("interval", "must be at least 1s"));
    }
    Ok(purging
        .boolean("enabled")?
        .unwrap_or(true)
        .then_some(settings))
}

fn http(http: &Section<'_>) -> Result<Http> {
    let host = http.string("host")?.filter(|host| !host.is_empty());
    if host.as_ref().is_some_and(|host| !is_url(host)) {
        let message = "must be a URL such as https://registry.example.org";
        return Err(http.error("host", message));
    }
    let prefix = http
        .string("prefix")?
        .filter(|prefix| !prefix.trim_matches('/').is_empty());
    if prefix
        .as_ref()
        .is_some_and(|prefix| !prefix.starts_with('/'))
    {
        return Err(http.error("prefix", "must begin with a slash, such as /registry/"));
    }
    Ok(Http {
        listen: listen(http)?,
        host,
        prefix,
        secret: http
            .string("secret")?
            .filter(|s| !s.is_empty())
            .map(Secret::new),
        relative_urls: http.boolean("relativeurls")?,
        drain: http.duration("draintimeout")?.unwrap_or(DRAIN),
        headers: headers(http)?,
    })
}

fn listen(http: &Section<'_>) -> Result<Listen> {
    let unix = http.word("net", &[("tcp", false), ("unix", true), ("", false)])?;
    let address = http.string("addr")?.filter(|address| !address.is_empty());
    if unix == Some(true) {
        let message = "must be the path of the socket, since http.net is unix";
        return match address {
            Some(path) => Ok(Listen::Unix(path.into())),
            None => Err(http.error("addr", message)),
        };
    }
    let address = address.unwrap_or_else(|| ADDRESS.to_owned());
    match address
        .rsplit_once(':')
        .map(|(_, port)| port.parse::<u16>())
    {
        Some(Ok(_)) => Ok(Listen::Tcp(address)),
        _ => {
            let message = "must be a host and a port, such as 127.0.0.1:5000, or :5000 for every \
                           interface";
            Err(http.error("addr", message))
        }
    }
}

fn headers(http: &Section<'_>) -> Result<Vec<(String, String)>> {
    let section = http.section("headers")?;
    let mut headers = Vec::new();
    for name in section.keys() {
        for value in section.strings(name)? {
            headers.push((name.clone(), value));
        }
    }
    Ok(headers)
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

fn validation(validation: &Section<'_>) -> Result<Validation> {
    let disabled = validation.boolean("disabled")?.unwrap_or(false);
    let manifests = validation.section("manifests")?;
    let urls = manifests.section("urls")?;
    let words = [("all", References::All), ("none", References::None)];
    let indexes = indexes(&manifests.section("indexes")?)?;
    Ok(Validation {
        references: manifests
            .word("references", &words)?
            .unwrap_or(References::All),
        indexes: if disabled { Indexes::None } else { indexes },
        urls_allow: patterns(&urls, "allow")?
            .into_iter()
            .filter(|_| !disabled)
            .collect(),
        urls_deny: patterns(&urls, "deny")?
            .into_iter()
            .filter(|_| !disabled)
            .collect(),
    })
}

fn indexes(indexes: &Section<'_>) -> Result<Indexes> {
    let words = [("all", 0_u8), ("none", 1), ("list", 2)];
    let listed = indexes.sections("platformlist")?;
    match indexes.word("platforms", &words)? {
        None | Some(0) => Ok(Indexes::All),
        Some(1) => Ok(Indexes::None),
        Some(_) if listed.is_empty() => Err(indexes.error(
            "platformlist",
            "must have an entry, since platforms is list",
        )),
        Some(_) => listed
            .iter()
            .map(platform)
            .collect::<Result<_>>()
            .map(Indexes::List),
    }
}

fn platform(platform: &Section<'_>) -> Result<Platform> {
    let text = |key| match platform.string(key)? {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(platform.error(key, "is missing, such as linux, or amd64")),
    };
    Ok(Platform::new(text("os")?, text("architecture")?))
}

fn patterns(urls: &Section<'_>, key: &str) -> Result<Vec<regex::Regex>> {
    let compile = |text: &String| {
        regex::Regex::new(text).map_err(|error| urls.error(key, format!("{text}: {error}")))
    };
    urls.strings(key)?.iter().map(compile).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Origin, environment};

    fn load(file: Option<&str>, variables: &str) -> std::result::Result<Config, String> {
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
        let expected = r#"Config { source: Argument("c.yml"), warnings: [], log: Log { level: Debug, formatter: Json, fields: {"n": "1", "service": "registry"}, access: false }, storage: Storage { driver: Filesystem { root: "/data", threads: 25 }, deletes: true, read_only: true, upload_purging: Some(UploadPurging { age: 3600s, interval: 90s, dry_run: true }) }, http: Http { listen: Unix("/run/registry.sock"), host: Some("https://registry.example.org"), prefix: Some("/oci/"), secret: Some(Secret(…)), relative_urls: Some(false), drain: 60s, headers: [("X-Content-Type-Options", "nosniff")] }, validation: Validation { references: None, indexes: List([Platform { architecture: "amd64", os: "linux" }]), urls_allow: [Regex("^https://")], urls_deny: [Regex("evil")] }, catalog_entries: 10, tag_entries: 20 }"#;
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
                "c.yml: http.host: must be a URL such as https://",
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
                "c.yml: validation.manifests.urls.allow: (: ",
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
        let told = load(None, "HOME=").unwrap_err();
        assert!(
            told.starts_with("storage.filesystem.rootdirectory: there is no home"),
            "{told}"
        );
    }
}
