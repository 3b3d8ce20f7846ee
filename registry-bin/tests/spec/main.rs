//! The rules of distribution-spec, of what clients of Distribution are used to, and of ours, over
//! real HTTP, each against the disk store and the memory store.
//!
//! A test of the specification is named by the section that its rule stands in, two underscores,
//! and the rule; the section is of the main branch of distribution-spec.

#![allow(
    non_snake_case,
    reason = "two underscores part the section from the rule"
)]
#![allow(
    clippy::future_not_send,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

/// Makes two tests of each rule, one for each store. Each has a repository of its own.
macro_rules! rules {
    ($($(#[$attribute:meta])* fn $name:ident($repository:ident) $body:block)*) => {$(
        $(#[$attribute])*
        mod $name {
            #[allow(unused_imports, reason = "not every rule needs everything")]
            use super::*;

            fn rule($repository: &$crate::support::Repository) $body

            #[test]
            fn fs() {
                let server = $crate::support::Server::shared($crate::support::Store::Fs);
                rule(&$crate::support::Repository::new(server, stringify!($name)));
            }

            #[test]
            fn memory() {
                let server = $crate::support::Server::shared($crate::support::Store::Memory);
                rule(&$crate::support::Repository::new(server, stringify!($name)));
            }
        }
    )*};
}

mod cancellation;
mod conditions;
mod discovery;
mod distribution;
mod errors;
mod hostile;
mod leaving;
mod management;
mod pull;
mod push_blobs;
mod push_manifests;
mod races;
mod seam;
mod support;
