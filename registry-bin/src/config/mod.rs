//! The configuration: what was written (the `tree`), and what it means ([`Config`]).
//!
//! It is Distribution's: the same file, the same variables, the same rules for putting them
//! together. Whatever of it cannot be honoured stops the start, by name. The reference is
//! `docs/reference/configuration.md`.

mod document;
mod duration;
mod environment;
mod error;
#[cfg(test)]
mod odd;
mod reader;
mod resolve;
mod resolved;
mod schema;
mod source;
#[cfg(test)]
mod tests;
mod tree;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use http::{HeaderName, HeaderValue};
use registry_core::{access::Secret, manifest::Platform};

pub(crate) use self::duration::display as display_duration;
use self::source::Reading;
pub use self::{
    environment::CONFIGURATION_PATH,
    error::{ConfigError, Origin},
    resolved::Resolved,
    schema::reference,
    source::{Environment, Source},
};
pub use crate::telemetry::AccessFormat;
use crate::trusted::TrustedPeers;

/// All settings, with every default filled in.
#[derive(Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where it was found.
    pub source: Source,
    /// What was written and means nothing.
    pub warnings: Vec<String>,
    /// Every setting, with where its value was written.
    pub resolved: Resolved,
    /// `log`: what is told, and how.
    pub log: Log,
    /// `storage`: where content is.
    pub storage: Storage,
    /// `auth`: who may come in. Default: everybody.
    pub auth: Option<Htpasswd>,
    /// `http`: how clients reach it.
    pub http: Http,
    /// `health.storagedriver`: how the storage is asked whether it is well. Default: not at all.
    pub health: Option<StorageHealth>,
    /// `validation`: what is checked at a push.
    pub validation: Validation,
    /// `policy.repository.classes`: what may be pushed. Default: everything.
    pub classes: Vec<Class>,
    /// `catalog.maxentries`: the most repositories in one answer. Default: 1000. At least 1.
    pub catalog_entries: usize,
    /// `tags.maxtags`: the most tags in an answer to whoever asks for a number. Default: 1000. At least 1.
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
        Self::read(
            Source::find(argument, environment),
            environment,
            Reading::First,
        )
    }

    /// Reads a configuration again that was found at `source`. What is no regular file is not waited
    /// for: a pipe gave what it had when it was read first.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_again(source: Source, environment: &Environment) -> Result<Again, ConfigError> {
        if let Some(why) = source.why_once() {
            return Ok(Again::Never(why));
        }
        let config = Self::read(source, environment, Reading::Again)?;
        Ok(Again::Config(Box::new(config)))
    }

    fn read(
        source: Source,
        environment: &Environment,
        reading: Reading,
    ) -> Result<Self, ConfigError> {
        let mut tree = source.read(reading)?;
        let mut warnings = environment::apply(&mut tree, environment.variables(), reading)?;
        warnings.extend(source.overlooked(Path::new("/")));
        resolve::config(source, warnings, &tree, environment)
    }
}

/// A configuration that was to be read again.
#[derive(Debug)]
#[non_exhaustive]
pub enum Again {
    /// What it is now.
    Config(Box<Config>),
    /// It can be read once, and was: why, for people.
    Never(String),
}

/// How the application tells what it does.
#[derive(Debug)]
#[non_exhaustive]
pub struct Log {
    /// `log.level`. Default: info.
    pub level: LogLevel,
    /// `log.levels`: those of modules, by the begin of their names. Default: none.
    pub levels: BTreeMap<String, LogLevel>,
    /// `log.formatter`. Default: text.
    pub formatter: LogFormatter,
    /// `log.fields`: added to each line. Default: none.
    pub fields: BTreeMap<String, String>,
    /// `log.reportcaller`: where in the source a line comes from. Default: off.
    pub report_caller: bool,
    /// `log.file`, ours: where that goes. Default: standard error.
    pub file: Option<PathBuf>,
    /// `log.accesslog`: a line for each request; `None` when it is disabled. Default: combined.
    pub access: Option<AccessFormat>,
    /// `log.accesslog.file`, ours: where they go. Default: standard output.
    pub access_file: Option<PathBuf>,
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
        /// `$STATE_DIRECTORY`, `$XDG_DATA_HOME/registry`, or `~/.local/share/registry`.
        root: PathBuf,
        /// `maxthreads`: how many operations on files may run at once. Default: 100. Fewer than 25 are
        /// taken for 25.
        threads: usize,
    },
    /// `storage.inmemory`: this process; gone when it ends.
    Inmemory,
}

/// What becomes of uploads that nobody finishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadPurging {
    /// `age`: how long nothing arrived. Default: 168h. At least 1s.
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
    /// `headers`: added to each answer that does not have them. Default: none.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// `trustedproxies`, ours: whose forwarded headers count. Default: nobody's.
    pub trusted: TrustedPeers,
    /// `tls`. Default: none, plain HTTP.
    pub tls: Option<Tls>,
    /// Not `http2.disabled`: HTTP/2 over TLS. Default: on.
    pub http2: bool,
    /// `h2c.enabled`: HTTP/2 without TLS, by prior knowledge. Default: on.
    pub h2c: bool,
    /// `debug.addr`: where health is told. Default: nowhere.
    pub debug: Option<String>,
}

/// How connections are encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tls {
    /// Where the certificate comes from.
    pub certificate: Certificate,
    /// What is asked of clients. Default: nothing.
    pub clients: Option<ClientCertificates>,
    /// `minimumtls`. Default: 1.2.
    pub minimum: TlsVersion,
    /// `ciphersuites`, by name. Default: none is written, all that are safe are offered.
    pub cipher_suites: Vec<String>,
}

/// Where a certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Certificate {
    /// `letsencrypt`: from an authority that speaks ACME.
    Acme(Acme),
    /// `certificate` and `key`: from files.
    Files {
        /// The certificate and its chain.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
    },
}

/// How certificates are had from an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acme {
    /// `cachefile`: the directory in which they are kept.
    pub cache: PathBuf,
    /// `email`: where the authority writes to. Default: none.
    pub email: Option<String>,
    /// `hosts`: the names to have certificates for.
    pub hosts: Vec<String>,
    /// `directoryurl`. Default: Let's Encrypt's.
    pub directory_url: Option<String>,
    /// `directoryca`, ours: who signs the directory's own certificate. Default: the web's.
    pub directory_ca: Option<PathBuf>,
}

/// What is asked of clients' certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientCertificates {
    /// `clientcas`: files with the authorities that sign them.
    pub authorities: Vec<PathBuf>,
    /// `clientauth`.
    pub auth: ClientAuth,
}

/// Whether a client must have a certificate, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAuth {
    /// It is asked for one.
    Request,
    /// It must have one of an authority that is known.
    RequireAndVerify,
    /// It must have one.
    RequireAny,
    /// If it has one, it must be of an authority that is known.
    VerifyIfGiven,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsVersion {
    /// 1.2.
    Tls12,
    /// 1.3.
    Tls13,
}

/// Users and hashes in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Htpasswd {
    /// `realm`: what clients are shown.
    pub realm: String,
    /// `path`: the file.
    pub path: PathBuf,
}

/// How the storage is asked whether it is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StorageHealth {
    /// `interval`: from one question to the next. Default: 10s. At least 1s.
    pub interval: Duration,
    /// `threshold`: how many must fail in a row. Default: 3. At least 1.
    pub threshold: usize,
}

/// A kind of image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// What runs as a container.
    Image,
    /// A plugin of Docker's.
    Plugin,
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
