//! Why the program ends, and the exit status that says so: decided here alone.

use std::{error::Error, fmt, io, process::ExitCode};

use registry_core::store::StoreError;

use crate::{
    causes::causes, cli::UsageError, config::ConfigError, htpasswd::HtpasswdError,
    listen::BindError, signal::Stop, systemd::PassedError, telemetry::last_words,
};

/// A reason to end that is not the end of the work.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The address cannot be bound.
    Bind(BindError),
    /// The configuration makes no sense.
    Config(ConfigError),
    /// Collecting garbage was asked for.
    GarbageCollect,
    /// Users or passwords could not be written.
    Htpasswd(HtpasswdError),
    /// The operating system does not play along.
    Io(io::Error),
    /// The sockets that a service manager passed cannot be served on.
    Passed(PassedError),
    /// A second signal came while requests were still under way.
    Signal(Stop),
    /// The content cannot be opened.
    Storage(StoreError),
    /// The command line makes no sense.
    Usage(UsageError),
}

impl Failure {
    /// Says it on standard error, and gives the exit status.
    pub fn report(&self) -> ExitCode {
        if let Self::Usage(error) = self {
            // It says it in its own form, and where that fails nobody is there to be told.
            let _ = error.print();
            return ExitCode::from(64);
        }
        let mut text = format!("registry: {self}\n");
        for cause in causes(self) {
            text.push_str(&format!("  because: {cause}\n"));
        }
        last_words(text);
        ExitCode::from(match self {
            Self::Bind(_) | Self::Io(_) | Self::Passed(_) | Self::Storage(_) => 1,
            Self::Htpasswd(HtpasswdError::Usage(_) | HtpasswdError::Scheme) => 64,
            Self::Htpasswd(HtpasswdError::Skipped(_) | HtpasswdError::Wrong) => 3,
            Self::Htpasswd(HtpasswdError::Unknown { .. }) => 6,
            Self::GarbageCollect | Self::Htpasswd(_) => 1,
            Self::Config(_) => 78,
            Self::Signal(stop) => stop.exit_status(),
            Self::Usage(_) => 64,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
            Self::GarbageCollect => f.write_str(
                "garbage-collect comes with a later release, which collects while it serves; nothing was \
                 removed. Until then, stop the registry and run Distribution's on the same directory, with \
                 --dry-run first: every repository of /v2/_catalog must be among those that it names \
                 (docs/how-to/move-from-registry-2.md)",
            ),
            Self::Htpasswd(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
            Self::Passed(error) => error.fmt(f),
            Self::Signal(stop) => write!(f, "stopped at once by a second {}", stop.name()),
            Self::Storage(error) => write!(
                f,
                "the storage cannot be opened: {error}; let the user of the registry write the \
                 directory, or name another in storage.filesystem.rootdirectory \
                 (REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY)"
            ),
            Self::Usage(_) => f.write_str("the command line makes no sense"),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // What these say is said here: what is behind them is what is behind this.
            Self::Bind(error) => error.source(),
            Self::Config(error) => error.source(),
            Self::Io(error) => error.source(),
            Self::Passed(error) => error.source(),
            Self::Storage(error) => error.source(),
            // It says its cause itself.
            Self::Htpasswd(_) => None,
            Self::GarbageCollect | Self::Signal(_) | Self::Usage(_) => None,
        }
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        Self::Bind(error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<HtpasswdError> for Failure {
    fn from(error: HtpasswdError) -> Self {
        Self::Htpasswd(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<PassedError> for Failure {
    fn from(error: PassedError) -> Self {
        Self::Passed(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Storage(error)
    }
}
