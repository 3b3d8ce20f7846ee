//! The access log: a line for each request, in the combined format that log analysers read.

use std::{fmt, io::Write, net::IpAddr, time::SystemTime};

use super::time::Utc;

/// What an answered request leaves in the log.
///
/// What clients send is escaped: no request can forge a line. Query strings are not part of a line,
/// since the state of an upload rides in them.
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
            referer: None,
            user_agent: None,
        }
    }

    /// Writes the line to standard output. A reader that has gone is no reason to stop serving.
    pub fn print(&self) {
        let line = format!("{self}\n");
        drop(std::io::stdout().lock().write_all(line.as_bytes()));
    }
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
}
