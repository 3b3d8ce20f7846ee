//! The access log: a line for each request, in the combined format that log analysers read or as JSON.

use std::{
    fmt,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use http::{
    HeaderMap, HeaderValue, Version,
    header::{REFERER, USER_AGENT},
};
use registry_core::{Clock, SystemClock};
use serde_json::Value;

use super::{queue::Note, stream::Stream, time::Utc};

/// How a line of the access log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessFormat {
    /// As Apache's `combined`, and Distribution's.
    #[default]
    Combined,
    /// One JSON object, with what `combined` has no place for: the identifier of the request and how
    /// long it took.
    Json,
}

/// The access log, once it was started.
#[derive(Clone, Debug)]
pub struct AccessLog {
    pub(super) stream: Stream,
    pub(super) format: AccessFormat,
}

impl AccessLog {
    /// Adds a line. It is written by another thread: a reader that is slow, or gone, holds no request
    /// up.
    pub fn write(&self, line: &AccessLine<'_>) {
        self.stream.push(line.format(self.format).as_bytes());
    }
}

/// Says how many lines were lost in a line of the log itself: as a request that none is, since
/// analysers refuse what is no request.
pub(super) fn lost(format: AccessFormat) -> Note {
    Box::new(move |lost| lost_line(SystemClock.now(), lost, format))
}

fn lost_line(at: SystemTime, lost: u64, format: AccessFormat) -> String {
    match format {
        AccessFormat::Combined => {
            let time = Utc::of(at).common_log();
            format!(r#"- - - [{time}] "-" 0 0 "-" "{lost} lines of the access log were lost""#)
        }
        AccessFormat::Json => {
            serde_json::json!({"time": Utc::of(at).to_string(), "lost": lost}).to_string()
        }
    }
}

/// What an answered request leaves in the log.
///
/// What clients send is escaped: no request can forge a line. Query strings are not part of a line, in
/// the page that led to it neither, since states of uploads and tokens ride in them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AccessLine<'a> {
    /// When it was answered.
    pub at: SystemTime,
    /// The client.
    pub client: Option<IpAddr>,
    /// The user, if one was authenticated.
    pub user: Option<&'a str>,
    /// The method.
    pub method: &'a str,
    /// The path, without its query.
    pub path: &'a str,
    /// The version of HTTP.
    pub version: &'a str,
    /// The status.
    pub status: u16,
    /// The bytes of the answer's body, where they are known.
    pub bytes: Option<u64>,
    /// From the head of the request to the head of the answer, where it is known.
    pub took: Option<Duration>,
    /// The identifier of the request.
    pub request_id: Option<&'a str>,
    /// The page that led to it.
    pub referer: Option<&'a str>,
    /// What the client calls itself.
    pub user_agent: Option<&'a str>,
}

impl<'a> AccessLine<'a> {
    /// The line of a request that is known no further.
    pub fn new(at: SystemTime, method: &'a str, path: &'a str, status: u16) -> Self {
        Self {
            at,
            client: None,
            user: None,
            method,
            path,
            version: "HTTP/1.1",
            status,
            bytes: None,
            took: None,
            request_id: None,
            referer: None,
            user_agent: None,
        }
    }

    /// Takes in what a request says about itself.
    #[must_use]
    pub fn of_request(mut self, version: Version, headers: &'a HeaderMap) -> Self {
        let text = |name| {
            headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
        };
        self.version = match version {
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2.0",
            _ => "HTTP/1.1",
        };
        self.referer = text(REFERER).map(without_query);
        self.user_agent = text(USER_AGENT);
        self
    }

    /// The line, with its end.
    fn format(&self, format: AccessFormat) -> String {
        match format {
            AccessFormat::Combined => format!("{self}\n"),
            AccessFormat::Json => format!("{}\n", self.json()),
        }
    }

