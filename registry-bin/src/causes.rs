//! Why an error came about.
//!
//! An error's `Display` says its own part, and its `source` is the cause: whoever tells of one puts
//! the two together here.

use std::{error::Error, iter::successors};

/// The causes of an error, the nearest first.
pub(crate) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a dyn Error> {
    successors(error.source(), |cause| (*cause).source()).map(|cause| cause as &dyn Error)
}

/// The causes on one line, where some are known.
pub(crate) fn causes_on_a_line(error: &(dyn Error + 'static)) -> Option<String> {
    let causes: Vec<_> = causes(error).map(ToString::to_string).collect();
    (!causes.is_empty()).then(|| causes.join(": "))
}

/// An error with its causes on one line.
pub(crate) fn on_a_line(error: &(dyn Error + 'static)) -> String {
    causes(error).fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use std::io;

    use registry_core::store::StoreError;

    use super::*;

    #[test]
    fn the_nearest_cause_is_first() {
        let inner = StoreError::io("it cannot be read", io::ErrorKind::NotFound.into());
        assert_eq!(
            causes_on_a_line(&inner).as_deref(),
            Some("entity not found")
        );
        let outer = StoreError::io("it cannot be listed", io::Error::other(inner));
        let said = on_a_line(&outer);
        assert!(said.starts_with("it cannot be listed: "), "{said}");
        assert!(said.ends_with(": entity not found"), "{said}");
        let bare = io::Error::from(io::ErrorKind::NotFound);
        assert_eq!(causes_on_a_line(&bare), None);
        assert_eq!(on_a_line(&bare), "entity not found");
    }
}
