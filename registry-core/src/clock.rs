//! The clock port: where time comes from, so that tests need not wait for it.

#[cfg(feature = "testing")]
mod manual;

use std::{fmt, time::SystemTime};

#[cfg(feature = "testing")]
pub use self::manual::ManualClock;

/// Tells the time.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Now.
    fn now(&self) -> SystemTime;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it holds nothing, and is made by naming it"
)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the port")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}
