//! Keys of ordered maps that a page can start at by any text.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
};

/// A name, ordered by its bytes, that a map can be searched for by a text that need not be a name.
#[derive(Clone, Debug)]
pub(super) struct ByName<T>(pub(super) T);

impl<T: AsRef<str>> Borrow<str> for ByName<T> {
    fn borrow(&self) -> &str {
        self.0.as_ref()
    }
}

impl<T: AsRef<str>> Ord for ByName<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.as_ref().cmp(other.0.as_ref())
    }
}

impl<T: AsRef<str>> PartialOrd for ByName<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: AsRef<str>> PartialEq for ByName<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_ref() == other.0.as_ref()
    }
}

impl<T: AsRef<str>> Eq for ByName<T> {}

/// The names strictly behind `after`, in their order.
pub(super) fn behind<'a, T: AsRef<str>, V>(
    map: &'a BTreeMap<ByName<T>, V>,
    after: Option<&str>,
) -> impl Iterator<Item = (&'a T, &'a V)> {
    let start = after.map_or(Unbounded, Excluded);
    map.range::<str, _>((start, Unbounded))
        .map(|(name, value)| (&name.0, value))
}
