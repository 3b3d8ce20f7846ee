//! Where requests come from: proxies that are trusted, proxies that are not, and what requests are
//! called.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{Arc, Mutex},
    task::{Context as TaskContext, Poll},
};

use http::{Request, Response, StatusCode, header};
use registry_core::{
    Context, Error, ErrorCode,
    server::{Body, Encrypted, LocalPeer, Peer},
};
use tower_service::Service;

use crate::service::{AnyBody, location, probed, request, said, send, text};

#[tokio::test]
async fn only_trusted_peers_say_where_we_are() {
    let clients = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&clients);
    let service = probed()
        .0
        .trusted_proxies(|ip| ip.to_string() == "10.0.0.1")
        .on_response(move |exchange| seen.lock().unwrap().push(exchange.context.client));
    let asked = |peer: &str| {
        request("POST", "/v2/a/blobs/uploads/")
            .extension(Peer(peer.parse().unwrap()))
            .header(header::HOST, "inside:5000")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "r.example")
            .header("x-forwarded-for", "203.0.113.9")
    };
    let answer = send(&service, asked("10.0.0.1:1"), None).await;
    assert!(location(&answer).starts_with("https://r.example/v2/a/"));
    let answer = send(&service, asked("10.0.0.2:1"), None).await;
    assert!(location(&answer).starts_with("/v2/a/"));
    let absolute = service.clone().relative_locations(false);
    let answer = send(&absolute, asked("10.0.0.2:1"), None).await;
    assert!(location(&answer).starts_with("http://inside:5000/v2/a/"));
    let named = service.host("https://h.example/");
    let answer = send(&named, asked("10.0.0.2:1"), None).await;
    assert!(location(&answer).starts_with("https://h.example/v2/a/"));
    let clients = clients.lock().unwrap();
    let found: Vec<_> = clients.iter().map(|ip| ip.unwrap().to_string()).collect();
    assert_eq!(found, ["203.0.113.9", "10.0.0.2", "10.0.0.2", "10.0.0.2"]);
}

#[tokio::test]
async fn a_host_with_a_path_says_where_we_are_and_one_without_is_added_to() {
    for (host, prefix, begin) in [
        ("https://h.example", "/p", "https://h.example/p/v2/a/"),
        ("https://h.example/p/", "/p", "https://h.example/p/v2/a/"),
        (
            "https://h.example/elsewhere",
            "/p",
            "https://h.example/elsewhere/v2/a/",
        ),
        ("https://h.example/", "", "https://h.example/v2/a/"),
    ] {
        let service = probed().0.host(host).prefix(prefix);
        let asked = request("POST", &format!("{prefix}/v2/a/blobs/uploads/"));
        let answer = send(&service, asked, None).await;
        assert!(location(&answer).starts_with(begin), "{host} {prefix}");
    }
}

/// A request over HTTP/1.1 names no scheme: what it came by does.
#[tokio::test]
async fn what_came_encrypted_is_led_on_encrypted() {
    let absolute = probed().0.relative_locations(false);
    let proxied = probed().0.trusted_proxies(|_| true);
    let asked = || {
        request("POST", "/v2/a/blobs/uploads/")
            .extension(Peer("10.0.0.1:1".parse().unwrap()))
            .header(header::HOST, "r.example")
    };
    let forwarded = || asked().header("x-forwarded-host", "f.example");
    let plain = || forwarded().header("x-forwarded-proto", "http");
    for (service, asked, begin) in [
        (
            &absolute,
            asked().extension(Encrypted),
            "https://r.example/v2/",
        ),
        (&absolute, asked(), "http://r.example/v2/"),
        (
            &proxied,
            forwarded().extension(Encrypted),
            "https://f.example/v2/",
        ),
        (&proxied, forwarded(), "http://f.example/v2/"),
        (
            &proxied,
            plain().extension(Encrypted),
            "http://f.example/v2/",
        ),
    ] {
        let answer = send(service, asked, None).await;
        assert!(location(&answer).starts_with(begin), "{begin}");
    }
}

#[tokio::test]
async fn a_host_that_is_none_is_not_repeated() {
    let service = probed().0.relative_locations(false);
    for (hosts, begin) in [
        (&["r.example:5000"][..], "http://r.example:5000/v2/a/"),
        (&["u:p@evil.example"], "/v2/a/"),
        (&["r.example/x"], "/v2/a/"),
        (&["r.example", "evil.example"], "/v2/a/"),
        (&[], "/v2/a/"),
    ] {
        let mut asked = request("POST", "/v2/a/blobs/uploads/");
        for host in hosts {
            asked = asked.header(header::HOST, *host);
        }
        let answer = send(&service, asked, None).await;
        assert!(location(&answer).starts_with(begin), "{hosts:?}");
    }
}

