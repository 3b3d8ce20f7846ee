//! What a service manager such as systemd gives to this program, and what it is told in return.
//!
//! Sockets that it opened, so that no connection is refused during a restart ([`activation`]); and
//! how far the program is, and that it is alive ([`Notifier`]). Without a service manager nothing of
//! it does anything.

pub mod activation;
mod notify;

pub use self::{
    activation::{Passed, PassedError},
    notify::{Notifier, Watchdog},
};
