//! A request, from its head to its answer, for those who watch.

use std::{sync::Arc, time::SystemTime};

use http::{Response, StatusCode, request::Parts};

use super::{
    body::{Body, Tell},
    exchange::Exchange,
    origin::Origin,
    service::Settings,
    task,
};
use crate::{
    error::{Error, ErrorCode},
    protocol::failure,
};

/// A request. Dropped before it was [`answered`](Self::answered), it is shown to those who watch as one
/// whose client left.
pub(super) struct Asked {
    pub(super) settings: Arc<Settings>,
    pub(super) parts: Parts,
    pub(super) origin: Origin,
    begun: Option<SystemTime>,
    answered: bool,
}

impl Asked {
    pub(super) fn new(settings: Arc<Settings>, parts: Parts) -> Self {
        let watched = settings.watch.is_some() || settings.ends.is_some();
        let begun = watched.then(|| settings.clock.now());
        let origin = Origin::of(&settings, &parts.extensions, &parts.headers);
        Self {
            settings,
            parts,
            origin,
            begun,
            answered: false,
        }
    }

    /// Shows the answer to those who watch: gives who wants to know what becomes of it.
    pub(super) fn answered(
        &mut self,
        response: &Response<Body>,
        error: Option<&Error>,
    ) -> Option<Tell> {
        self.answered = true;
        self.show(response.status(), response.body().len(), error)
    }

    fn show(&self, status: StatusCode, length: Option<u64>, error: Option<&Error>) -> Option<Tell> {
        let begun = self.begun?;
        let settings = &self.settings;
        let took = settings.clock.now().duration_since(begun);
        let exchange = Exchange {
            method: &self.parts.method,
            uri: &self.parts.uri,
            version: self.parts.version,
            headers: &self.parts.headers,
            context: &self.origin.context,
            status,
            length,
            error,
            took: took.unwrap_or_default(),
        };
        // The answer stands, whatever becomes of those who only watch.
        if let Some(watch) = &settings.watch {
            let _ = task::survived(|| watch(&exchange));
        }
        let ends = settings.ends.as_ref();
        ends.and_then(|ends| task::survived(|| ends(&exchange)))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let error = Error::new(ErrorCode::Unknown, "the connection ended before the answer");
        if let Some(tell) = self.show(failure::unanswered(), Some(0), Some(&error)) {
            tell(0);
        }
    }
}
