//! Why an error came about.
//!
//! An error's `Display` says its own part, and its `source` is the cause: whoever tells of one puts
//! the two together here.

use std::{error::Error, iter::successors};

/// The causes of an error, the nearest first.
pub(crate) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a dyn Error> {
    successors(error.source(), |cause| (*cause).source()).map(|cause| cause as &dyn Error)
}

/// The causes on one line; empty where none is known.
pub(crate) fn causes_on_a_line(error: &(dyn Error + 'static)) -> String {
    let causes: Vec<_> = causes(error).map(ToString::to_string).collect();
    causes.join(": ")
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
        assert_eq!(causes_on_a_line(&inner), "entity not found");
        let outer = io::Error::other(inner);
        let outer = StoreError::io("it cannot be listed", outer);
        let causes = "it cannot be read: entity not found";
        assert_eq!(causes_on_a_line(&outer), causes);
        assert_eq!(on_a_line(&outer), format!("it cannot be listed: {causes}"));
        let bare = io::Error::from(io::ErrorKind::NotFound);
        assert_eq!(
            (causes_on_a_line(&bare).as_str(), on_a_line(&bare).as_str()),
            ("", "entity not found")
        );
    }
}
