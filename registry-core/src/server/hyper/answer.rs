//! Answers of the server itself, to requests that never reach the service.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, Version, header};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::protocol::failure;

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
#[error("a request over HTTP/1.1 does not name one host (RFC 9112 §3.2), and is refused")]
pub(super) struct UnnamedHost;

/// The refusal of a request over HTTP/1.1 that does not name one host (RFC 9112 §3.2): a proxy may have
/// understood it otherwise.
pub(super) fn unnamed_host<B>(
    version: Version,
    headers: &HeaderMap,
) -> Option<Response<Answer<B>>> {
    let hosts = headers.get_all(header::HOST).iter().count();
    if version != Version::HTTP_11 || hosts == 1 {
        return None;
    }
    let mut response = Response::new(Answer::Refusal);
    *response.status_mut() = failure::MALFORMED;
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    Some(response)
}

pin_project! {
    /// The body of an answer: the service's, or none.
    #[project = Projected]
    pub(super) enum Answer<B> {
        Service { #[pin] body: B },
        Refusal,
    }
}

impl<B: Body<Data = Bytes>> Body for Answer<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project() {
            Projected::Service { body } => body.poll_frame(cx),
            Projected::Refusal => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Service { body } => body.is_end_stream(),
            Self::Refusal => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Service { body } => body.size_hint(),
            Self::Refusal => SizeHint::with_exact(0),
        }
    }
}
