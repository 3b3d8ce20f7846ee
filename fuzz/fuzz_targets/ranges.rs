//! Parts that can be sent lie inside the content, are few, and are not much more than it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry_core::Ranges;

fuzz_target!(|input: (u64, &str)| {
    let (size, text) = input;
    let size = size >> 8;
    if let Ranges::Satisfiable(parts) = Ranges::parse(text, size) {
        assert!((1..=Ranges::MAX_PARTS).contains(&parts.len()));
        for part in &parts {
            assert!(part.start < part.end && part.end <= size);
        }
        let total: u128 = parts.iter().map(|part| u128::from(part.len())).sum();
        assert!(total <= u128::from(size) * 2);
    }
});
