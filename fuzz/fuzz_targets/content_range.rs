//! A content range has at least one byte, and its form is read back as itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry_core::ContentRange;

fuzz_target!(|text: &str| {
    if let Ok(range) = text.parse::<ContentRange>() {
        assert!(range.length > 0);
        assert_eq!(range.to_string().parse(), Ok(range));
    }
});
