//! A repository name is kept verbatim, and is a path that leads nowhere else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry_core::RepositoryName;

fuzz_target!(|text: &str| {
    if let Ok(name) = RepositoryName::parse(text) {
        assert_eq!(name.as_str(), text);
        assert!(text.len() <= RepositoryName::MAX_LENGTH);
        for component in name.components() {
            assert!(!component.is_empty() && !component.starts_with(['.', '_', '-']));
            assert!(!component.contains(['\\', '\0', '%', ':']));
        }
    }
});
