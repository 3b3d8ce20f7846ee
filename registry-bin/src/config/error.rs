//! What is wrong with a configuration: where it was written, which key, and what to do.

use std::{fmt, path::PathBuf};

/// What YAML makes of a text, and what to do about it.
pub(super) const QUOTES: &str =
    "a text that begins with [ or { or holds `: ` needs quotes, as in '[::1]:5000'";

/// What comes of reading a configuration, or a part of it.
pub(crate) type Result<T, E = ConfigError> = std::result::Result<T, E>;

/// Everything that is wrong with a configuration, so that it can be put right in one go.
#[derive(Debug)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// One thing that is wrong.
    pub fn new(origin: Origin, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            problems: vec![Problem {
                origin,
                key: key.into(),
                message: message.into(),
            }],
        }
    }

    /// All that is wrong in `errors`; `Ok` when there are none.
    ///
    /// # Errors
    ///
    /// The errors, as one.
    pub fn all(errors: impl IntoIterator<Item = Self>) -> Result<()> {
        let problems: Vec<_> = errors.into_iter().flat_map(|e| e.problems).collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Self { problems })
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// In no place: it is missing.
    Defaults,
    /// In the configuration file, at that line if there is one.
    File(PathBuf, Option<u64>),
    /// In this environment variable.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => f.write_str("default"),
            Self::File(path, None) => write!(f, "{}", path.display()),
            Self::File(path, Some(line)) => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

#[derive(Debug)]
struct Problem {
    origin: Origin,
    key: String,
    message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Defaults => {}
            origin => write!(f, "{origin}: ")?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}
