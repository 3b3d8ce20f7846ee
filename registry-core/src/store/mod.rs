//! Seam 2: what somebody with their own database, disk or object store implements.
//!
//! The seam is cut by what must change together. An upload's bytes and its state become the blob
//! in one act, so both are the [`BlobStore`]'s. A manifest's bytes, links, tags and referrers change
//! in one ordered sequence, so all are the [`MetadataStore`]'s. One object may implement both.
//!
//! Rules for both halves:
//!
//! - `Ok` of a method that writes means durable: it survives the loss of power, as far as the store
//!   can promise that at all.
//! - Absence is `None` or `false`. An error means that the store could not tell, and nothing may be
//!   concluded from it: least of all that something is gone.
//! - A call whose future is dropped has happened in whole, in part as its documentation allows, or
//!   not at all; calling it again is always fine.
//! - Content is only ever asked for, and stored under, [`Algorithm`](crate::Algorithm)s; a method
//!   that is given the digest of another algorithm finds nothing.
//!
//! The suite in [`conformance`] (feature `testing`) checks each sentence of these contracts.

mod blob;
#[cfg(feature = "testing")]
#[allow(
    clippy::indexing_slicing,
    reason = "a check that panics has found something"
)]
pub mod conformance;
mod error;
#[cfg(feature = "testing")]
pub mod faulty;
mod metadata;
#[cfg(feature = "testing")]
mod pace;

pub use self::{
    blob::{
        BlobStore, BodyEnd, InvalidUploadId, OpenUpload, StoredBlob, UploadId, UploadKey,
        UploadState, Written,
    },
    error::{StoreError, StoreErrorKind},
    metadata::{
        BlobLink, Capabilities, ManifestRecord, MetadataStore, ReferrersFilter, StoredManifest,
        TagChange,
    },
};
