//! What a watcher of the service is shown.

use std::{fmt, time::Duration};

use http::{Method, StatusCode};

use crate::{access::Context, error::Error};

/// A request and what was answered, for logs and counters. `Debug` shows neither headers nor query.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Exchange<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path and the query. The query can hold the signed state of an upload.
    pub uri: &'a http::Uri,
    /// The version of HTTP.
    pub version: http::Version,
    /// The headers of the request. They can hold credentials.
    pub headers: &'a http::HeaderMap,
    /// Who asked, as which request, from where.
    pub context: &'a Context,
    /// The status of the answer.
    pub status: StatusCode,
    /// How many bytes the answer has.
    pub length: Option<u64>,
    /// What went wrong.
    pub error: Option<&'a Error>,
    /// From the head of the request to the head of the answer.
    pub took: Duration,
}

impl fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("method", &self.method)
            .field("path", &self.uri.path())
            .field("version", &self.version)
            .field("context", &self.context)
            .field("status", &self.status)
            .field("length", &self.length)
            .field("error", &self.error)
            .field("took", &self.took)
            .finish_non_exhaustive()
    }
}
