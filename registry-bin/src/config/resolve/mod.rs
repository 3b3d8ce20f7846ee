//! What the tree means: every default is filled in here, and nowhere else.

mod tls;

use std::{path::PathBuf, time::Duration};

use http::{HeaderName, HeaderValue, Uri};
use registry_core::manifest::Platform;
use tracing::level_filters::LevelFilter;

use super::{
    AccessFormat, Class, Config, ConfigError, Driver, Environment, Htpasswd, Http, Indexes, Listen,
    Log, LogFormatter, LogLevel, References, Source, Storage, StorageHealth, UploadPurging,
    Validation,
    reader::{BareNumber, Section},
    schema::BESIDE_THE_DRIVER,
    tree::Tree,
};
use crate::{listen::host_and_port, telemetry::Levels, trusted::TrustedPeers};

type Result<T> = std::result::Result<T, ConfigError>;

const VERSION: &str = "0.1";
const ENTRIES: usize = 1000;
const ADDRESS: &str = "127.0.0.1:5000";
pub(crate) const ROOT_WITH_A_FILE: &str = "/var/lib/registry";
const THREADS: usize = 100;
const FEWEST_THREADS: usize = 25;
const PURGE_AGE: Duration = Duration::from_secs(168 * 3600);
const PURGE_INTERVAL: Duration = Duration::from_secs(24 * 3600);
const SHORTEST: Duration = Duration::from_secs(1);
const DRAIN: Duration = Duration::from_secs(5);
const HEALTH_INTERVAL: Duration = Duration::from_secs(10);
const HEALTH_THRESHOLD: usize = 3;

pub(crate) fn config(
    source: Source,
    mut warnings: Vec<String>,
    tree: &Tree,
    environment: &Environment,
) -> Result<Config> {
    let root = Section::root(tree);
    let with_a_file = source.is_file();
    version(&root, with_a_file)?;
    let log = log(&root, &mut warnings)?;
    let storage = storage(&root, with_a_file, environment)?;
    let auth = auth(&root)?;
    let http = http(&root.section("http")?)?;
    let health = health(&root.section("health")?.section("storagedriver")?)?;
    let validation = validation(&root.section("validation")?)?;
    let classes = classes(&root.section("policy")?.section("repository")?)?;
    let catalog_entries = root.section("catalog")?.count("maxentries", ENTRIES)?;
    let tag_entries = root.section("tags")?.count("maxtags", ENTRIES)?;
    warnings.extend(tree.warnings.take());
    Ok(Config {
        source,
        warnings,
        resolved: tree.resolved.borrow().clone(),
        log,
        storage,
        auth,
        http,
        health,
        validation,
        classes,
        catalog_entries,
        tag_entries,
    })
}

fn version(root: &Section<'_>, required: bool) -> Result<()> {
    match root.written("version")?.as_deref() {
        Some(VERSION) => {
            root.noted("version", VERSION);
            Ok(())
        }
        None if !required => {
            root.noted("version", VERSION);
            Ok(())
        }
        None => Err(root.error("version", "is missing; begin the file with `version: 0.1`")),
        Some(other) => {
            let message = format!("{other} is not supported; this registry knows 0.1");
            Err(root.error("version", message))
        }
    }
}

const LEVELS: [(&str, LogLevel); 4] = [
    ("info", LogLevel::Info),
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("debug", LogLevel::Debug),
];

