//! What the program tells about itself: the application log on standard error, one line for each
//! request on standard output.

mod access;
mod format;
mod time;

use std::io;

use tracing::level_filters::LevelFilter;

pub use self::access::AccessLine;
use self::format::Formatter;
use crate::config::{Log, LogLevel};

/// Starts the application log, for the whole process. A second start changes nothing.
pub fn start(log: &Log) {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let started = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .event_format(Formatter::new(log))
        .try_init();
    drop(started);
}
