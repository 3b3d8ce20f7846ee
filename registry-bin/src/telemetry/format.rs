//! The lines of the application log, in the three forms that Distribution's users feed to theirs.

use std::fmt;

use registry_core::{Clock, SystemClock};
use serde_json::{Map, Value};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::{queue::Note, time::Utc};
use crate::config::{Log, LogFormatter};

/// Writes one line for each event.
pub(crate) struct Formatter {
    formatter: LogFormatter,
    fields: Vec<(String, String)>,
    caller: bool,
}

impl Formatter {
    pub(crate) fn new(log: &Log) -> Self {
        Self {
            formatter: log.formatter,
            fields: log.fields.clone().into_iter().map(beside_ours).collect(),
            caller: log.report_caller,
        }
    }

    /// Says how many lines were lost, as a warning.
    pub(super) fn lost(self) -> Note {
        Box::new(move |lost| {
            let time = Utc::from(SystemClock.now());
            let message = format!("the log: {lost} lines were lost, its reader was too slow");
            self.line(time, Level::WARN, message, Vec::new())
        })
    }

    fn line(
        &self,
        time: Utc,
        level: Level,
        message: String,
        fields: Vec<(String, String)>,
    ) -> String {
        let fields = self.fields.iter().cloned().chain(fields);
        match self.formatter {
            LogFormatter::Text => text(time, level, &message, fields),
            LogFormatter::Json => json(time, level, ["time", "msg"], message, fields),
            LogFormatter::Logstash => {
                let version = ("@version".to_owned(), "1".to_owned());
                let fields = fields.chain([version]);
                json(time, level, ["@timestamp", "message"], message, fields)
            }
        }
    }
}

/// Keys that lines have by themselves.
const OURS: [&str; 6] = ["time", "level", "msg", "message", "@timestamp", "@version"];

/// A field under a name that doubles none of a line, as Distribution does it.
fn beside_ours((key, value): (String, String)) -> (String, String) {
    if OURS.contains(&key.as_str()) {
        (format!("fields.{key}"), value)
    } else {
        (key, value)
    }
}

impl<S, N> FormatEvent<S, N> for Formatter
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        if let (true, Some(file)) = (self.caller, event.metadata().file()) {
            let line = event.metadata().line().unwrap_or_default();
            said.fields
                .push(("file".to_owned(), format!("{file}:{line}")));
        }
        let time = Utc::from(SystemClock.now());
        let line = self.line(time, *event.metadata().level(), said.message, said.fields);
        writeln!(writer, "{line}")
    }
}

#[derive(Default)]
struct Said {
    message: String,
    fields: Vec<(String, String)>,
}

impl Said {
    fn record(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            name => self.fields.push((name.to_owned(), value)),
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record(field, format!("{value:?}"));
    }
}

fn text(
    time: Utc,
    level: Level,
    message: &str,
    fields: impl Iterator<Item = (String, String)>,
) -> String {
    let mut line = format!("time=\"{time}\" level={} msg={message:?}", name(level));
    for (key, value) in fields {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._/@^+:".contains(c);
        line.push(' ');
        line.push_str(&key);
        line.push('=');
        if !value.is_empty() && value.chars().all(plain) {
            line.push_str(&value);
        } else {
            line.push_str(&format!("{value:?}"));
        }
    }
    line
}

fn json(
    time: Utc,
    level: Level,
    [time_key, message_key]: [&str; 2],
    message: String,
    fields: impl Iterator<Item = (String, String)>,
) -> String {
    let own = [
        (time_key.to_owned(), time.to_string()),
        ("level".to_owned(), name(level).to_owned()),
        (message_key.to_owned(), message),
    ];
    let object = fields
        .chain(own)
        .map(|(key, value)| (key, Value::String(value)));
    Value::Object(object.collect::<Map<_, _>>()).to_string()
}

fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn lines() {
        let rows = [
            (
                LogFormatter::Text,
                r#"time="1970-01-01T00:00:00.000Z" level=warning msg="it \"is\"\nso" service="a b" tag=v1"#,
            ),
            (
                LogFormatter::Json,
                r#"{"level":"warning","msg":"it \"is\"\nso","service":"a b","tag":"v1","time":"1970-01-01T00:00:00.000Z"}"#,
            ),
            (
                LogFormatter::Logstash,
                r#"{"@timestamp":"1970-01-01T00:00:00.000Z","@version":"1","level":"warning","message":"it \"is\"\nso","service":"a b","tag":"v1"}"#,
            ),
        ];
        for (formatter, expected) in rows {
            let formatter = Formatter {
                formatter,
                fields: vec![("service".to_owned(), "a b".to_owned())],
                caller: false,
            };
            let fields = vec![("tag".to_owned(), "v1".to_owned())];
            let message = "it \"is\"\nso".to_owned();
            let line = formatter.line(Utc::from(UNIX_EPOCH), Level::WARN, message, fields);
            assert_eq!(line, expected);
        }
    }

    #[test]
    fn a_field_of_the_configuration_takes_no_place_of_ours() {
        let renamed = |key: &str| beside_ours((key.to_owned(), String::new())).0;
        assert_eq!(renamed("level"), "fields.level");
        assert_eq!(renamed("service"), "service");
    }
}
