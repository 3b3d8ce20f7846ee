//! What the program tells about itself: the application log on standard error, one line for each
//! request on standard output.

mod access;
mod format;
mod levels;
mod time;

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{layer::SubscriberExt as _, reload, util::SubscriberInitExt as _};

use self::format::Formatter;
pub use self::{
    access::{AccessFormat, AccessLine},
    levels::{InvalidModule, LevelSwitch, Levels, LogGone},
};
use crate::config::{Log, LogLevel};

/// Starts the application log, for the whole process. A second start changes nothing.
pub fn start(log: &Log) -> LevelSwitch {
    let (levels, handle) = reload::Layer::new(levels(log).filter());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .event_format(Formatter::new(log));
    let subscriber = tracing_subscriber::registry().with(levels).with(lines);
    drop(subscriber.try_init());
    LevelSwitch(handle)
}

/// The levels that the configuration asks for.
pub fn levels(log: &Log) -> Levels {
    let all = Levels::new(filter(log.level));
    // Names of modules are checked where they are read.
    log.levels.iter().fold(all, |levels, (module, level)| {
        levels
            .clone()
            .with(module, filter(*level))
            .unwrap_or(levels)
    })
}

/// A level of the configuration as the log takes it.
fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    }
}
