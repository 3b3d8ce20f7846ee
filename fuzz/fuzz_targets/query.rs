//! Parameters are read or refused, and what is escaped is read back as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry_core::protocol::{PageSize, Query};

fuzz_target!(|text: &str| {
    let query = Query::parse(text);
    let size = PageSize::new(100, 1000);
    if let Ok(page) = query.page(size) {
        assert!(page.limit <= 1000);
    }
    let _ = query.digest();
    let _ = query.digest_algorithm();
    let _ = query.mount();
    if let Ok(tags) = query.tags() {
        for tag in tags {
            assert!(query.all("tag").any(|given| given == tag.as_str()));
        }
    }
    let escaped = Query::escape(text);
    assert!(escaped.bytes().all(|b| b.is_ascii_graphic() && b != b'&'));
    let again = Query::parse(&format!("last={escaped}"));
    assert_eq!(again.first("last"), Some(text));
});
