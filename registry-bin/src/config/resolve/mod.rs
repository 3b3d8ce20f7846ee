//! What the tree means: every default is filled in here, and nowhere else.

mod http;
mod storage;
mod tls;
mod validation;

use std::{path::PathBuf, time::Duration};

use tracing::level_filters::LevelFilter;

#[cfg(test)]
pub(crate) use self::storage::ROOT_WITH_A_FILE;
use super::{
    AccessFormat, Config, Environment, Htpasswd, Log, LogFormatter, LogLevel, Source,
    StorageHealth, error::Result, reader::Section, tree::Tree,
};
use crate::telemetry::Levels;

const VERSION: &str = "0.1";
const ENTRIES: usize = 1000;
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
    let storage = storage::storage(&root, with_a_file, environment)?;
    let auth = auth(&root)?;
    let http = http::http(&root.section("http")?)?;
    let health = health(&root.section("health")?.section("storagedriver")?)?;
    let validation = validation::validation(&root.section("validation")?)?;
    let classes = validation::classes(&root.section("policy")?.section("repository")?)?;
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
            let message = format!("several kinds are configured ({})", auth.rivals(&kinds));
            let remedy = "a scalar, as in REGISTRY_AUTH=htpasswd, replaces the section";
            Err(root.error("auth", format!("{message}; keep one; {remedy}")))
        }
    }
}

fn health(driver: &Section<'_>) -> Result<Option<StorageHealth>> {
    let enabled = driver.boolean("enabled", false)?;
    let settings = StorageHealth {
        interval: driver.duration_or_zero("interval", HEALTH_INTERVAL)?,
        threshold: driver.count("threshold", HEALTH_THRESHOLD)?,
    };
    storage::long_enough(driver, "interval", settings.interval)?;
    Ok(enabled.then_some(settings))
}
