//! What the tree means: every default is filled in here, and nowhere else.

use std::{path::PathBuf, time::Duration};

use http::{HeaderName, HeaderValue, Uri};
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
pub(crate) const ROOT_WITH_A_FILE: &str = "/var/lib/registry";
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
        let message = "must be a URL without user, query and fragment, such as \
                       https://registry.example.org";
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
