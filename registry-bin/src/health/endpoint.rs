//! What the debug address answers: `/debug/health` and its two switches.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE},
};
use registry_core::server::Body;
use tower_service::Service;

use super::Health;

/// What stands where Distribution has more than health.
const NOT_HERE: &str = "\
404 page not found
This address answers /debug/health, /debug/health/down and /debug/health/up.
Profiles, variables and metrics come with a later version.
";

/// The service of the debug address, with paths and answers as Distribution's.
///
/// `/debug/health` is 200 with `{}`, or 503 with each check that fails and why. A POST to
/// `/debug/health/down` has the registry answer 503, one to `/debug/health/up` ends that. Whoever can
/// connect may do so: the address is for the operator alone.
#[derive(Clone, Debug)]
pub struct HealthService(Health);

impl HealthService {
    /// The service that tells about `health`.
    pub fn new(health: Health) -> Self {
        Self(health)
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Body> {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let posts = *method == Method::POST;
        match path {
            "/debug/health" if reads => self.tell(),
            "/debug/health/down" if posts => self.switch(true),
            "/debug/health/up" if posts => self.switch(false),
            _ => {
                let plain = "text/plain; charset=utf-8";
                response(StatusCode::NOT_FOUND, plain, NOT_HERE.to_owned())
            }
        }
    }

    fn tell(&self) -> Response<Body> {
        let failing = self.0.failing();
        let status = if failing.is_empty() {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let document = serde_json::json!(failing).to_string();
        let mut response = response(status, "application/json", document);
        let no_cache = HeaderValue::from_static("no-cache");
        response.headers_mut().insert(CACHE_CONTROL, no_cache);
        response
    }

    fn switch(&self, down: bool) -> Response<Body> {
        self.0.set_down(down);
        Response::new(Body::empty())
    }
}

fn response(status: StatusCode, media_type: &'static str, text: String) -> Response<Body> {
    let length = text.len();
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CONTENT_LENGTH, length.into());
    response
}

impl<B> Service<Request<B>> for HealthService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut response = self.answer(request.method(), request.uri().path());
        if *request.method() == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn ask(service: &HealthService, method: &str, path: &str) -> (u16, String) {
        let request = Request::builder().method(method).uri(path).body(());
        let request = request.expect("it is a request");
        let answer = service.clone().call(request).await;
        let answer = answer.expect("it cannot fail");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("it is there");
        let body = String::from_utf8(body.to_bytes().to_vec());
        (status, body.expect("it is text"))
    }

    #[tokio::test]
    async fn it_tells_and_is_switched() {
        let health = Health::with_storage("filesystem", 1);
        let service = HealthService::new(health.clone());
        let down = r#"{"manual_http_status":"said to be down by hand"}"#;
        let both = r#"{"manual_http_status":"said to be down by hand","storagedriver_filesystem":"no \"disk\""}"#;
        for (method, path, status, body) in [
            ("GET", "/debug/health", 200, "{}"),
            ("HEAD", "/debug/health", 200, ""),
            ("POST", "/debug/health", 404, NOT_HERE),
            ("GET", "/debug/health/down", 404, NOT_HERE),
            ("GET", "/debug/health", 200, "{}"),
            ("POST", "/debug/health/down", 200, ""),
            ("GET", "/debug/health", 503, down),
            ("GET", "/debug/health/up", 404, NOT_HERE),
            ("GET", "/debug/health", 503, down),
            ("POST", "/debug/health/up", 200, ""),
            ("GET", "/debug/health", 200, "{}"),
            ("GET", "/", 404, NOT_HERE),
            ("GET", "/metrics", 404, NOT_HERE),
            ("GET", "/debug/pprof/", 404, NOT_HERE),
            ("HEAD", "/debug/vars", 404, ""),
        ] {
            let answer = ask(&service, method, path).await;
            assert_eq!(answer, (status, body.to_owned()), "{method} {path}");
        }
        health.record(Err("no \"disk\"".to_owned()));
        health.set_down(true);
        assert_eq!(
            ask(&service, "GET", "/debug/health").await,
            (503, both.to_owned())
        );
    }
}