    /// The line as one JSON object, without what is not known.
    fn json(&self) -> Value {
        let text = |text: Option<&str>| text.map_or(Value::Null, Value::from);
        let milliseconds = self.took.map(|took| took.as_micros() as f64 / 1000.0);
        let entries = [
            ("time", Value::from(Utc::of(self.at).to_string())),
            (
                "client",
                self.client.map_or(Value::Null, |ip| ip.to_string().into()),
            ),
            ("user", text(self.user)),
            ("method", self.method.into()),
            ("path", self.path.into()),
            ("version", self.version.into()),
            ("status", self.status.into()),
            ("bytes", self.bytes.map_or(Value::Null, Value::from)),
            (
                "milliseconds",
                milliseconds.map_or(Value::Null, Value::from),
            ),
            ("request", text(self.request_id)),
            ("referer", text(self.referer)),
            ("user_agent", text(self.user_agent)),
        ];
        let known = entries.into_iter().filter(|(_, value)| !value.is_null());
        known.map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

/// A URL without what may be secret in it: its query and its fragment. One that may have a user in
/// front of its host is nothing: only a path may have an `@` in it, and only one that no browser
/// takes for a host.
fn without_query(url: &str) -> &str {
    let path = url.starts_with('/') && !url.contains("//") && !url.contains(['\\', '\t']);
    // In the whole of it, since a password may have a `?` or a `#` in it.
    if url.contains('@') && !path {
        return "";
    }
    let end = url.find(['?', '#']).unwrap_or(url.len());
    url.get(..end).unwrap_or_default()
}

impl fmt::Display for AccessLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.client {
            Some(client) => write!(f, "{client} - ")?,
            None => f.write_str("- - ")?,
        }
        write!(
            f,
            "{} [{}] ",
            Escaped(self.user),
            Utc::of(self.at).common_log()
        )?;
        let request = format!("{} {} {}", self.method, self.path, self.version);
        write!(f, "\"{}\" {} ", Escaped(Some(&request)), self.status)?;
        write!(f, "{} ", self.bytes.unwrap_or(0))?;
        write!(
            f,
            "\"{}\" \"{}\"",
            Escaped(self.referer),
            Escaped(self.user_agent)
        )
    }
}

struct Escaped<'a>(Option<&'a str>);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None | Some("") => f.write_str("-"),
            Some(text) => write!(f, "{}", text.escape_debug()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn combined_format() {
        let mut line = AccessLine::new(UNIX_EPOCH, "GET", "/v2/", 200);
        let time = "[01/Jan/1970:00:00:00 +0000]";
        assert_eq!(
            line.to_string(),
            format!(r#"- - - {time} "GET /v2/ HTTP/1.1" 200 0 "-" "-""#)
        );
        line.client = Some([10, 0, 0, 1].into());
        line.user = Some("ci");
        line.bytes = Some(2);
        line.user_agent = Some("curl\" 200\n/1");
        assert_eq!(
            line.to_string(),
            format!(r#"10.0.0.1 - ci {time} "GET /v2/ HTTP/1.1" 200 2 "-" "curl\" 200\n/1""#)
        );
    }

    #[test]
    fn json_format() {
        let mut line = AccessLine::new(UNIX_EPOCH, "GET", "/v2/", 200);
        assert_eq!(
            line.json().to_string(),
            r#"{"method":"GET","path":"/v2/","status":200,"time":"1970-01-01T00:00:00.000Z","version":"HTTP/1.1"}"#
        );
        line.client = Some([10, 0, 0, 1].into());
        line.user = Some("ci");
        line.bytes = Some(2);
        line.took = Some(Duration::from_micros(1_250));
        line.request_id = Some("edge-7");
        line.user_agent = Some("curl\" 200\n/1");
        assert_eq!(
            line.json().to_string(),
            r#"{"bytes":2,"client":"10.0.0.1","method":"GET","milliseconds":1.25,"path":"/v2/","request":"edge-7","status":200,"time":"1970-01-01T00:00:00.000Z","user":"ci","user_agent":"curl\" 200\n/1","version":"HTTP/1.1"}"#
        );
    }

    #[test]
    fn lines_that_were_lost() {
        for (format, line) in [
            (
                AccessFormat::Combined,
                r#"- - - [01/Jan/1970:00:00:00 +0000] "-" 0 0 "-" "7 lines of the access log were lost""#,
            ),
            (
                AccessFormat::Json,
                r#"{"lost":7,"time":"1970-01-01T00:00:00.000Z"}"#,
            ),
        ] {
            assert_eq!(lost_line(UNIX_EPOCH, 7, format), line);
        }
    }

    #[test]
    fn a_page_is_named_without_what_may_be_secret() {
        for (referer, kept) in [
            ("http://r/page", "http://r/page"),
            ("http://r/page?token=hunter2", "http://r/page"),
            ("http://r/#hunter2", "http://r/"),
            ("http://user:hunter2@r/page", ""),
            ("http://user:hun?ter2@r/page", ""),
            ("http://user:hun#ter2@r/page", ""),
            ("http://user:hun/ter2@r/page", ""),
            ("http:/user:hunter2@r/page", ""),
            ("http:user:hunter2@r/page", ""),
            ("user:hunter2@r/page", ""),
            ("//user:hunter2@r/page", ""),
            ("///user:hunter2@r/page", ""),
            ("/\\user:hunter2@r/page", ""),
            ("\\\\user:hunter2@r/page", ""),
            ("/\t/user:hunter2@r/page", ""),
            ("//r/page", "//r/page"),
            ("/at/@me", "/at/@me"),
            ("/at/@me?token=hunter2", "/at/@me"),
            ("", ""),
        ] {
            assert_eq!(without_query(referer), kept, "{referer}");
        }
    }
}
