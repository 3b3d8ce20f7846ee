//! Chains of proxies, honest and forged.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn read(pairs: &[(&'static str, &str)]) -> Forwarded {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    let trusted = |ip: IpAddr| ip.to_string().starts_with("10.") || ip.to_string() == "fd00::1";
    Forwarded::read(&headers, trusted)
}

#[test]
fn the_client_is_the_first_from_the_right_that_is_not_trusted() {
    let rows: [(&[(&str, &str)], _); 22] = [
        (&[], None),
        (&[("x-forwarded-for", "203.0.113.9")], Some("203.0.113.9")),
        (
            &[("x-forwarded-for", "6.6.6.6, 203.0.113.9")],
            Some("203.0.113.9"),
        ),
        (
            &[("x-forwarded-for", "6.6.6.6, 203.0.113.9,10.0.0.2")],
            Some("203.0.113.9"),
        ),
        (
            &[
                ("x-forwarded-for", "6.6.6.6"),
                ("x-forwarded-for", "203.0.113.9, 10.0.0.2"),
            ],
            Some("203.0.113.9"),
        ),
        (
            &[("x-forwarded-for", "10.0.0.3, 10.0.0.2")],
            Some("10.0.0.3"),
        ),
        (
            &[("x-forwarded-for", "6.6.6.6, unknown, 10.0.0.2")],
            Some("10.0.0.2"),
        ),
        (&[("x-forwarded-for", "6.6.6.6, ")], None),
        (
            &[("x-forwarded-for", "203.0.113.9:4711")],
            Some("203.0.113.9"),
        ),
        (
            &[("x-forwarded-for", "2001:db8::1, fd00::1")],
            Some("2001:db8::1"),
        ),
        (&[("x-forwarded-for", "[2001:db8::1]")], Some("2001:db8::1")),
        (
            &[("x-forwarded-for", "[2001:db8::1]:4711, ::ffff:10.0.0.2")],
            Some("2001:db8::1"),
        ),
        (&[("forwarded", "for=203.0.113.9")], Some("203.0.113.9")),
        (
            &[("forwarded", "For=\"[2001:db8::1]:4711\";proto=https")],
            Some("2001:db8::1"),
        ),
        (
            &[(
                "forwarded",
                "for=6.6.6.6, for=203.0.113.9;by=\"a,b;c\", for=10.0.0.2",
            )],
            Some("203.0.113.9"),
        ),
        (
            &[("forwarded", "for=6.6.6.6, for=_hidden, for=10.0.0.2")],
            Some("10.0.0.2"),
        ),
        (
            &[("forwarded", "for=6.6.6.6, by=\"\\\",for=7.7.7.7\"")],
            None,
        ),
        (
            &[
                ("forwarded", "for=6.6.6.6"),
                ("x-forwarded-for", "203.0.113.9"),
            ],
            Some("203.0.113.9"),
        ),
        (
            &[("forwarded", "for=6.6.6.6"), ("x-forwarded-proto", "https")],
            None,
        ),
        (&[("x-real-ip", "203.0.113.9")], Some("203.0.113.9")),
        (
            &[("x-real-ip", "6.6.6.6"), ("x-forwarded-for", "203.0.113.9")],
            Some("203.0.113.9"),
        ),
        (
            &[("x-real-ip", "6.6.6.6"), ("x-forwarded-for", "garbage")],
            None,
        ),
    ];
    for (pairs, expected) in rows {
        let client = read(pairs).client.map(|ip| ip.to_string());
        assert_eq!(client.as_deref(), expected, "{pairs:?}");
    }
}

#[test]
fn what_the_client_asked_is_the_word_of_the_outermost_trusted_proxy() {
    let rows: [(&[(&str, &str)], _); 16] = [
        (
            &[
                ("x-forwarded-proto", "HTTPS"),
                ("x-forwarded-host", "r.example:8443"),
            ],
            Some("https://r.example:8443"),
        ),
        (
            &[("x-forwarded-proto", "https")],
            Some("https://asked:5000"),
        ),
        (
            &[("x-forwarded-host", "r.example")],
            Some("http://r.example"),
        ),
        (
            &[("x-forwarded-proto", "https, http")],
            Some("http://asked:5000"),
        ),
        (
            &[
                ("x-forwarded-for", "203.0.113.9, 10.0.0.2"),
                ("x-forwarded-proto", "https, http"),
            ],
            Some("https://asked:5000"),
        ),
        (
            &[
                ("x-forwarded-for", "6.6.6.6, 203.0.113.9"),
                ("x-forwarded-proto", "http, https"),
            ],
            Some("https://asked:5000"),
        ),
        (
            &[
                ("x-forwarded-for", "203.0.113.9, 10.0.0.2"),
                ("x-forwarded-host", "r.example"),
            ],
            Some("http://r.example"),
        ),
        (
            &[
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "r.example"),
                ("x-forwarded-port", "8443"),
            ],
            Some("https://r.example:8443"),
        ),
        (
            &[
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "r.example"),
                ("x-forwarded-port", "443"),
            ],
            Some("https://r.example"),
        ),
        (
            &[
                ("x-forwarded-host", "r.example:81"),
                ("x-forwarded-port", "82"),
            ],
            Some("http://r.example:81"),
        ),
        (&[("x-forwarded-port", "8443")], None),
        (
            &[("x-forwarded-proto", "ftp"), ("x-forwarded-host", "a/b")],
            None,
        ),
        (
            &[(
                "forwarded",
                "for=203.0.113.9;proto=HTTPS;host=\"r.example:8443\"",
            )],
            Some("https://r.example:8443"),
        ),
        (
            &[(
                "forwarded",
                "host=evil.example, for=203.0.113.9, for=10.0.0.2;host=r.example;proto=https",
            )],
            Some("https://r.example"),
        ),
        (
            &[("forwarded", "for=1.2.3.4;host=\"[2001:db8::1]:5000\"")],
            Some("http://[2001:db8::1]:5000"),
        ),
        (
            &[
                ("forwarded", "host=evil.example"),
                ("x-forwarded-proto", "https"),
            ],
            Some("https://asked:5000"),
        ),
    ];
    for (pairs, expected) in rows {
        let origin = read(pairs).origin("http", Some("asked:5000"));
        assert_eq!(origin.as_deref(), expected, "{pairs:?}");
    }
    for (said, expected) in [
        ("/sub/", Some("/sub")),
        ("//evil", None),
        ("/", None),
        ("x", None),
    ] {
        assert_eq!(
            read(&[("x-forwarded-prefix", said)]).prefix.as_deref(),
            expected
        );
    }
}

proptest! {
    #[test]
    fn no_header_panics(value in "[ -~]{0,60}") {
        for name in ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port"] {
            let _ = read(&[(name, &value)]).origin("http", Some(&value));
        }
    }
}
