//! What proxies say is read without a panic, and what comes of it can stand in a URL.
#![no_main]

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use registry_core::protocol::Forwarded;

const NAMES: [&str; 7] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-real-ip",
];

fuzz_target!(|lines: Vec<(u8, &[u8])>| {
    let mut headers = HeaderMap::new();
    for (name, value) in lines.into_iter().take(32) {
        let name = NAMES[usize::from(name) % NAMES.len()];
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    let found = Forwarded::read(&headers, |ip| ip.is_loopback());
    assert!(found.scheme.is_none_or(|scheme| scheme == "http" || scheme == "https"));
    if let Some(host) = &found.host {
        assert!(host.bytes().all(|b| b.is_ascii_graphic() && !b"/@?#\\\"".contains(&b)));
    }
    if let Some(prefix) = &found.prefix {
        assert!(prefix.starts_with('/') && !prefix.starts_with("//") && !prefix.ends_with('/'));
    }
});
