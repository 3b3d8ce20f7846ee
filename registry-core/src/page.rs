//! Pages of listings.

/// Which part of a listing is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// Start strictly behind this name, in byte order; it need not exist.
    pub after: Option<String>,
    /// At most that many entries. 0 gives an empty listing, and whether there is more is not said.
    pub limit: usize,
}

impl Page {
    /// The first entries.
    pub fn first(limit: usize) -> Self {
        Self { after: None, limit }
    }

    /// The entries behind that name.
    #[must_use]
    pub fn after(self, name: impl Into<String>) -> Self {
        Self {
            after: Some(name.into()),
            ..self
        }
    }
}

/// A part of a listing, in byte order of the names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Whether there are entries behind the last one.
    pub more: bool,
}

impl<T> Listing<T> {
    /// A listing.
    pub fn new(items: Vec<T>, more: bool) -> Self {
        Self { items, more }
    }

    /// A listing of nothing.
    pub fn empty() -> Self {
        Self {
            items: Vec::new(),
            more: false,
        }
    }
}
