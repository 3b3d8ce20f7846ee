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
use registry_core::{Clock, Digest, SystemClock};
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
    /// Adds the line of an answer of that many bytes. It is written by another thread: a reader that is
    /// slow, or gone, holds no request up.
    pub fn write(&self, line: &AccessLine<'_>, bytes: u64) {
        self.begin(line).end(bytes);
    }

    /// Begins the line of an answer that is still to be sent.
    pub fn begin(&self, line: &AccessLine<'_>) -> BegunLine {
        BegunLine {
            stream: self.stream.clone(),
            halves: line.halves(self.format),
        }
    }
}

/// The line of an answer that is being sent.
#[derive(Debug)]
#[must_use]
pub struct BegunLine {
    stream: Stream,
    halves: [String; 2],
}

impl BegunLine {
    /// Adds the line to the log: so many bytes of the body were sent.
    pub fn end(self, bytes: u64) {
        let [before, after] = self.halves;
        self.stream
            .push(format!("{before}{bytes}{after}\n").as_bytes());
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
            let time = Utc::from(at).common_log();
            format!(r#"- - - [{time}] "-" 0 0 "-" "{lost} lines of the access log were lost""#)
        }
        AccessFormat::Json => {
            serde_json::json!({"time": Utc::from(at).to_string(), "lost": lost}).to_string()
        }
    }
}

