//! Whatever the bytes, a manifest parses or does not; what parses keeps its limits and its shape.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry_core::{
    ManifestKind,
    manifest::{Document, Limits},
};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    if let Ok(document) = Document::parse(bytes, None, &limits) {
        assert!(document.children().count() <= limits.references);
        assert_eq!(document.media_type.manifest_kind(), Some(document.kind));
        match document.kind {
            ManifestKind::Image => {
                assert!(document.config.is_some() && document.manifests.is_empty());
            }
            ManifestKind::Index => assert_eq!(document.blobs().count(), 0),
        }
        let again = Document::parse(bytes, Some(&document.media_type), &limits);
        assert_eq!(again.ok(), Some(document));
    }
});