fn log(root: &Section<'_>, warnings: &mut Vec<String>) -> Result<Log> {
    let formatters = [
        ("text", LogFormatter::Text),
        ("json", LogFormatter::Json),
        ("logstash", LogFormatter::Logstash),
    ];
    let formats = [
        ("combined", AccessFormat::Combined),
        ("json", AccessFormat::Json),
    ];
    let log = root.section("log")?;
    let level = if root.has("loglevel") {
        warnings.push("loglevel: is deprecated; write log.level instead".to_owned());
        let old = root.word("loglevel", &LEVELS)?;
        let new = log.word("level", &LEVELS)?;
        if log.has("level") { new } else { old }
    } else {
        log.word("level", &LEVELS)?
    };
    let modules = log.section("levels")?;
    let level_of = |key: &String| {
        let level = modules.word(key, &LEVELS)?;
        let known = Levels::new(LevelFilter::OFF).with(key, LevelFilter::OFF);
        known.map_err(|invalid| modules.error(key, invalid.to_string()))?;
        Ok((key.clone(), level))
    };
    let access = log.section("accesslog")?;
    let disabled = access.boolean("disabled", false)?;
    let format = access.word("format", &formats)?;
    Ok(Log {
        level,
        levels: modules.keys().map(level_of).collect::<Result<_>>()?,
        formatter: log.word("formatter", &formatters)?,
        fields: log.texts_or_json("fields")?,
        report_caller: log.boolean("reportcaller", false)?,
        file: log.text("file")?.map(PathBuf::from),
        access: (!disabled).then_some(format),
        access_file: access.text("file")?.map(PathBuf::from),
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
        ["inmemory"] => {
            storage.noted("inmemory", serde_json::json!({}));
            Driver::Inmemory
        }
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
    without_effect(&storage)?;
    let maintenance = storage.section("maintenance")?;
    Ok(Storage {
        driver,
        deletes: storage
            .section("delete")?
            .boolean("enabled", !with_a_file)?,
        read_only: maintenance.section("readonly")?.boolean("enabled", false)?,
        upload_purging: upload_purging(&maintenance.section("uploadpurging")?)?,
    })
}

/// What is fine to write, and changes nothing with the drivers there are.
fn without_effect(storage: &Section<'_>) -> Result<()> {
    let cache = storage.section("cache")?;
    for key in ["blobdescriptor", "layerinfo"] {
        if cache.written(key)?.as_deref() == Some("redis") {
            let message =
                "redis comes with object stores; write inmemory, which is as good on a disk";
            return Err(cache.error(key, message));
        }
        if cache.has(key) {
            cache.word(key, &[("inmemory", ())])?;
        }
    }
    cache.idle_count("blobdescriptorsize")?;
    storage.section("redirect")?.boolean("disable", false)?;
    storage.section("tag")?.idle_count("concurrencylimit")?;
    Ok(())
}

fn filesystem(
    filesystem: &Section<'_>,
    with_a_file: bool,
    environment: &Environment,
) -> Result<Driver> {
    let default = if with_a_file {
        Some(ROOT_WITH_A_FILE.into())
    } else {
        data_home(environment)
    };
    let root = match (filesystem.has("rootdirectory"), default) {
        (_, Some(default)) => filesystem.text_or("rootdirectory", &default.to_string_lossy())?,
        (true, None) => filesystem.text_or("rootdirectory", "")?,
        (false, None) => String::new(),
    };
    if root.is_empty() {
        let message = "there is no home directory to put content in; set \
                       REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY";
        return Err(filesystem.error("rootdirectory", message));
    }
    let threads = filesystem.limit("maxthreads", THREADS, FEWEST_THREADS)?;
    Ok(Driver::Filesystem {
        root: root.into(),
        threads,
    })
}

fn data_home(environment: &Environment) -> Option<PathBuf> {
    let absolute = |name| Some(PathBuf::from(environment.value(name)?)).filter(|p| p.is_absolute());
    let home = || Some(absolute("HOME")?.join(".local/share"));
    Some(absolute("XDG_DATA_HOME").or_else(home)?.join("registry"))
}

fn upload_purging(purging: &Section<'_>) -> Result<Option<UploadPurging>> {
    let enabled = purging.boolean("enabled", true)?;
    let settings = UploadPurging {
        age: purging.duration("age", PURGE_AGE, BareNumber::Refused)?,
        interval: purging.duration("interval", PURGE_INTERVAL, BareNumber::Refused)?,
        dry_run: purging.boolean("dryrun", false)?,
    };
    long_enough(purging, "age", settings.age)?;
    long_enough(purging, "interval", settings.interval)?;
    Ok(enabled.then_some(settings))
}

fn long_enough(section: &Section<'_>, key: &str, found: Duration) -> Result<()> {
    if found >= SHORTEST {
        return Ok(());
    }
    let message = "must be at least 1s; with its unit, since a number alone is nanoseconds";
    Err(section.error(key, message))
}

fn auth(root: &Section<'_>) -> Result<Option<Htpasswd>> {
    let auth = root.section("auth")?;
    let kinds: Vec<_> = auth.keys().map(String::as_str).collect();
    match kinds[..] {
        [] => Ok(None),
        ["none"] => {
            auth.noted("none", serde_json::json!({}));
            Ok(None)
        }
        ["htpasswd"] => {
            let htpasswd = auth.section("htpasswd")?;
            let (realm, path) = (htpasswd.text("realm")?, htpasswd.text("path")?);
            let missing = |key, remedy| htpasswd.error(key, format!("is missing; {remedy}"));
            let realm = realm.ok_or_else(|| {
                missing(
                    "realm",
                    "write what clients are shown, such as Registry Realm",
                )
            })?;
            let path = path.ok_or_else(|| {
                missing("path", "write the path of the file with users and hashes")
            })?;
            Ok(Some(Htpasswd {
                realm,
                path: path.into(),
            }))
        }
        _ => {
            let message = format!("several kinds are configured ({})", kinds.join(", "));
            let remedy = "a scalar, as in REGISTRY_AUTH=htpasswd, replaces the section";
            Err(root.error("auth", format!("{message}; keep one; {remedy}")))
        }
    }
}

fn http(http: &Section<'_>) -> Result<Http> {
    let host = http.text("host")?;
    if host.as_ref().is_some_and(|host| !is_url(host)) {
        let message = "must be a URL without user, query and fragment, such as \
                       https://registry.example.org";
        return Err(http.error("host", message));
    }
    let prefix = http
        .text("prefix")?
        .filter(|prefix| !prefix.trim_matches('/').is_empty());
    if prefix
        .as_ref()
        .is_some_and(|prefix| !prefix.starts_with('/'))
    {
        return Err(http.error("prefix", "must begin with a slash, such as /registry/"));
    }
    let listen = listen(http)?;
    Ok(Http {
        host,
        prefix,
        secret: http.secret("secret")?,
        relative_urls: http.boolean_if("relativeurls")?,
        drain: http.duration("draintimeout", DRAIN, BareNumber::Nanoseconds)?,
        headers: headers(http)?,
        trusted: TrustedPeers::parse(http.strings("trustedproxies")?)
            .map_err(|invalid| http.error("trustedproxies", invalid.to_string()))?,
        tls: tls::tls(&http.section("tls")?)?,
        http2: !http.section("http2")?.boolean("disabled", false)?,
        h2c: http.section("h2c")?.boolean("enabled", true)?,
        debug: debug(&http.section("debug")?, &listen)?,
        listen,
    })
}

fn listen(http: &Section<'_>) -> Result<Listen> {
    let unix = http.word("net", &[("tcp", false), ("unix", true)])?;
    if unix {
        let message = "must be the path of the socket, since http.net is unix";
        return match http.text("addr")? {
            Some(path) => Ok(Listen::Unix(path.into())),
            None => Err(http.error("addr", message)),
        };
    }
    let address = http.text_or("addr", ADDRESS)?;
    if host_and_port(&address).is_some() {
        return Ok(Listen::Tcp(address));
    }
    Err(http.error("addr", no_address("5000")))
}

fn no_address(port: &str) -> String {
    format!(
        "must be a host and a port up to 65535, such as 127.0.0.1:{port}, '[::1]:{port}', or :{port} for \
         every interface; no URL, and no `*`"
    )
}

/// Whether both cannot be listened on.
fn is_same(one: &str, other: &str) -> bool {
    let (Some((one, port)), Some((other, same))) = (host_and_port(one), host_and_port(other))
    else {
        return false;
    };
    let everywhere = |host: &str| matches!(host, "" | "0.0.0.0" | "::");
    let hosts = one.eq_ignore_ascii_case(other) || everywhere(one) || everywhere(other);
    port == same && port != 0 && hosts
}

fn debug(debug: &Section<'_>, listen: &Listen) -> Result<Option<String>> {
    let prometheus = debug.section("prometheus")?;
    if prometheus.boolean("enabled", false)? {
        let message = "metrics come with a later release; write false, or remove it";
        return Err(prometheus.error("enabled", message));
    }
    prometheus.text("path")?;
    let Some(address) = debug.text("addr")? else {
        return Ok(None);
    };
    if host_and_port(&address).is_none() {
        return Err(debug.error("addr", no_address("5001")));
    }
    if matches!(listen, Listen::Tcp(taken) if is_same(taken, &address)) {
        let message =
            "is the address of http.addr, too; choose another port, such as 127.0.0.1:5001";
        return Err(debug.error("addr", message));
    }
    Ok(Some(address))
}

fn headers(http: &Section<'_>) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let section = http.section("headers")?;
    let mut headers = Vec::new();
    for key in section.keys() {
        for value in section.strings(key)? {
            match (key.parse(), value.parse()) {
                (Ok(name), Ok(value)) => headers.push((name, value)),
                (Err(_), _) => return Err(section.error(key, "is no name of a header")),
                (_, Err(_)) => return Err(section.error(key, "is no value of a header")),
            }
        }
    }
    Ok(headers)
}

/// Whether clients can be sent below it: a scheme and a host, a path maybe, and nothing behind.
fn is_url(text: &str) -> bool {
    let Ok(url) = text.parse::<Uri>() else {
        return false;
    };
    let user = url
        .authority()
        .is_none_or(|host| host.as_str().contains('@'));
    matches!(url.scheme_str(), Some("http" | "https"))
        && !user
        && url.query().is_none()
        && !text.contains('#')
}

fn health(driver: &Section<'_>) -> Result<Option<StorageHealth>> {
    let enabled = driver.boolean("enabled", false)?;
    let settings = StorageHealth {
        interval: driver.duration_or_zero("interval", HEALTH_INTERVAL)?,
        threshold: driver.count("threshold", HEALTH_THRESHOLD)?,
    };
    long_enough(driver, "interval", settings.interval)?;
    Ok(enabled.then_some(settings))
}

fn classes(repository: &Section<'_>) -> Result<Vec<Class>> {
    let class = |name: String| match name.as_str() {
        "image" => Ok(Class::Image),
        "plugin" => Ok(Class::Plugin),
        _ => {
            let message = format!("{name:?} is no class; write image or plugin");
            Err(repository.error("classes", message))
        }
    };
    repository
        .strings("classes")?
        .into_iter()
        .map(class)
        .collect()
}

fn validation(validation: &Section<'_>) -> Result<Validation> {
    let enabled = validation.boolean_if("enabled")?.unwrap_or(false);
    let disabled = validation.boolean("disabled", false)? && !enabled;
    let manifests = validation.section("manifests")?;
    let urls = manifests.section("urls")?;
    let words = [("all", References::All), ("none", References::None)];
    let (allow, deny) = (patterns(&urls, "allow")?, patterns(&urls, "deny")?);
    let indexes = indexes(&manifests.section("indexes")?)?;
    let when_enabled = |patterns| if disabled { Vec::new() } else { patterns };
    Ok(Validation {
        references: manifests.word("references", &words)?,
        indexes: if disabled { Indexes::None } else { indexes },
        urls_allow: when_enabled(allow),
        urls_deny: when_enabled(deny),
    })
}

fn indexes(indexes: &Section<'_>) -> Result<Indexes> {
    let words = [("all", 0_u8), ("none", 1), ("list", 2)];
    let platforms = indexes.word("platforms", &words)?;
    let listed = indexes.sections("platformlist")?;
    let listed: Vec<_> = listed.iter().map(platform).collect::<Result<_>>()?;
    if !listed.is_empty() {
        let shown = listed.iter().map(|platform| {
            serde_json::json!({"os": platform.os, "architecture": platform.architecture})
        });
        indexes.noted("platformlist", shown.collect::<Vec<_>>());
    }
    match platforms {
        0 => Ok(Indexes::All),
        1 => Ok(Indexes::None),
        _ if listed.is_empty() => Err(indexes.error(
            "platformlist",
            "must have an entry, since platforms is list",
        )),
        _ => Ok(Indexes::List(listed)),
    }
}

fn platform(platform: &Section<'_>) -> Result<Platform> {
    let text = |key| match platform.written(key)? {
        Some(text) => Ok(text),
        _ => Err(platform.error(key, "is missing, such as linux, or amd64")),
    };
    Ok(Platform::new(text("os")?, text("architecture")?))
}

fn patterns(urls: &Section<'_>, key: &str) -> Result<Vec<regex::Regex>> {
    let compile = |text: &String| {
        regex::Regex::new(text).map_err(|error| {
            // The lines before the last draw the place under the pattern.
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default();
            let reason = reason.trim_start_matches("error: ");
            urls.error(key, format!("`{text}` is no regular expression: {reason}"))
        })
    };
    urls.strings(key)?.iter().map(compile).collect()
}
