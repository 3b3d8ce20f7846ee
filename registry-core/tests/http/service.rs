//! The service, without sockets.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header, request::Builder};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use registry_core::{
    Algorithm, Context, ErrorCode,
    access::{
        Access, AuthError, AuthRequest, Authenticator, Authorizer, Challenge, Credentials,
        Decision, Principal, Resource, Visible,
    },
    event::{Event, EventAction, EventError, EventSink},
    layer::Authorized,
    server::{Body, ClientCertificate, DRAINED, Peer, RegistryService},
};
use tower_service::Service;

use crate::probe::{Probe, Verbs};

pub(crate) type AnyBody = UnsyncBoxBody<Bytes, io::Error>;
type Log = Arc<Mutex<Vec<&'static str>>>;

const INDEX: &str = r#"{"schemaVersion":2,"manifests":[]}"#;
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const ALICE: &str = "Basic YWxpY2U6cHc=";
const BOB: &str = "Basic Ym9iOnB3";

pub(crate) fn bytes(content: impl Into<Bytes>) -> AnyBody {
    Full::new(content.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn streamed(
    pieces: impl futures_core::Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> AnyBody {
    StreamBody::new(pieces.map(|piece| piece.map(Frame::data))).boxed_unsync()
}

pub(crate) fn request(method: &str, target: &str) -> Builder {
    Request::builder().method(method).uri(target)
}

pub(crate) async fn send<F>(
    service: &RegistryService<F>,
    request: Builder,
    body: impl Into<Option<AnyBody>>,
) -> Response<Body>
where
    RegistryService<F>:
        Service<Request<AnyBody>, Response = Response<Body>, Error = Infallible> + Clone,
{
    let body = body.into().unwrap_or_else(|| bytes(""));
    let request = request.body(body).unwrap();
    service.clone().call(request).await.unwrap()
}

pub(crate) async fn text(response: Response<Body>) -> String {
    let body = response.into_body().collect().await.unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

pub(crate) fn said(response: &Response<Body>, name: HeaderName) -> Option<&str> {
    Some(response.headers().get(name)?.to_str().unwrap())
}

#[track_caller]
pub(crate) fn location(response: &Response<Body>) -> &str {
    said(response, header::LOCATION).unwrap()
}

pub(crate) fn probed() -> (RegistryService, Arc<Probe>, Verbs) {
    let (probe, verbs) = Probe::new();
    (RegistryService::new(Arc::clone(&probe)), probe, verbs)
}

async fn started(service: &RegistryService) -> String {
    let answer = send(service, request("POST", "/v2/a/blobs/uploads/"), None).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    location(&answer).to_owned()
}

fn manifest(target: &str) -> Builder {
    request("PUT", target).header(header::CONTENT_TYPE, INDEX_TYPE)
}

#[tokio::test]
async fn it_stands_under_a_prefix() {
    let service = probed().0.prefix("/x");
    let answer = send(&service, request("POST", "/x/v2/a/blobs/uploads/"), None).await;
    assert!(location(&answer).starts_with("/x/v2/a/blobs/uploads/"));
    let answer = send(&service, manifest("/x/v2/a/manifests/t"), bytes(INDEX)).await;
    let digest = Algorithm::Sha256.digest(INDEX.as_bytes());
    assert_eq!(
        location(&answer),
        format!("/x/v2/a/manifests/{digest}").as_str()
    );
    let answer = send(&service, request("GET", "/v2/"), None).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}

#[derive(Clone)]
struct Hello;

impl Service<Request<AnyBody>> for Hello {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<AnyBody>) -> Self::Future {
        ready(Ok(Response::new(Full::from("hello"))))
    }
}

#[tokio::test]
async fn other_paths_are_the_fallbacks() {
    let service = probed().0;
    for path in ["/", "/v2x", "/other"] {
        let answer = send(&service, request("GET", path), None).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    }
    let service = service.fallback(Hello);
    for path in ["/", "/v2x", "/other"] {
        let answer = send(&service, request("GET", path), None).await;
        assert_eq!(text(answer).await, "hello");
    }
    let answer = send(&service, request("GET", "/v2/"), None).await;
    assert_eq!(text(answer).await, "{}");
}

#[tokio::test(start_paused = true)]
async fn a_body_without_progress_is_given_up_and_what_came_is_kept() {
    let service = probed().0.patience(Duration::from_secs(7));
    let upload = started(&service).await;
    let begun = tokio::time::Instant::now();
    let stalling = stream::iter([Ok(Bytes::from("hello"))]).chain(stream::pending());
    let answer = send(&service, request("PATCH", &upload), streamed(stalling)).await;
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(said(&answer, header::CONNECTION), Some("close"));
    assert!(begun.elapsed() >= Duration::from_secs(7));
    let answer = send(&service, request("GET", &upload), None).await;
    assert_eq!(said(&answer, header::RANGE), Some("0-4"));
    let answer = send(
        &service,
        manifest("/v2/a/manifests/t"),
        streamed(stream::pending()),
    )
    .await;
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn what_changes_something_goes_on_without_its_client() {
    let (service, probe, mut verbs) = probed();
    let digest = Algorithm::Sha256.digest(b"hello");
    let finish = format!("{}&digest={digest}", started(&service).await);
    let blob = format!("/v2/a/blobs/{digest}");
    for (verb, begun, body, target) in [
        (
            "put_manifest",
            manifest("/v2/a/manifests/t"),
            INDEX,
            "/v2/a/manifests/t",
        ),
        ("finish_upload", request("PUT", &finish), "hello", &blob),
    ] {
        *probe.held.lock().unwrap() = Some(verb);
        let leaving = {
            let service = service.clone();
            tokio::spawn(async move { send(&service, begun, bytes(body)).await })
        };
        verbs.entered(verb).await;
        leaving.abort();
        assert!(leaving.await.unwrap_err().is_cancelled());
        probe.gate.add_permits(1);
        verbs.left(verb).await;
        let answer = send(&service, request("HEAD", target), None).await;
        assert_eq!(answer.status(), StatusCode::OK, "{verb}");
        assert_eq!(probe.gate.forget_permits(1), 1);
    }
}

#[tokio::test]
async fn a_panic_is_answered_and_survived() {
    let (service, probe, _verbs) = probed();
    for (verb, asked) in [
        ("put_manifest", manifest("/v2/a/manifests/t")),
        ("get_manifest", request("GET", "/v2/a/manifests/t")),
    ] {
        *probe.panics.lock().unwrap() = Some(verb);
        let answer = send(&service, asked, bytes(INDEX)).await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR, "{verb}");
    }
    *probe.panics.lock().unwrap() = None;
    let answer = send(&service, manifest("/v2/a/manifests/t"), bytes(INDEX)).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_panic_of_what_was_plugged_in_is_answered_and_survived() {
    let services = [
        probed().0.authenticator(Faint),
        probed().0.admission(|| panic!("as the test wants it")),
    ];
    for (service, id) in services.into_iter().zip(["faint", "admission"]) {
        let asked = request("GET", "/v2/");
        let answer = send(&service, asked, None).await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR, "{id}");
        assert!(answer.headers().contains_key("x-request-id"), "{id}");
    }
    let service = probed().0.on_response(|_| panic!("as the test wants it"));
    let answer = send(&service, request("GET", "/v2/"), None).await;
    assert_eq!(answer.status(), StatusCode::OK);
}

#[derive(Debug)]
struct Faint;

#[async_trait]
impl Authenticator for Faint {
    async fn authenticate(&self, _: &AuthRequest<'_>) -> Result<Principal, AuthError> {
        panic!("as the test wants it")
    }

    fn challenge(&self, _: &[Access]) -> Challenge {
        Challenge::basic("here")
    }
}

#[tokio::test]
async fn what_is_chosen_at_run_time_can_be_plugged_in() {
    let authenticators: [Arc<dyn Authenticator>; 2] = [Arc::new(Door), Arc::new(Wallet)];
    for (authenticator, status) in authenticators.into_iter().zip([200, 401]) {
        let service = probed().0.authenticator(authenticator);
        let asked = request("GET", "/v2/").header(header::AUTHORIZATION, ALICE);
        assert_eq!(send(&service, asked, None).await.status(), status);
    }
}

/// Knows alice, lets anonymous clients in, and cannot say anything about tokens.
#[derive(Debug)]
struct Door;

#[async_trait]
impl Authenticator for Door {
    async fn authenticate(&self, request: &AuthRequest<'_>) -> Result<Principal, AuthError> {
        match &request.credentials {
            Credentials::None => Ok(Principal::anonymous()),
            Credentials::Basic { username, .. } if &**username == "alice" => {
                Ok(Principal::named("alice"))
            }
            Credentials::Bearer(_) => Err(AuthError::Unavailable("down".into())),
            _ => Err(AuthError::Rejected("wrong password")),
        }
    }

    fn challenge(&self, _: &[Access]) -> Challenge {
        Challenge::basic("here")
    }
}

/// Permits nothing.
#[derive(Debug)]
struct Judge(Log);

#[async_trait]
impl Authorizer for Judge {
    async fn permitted(&self, _: &Context, _: &Resource) -> Result<Decision, AuthError> {
        self.0.lock().unwrap().push("decided");
        Ok(Decision::only([]))
    }

    async fn visible(&self, _: &Context) -> Result<Visible, AuthError> {
        Ok(Visible::none())
    }
}

#[derive(Debug, Default)]
struct Sink(Mutex<Vec<Event>>);

#[async_trait]
impl EventSink for Sink {
    async fn publish(&self, event: &Event) -> Result<(), EventError> {
        self.0.lock().unwrap().push(event.clone());
        Ok(())
    }
}

fn closed() -> (RegistryService, Log) {
    let log = Log::default();
    let judge = Arc::new(Judge(Arc::clone(&log)));
    let registry = Authorized::new(Probe::new().0, judge);
    (RegistryService::new(registry), log)
}

/// `count` pieces of 1 KiB, how many of which were asked for.
fn counted(count: usize, log: &Log) -> (AnyBody, Arc<AtomicUsize>) {
    let polled = Arc::new(AtomicUsize::new(0));
    let (counter, log) = (Arc::clone(&polled), Arc::clone(log));
    let pieces = stream::iter(0..count).map(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        log.lock().unwrap().push("polled");
        Ok(Bytes::from_static(&[0; 1024]))
    });
    (streamed(pieces), polled)
}

#[tokio::test]
async fn a_refused_body_is_read_after_the_decision_and_to_a_bound() {
    for (method, target) in [
        ("PATCH", "/v2/a/blobs/uploads/u"),
        ("PUT", "/v2/a/manifests/v1"),
    ] {
        let (service, log) = closed();
        let (body, polled) = counted(100_000, &log);
        let answer = send(&service, request(method, target), body).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert_eq!(said(&answer, header::CONNECTION), Some("close"));
        assert_eq!(log.lock().unwrap()[..2], ["decided", "polled"]);
        assert!(polled.load(Ordering::Relaxed) as u64 <= DRAINED / 1024 + 1);

        let (body, polled) = counted(10, &log);
        let answer = send(&service, request(method, target), body).await;
        assert_eq!(said(&answer, header::CONNECTION), None);
        assert_eq!(polled.load(Ordering::Relaxed), 10);

        let (body, polled) = counted(10, &log);
        let asked = request(method, target).header(header::EXPECT, "100-continue");
        let answer = send(&service, asked, body).await;
        assert_eq!(said(&answer, header::CONNECTION), Some("close"));
        assert_eq!(polled.load(Ordering::Relaxed), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_does_not_wait_for_a_body_that_does_not_come() {
    let (service, _, _) = probed();
    let silent = streamed(stream::pending());
    let begun = tokio::time::Instant::now();
    let upload = "/v2/a/blobs/uploads/00000000-0000-4000-8000-000000000000";
    let answer = send(&service, request("PATCH", upload), silent).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(said(&answer, header::CONNECTION), Some("close"));
    assert!(begun.elapsed() <= Duration::from_secs(1));
}

#[tokio::test]
async fn a_content_type_has_no_case() {
    let (service, ..) = probed();
    let upper = request("PUT", "/v2/a/manifests/v1")
        .header(header::CONTENT_TYPE, INDEX_TYPE.to_uppercase());
    let body = format!("{{\"schemaVersion\":2,\"mediaType\":\"{INDEX_TYPE}\",\"manifests\":[]}}");
    let answer = send(&service, upper, bytes(body)).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn who_is_asking_decides_the_refusal() {
    let sink = Arc::new(Sink::default());
    let (service, _) = closed();
    let service = service
        .authenticator(Door)
        .events(Arc::<Sink>::clone(&sink))
        .trusted_proxies(|ip| ip.is_loopback());
    let asked = |shown: &str| {
        let asked = request("GET", "/v2/a/tags/list")
            .extension(Peer("127.0.0.1:1".parse().unwrap()))
            .header("x-forwarded-for", "203.0.113.9");
        match shown {
            "" => asked,
            shown => asked.header(header::AUTHORIZATION, shown),
        }
    };
    for (shown, status, challenge) in [
        ("", 401, Some("Basic realm=\"here\"")),
        (ALICE, 403, None),
        ("Bearer t", 503, None),
    ] {
        let answer = send(&service, asked(shown), None).await;
        assert_eq!(answer.status(), status, "{shown}");
        assert_eq!(said(&answer, header::WWW_AUTHENTICATE), challenge);
    }
    assert!(sink.0.lock().unwrap().is_empty());
    let answer = send(&service, asked(BOB), None).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(said(&answer, header::WWW_AUTHENTICATE).is_some());
    let events = sink.0.lock().unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].action, EventAction::LoginFailed);
    assert_eq!(events[0].actor.as_deref(), Some("bob"));
    assert_eq!(events[0].client, "203.0.113.9".parse().ok());
}

/// Knows people by their certificates.
#[derive(Debug)]
struct Wallet;

#[async_trait]
impl Authenticator for Wallet {
    async fn authenticate(&self, request: &AuthRequest<'_>) -> Result<Principal, AuthError> {
        match request.client_certificate {
            Some(b"carol's") => Ok(Principal::named("carol")),
            Some(_) => Err(AuthError::Rejected("a certificate of nobody's")),
            None => Err(AuthError::Rejected("no certificate")),
        }
    }

    fn challenge(&self, _: &[Access]) -> Challenge {
        Challenge::basic("here")
    }
}

#[tokio::test]
async fn a_clients_certificate_reaches_who_asks_for_it() {
    let service = probed().0.authenticator(Wallet);
    for (certificate, status) in [(Some("carol's"), 200), (Some("dave's"), 401), (None, 401)] {
        let mut asked = request("GET", "/v2/");
        if let Some(certificate) = certificate {
            asked = asked.extension(ClientCertificate(certificate.into()));
        }
        let answer = send(&service, asked, None).await;
        assert_eq!(answer.status(), status, "{certificate:?}");
    }
}

#[tokio::test]
async fn without_an_authenticator_a_password_is_not_looked_at() {
    let asked = request("GET", "/v2/").header(header::AUTHORIZATION, BOB);
    let answer = send(&probed().0, asked, None).await;
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn hints_come_back_and_forged_ones_do_not_count() {
    let (service, probe, _verbs) = probed();
    let service = service.secret(b"one");
    let upload = started(&service).await;
    let answer = send(&service, request("PATCH", &upload), bytes("ab")).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let next = location(&answer).to_owned();
    let (rest, _) = next.split_once("hint=").unwrap();
    let forged = format!("{rest}hint={}", upload.split_once("hint=").unwrap().1);
    let forged = forged.replace("hint=", "hint=AAAA");
    assert_eq!(
        send(&service, request("PATCH", &forged), bytes("cd"))
            .await
            .status(),
        StatusCode::ACCEPTED
    );
    let other = service.clone().secret(b"two");
    let upload = started(&service).await;
    send(&other, request("PATCH", &upload), bytes("ab")).await;
    let hints = probe.hints.lock().unwrap();
    assert_eq!(hints[0].as_ref().unwrap().length, 0);
    assert_eq!(hints[1..], [None, None]);
}

#[tokio::test]
async fn what_is_added_doubles_no_header_and_contradicts_none() {
    let value = HeaderValue::from_static;
    let service = probed()
        .0
        .header(header::X_CONTENT_TYPE_OPTIONS, value("nosniff"))
        .header(header::CONTENT_TYPE, value("text/plain"))
        .header(header::VARY, value("Cookie"))
        .header(header::VARY, value("Origin"));
    let answer = send(&service, request("GET", "/v2/"), None).await;
    let all = |name| -> Vec<_> {
        let values = answer.headers().get_all(name).iter();
        values.map(|value| value.to_str().unwrap()).collect()
    };
    assert_eq!(all(header::X_CONTENT_TYPE_OPTIONS), ["nosniff"]);
    assert_eq!(all(header::CONTENT_TYPE), ["application/json"]);
    assert_eq!(all(header::VARY), ["Cookie", "Origin"]);
}

#[tokio::test]
async fn answers_are_shown_and_carry_the_headers_that_were_added() {
    let shown = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&shown);
    let name = HeaderName::from_static("x-added");
    let service = probed()
        .0
        .header(name.clone(), HeaderValue::from_static("yes"))
        .on_response(move |exchange| {
            let error = exchange.error.map(registry_core::Error::code);
            let told = (exchange.status.as_u16(), exchange.length, error);
            seen.lock().unwrap().push((told, format!("{exchange:?}")));
        });
    let asked = request("GET", "/v2/?hint=hunter2").header(header::AUTHORIZATION, "hunter2");
    let answer = send(&service, asked, None).await;
    assert_eq!(said(&answer, name.clone()), Some("yes"));
    let answer = send(&service, request("GET", "/v2/a/tags/list"), None).await;
    assert_eq!(said(&answer, name), Some("yes"));
    let length = answer.body().len();
    let upload = started(&service).await;
    let astray = request("PATCH", &upload).header(header::CONTENT_RANGE, "5-5");
    let answer = send(&service, astray, bytes("x")).await;
    assert_eq!(said(&answer, header::RANGE), Some("0-0"));
    send(&service, request("PATCH", "/v2/"), None).await;
    let shown = shown.lock().unwrap();
    let reasons: Vec<_> = shown[3..]
        .iter()
        .map(|((status, _, code), _)| (*status, *code))
        .collect();
    let expected = [
        (416, Some(ErrorCode::RangeInvalid)),
        (405, Some(ErrorCode::Unsupported)),
    ];
    assert_eq!(reasons, expected);
    assert_eq!(shown[0].0, (200, Some(2), None));
    assert_eq!(shown[1].0, (404, length, Some(ErrorCode::NameUnknown)));
    assert!(!shown[0].1.contains("hunter2"), "{}", shown[0].1);
}

#[tokio::test]
async fn what_was_sent_is_told_at_the_end() {
    let (told, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let service = probed().0.on_end(move |exchange| {
        let (told, status) = (told.clone(), exchange.status.as_u16());
        Box::new(move |sent| told.send((status, sent)).unwrap())
    });
    let answer = send(&service, request("GET", "/v2/"), None).await;
    assert!(ends.try_recv().is_err(), "it has not ended");
    text(answer).await;
    assert_eq!(ends.try_recv(), Ok((200, 2)));
    drop(send(&service, request("GET", "/v2/"), None).await);
    assert_eq!(ends.try_recv(), Ok((200, 0)), "its client left");
    text(send(&service, request("HEAD", "/v2/"), None).await).await;
    assert_eq!(ends.try_recv(), Ok((200, 0)));
}

#[tokio::test]
async fn a_request_that_is_cut_off_is_shown_too() {
    let (shows, mut shown) = tokio::sync::mpsc::unbounded_channel();
    let (told, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let service = probed().0.on_response(move |exchange| {
        let error = exchange.error.map(registry_core::Error::code);
        shows.send((exchange.status.as_u16(), error)).unwrap();
    });
    let service = service.on_end(move |_| {
        let told = told.clone();
        Box::new(move |sent| told.send(sent).unwrap())
    });
    let upload = started(&service).await;
    assert_eq!(
        (shown.try_recv(), ends.try_recv()),
        (Ok((202, None)), Ok(0))
    );
    let body = streamed(stream::pending());
    let mut patch = Box::pin(send(&service, request("PATCH", &upload), body));
    assert!((&mut patch).now_or_never().is_none());
    assert!(shown.try_recv().is_err());
    drop(patch);
    assert_eq!(shown.try_recv(), Ok((499, Some(ErrorCode::Unknown))));
    assert_eq!(ends.try_recv(), Ok(0));
}

/// Browsers ask like this, without a password, before a page of another origin may ask anything.
#[tokio::test]
async fn a_browser_that_asks_first_is_answered() {
    let name = HeaderName::from_static("access-control-allow-origin");
    let value = HeaderValue::from_static("https://ui.example");
    let service = probed().0.authenticator(Wallet).header(name.clone(), value);
    for (path, status, allow) in [
        ("/v2/", 200, Some("GET, HEAD")),
        ("/v2/a/manifests/t", 200, Some("GET, HEAD, PUT, DELETE")),
        ("/v2/what/is/this", 401, None),
    ] {
        let answer = send(&service, request("OPTIONS", path), None).await;
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(said(&answer, header::ALLOW), allow);
        assert_eq!(said(&answer, name.clone()), Some("https://ui.example"));
    }
}

#[test]
fn debug_shows_no_secret() {
    let value = HeaderValue::from_static("hunter2");
    let service = RegistryService::new(Probe::new().0)
        .secret(b"hunter2")
        .header(header::SERVER, value);
    let shown = format!("{service:?}");
    assert!(shown.contains("Probe") && !shown.contains("hunter2"));
    let numbers = format!("{:?}", b"hunter2");
    assert!(!shown.contains(numbers.trim_matches(['[', ']'])));
}
