//! What is left of a media type without its parameters is one, and fit for a header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry_core::MediaType;

fuzz_target!(|text: &str| {
    if let Ok(media_type) = MediaType::parse(text) {
        let essence = media_type.as_str();
        assert!(text.contains(essence));
        assert!(essence.bytes().all(|b| b.is_ascii_graphic() && b != b';'));
        assert_eq!(essence.matches('/').count(), 1);
        assert_eq!(MediaType::parse(essence), Ok(media_type.clone()));
    }
});
