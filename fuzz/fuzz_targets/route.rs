//! What a path names is written as a path that names the same, whatever the method.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry_core::protocol::Route;

fuzz_target!(|path: &str| {
    for method in [http::Method::GET, http::Method::PUT, http::Method::DELETE] {
        if let Ok(route) = Route::parse(&method, path) {
            let written = route.path();
            assert!(written.starts_with("/v2"));
            assert!(written.bytes().all(|b| b.is_ascii_graphic()));
            let again = Route::parse(&method, &written).expect("a path that was written is read");
            assert_eq!(again, route);
            assert_eq!(again.path(), written);
            assert!(!route.allow().is_empty());
            let _ = route.access(&method, None);
        }
    }
});
