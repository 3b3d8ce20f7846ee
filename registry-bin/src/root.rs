//! What is answered outside of `/v2`: `/` is alive, everything else is not there.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use registry_core::{
    Clock, SystemClock,
    server::{Body, Peer},
};
use tower_service::Service;

use crate::telemetry::AccessLine;

/// The service for paths that are not the API's. `/` answers 200 without a body, as Distribution
/// does: load balancers ask for it.
#[derive(Clone, Debug)]
pub struct Root {
    headers: Arc<[(HeaderName, HeaderValue)]>,
    log: bool,
}

impl Root {
    /// Adds `headers` to each answer, and logs each request if `log` says so.
    pub fn new(headers: &[(HeaderName, HeaderValue)], log: bool) -> Self {
        Self {
            headers: headers.into(),
            log,
        }
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let mut response = if request.uri().path() == "/" && reads {
            let mut response = Response::new(Body::empty());
            let no_cache = HeaderValue::from_static("no-cache");
            response.headers_mut().insert(CACHE_CONTROL, no_cache);
            response
        } else {
            let head = *request.method() == Method::HEAD;
            let text = if head { "" } else { "404 page not found\n" };
            let mut response = Response::new(Body::from(text));
            *response.status_mut() = StatusCode::NOT_FOUND;
            let plain = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, plain);
            response
        };
        for (name, value) in &*self.headers {
            response.headers_mut().append(name, value.clone());
        }
        response
    }

    fn log<B>(&self, request: &Request<B>, response: &Response<Body>) {
        if !self.log {
            return;
        }
        let status = response.status().as_u16();
        let (method, path) = (request.method().as_str(), request.uri().path());
        let mut line = AccessLine::new(SystemClock.now(), method, path, status);
        line.client = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
        line.bytes = response.body().len();
        line.of_request(request.version(), request.headers())
            .print();
    }
}

impl<B> Service<Request<B>> for Root {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let response = self.answer(&request);
        self.log(&request, &response);
        ready(Ok(response))
    }
}