#[tokio::test]
async fn an_ipv4_peer_on_a_socket_of_ipv6_is_one_of_ipv4() {
    let clients = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&clients);
    let service = probed()
        .0
        .trusted_proxies(|ip| ip.to_string() == "10.0.0.1")
        .on_response(move |exchange| seen.lock().unwrap().push(exchange.context.client));
    for peer in ["[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.2]:1"] {
        let asked = request("GET", "/v2/")
            .extension(Peer(peer.parse().unwrap()))
            .header("x-real-ip", "203.0.113.9");
        send(&service, asked, None).await;
    }
    let clients = clients.lock().unwrap();
    let found: Vec<_> = clients.iter().map(|ip| ip.unwrap().to_string()).collect();
    assert_eq!(found, ["203.0.113.9", "10.0.0.2"]);
}

#[tokio::test]
async fn a_local_peer_is_trusted_where_that_was_said() {
    let service = probed().0.trusted_proxies(|_| true);
    let trusting = service.clone().trusted_local_peers(true);
    for (service, local, base) in [
        (&service, true, "/v2/a/"),
        (&trusting, true, "https://r.example/v2/a/"),
        (&trusting, false, "/v2/a/"),
    ] {
        let asked = request("POST", "/v2/a/blobs/uploads/")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "r.example");
        let asked = if local {
            asked.extension(LocalPeer)
        } else {
            asked
        };
        let answer = send(service, asked, None).await;
        assert!(location(&answer).starts_with(base), "{local} {base}");
    }
}

/// Answers with the identifier that its request has.
#[derive(Clone)]
struct Called;

impl Service<Request<AnyBody>> for Called {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<AnyBody>) -> Self::Future {
        let context = request.extensions().get::<Context>().unwrap();
        let id = context.request_id.as_deref().unwrap_or_default();
        ready(Ok(Response::new(Body::from(id.to_owned()))))
    }
}

#[tokio::test]
async fn a_request_is_called_what_a_trusted_peer_calls_it() {
    let ids = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ids);
    let service = probed()
        .0
        .trusted_proxies(|ip| ip.to_string() == "10.0.0.1")
        .on_response(move |exchange| {
            seen.lock()
                .unwrap()
                .push(exchange.context.request_id.clone());
        })
        .fallback(Called);
    let (long, longest) = ("x".repeat(129), "x".repeat(128));
    for (peer, given, kept) in [
        ("10.0.0.1:1", "edge-7/a+b=", true),
        ("10.0.0.1:1", &longest, true),
        ("10.0.0.2:1", "edge-7", false),
        ("10.0.0.1:1", &long, false),
        ("10.0.0.1:1", "two words", false),
        ("10.0.0.1:1", "", false),
    ] {
        let asked = |path| {
            request("GET", path)
                .extension(Peer(peer.parse().unwrap()))
                .header("x-request-id", given)
        };
        let answer = send(&service, asked("/v2/"), None).await;
        let id = said(&answer, header::HeaderName::from_static("x-request-id")).unwrap();
        assert_eq!(id == given, kept, "{peer} {given:?} {id}");
        assert!(kept || id.len() == 32, "{id}");
        assert_eq!(ids.lock().unwrap().pop().unwrap().as_deref(), Some(id));
        let below = text(send(&service, asked("/elsewhere"), None).await).await;
        assert_eq!(below == given && kept, kept, "{peer} {given:?} {below}");
    }
}

#[tokio::test]
async fn who_is_not_let_in_is_told_why() {
    let service = probed().0.admission(|| {
        let error = Error::new(ErrorCode::Unavailable, "closed for the night");
        Err(error.detail("come back at dawn"))
    });
    for path in ["/v2/", "/v2/a/tags/list", "/v2/what/is/this"] {
        let answer = send(&service, request("GET", path), None).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        let body = text(answer).await;
        let told = r#"{"errors":[{"code":"UNAVAILABLE","detail":"come back at dawn","message":"closed for the night"}]}"#;
        assert_eq!(body, told);
    }
    let service = service.admission(|| Ok(()));
    let answer = send(&service, request("GET", "/v2/"), None).await;
    assert_eq!(answer.status(), StatusCode::OK);
}