/// What an answered request leaves in the log.
///
/// What clients send is escaped: no request can forge a line. Of the query there are the parameters of
/// the protocol alone, others without their values, since states of uploads and tokens ride in them; of
/// the page that led to it there is no query at all.
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
    /// The query.
    pub query: Option<&'a str>,
    /// The version of HTTP.
    pub version: &'a str,
    /// The status.
    pub status: u16,
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
            query: None,
            version: "HTTP/1.1",
            status,
            took: None,
            request_id: None,
            referer: None,
            user_agent: None,
        }
    }

    /// Takes in what a request says about itself.
    #[must_use]
    pub fn with_request(mut self, version: Version, headers: &'a HeaderMap) -> Self {
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

    /// The line, before and after the bytes that were sent.
    fn halves(&self, format: AccessFormat) -> [String; 2] {
        match format {
            AccessFormat::Combined => self.combined(),
            AccessFormat::Json => {
                let object = self.json().to_string();
                let rest = object.strip_prefix('{').unwrap_or_default();
                [r#"{"bytes":"#.to_owned(), format!(",{rest}")]
            }
        }
    }

    fn combined(&self) -> [String; 2] {
        let client = self.client.map(|ip| ip.to_string());
        let client = client.as_deref().unwrap_or("-");
        let time = Utc::from(self.at).common_log();
        let (user, status) = (Escaped(self.user), self.status);
        let query = self.query.map(shown).unwrap_or_default();
        let request = format!("{} {}{query} {}", self.method, self.path, self.version);
        let request = Escaped(Some(&request));
        let (referer, agent) = (Escaped(self.referer), Escaped(self.user_agent));
        [
            format!(r#"{client} - {user} [{time}] "{request}" {status} "#),
            format!(r#" "{referer}" "{agent}""#),
        ]
    }

    /// The line as one JSON object, without what is not known, and without the bytes.
    fn json(&self) -> Value {
        let text = |text: Option<&str>| text.map_or(Value::Null, Value::from);
        let milliseconds = self.took.map(|took| took.as_micros() as f64 / 1000.0);
        let entries = [
            ("time", Value::from(Utc::from(self.at).to_string())),
            (
                "client",
                self.client.map_or(Value::Null, |ip| ip.to_string().into()),
            ),
            ("user", text(self.user)),
            ("method", self.method.into()),
            ("path", self.path.into()),
            ("version", self.version.into()),
            (
                "query",
                self.query.map_or(Value::Null, |query| shown(query).into()),
            ),
            ("status", self.status.into()),
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

/// Whether a parameter is one of the protocol's, with a value that it can have: then it is no secret.
fn is_ours(name: &str, value: &str) -> bool {
    match name {
        "digest" | "mount" => Digest::parse(&value.replacen("%3A", ":", 1)).is_ok(),
        "n" | "offset" => value.bytes().all(|byte| byte.is_ascii_digit()),
        "artifactType" | "from" | "last" | "ns" | "tag" => value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-/:+%".contains(&byte)),
        _ => false,
    }
}

/// A query, with its question mark: what is no parameter of the protocol is without its value.
fn shown(query: &str) -> String {
    let parameter = |pair: &str| match pair.split_once('=') {
        Some((name, value)) if is_ours(name, value) => pair.to_owned(),
        Some((name, _)) => format!("{name}=***"),
        None => "***".to_owned(),
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let shown: Vec<_> = pairs.map(parameter).collect();
    match shown.as_slice() {
        [] => String::new(),
        shown => format!("?{}", shown.join("&")),
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

    fn written(line: &AccessLine<'_>, format: AccessFormat) -> String {
        line.halves(format).join("2")
    }

    #[test]
    fn combined_format() {
        let mut line = AccessLine::new(UNIX_EPOCH, "GET", "/v2/", 200);
        let time = "[01/Jan/1970:00:00:00 +0000]";
        assert_eq!(
            written(&line, AccessFormat::Combined),
            format!(r#"- - - {time} "GET /v2/ HTTP/1.1" 200 2 "-" "-""#)
        );
        line.client = Some([10, 0, 0, 1].into());
        line.user = Some("ci");
        line.query = Some("n=1&hint=hunter2");
        line.user_agent = Some("curl\" 200\n/1");
        assert_eq!(
            written(&line, AccessFormat::Combined),
            format!(
                r#"10.0.0.1 - ci {time} "GET /v2/?n=1&hint=*** HTTP/1.1" 200 2 "-" "curl\" 200\n/1""#
            )
        );
    }

    #[test]
    fn json_format() {
        let mut line = AccessLine::new(UNIX_EPOCH, "GET", "/v2/", 200);
        assert_eq!(
            written(&line, AccessFormat::Json),
            r#"{"bytes":2,"method":"GET","path":"/v2/","status":200,"time":"1970-01-01T00:00:00.000Z","version":"HTTP/1.1"}"#
        );
        line.client = Some([10, 0, 0, 1].into());
        line.user = Some("ci");
        line.query = Some("n=1&hint=hunter2");
        line.took = Some(Duration::from_micros(1_250));
        line.request_id = Some("edge-7");
        line.user_agent = Some("curl\" 200\n/1");
        assert_eq!(
            written(&line, AccessFormat::Json),
            r#"{"bytes":2,"client":"10.0.0.1","method":"GET","milliseconds":1.25,"path":"/v2/","query":"?n=1&hint=***","request":"edge-7","status":200,"time":"1970-01-01T00:00:00.000Z","user":"ci","user_agent":"curl\" 200\n/1","version":"HTTP/1.1"}"#
        );
    }

    const EMPTY_SHOWN: &str =
        "?digest=sha256%3Ae3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const EMPTY: &str = EMPTY_SHOWN.split_at(1).1;

    #[test]
    fn a_query_is_shown_without_what_may_be_secret() {
        for (query, kept) in [
            ("", ""),
            ("n=1&last=a/b", "?n=1&last=a/b"),
            ("mount=hunter2&from=a", "?mount=***&from=a"),
            (EMPTY, EMPTY_SHOWN),
            ("n=hunter2", "?n=***"),
            ("from=a;token=hunter2", "?from=***"),
            ("hint=hunter2&offset=5", "?hint=***&offset=5"),
            ("hunter2", "?***"),
            ("N=hunter2", "?N=***"),
            ("%6e=hunter2", "?%6e=***"),
            ("token=hunter2=n=1&", "?token=***"),
        ] {
            assert_eq!(shown(query), kept, "{query}");
        }
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
