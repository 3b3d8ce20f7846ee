//! Answers: what the registry said, in statuses, headers and documents.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, request::Parts};
use serde_json::Value;

use super::{body::Body, origin::Encrypted, service::Settings};
use crate::{
    access::{Authenticator, Principal},
    digest::Digest,
    error::{Error, ErrorCode},
    protocol::{Forwarded, Query, Route, failure, is_host},
    registry::UploadSession,
    store::UploadKey,
};

pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// Where this registry is, as the client sees it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    base: String,
}

impl Place {
    pub(super) fn new(settings: &Settings, parts: &Parts, forwarded: Option<&Forwarded>) -> Self {
        let Settings {
            prefix,
            host,
            absolute,
            ..
        } = settings;
        let cut_off = forwarded
            .and_then(|found| found.prefix.as_deref())
            .unwrap_or_default();
        let prefix = format!("{cut_off}{prefix}");
        if let Some(host) = host {
            // One with a path says all of it, as in Distribution.
            let authority = host.split_once("://").map_or(&**host, |(_, rest)| rest);
            if authority.contains('/') {
                return Self { base: host.clone() };
            }
            return Self {
                base: format!("{host}{prefix}"),
            };
        }
        // Of two it is not known which one was meant (RFC 9112 §3.2).
        let mut hosts = parts.headers.get_all(header::HOST).iter();
        let asked = hosts.next().filter(|_| hosts.next().is_none());
        let asked = asked.and_then(|host| host.to_str().ok());
        let asked = asked.or(parts.uri.authority().map(|authority| authority.as_str()));
        let asked = asked.filter(|host| is_host(host));
        let scheme = match parts.extensions.get::<Encrypted>() {
            Some(Encrypted) => "https",
            None => parts.uri.scheme_str().unwrap_or("http"),
        };
        let said = forwarded.and_then(|found| found.origin(scheme, asked));
        let seen = asked.filter(|_| *absolute);
        let origin = said.or_else(|| Some(format!("{scheme}://{}", seen?)));
        Self {
            base: format!("{}{prefix}", origin.unwrap_or_default()),
        }
    }

    pub(super) fn of(&self, route: &Route) -> String {
        format!("{}{}", self.base, route.path())
    }
}

/// An answer without a body.
pub(super) fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A document.
pub(super) fn json(document: &Value, media_type: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(document.to_string()));
    let value = HeaderValue::from_static(media_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}

/// Sets a header; a value that is none is left out. All values come of validated names.
pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Names the content that is answered with.
pub(super) fn set_digest(headers: &mut HeaderMap, digest: &Digest) {
    set(headers, CONTENT_DIGEST, digest.as_str());
    set(headers, header::ETAG, &format!("\"{digest}\""));
}

/// Tells where an upload stands and goes on.
pub(super) fn session(
    mut response: Response<Body>,
    settings: &Settings,
    place: &Place,
    repository: &crate::RepositoryName,
    session: &UploadSession,
) -> Response<Body> {
    let route = Route::Upload(repository.clone(), session.id.clone());
    let mut location = format!("{}?offset={}", place.of(&route), session.offset);
    if let Some(state) = &session.hint {
        let key = UploadKey::new(repository.clone(), session.id.clone());
        if let Some(hint) = settings.signer.sign(&key, state) {
            location.push_str("&hint=");
            location.push_str(&hint);
        }
    }
    let headers = response.headers_mut();
    set(headers, header::LOCATION, &location);
    // An upload without bytes says `0-0` too: there is no way to write an empty range.
    set(
        headers,
        header::RANGE,
        &format!("0-{}", session.offset.saturating_sub(1)),
    );
    set(headers, UPLOAD_UUID, session.id.as_str());
    response
}

/// Leads on to the next page, with everything that the first one was asked with.
pub(super) fn link(
    headers: &mut HeaderMap,
    place: &Place,
    route: &Route,
    limit: usize,
    last: &str,
    more: &[(&str, &str)],
) {
    let mut target = format!("{}?n={limit}&last={}", place.of(route), Query::escape(last));
    for (key, value) in more {
        target.push_str(&format!("&{key}={}", Query::escape(value)));
    }
    set(headers, header::LINK, &format!("<{target}>; rel=\"next\""));
}

/// Whoever is nobody yet is asked who they are, rather than told no.
pub(super) fn unauthorized(error: Error, settings: &Settings, principal: &Principal) -> Error {
    let asks = settings.authenticator.is_some() && principal.is_anonymous();
    if error.code() != ErrorCode::Denied || !asks {
        return error;
    }
    let unauthorized = Error::new(ErrorCode::Unauthorized, "authentication required");
    error
        .wanted()
        .iter()
        .cloned()
        .fold(unauthorized, Error::wanting)
}

pub(super) fn failure(error: &Error, authenticator: Option<&dyn Authenticator>) -> Response<Body> {
    let mut response = json(&failure::body(error), "application/json");
    *response.status_mut() = failure::status(error.code());
    let headers = response.headers_mut();
    if let Some(wait) = error.retry_delay() {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, seconds.max(1).into());
    } else if error.code() == ErrorCode::TooManyRequests {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if let (ErrorCode::Unauthorized, Some(authenticator)) = (error.code(), authenticator) {
        let challenge = authenticator.challenge(error.wanted());
        set(headers, header::WWW_AUTHENTICATE, challenge.as_str());
    }
    response
}

/// What a browser asks before it lets a page of another origin ask anything: the headers that let it
/// are the operator's.
pub(super) fn options(route: &Route) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    set(response.headers_mut(), header::ALLOW, route.allow());
    response
}

pub(super) fn not_allowed(error: Error, route: &Route) -> Response<Body> {
    let mut response = failure(&error, None);
    set(response.headers_mut(), header::ALLOW, route.allow());
    because(response, error)
}

/// A refusal that was made up of more than its error, with the error for whoever watches answers.
pub(super) fn because(mut response: Response<Body>, error: Error) -> Response<Body> {
    response.extensions_mut().insert(Arc::new(error));
    response
}

/// The error that a refusal was made of.
pub(super) fn reason(response: &mut Response<Body>) -> Option<Arc<Error>> {
    response.extensions_mut().remove()
}

/// What every answer of the API has, and what is to be added to it: a header that the answer has stays
/// what it is.
pub(super) fn finish(response: &mut Response<Body>, more: &[(HeaderName, HeaderValue)]) {
    let length = response.body().len();
    let status = response.status();
    let headers = response.headers_mut();
    headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    let none = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if let (Some(length), false) = (length, none || headers.contains_key(header::CONTENT_LENGTH)) {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    let own: Vec<_> = more
        .iter()
        .map(|(name, _)| headers.contains_key(name))
        .collect();
    for ((name, value), _) in more.iter().zip(own).filter(|(_, own)| !own) {
        headers.append(name.clone(), value.clone());
    }
}
