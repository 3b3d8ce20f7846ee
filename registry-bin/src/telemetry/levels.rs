//! How much is told: one level for everything, and others for parts of the program.

use std::fmt;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, reload};

/// The levels of the application log.
#[derive(Clone, Debug)]
pub struct Levels(Targets);

impl Levels {
    /// `level` for everything.
    pub fn new(level: LevelFilter) -> Self {
        Self(Targets::new().with_default(level))
    }

    /// Another level for a module and what is below it, such as `registry_core` or
    /// `registry_bin::health`. The longest name that fits counts.
    ///
    /// # Errors
    ///
    /// [`InvalidModule`] when that is no name of a module.
    pub fn with(self, module: &str, level: LevelFilter) -> Result<Self, InvalidModule> {
        let word = |word: &str| {
            let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            !word.is_empty() && word.bytes().all(letter)
        };
        if !module.split("::").all(word) {
            return Err(InvalidModule(module.to_owned()));
        }
        Ok(Self(self.0.with_target(module, level)))
    }

    pub(super) fn filter(self) -> Targets {
        self.0
    }

    /// Whether an event of `module` at `level` is told.
    #[cfg(test)]
    fn tells(&self, module: &str, level: tracing::Level) -> bool {
        self.0.would_enable(module, &level)
    }
}

/// A name that no module has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidModule(String);

impl fmt::Display for InvalidModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no name of a module; write one as ", self.0)?;
        let fixed = self.0.replace('-', "_").replace('/', "::");
        match Levels::new(LevelFilter::OFF).with(&fixed, LevelFilter::OFF) {
            Ok(_) => f.write_str(&fixed),
            Err(_) => f.write_str("registry_core or registry_bin::health"),
        }
    }
}

impl std::error::Error for InvalidModule {}

/// Changes the levels of a log that was started.
#[derive(Clone, Debug)]
pub struct LevelSwitch(pub(super) reload::Handle<Targets, tracing_subscriber::Registry>);

impl LevelSwitch {
    /// From now on these.
    ///
    /// # Errors
    ///
    /// [`LogGone`] when the log is not the one that was started.
    pub fn set(&self, levels: Levels) -> Result<(), LogGone> {
        self.0.reload(levels.filter()).map_err(|_| LogGone)
    }
}

/// The log whose levels were to be changed is not in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogGone;

impl fmt::Display for LogGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the log was started by somebody else, its levels are not ours to change")
    }
}

impl std::error::Error for LogGone {}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn the_longest_name_counts() {
        let levels = Levels::new(LevelFilter::INFO)
            .with("registry_core", LevelFilter::DEBUG)
            .and_then(|levels| levels.with("registry_core::server", LevelFilter::ERROR))
            .expect("they are names");
        for (module, level, told) in [
            ("registry_bin::serve", Level::INFO, true),
            ("registry_bin::serve", Level::DEBUG, false),
            ("registry_core::engine", Level::DEBUG, true),
            ("registry_core::engine", Level::TRACE, false),
            ("registry_core::server::render", Level::ERROR, true),
            ("registry_core::server::render", Level::WARN, false),
        ] {
            assert_eq!(levels.tells(module, level), told, "{module} {level}");
        }
    }

    #[test]
    fn names_that_no_module_has() {
        for (module, told) in [
            (
                "registry-core",
                r#""registry-core" is no name of a module; write one as registry_core"#,
            ),
            (
                "registry-core/server",
                r#""registry-core/server" is no name of a module; write one as registry_core::server"#,
            ),
            (
                "",
                r#""" is no name of a module; write one as registry_core or registry_bin::health"#,
            ),
            (
                "a::",
                r#""a::" is no name of a module; write one as registry_core or registry_bin::health"#,
            ),
        ] {
            let error = Levels::new(LevelFilter::INFO).with(module, LevelFilter::INFO);
            assert_eq!(error.expect_err(module).to_string(), told);
        }
    }
}
