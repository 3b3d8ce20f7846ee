//! One function for each thing that can be done with a path: it says in the registry's words what
//! was asked, and hands what the registry says to `render`.

mod blobs;
mod lists;
mod manifests;
mod uploads;

use std::sync::Arc;

use http::{HeaderMap, Method, Response};
use serde_json::json;

use super::{
    body::Body,
    incoming::Incoming,
    render::{self, Place},
    service::Settings,
};
use crate::{
    access::Context,
    error::{Error, ErrorCode, Result},
    protocol::{Query, Route},
};

/// A request, as far as the handlers look at it.
pub(super) struct Received {
    pub(super) settings: Arc<Settings>,
    pub(super) context: Context,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) query: Query,
    pub(super) place: Place,
    pub(super) incoming: Incoming,
}

pub(super) async fn handle(received: Received, route: Route) -> Result<Response<Body>> {
    let method = received.method.as_str();
    match (&route, method) {
        (Route::Base, _) => Ok(render::json(&json!({}), "application/json")),
        (Route::Catalog, _) => lists::catalog(&received).await,
        (Route::Tags(name), _) => lists::tags(&received, name).await,
        (Route::Referrers(name, subject), _) => lists::referrers(&received, name, subject).await,
        (Route::Manifest(name, reference), "GET") => {
            manifests::get(&received, name, reference).await
        }
        (Route::Manifest(name, reference), "HEAD") => {
            manifests::head(&received, name, reference).await
        }
        (Route::Manifest(name, reference), "PUT") => {
            manifests::put(&received, name, reference).await
        }
        (Route::Manifest(name, reference), "DELETE") => {
            manifests::delete(&received, name, reference).await
        }
        (Route::Blob(name, digest), "GET") => blobs::get(&received, name, digest).await,
        (Route::Blob(name, digest), "HEAD") => blobs::head(&received, name, digest).await,
        (Route::Blob(name, digest), "DELETE") => blobs::delete(&received, name, digest).await,
        (Route::Uploads(name), "POST") => uploads::start(&received, name).await,
        (Route::Upload(name, id), "GET" | "HEAD") => uploads::session(&received, name, id).await,
        (Route::Upload(name, id), "PATCH") => uploads::append(&received, name, id).await,
        (Route::Upload(name, id), "PUT") => uploads::finish(&received, name, id).await,
        (Route::Upload(name, id), "DELETE") => uploads::cancel(&received, name, id).await,
        _ => Err(Error::new(
            ErrorCode::Unsupported,
            "the method is not for this end-point",
        )),
    }
}
