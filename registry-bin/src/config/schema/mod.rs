//! What may be written in the configuration: every key that Distribution has, 2.8's and 3's, and ours.
//!
//! One table ([`keys`]), read by the check of the file, by the variables, by the reader and by the
//! reference in `docs/`. A key that is Distribution's but not honoured stops the start: a registry
//! must not be open because its `auth` was ignored.

mod keys;
mod reference;

pub(crate) use self::keys::{BESIDE_THE_DRIVER, ROOT};
pub use self::reference::reference;

/// What may be written at a place of the configuration.
#[derive(Debug)]
pub(crate) enum Node {
    /// A list; each entry is like this.
    List(Setting, &'static Self),
    /// Keys of the operator's own choice; each value is like this.
    Map(Setting, &'static Self),
    /// Distribution knows it, with whatever is below; this registry does not, and says what to do.
    Refused(&'static str),
    /// These keys, in the order in which they are documented.
    Section(&'static [(&'static str, Self)]),
    /// A scalar.
    Value(Setting),
}

/// What the reference says of a setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its default, as it would be written; in words where it depends on something.
    pub(crate) default: &'static str,
    /// What it is, with unit and bounds.
    pub(crate) about: &'static str,
    /// Whether it is a number, a truth value or a duration, as YAML takes them; else it is a text.
    pub(crate) typed: bool,
    /// Whether its value may be shown.
    pub(crate) visible: bool,
    /// Whether it is this registry's own, which Distribution does not know.
    pub(crate) ours: bool,
}

impl Setting {
    const fn new(default: &'static str, about: &'static str) -> Self {
        Self {
            default,
            about,
            typed: false,
            visible: true,
            ours: false,
        }
    }
}

impl Node {
    const fn value(default: &'static str, about: &'static str) -> Self {
        Self::Value(Setting::new(default, about))
    }

    const fn typed(default: &'static str, about: &'static str) -> Self {
        Self::Value(Setting {
            typed: true,
            ..Setting::new(default, about)
        })
    }

    const fn secret(default: &'static str, about: &'static str) -> Self {
        Self::Value(Setting {
            visible: false,
            ..Setting::new(default, about)
        })
    }

    const fn texts(about: &'static str) -> Self {
        Self::List(Setting::new("none", about), &Self::ENTRY)
    }

    const ENTRY: Self = Self::value("", "");

    /// The same, but Distribution does not know it.
    const fn ours(self) -> Self {
        match self {
            Self::Value(setting) => Self::Value(Setting {
                ours: true,
                ..setting
            }),
            Self::List(setting, node) => Self::List(
                Setting {
                    ours: true,
                    ..setting
                },
                node,
            ),
            Self::Map(setting, node) => Self::Map(
                Setting {
                    ours: true,
                    ..setting
                },
                node,
            ),
            node => node,
        }
    }

    /// The keys of a section that are honoured.
    pub(crate) fn honoured(&self) -> impl Iterator<Item = &'static str> {
        self.keys()
            .iter()
            .filter(|(_, node)| !matches!(node, Self::Refused(_)))
            .map(|(key, _)| *key)
    }

    /// What may be written at a key of a section.
    pub(crate) fn key(&self, key: &str) -> Option<&'static Self> {
        let mut keys = self.keys().iter();
        keys.find(|(known, _)| *known == key).map(|(_, node)| node)
    }

    /// The keys of a section.
    pub(crate) fn keys(&self) -> &'static [(&'static str, Self)] {
        match self {
            Self::Section(keys) => keys,
            Self::List(..) | Self::Map(..) | Self::Refused(_) | Self::Value(_) => &[],
        }
    }
}
