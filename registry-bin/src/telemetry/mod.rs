//! What the program tells about itself: the application log on standard error, one line for each
//! request on standard output; or both in files.
//!
//! A thread writes each log. Nothing that serves waits for the reader of a log, or for its disk.

mod access;
mod format;
mod levels;
mod queue;
mod sink;
mod stream;
mod time;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{layer::SubscriberExt as _, reload, util::SubscriberInitExt as _};

pub use self::{
    access::{AccessFormat, AccessLine, AccessLog, BegunLine},
    levels::{InvalidModule, LevelSwitch, Levels, LogGone},
    sink::OpenError,
};
use self::{format::Formatter, queue::Note, sink::Sink, stream::Stream};
use crate::{
    config::{Config, ConfigError, Log, LogLevel},
    failure::Failure,
};

/// How long an end waits for the reader of a log who reads nothing. It is long, so that one who reads
/// and has to wait for the processor loses no line.
const STALLED: Duration = Duration::from_secs(2);

/// How long an end waits for readers who read, however slowly. Service managers wait longer.
const FLUSH: Duration = Duration::from_secs(6);

/// The logs of the process, once they were started.
#[derive(Clone, Debug)]
pub struct Logs {
    application: Stream,
    access: Option<AccessLog>,
    levels: LevelSwitch,
}

impl Logs {
    /// What changes the levels of the application log.
    pub fn levels(&self) -> LevelSwitch {
        self.levels.clone()
    }

    /// The access log, if it is on.
    pub fn access(&self) -> Option<AccessLog> {
        self.access.clone()
    }

    /// Opens files again that somebody may have moved away.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when one cannot be opened; what was open before is written on then.
    pub fn reopen(&self) -> Result<(), OpenError> {
        // Both, whatever becomes of the first.
        let results = self.streams().map(Stream::reopen).collect::<Vec<_>>();
        results.into_iter().collect()
    }

    /// Waits until what was logged is written: at the end of the process. Whoever reads nothing is
    /// waited for two seconds, and all together for six.
    pub fn flush(&self) {
        let end = Instant::now() + FLUSH;
        thread::scope(|all| {
            for stream in self.streams() {
                all.spawn(move || stream.flush(STALLED, end));
            }
        });
    }

    fn streams(&self) -> impl Iterator<Item = &Stream> {
        let access = self.access.iter().map(|access| &access.stream);
        access.chain([&self.application])
    }
}

/// Starts the logs, for the whole process. A second application log changes nothing.
///
/// # Errors
///
/// [`Failure::Config`] when a file cannot be opened, [`Failure::Io`] when there are no threads.
pub fn start(config: &Config) -> Result<Logs, Failure> {
    let log = &config.log;
    let wrong = |key: &str, error: OpenError| {
        ConfigError::new(config.resolved.origin(key), key, error.to_string())
    };
    let stream = |key, path: Option<&PathBuf>, stream: fn() -> io::Result<Sink>, note: Note| {
        let sink = match path {
            Some(path) => Sink::file(path).map_err(|error| wrong(key, error))?,
            None => stream()?,
        };
        Ok::<_, Failure>(Stream::start(sink, path.cloned(), note)?)
    };
    let access = match log.access {
        None => None,
        Some(format) => {
            let (key, path) = ("log.accesslog.file", log.access_file.as_ref());
            let stream = stream(key, path, Sink::stdout, access::lost(format))?;
            Some(AccessLog { stream, format })
        }
    };
    let note = Formatter::new(log).lost();
    let application = stream("log.file", log.file.as_ref(), Sink::stderr, note)?;

    let (levels, handle) = reload::Layer::new(levels(log).filter());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(application.clone())
        .event_format(Formatter::new(log));
    let subscriber = tracing_subscriber::registry().with(levels).with(lines);
    drop(subscriber.try_init());
    Ok(Logs {
        application,
        access,
        levels: LevelSwitch(handle),
    })
}

/// Says why the process ends, on standard error. A reader that reads nothing cannot keep it from
/// ending: after two seconds it does.
pub fn last_words(text: String) {
    let (said, done) = mpsc::channel::<()>();
    let saying = thread::Builder::new().spawn(move || {
        // Where that fails nobody is there to be told.
        drop(io::stderr().write_all(text.as_bytes()));
        drop(said);
    });
    if saying.is_ok() {
        // It never comes; what is waited for is that the sender goes.
        let _ = done.recv_timeout(STALLED);
    }
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
