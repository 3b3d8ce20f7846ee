//! A digest is kept verbatim, and its two halves are one path component each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry_core::Digest;

fuzz_target!(|text: &str| {
    if let Ok(digest) = Digest::parse(text) {
        assert_eq!(digest.as_str(), text);
        assert_eq!(format!("{}:{}", digest.algorithm(), digest.encoded()), text);
        assert!(!text.contains(['/', '\\', '\0', '%']) && !text.contains(".."));
        if let Some(algorithm) = digest.content_algorithm() {
            assert_eq!(digest.encoded().len(), algorithm.hex_length());
        }
    }
});
