//! Layers: registries around a registry.
//!
//! A layer sees only the [`Registry`] that it wraps, so it works the same over an engine, a mirror
//! or another layer, and in any order. Whoever puts them together decides what each can see:
//! [`Observed`] outside of [`Authorized`] sees what was denied, inside it does not.
//!
//! Each writes out every method: a verb that is added later cannot slip past one of them.
//!
//! [`Registry`]: crate::Registry

mod authorized;
mod immutable_tags;
mod in_flight;
mod observed;
mod owed;
mod read_only;
mod scoped;

pub use self::{
    authorized::Authorized, immutable_tags::ImmutableTags, observed::Observed, read_only::ReadOnly,
    scoped::Scoped,
};
