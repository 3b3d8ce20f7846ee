//! A service around the registry's: it answers with the faults that are due before it asks.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use futures_util::future::{BoxFuture, FutureExt, ready};
use hyper::{Request, Response, StatusCode, body::Incoming};
use registry_core::server::{Body, RegistryService};
use tower_service::Service;

pub(crate) type Faults = Arc<Mutex<VecDeque<StatusCode>>>;

#[derive(Clone)]
pub(crate) struct Failing {
    pub(crate) inner: RegistryService,
    pub(crate) faults: Faults,
}

impl Service<Request<Incoming>> for Failing {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let fault = self
            .faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        let Some(status) = fault else {
            return Service::call(&mut self.inner, request);
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        ready(Ok(response)).boxed()
    }
}
