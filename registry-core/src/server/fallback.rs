//! What answers the paths that are not the API's, where nothing else does.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::body::Body;
use crate::{error::ErrorCode, protocol::failure};

/// The fallback that knows no path.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it holds nothing, and is made by naming it"
)]
pub struct NotFound;

impl<B> Service<Request<B>> for NotFound {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let mut response = Response::new(Body::from("404 page not found\n"));
        *response.status_mut() = failure::status(ErrorCode::NotFound);
        ready(Ok(response))
    }
}
