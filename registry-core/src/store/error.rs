//! What can go wrong at seam 2.

use std::{error::Error as StdError, fmt, time::Duration};

/// A failed operation of a store. Absence is never an error: it is `None` or `false`.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
    retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What kind of failure it was: what the engine decides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// Somebody else changed it meanwhile, or finished it.
    Conflict,
    /// What is stored is not what was written.
    Corrupt,
    /// There is no room.
    Full,
    /// None of the other kinds.
    Other,
    /// Nothing can be written.
    ReadOnly,
    /// The store does not answer; trying again may help.
    Unavailable,
}

impl StoreError {
    /// An error with words for the operator.
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after: None,
            source: None,
        }
    }

    /// [`StoreErrorKind::Conflict`].
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Conflict, message)
    }

    /// [`StoreErrorKind::Corrupt`].
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Corrupt, message)
    }

    /// [`StoreErrorKind::Unavailable`].
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Unavailable, message)
    }

    /// An error of the operating system, sorted by its kind.
    pub fn io(message: impl Into<String>, error: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        /// Too many open files, in this process or on this machine.
        const EMFILE_ENFILE: [i32; 2] = [24, 23];
        let out_of_files = error
            .raw_os_error()
            .is_some_and(|code| EMFILE_ENFILE.contains(&code));
        let kind = match error.kind() {
            _ if cfg!(unix) && out_of_files => StoreErrorKind::Unavailable,
            Io::StorageFull | Io::QuotaExceeded => StoreErrorKind::Full,
            Io::ReadOnlyFilesystem => StoreErrorKind::ReadOnly,
            Io::TimedOut | Io::ResourceBusy | Io::Interrupted => StoreErrorKind::Unavailable,
            _ => StoreErrorKind::Other,
        };
        Self::new(kind, message).caused_by(error)
    }

    /// Adds when it is worth trying again.
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..self
        }
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// When it is worth trying again, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}
