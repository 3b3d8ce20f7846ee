//! Stores that go wrong on purpose.
//!
//! [`Faulty`] wraps one half of a store, or an object that is both. What goes wrong is decided by
//! [`Faults`], which the test keeps a clone of:
//!
//! - [`Faults::next`] and [`Faults::nth`] say it outright: the next two manifest puts fail, the third
//!   write is cut after 100 bytes.
//! - [`Faults::seeded`] leaves it to chance, by [`Odds`]. The same seed makes the same decisions for
//!   the same calls, so a test that fails prints its seed and fails again.
//!
//! It needs no runtime: a delay is a number of times that a call gives way.
//!
//! # Example
//!
//! ```
//! use registry_core::store::{StoreErrorKind, faulty::{Fault, Faults, Op}};
//!
//! let faults = Faults::none();
//! faults.next(Op::PutManifest, 2, Fault::Fail(StoreErrorKind::Unavailable));
//! // let metadata = Faulty::new(store.metadata(), faults.clone());
//! assert_eq!(faults.count(Op::PutManifest), 0);
//! ```

mod blobs;
mod body;
mod metadata;
mod plan;

use std::{fmt, sync::Arc};

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};

pub use self::plan::{Fault, Faults, Odds, Op};
use self::{body::Limit, plan::Decision};
use super::{StoreError, StoreErrorKind, pace::give_way};

/// A store whose calls go wrong as its [`Faults`] say.
///
/// It implements [`BlobStore`](super::BlobStore) where `S` does, and
/// [`MetadataStore`](super::MetadataStore) where `S` does.
pub struct Faulty<S: ?Sized> {
    faults: Faults,
    inner: Arc<S>,
}

impl<S: ?Sized> Faulty<S> {
    /// `inner`, going wrong as `faults` say.
    pub fn new(inner: Arc<S>, faults: Faults) -> Self {
        Self { faults, inner }
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

impl<S: Send + Sync + ?Sized> Faulty<S> {
    /// Runs a call as decided: late, not at all, half-way, or with its answer lost.
    async fn call<T: Send>(
        &self,
        op: Op,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let decision = self.faults.decide(op);
        self.obey(op, decision, call).await
    }

    async fn obey<T: Send>(
        &self,
        op: Op,
        decision: Decision,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        for _ in 0..decision.delay {
            give_way().await;
        }
        match decision.fault {
            Some(Fault::Fail(kind)) => Err(failed(op, kind)),
            Some(Fault::Lose(kind)) => {
                call.await?;
                Err(failed(op, kind))
            }
            Some(Fault::Drop(polls)) => match body::drop_after(polls, call).await {
                Some(answer) => answer,
                None => Err(failed(op, StoreErrorKind::Unavailable)),
            },
            Some(Fault::Cut(_)) | None => call.await,
        }
    }

    /// A listing as decided: refused, or cut after some entries.
    fn list_entries<'a, T: Send + 'a>(
        &self,
        op: Op,
        entries: BoxStream<'a, Result<T, StoreError>>,
    ) -> BoxStream<'a, Result<T, StoreError>> {
        let decision = self.faults.decide(op);
        let (whole, error) = match decision.fault {
            None => (None, None),
            Some(Fault::Fail(kind) | Fault::Lose(kind)) => (Some(0), Some(kind)),
            Some(Fault::Drop(_)) => (Some(0), Some(StoreErrorKind::Unavailable)),
            Some(Fault::Cut(entries)) => (Some(entries), Some(StoreErrorKind::Unavailable)),
        };
        let whole = whole.map_or(usize::MAX, |whole| {
            usize::try_from(whole).unwrap_or(usize::MAX)
        });
        let error = stream::iter(error.map(move |kind| Err(failed(op, kind))));
        entries.take(whole).chain(error).boxed()
    }
}

impl<S: ?Sized> Clone for Faulty<S> {
    fn clone(&self) -> Self {
        Self {
            faults: self.faults.clone(),
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<S: ?Sized + fmt::Debug> fmt::Debug for Faulty<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Faulty").field(&self.inner).finish()
    }
}

/// The error of a call that was made to fail.
fn failed(op: Op, kind: StoreErrorKind) -> StoreError {
    StoreError::new(kind, format!("{op:?} was made to fail"))
}

/// How far a body may go, if the decision is to cut it.
fn limit(decision: Decision) -> Limit {
    match decision.fault {
        Some(Fault::Cut(bytes)) => Limit::After(bytes),
        Some(Fault::Drop(_) | Fault::Fail(_) | Fault::Lose(_)) | None => Limit::None,
    }
}
