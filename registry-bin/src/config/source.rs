//! Where the configuration is, and what of the process it depends on.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{
    environment::CONFIGURATION_PATH,
    error::{ConfigError, Origin},
    tree::Tree,
};

/// Where the configuration was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// In the file of the command line.
    Argument(PathBuf),
    /// In no file: defaults and variables alone.
    None,
    /// In the file that `REGISTRY_CONFIGURATION_PATH` names.
    Variable(PathBuf),
}

impl Source {
    /// Whether there is a file.
    pub fn is_file(&self) -> bool {
        self.path().is_some()
    }

    pub(crate) fn find(argument: Option<PathBuf>, environment: &Environment) -> Self {
        match (argument, environment.value(CONFIGURATION_PATH)) {
            (Some(path), _) => Self::Argument(path),
            (None, Some(path)) => Self::Variable(path.into()),
            (None, None) => Self::None,
        }
    }

    /// Why it cannot be read a second time; `None` where it can, or is not there.
    pub(super) fn why_once(&self) -> Option<String> {
        let path = self.path()?;
        let there = fs::metadata(path).ok()?;
        (!there.is_file()).then(|| format!("{} {ONCE}", path.display()))
    }

    pub(super) fn read(&self, reading: Reading) -> Result<Tree, ConfigError> {
        let Some(path) = self.path() else {
            return Ok(Tree::empty());
        };
        let origin = Origin::File(path.clone(), None);
        let text = contents(path, reading).map_err(|error| {
            let remedy = match error.kind() {
                io::ErrorKind::FileTooLarge => "; name the file of the configuration",
                io::ErrorKind::NotFound => "; name a file that is there, or none",
                io::ErrorKind::PermissionDenied => "; let the user of the registry read it",
                _ => "",
            };
            ConfigError::new(
                origin.clone(),
                "",
                format!("cannot be read: {error}{remedy}"),
            )
        })?;
        Tree::parse(&text, origin)
    }

    /// What to say of a file below `top` that Distribution's packages and images read, and nobody named
    /// here: whoever put it there may think that it is read.
    pub(super) fn overlooked(&self, top: &Path) -> Option<String> {
        if self.is_file() {
            return None;
        }
        let mut places = CUSTOMARY.iter().map(|place| top.join(place));
        let path = places.find(|path| path.is_file())?;
        let path = path.display();
        Some(format!(
            "{path}: is there, and is not read, since nobody names it: if it is meant, start with \
             `registry serve {path}`, or set {CONFIGURATION_PATH}={path}"
        ))
    }

    fn path(&self) -> Option<&PathBuf> {
        match self {
            Self::Argument(path) | Self::Variable(path) => Some(path),
            Self::None => None,
        }
    }
}

/// Where the images of Distribution 2 and 3, and Debian's package, have their configuration.
const CUSTOMARY: [&str; 2] = [
    "etc/docker/registry/config.yml",
    "etc/distribution/config.yml",
];

/// The largest file that is read, in bytes: what is larger is no configuration, and may have no end.
const LARGEST: u64 = 16 << 20;

/// What is said of a pipe, or a device.
const ONCE: &str = "is no regular file: it was read at the start, and cannot be read again";

/// Whether files are read for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Again, where a pipe has nothing left to give: to wait for it is to wait for ever.
    Again,
    /// For the first time, where a pipe is as good as a file.
    First,
}

/// What is in a file that a person wrote, or that comes through a pipe.
pub(super) fn contents(path: &Path, reading: Reading) -> io::Result<String> {
    if reading == Reading::Again && !fs::metadata(path)?.is_file() {
        return Err(io::Error::other(format!("it {ONCE}")));
    }
    let mut contents = Vec::new();
    File::open(path)?
        .take(LARGEST + 1)
        .read_to_end(&mut contents)?;
    if contents.len() as u64 > LARGEST {
        let message = format!("it is larger than {} MiB", LARGEST >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    String::from_utf8(contents).map_err(|_| {
        let message = "it is not text (UTF-8)";
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(path) => write!(f, "{} (from the command line)", path.display()),
            Self::None => write!(
                f,
                "no file: neither the command line nor {CONFIGURATION_PATH} names one; defaults and \
                 variables alone"
            ),
            Self::Variable(path) => write!(f, "{} (from {CONFIGURATION_PATH})", path.display()),
        }
    }
}

/// The environment variables of the process. Values are not shown by `Debug`: some are secrets.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// These variables. What is not text is made text, so that no setting goes unseen.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let text = |(name, value): (OsString, OsString)| {
            let lossy = |text: OsString| text.to_string_lossy().into_owned();
            (lossy(name), lossy(value))
        };
        Self(variables.into_iter().map(text).collect())
    }

    pub(crate) fn variables(&self) -> impl Iterator<Item = (String, String)> {
        self.0
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
    }

    /// The value of a variable that is set and not empty.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_in_a_customary_place_is_not_passed_over_in_silence() {
        let top = tempfile::tempdir().expect("a temporary directory can be made");
        let told = |source: Source| source.overlooked(top.path()).unwrap_or_default();
        assert_eq!(told(Source::None), "");
        for place in [
            "etc/distribution/config.yml",
            "etc/docker/registry/config.yml",
        ] {
            let path = top.path().join(place);
            fs::create_dir_all(path.parent().expect("it is in a folder")).expect("it can be made");
            fs::write(&path, "").expect("it can be written");
            let path = path.display();
            let said = told(Source::None);
            assert!(
                said.starts_with(&format!("{path}: is there, and is not read")),
                "{said}"
            );
            assert!(said.contains(&format!("`registry serve {path}`")), "{said}");
            assert_eq!(told(Source::Argument("c.yml".into())), "");
            assert_eq!(told(Source::Variable("c.yml".into())), "");
        }
    }
}
