//! Where content can be fetched from, other than from here.

use std::fmt;

/// A URL that a client may be sent to. Its query can hold a signature, so `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq)]
pub struct Location(String);

impl Location {
    /// A location.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The URL, whole.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once('?') {
            Some((place, _)) => write!(f, "Location({place}?…)"),
            None => write!(f, "Location({})", self.0),
        }
    }
}
