//! A reference is a tag or a digest, never both, and is kept verbatim.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry_core::{Digest, Reference, Tag};

fuzz_target!(|text: &str| {
    match Reference::parse(text) {
        Ok(Reference::Tag(tag)) => {
            assert_eq!(tag.as_str(), text);
            assert!(Digest::parse(text).is_err());
            assert!(!text.starts_with('.') && !text.contains(['/', '\\', '\0']));
        }
        Ok(Reference::Digest(digest)) => {
            assert_eq!(digest.as_str(), text);
            assert!(Tag::parse(text).is_err());
            let fallback = Tag::referrers_fallback(&digest);
            assert_eq!(Tag::parse(fallback.as_str()), Ok(fallback));
        }
        Err(_) => assert!(Tag::parse(text).is_err() && Digest::parse(text).is_err()),
    }
});
