//! The command line: what was typed, and the texts that answer it.

use std::{ffi::OsString, fmt, path::PathBuf};

/// What to do.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Print [`HELP`].
    Help,
    /// Serve, with the configuration in this file if one was named.
    Serve(Option<PathBuf>),
    /// Print [`version`].
    Version,
}

impl Command {
    /// Parses the arguments behind the program's name.
    ///
    /// # Errors
    ///
    /// [`UsageError`] when they say nothing that can be done.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, UsageError> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let words: Vec<_> = arguments.iter().map(|a| a.to_string_lossy()).collect();
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        if words.iter().any(|word| matches!(*word, "-h" | "--help")) {
            return Ok(Self::Help);
        }
        match words[..] {
            ["help"] => Ok(Self::Help),
            ["-v" | "--version"] => Ok(Self::Version),
            ["serve"] => Ok(Self::Serve(None)),
            ["serve", option] if option.starts_with('-') => Err(UsageError::Option(option.into())),
            ["serve", _] => Ok(Self::Serve(arguments.last().map(PathBuf::from))),
            ["serve", ..] => Err(UsageError::Several),
            [] => Err(UsageError::Nothing),
            [command, ..] => Err(UsageError::Command(command.into())),
        }
    }
}

/// Arguments that say nothing that can be done.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UsageError {
    /// There is no such command.
    Command(String),
    /// There is no command.
    Nothing,
    /// There is no such option.
    Option(String),
    /// There is more than one file.
    Several,
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(command) => write!(f, "there is no command {command:?}")?,
            Self::Nothing => f.write_str("a command is missing")?,
            Self::Option(option) => write!(f, "`serve` has no option {option:?}")?,
            Self::Several => f.write_str("`serve` takes one configuration file")?,
        }
        f.write_str("; `registry --help` names all there are")
    }
}

impl std::error::Error for UsageError {}

/// The name and version of the program.
pub fn version() -> String {
    format!("registry {}", env!("CARGO_PKG_VERSION"))
}

/// What `registry --help` prints.
pub const HELP: &str = "\
An OCI and Docker registry.

Usage:
  registry serve [CONFIG]   serve until SIGTERM or SIGINT
  registry --version        print the version
  registry --help           print this

CONFIG is a configuration file as Distribution's registry reads it (version 0.1).
Without one, the file that REGISTRY_CONFIGURATION_PATH names is read; without that,
defaults apply: http://127.0.0.1:5000, with the content in $XDG_DATA_HOME/registry
or ~/.local/share/registry.

Each setting can also be a variable: REGISTRY_HTTP_ADDR=:5000 is http.addr.
The log goes to standard error, a line for each request to standard output.

Exit status:
  0    stopped by a signal, after requests under way had been answered or cut
  1    something failed
  64   the command line makes no sense
  78   the configuration makes no sense
  130, 143   stopped at once by a second SIGINT, SIGTERM
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines() {
        let rows: [(&[&str], Result<Command, UsageError>); 12] = [
            (&["serve"], Ok(Command::Serve(None))),
            (
                &["serve", "c.yml"],
                Ok(Command::Serve(Some("c.yml".into()))),
            ),
            (&["--version"], Ok(Command::Version)),
            (&["-v"], Ok(Command::Version)),
            (&["--help"], Ok(Command::Help)),
            (&["serve", "--help"], Ok(Command::Help)),
            (&["help"], Ok(Command::Help)),
            (&[], Err(UsageError::Nothing)),
            (&["server"], Err(UsageError::Command("server".into()))),
            (&["serve", "-x"], Err(UsageError::Option("-x".into()))),
            (&["serve", "a", "b"], Err(UsageError::Several)),
            (
                &["--version", "now"],
                Err(UsageError::Command("--version".into())),
            ),
        ];
        for (words, expected) in rows {
            let parsed = Command::parse(words.iter().map(OsString::from));
            assert_eq!(parsed, expected, "{words:?}");
        }
    }
}
