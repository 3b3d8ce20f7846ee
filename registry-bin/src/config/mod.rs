//! The configuration: what was written (the `tree`), and what it means ([`Config`]).
//!
//! It is Distribution's: the same file, the same variables, the same rules for putting them
//! together. Whatever of it cannot be honoured stops the start, by name. The reference is
//! `docs/reference/configuration.md`.

mod duration;
mod environment;
mod error;
mod reader;
mod resolve;
mod schema;
mod source;
#[cfg(test)]
mod tests;
mod tree;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use http::{HeaderName, HeaderValue};
use registry_core::{access::Secret, manifest::Platform};

pub(crate) use self::duration::display as display_duration;
pub use self::{
    environment::CONFIGURATION_PATH,
    error::{ConfigError, Origin},
    source::{Environment, Source},
};

/// All settings, with every default filled in.
#[derive(Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where it was found.
    pub source: Source,
    /// What was written and means nothing.
    pub warnings: Vec<String>,
    /// `log`: what is told, and how.
    pub log: Log,
    /// `storage`: where content is.
    pub storage: Storage,
    /// `http`: how clients reach it.
    pub http: Http,
    /// `validation`: what is checked at a push.
    pub validation: Validation,
    /// `catalog.maxentries`: the most repositories in one answer. Default: 1000. At least 1.
    pub catalog_entries: usize,
    /// `tags.maxtags`: the most tags in one answer. Default: 1000. At least 1.
    pub tag_entries: usize,
}

impl Config {
    /// Reads the configuration: the file that `argument` or a variable names, or none, with the
    /// variables of `environment` laid over it. Nothing is opened or bound.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with everything that is wrong.
    pub fn load(argument: Option<PathBuf>, environment: &Environment) -> Result<Self, ConfigError> {
        let source = Source::find(argument, environment);
        let mut tree = source.read()?;
        let warnings = environment::apply(&mut tree, environment.variables())?;
        resolve::config(source, warnings, &tree, environment)
    }
}

/// How the application tells what it does, on standard error.
#[derive(Debug)]
#[non_exhaustive]
pub struct Log {
    /// `log.level`. Default: info.
    pub level: LogLevel,
    /// `log.formatter`. Default: text.
    pub formatter: LogFormatter,
    /// `log.fields`: added to each line. Default: none.
    pub fields: BTreeMap<String, String>,
    /// Not `log.accesslog.disabled`: a line for each request, on standard output. Default: on.
    pub access: bool,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogLevel {
    /// What did not work.
    Error,
    /// And what may be wrong.
    Warn,
    /// And what was done.
    Info,
    /// And why.
    Debug,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormatter {
    /// One JSON object.
    Json,
    /// One JSON object with Logstash's names.
    Logstash,
    /// For people.
    Text,
}

/// Where content is, and what is done to it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Storage {
    /// The driver.
    pub driver: Driver,
    /// `storage.delete.enabled`. Default: on without a configuration file, off with one.
    pub deletes: bool,
    /// `storage.maintenance.readonly.enabled`. Default: off.
    pub read_only: bool,
    /// `storage.maintenance.uploadpurging`; `None` when it is off.
    pub upload_purging: Option<UploadPurging>,
}

/// What keeps the content.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Driver {
    /// `storage.filesystem`: a directory.
    Filesystem {
        /// `rootdirectory`. Default: `/var/lib/registry` with a configuration file; without one
        /// `$XDG_DATA_HOME/registry`, or `~/.local/share/registry`.
        root: PathBuf,
        /// `maxthreads`: how many operations on files may run at once. Default: 100. At least 25;
        /// fewer are taken for 25.
        threads: usize,
    },
    /// `storage.inmemory`: this process; gone when it ends.
    Inmemory,
}

/// What becomes of uploads that nobody finishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadPurging {
    /// `age`: how long nothing arrived. Default: 168h.
    pub age: Duration,
    /// `interval`: how long between two rounds. Default: 24h. At least 1s.
    pub interval: Duration,
    /// `dryrun`: only say what would go. Default: false.
    pub dry_run: bool,
}

/// How clients reach the registry.
#[derive(Debug)]
#[non_exhaustive]
pub struct Http {
    /// `addr` and `net`. Default: `127.0.0.1:5000`.
    pub listen: Listen,
    /// `host`: the URL that clients use; `Location` is absolute then. Default: none.
    pub host: Option<String>,
    /// `prefix`: what comes before `/v2/` in each path. Default: none.
    pub prefix: Option<String>,
    /// `secret`: what signs the state of uploads. Default: made up at each start.
    pub secret: Option<Secret>,
    /// `relativeurls`. Default: relative, unless `host` is set.
    pub relative_urls: Option<bool>,
    /// `draintimeout`: how long requests under way may take after a signal; 0s cuts them.
    /// Default: 5s.
    pub drain: Duration,
    /// `headers`: added to each answer. Default: none.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// Where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Listen {
    /// A host and port, as Go writes them: no host is every interface, port 0 is a free one.
    Tcp(String),
    /// A path.
    Unix(PathBuf),
}

/// What is checked when a manifest is pushed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Validation {
    /// `manifests.references`, ours: whether what a manifest refers to must be there. Default: all.
    pub references: References,
    /// Not `disabled`, and `manifests.indexes`: which children of an index must be there.
    /// Default: all.
    pub indexes: Indexes,
    /// `manifests.urls.allow`: one of these must match each `urls` entry of a layer. Default: none
    /// is written, and all are fine.
    pub urls_allow: Vec<regex::Regex>,
    /// `manifests.urls.deny`: none of these may match. Default: none.
    pub urls_deny: Vec<regex::Regex>,
}

/// Whether what a manifest refers to must be in its repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum References {
    /// All of it.
    All,
    /// Nothing of it.
    None,
}

/// Which children of an index must be in its repository.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Indexes {
    /// All of them.
    All,
    /// Those for one of these platforms.
    List(Vec<Platform>),
    /// None of them.
    None,
}
