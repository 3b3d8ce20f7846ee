//! What `storage` means.

use std::{path::PathBuf, time::Duration};

use super::super::{
    Driver, Environment, Storage, UploadPurging,
    error::Result,
    reader::{BareNumber, Section},
    schema::BESIDE_THE_DRIVER,
};

pub(crate) const ROOT_WITH_A_FILE: &str = "/var/lib/registry";
const THREADS: usize = 100;
const FEWEST_THREADS: usize = 25;
const PURGE_AGE: Duration = Duration::from_secs(168 * 3600);
const PURGE_INTERVAL: Duration = Duration::from_secs(24 * 3600);
const SHORTEST: Duration = Duration::from_secs(1);

pub(super) fn storage(
    root: &Section<'_>,
    with_a_file: bool,
    environment: &Environment,
) -> Result<Storage> {
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
            let message = format!(
                "several drivers are configured ({})",
                storage.rivals(&drivers)
            );
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
        read_only: read_only(&maintenance)?,
        upload_purging: upload_purging(&maintenance.section("uploadpurging")?)?,
    })
}

/// Whether nothing may be written. What begins to say so and does not is refused, as in Distribution:
/// an empty variable would make the registry writable.
fn read_only(maintenance: &Section<'_>) -> Result<bool> {
    let readonly = maintenance.section("readonly")?;
    if maintenance.is_written("readonly") && !readonly.has("enabled") {
        let message = "is empty; write true or false, or remove `readonly`";
        return Err(readonly.error("enabled", message));
    }
    readonly.boolean("enabled", false)
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

/// The directory that systemd made for the service (`StateDirectory=`, the first of them), or one of
/// the user's.
fn data_home(environment: &Environment) -> Option<PathBuf> {
    let absolute = |path: &str| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let named = |name| absolute(environment.value(name)?);
    let of_the_service = || absolute(environment.value("STATE_DIRECTORY")?.split(':').next()?);
    let of_the_user = || {
        let home = || Some(named("HOME")?.join(".local/share"));
        Some(named("XDG_DATA_HOME").or_else(home)?.join("registry"))
    };
    of_the_service().or_else(of_the_user)
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

pub(super) fn long_enough(section: &Section<'_>, key: &str, found: Duration) -> Result<()> {
    if found >= SHORTEST {
        return Ok(());
    }
    let message = "must be at least 1s; with its unit, since a number alone is nanoseconds";
    Err(section.error(key, message))
}
