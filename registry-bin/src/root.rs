//! What is answered outside of `/v2`: whether the registry is alive, and what is not there.

use std::{
    collections::HashSet,
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context as TaskContext, Poll},
};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE},
};
use registry_core::{Clock, Context, Error, SystemClock, protocol::failure, server::Body};
use tower_service::Service;

use crate::{
    health::Health,
    telemetry::{AccessLine, AccessLog},
};

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The service for paths that are not the API's.
///
/// `/`, `/_ping` and `/v1/_ping` answer 200 without a body, or 503 when the registry is not well:
/// load balancers ask for the first, as they do of Distribution, and proxies that were set up for
/// older registries let the others through without a password. What else is below `/v1` is told that
/// this version is gone.
#[derive(Clone, Debug)]
pub struct Root {
    headers: Arc<[(HeaderName, HeaderValue)]>,
    log: Option<AccessLog>,
    health: Health,
}

impl Root {
    /// Adds `headers` to each answer that does not have them, and logs each request, if there is a log.
    pub fn new(
        headers: &[(HeaderName, HeaderValue)],
        log: Option<AccessLog>,
        health: Health,
    ) -> Self {
        Self {
            headers: headers.into(),
            log,
            health,
        }
    }

    fn answer(&self, method: &Method, path: &str, context: Option<&Context>) -> Response<Body> {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let mut response = match path {
            "/" | "/_ping" | "/v1/_ping" if reads => match self.health.admit() {
                Ok(()) => alive(),
                Err(error) => unwell(&error),
            },
            "/" | "/_ping" | "/v1/_ping" if *method == Method::OPTIONS => allowed(),
            "/v1" => missing("v1 not supported: this registry speaks /v2/\n"),
            path if path.starts_with("/v1/") => {
                missing("v1 not supported: this registry speaks /v2/\n")
            }
            _ => missing("404 page not found\n"),
        };
        if *method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        let id = context.and_then(|context| context.request_id.as_deref());
        if let Some(Ok(id)) = id.map(HeaderValue::from_str) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        self.add_headers(response.headers_mut());
        response
    }

    /// As in the API: what an answer has stays what it is, and several of one name all come in.
    fn add_headers(&self, headers: &mut HeaderMap) {
        let own: HashSet<_> = headers.keys().cloned().collect();
        for (name, value) in self.headers.iter().filter(|(name, _)| !own.contains(name)) {
            headers.append(name, value.clone());
        }
    }

    fn log<B>(&self, request: &Request<B>, response: &Response<Body>) {
        let Some(log) = &self.log else { return };
        let status = response.status().as_u16();
        let (method, path) = (request.method().as_str(), request.uri().path());
        let mut line = AccessLine::new(SystemClock.now(), method, path, status);
        let context = request.extensions().get::<Context>();
        line.client = context.and_then(|context| context.client);
        line.request_id = context.and_then(|context| context.request_id.as_deref());
        line.query = request.uri().query();
        let bytes = response.body().len().unwrap_or_default();
        log.write(
            &line.with_request(request.version(), request.headers()),
            bytes,
        );
    }
}

fn alive() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let no_cache = HeaderValue::from_static("no-cache");
    response.headers_mut().insert(CACHE_CONTROL, no_cache);
    response
}

/// As in the API: a browser asks before a page of another origin may.
fn allowed() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let reads = HeaderValue::from_static("GET, HEAD");
    response.headers_mut().insert(ALLOW, reads);
    response
}

fn unwell(error: &Error) -> Response<Body> {
    let json = HeaderValue::from_static("application/json");
    let mut response = Response::new(Body::from(failure::body(error).to_string()));
    *response.status_mut() = failure::status(error.code());
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn missing(text: &'static str) -> Response<Body> {
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().insert(CONTENT_TYPE, plain);
    // As in Distribution, where all but `/` is the API's.
    let version = HeaderValue::from_static("registry/2.0");
    response.headers_mut().insert(API_VERSION, version);
    response
}

impl<B> Service<Request<B>> for Root {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let context = request.extensions().get();
        let response = self.answer(request.method(), request.uri().path(), context);
        self.log(&request, &response);
        ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn who_is_alive_and_what_is_gone() {
        const V1: &str = "v1 not supported: this registry speaks /v2/\n";
        const LOST: &str = "404 page not found\n";
        const UNWELL: &str = r#"{"errors":[{"code":"UNAVAILABLE","detail":"a health check failed: the debug address says which, at /debug/health","message":"this registry is not well"}]}"#;
        let health = Health::new();
        let added = (
            HeaderName::from_static("x-added"),
            HeaderValue::from_static("yes"),
        );
        let root = Root::new(&[added], None, health.clone());
        for (down, method, path, status, body) in [
            (false, Method::GET, "/", 200, ""),
            (false, Method::HEAD, "/", 200, ""),
            (false, Method::GET, "/_ping", 200, ""),
            (false, Method::GET, "/v1/_ping", 200, ""),
            (false, Method::POST, "/", 404, LOST),
            (false, Method::GET, "/v1", 404, V1),
            (false, Method::GET, "/v1/", 404, V1),
            (false, Method::GET, "/v1/search", 404, V1),
            (false, Method::POST, "/v1/users/", 404, V1),
            (false, Method::HEAD, "/v1/search", 404, ""),
            (false, Method::GET, "/v1x", 404, LOST),
            (true, Method::GET, "/", 503, UNWELL),
            (true, Method::GET, "/v1/_ping", 503, UNWELL),
            (true, Method::HEAD, "/_ping", 503, ""),
            (true, Method::GET, "/favicon.ico", 404, LOST),
        ] {
            health.set_down(down);
            let mut context = Context::anonymous();
            context.request_id = Some("edge-7".into());
            let answer = root.answer(&method, path, Some(&context));
            assert_eq!(answer.status(), status, "{method} {path}");
            assert_eq!(answer.headers()[REQUEST_ID], "edge-7");
            let version = answer.headers().get(API_VERSION);
            let version = version.map(|version| version.as_bytes());
            let expected = (status == 404).then_some(&b"registry/2.0"[..]);
            assert_eq!(version, expected, "{method} {path}");
            assert_eq!(answer.headers()["x-added"], "yes");
            let told = answer.into_body().collect().await.expect("it is there");
            assert_eq!(told.to_bytes(), body, "{method} {path}");
        }
    }
}
