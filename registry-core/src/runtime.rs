//! The runtime port: tasks and timers, from whichever executor the host application runs.

use std::{fmt, time::Duration};

use futures_core::future::BoxFuture;

/// Runs tasks and keeps time for them.
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// Runs `task` to its end, whatever becomes of whoever started it.
    fn spawn(&self, task: BoxFuture<'static, ()>);

    /// Done after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// Tokio, wherever it runs: the methods must be called inside a Tokio runtime.
#[cfg(feature = "tokio")]
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it holds nothing, and is made by naming it"
)]
pub struct TokioRuntime;

#[cfg(feature = "tokio")]
impl Runtime for TokioRuntime {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        drop(tokio::spawn(task));
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
