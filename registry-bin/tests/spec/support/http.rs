//! The smallest HTTP/1.1 client that can ask for anything, also for what no client should.

use std::{
    cell::RefCell,
    io::{self, BufRead, BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

/// No answer may take longer: whatever does is a hang, and fails its test.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection that is kept for the next request.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    kept: RefCell<Option<BufReader<TcpStream>>>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            kept: RefCell::new(None),
        }
    }

    /// A request. `target` is sent as it stands.
    pub(crate) fn request(&self, method: &str, target: &str) -> Request<'_> {
        Request {
            client: self,
            head: format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.address),
            what: format!("{method} {target}"),
            body: None,
            chunked: false,
        }
    }

    pub(crate) fn connect(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(self.address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        BufReader::new(stream)
    }
}

/// A request that was not sent yet.
#[must_use]
pub(crate) struct Request<'a> {
    client: &'a Client,
    head: String,
    what: String,
    body: Option<Vec<u8>>,
    chunked: bool,
}

impl Request<'_> {
    pub(crate) fn header(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// A body of known length.
    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(body.as_ref().to_owned());
        self
    }

    /// A body whose length only its end tells.
    pub(crate) fn streamed(mut self, body: impl AsRef<[u8]>) -> Self {
        self.chunked = true;
        self.body(body)
    }

    pub(crate) fn send(self) -> Response {
        let mut bytes = self.head.into_bytes();
        let method = self.what.split(' ').next().unwrap_or_default();
        match (self.body, self.chunked) {
            (Some(body), true) => {
                bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                for piece in body.chunks(1000) {
                    bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
                    bytes.extend(piece);
                    bytes.extend(b"\r\n");
                }
                bytes.extend(b"0\r\n\r\n");
            }
            (Some(body), false) => {
                bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
                bytes.extend(body);
            }
            (None, _) if ["GET", "HEAD", "DELETE"].contains(&method) => bytes.extend(b"\r\n"),
            (None, _) => bytes.extend(b"Content-Length: 0\r\n\r\n"),
        }
        let kept = self.client.kept.take();
        let reused = kept.is_some();
        let mut stream = kept.unwrap_or_else(|| self.client.connect());
        let mut answer = exchange(&mut stream, &bytes, method);
        if reused && answer.is_err() {
            // The server may close an idle connection at any time.
            stream = self.client.connect();
            answer = exchange(&mut stream, &bytes, method);
        }
        let mut response = answer.unwrap_or_else(|error| panic!("{}: {error}", self.what));
        response.what = self.what;
        if response.get("connection") != Some("close") {
            self.client.kept.replace(Some(stream));
        }
        response
    }
}

/// Sends bytes, reads one answer.
pub(crate) fn exchange(
    stream: &mut BufReader<TcpStream>,
    bytes: &[u8],
    method: &str,
) -> io::Result<Response> {
    // A server that refuses early may stop reading: its answer counts all the same.
    let sent = stream.get_mut().write_all(bytes);
    match read(stream, method) {
        Ok(response) => Ok(response),
        Err(error) => Err(sent.err().unwrap_or(error)),
    }
}

/// Reads one answer, skipping those that only say to go on.
pub(crate) fn read(stream: &mut impl BufRead, method: &str) -> io::Result<Response> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut line = || -> io::Result<String> {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    };
    let (status, headers) = loop {
        let first = line()?;
        let status = first
            .strip_prefix("HTTP/1.1 ")
            .or_else(|| first.strip_prefix("HTTP/1.0 "))
            .and_then(|rest| rest.get(..3)?.parse::<u16>().ok())
            .ok_or_else(|| invalid(&first))?;
        let mut headers = Vec::new();
        loop {
            let field = line()?;
            if field.is_empty() {
                break;
            }
            let (name, value) = field.split_once(':').ok_or_else(|| invalid(&field))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        if status >= 200 {
            break (status, headers);
        }
    };
    let mut response = Response {
        what: String::new(),
        status,
        headers,
        body: Vec::new(),
    };
    if method == "HEAD" || status == 204 || status == 304 {
        return Ok(response);
    }
    if response.get("transfer-encoding") == Some("chunked") {
        loop {
            let mut size = String::new();
            stream.read_line(&mut size)?;
            let size = usize::from_str_radix(size.trim(), 16).map_err(|_| invalid(&size))?;
            let mut piece = vec![0; size + 2];
            stream.read_exact(&mut piece)?;
            if size == 0 {
                break;
            }
            response.body.extend(piece.get(..size).unwrap_or_default());
        }
    } else if let Some(length) = response.get("content-length") {
        let length: usize = length.parse().map_err(|_| invalid("content-length"))?;
        response.body = vec![0; length];
        stream.read_exact(&mut response.body)?;
    } else {
        stream.read_to_end(&mut response.body)?;
    }
    Ok(response)
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Response {
    what: String,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// A header, if it is there.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        let found = self.headers.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A header that must be there.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.get(name)
            .unwrap_or_else(|| panic!("no {name}: {self}"))
    }

    /// All values of a header that is a list.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        let values = self
            .headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name));
        values
            .flat_map(|(_, value)| value.split(','))
            .map(str::trim)
            .collect()
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    #[track_caller]
    pub(crate) fn has(self, name: &str, value: impl std::fmt::Display) -> Self {
        assert_eq!(self.header(name), value.to_string(), "{name} of {self}");
        self
    }

    #[track_caller]
    pub(crate) fn lacks(self, name: &str) -> Self {
        assert_eq!(self.get(name), None, "{name} of {self}");
        self
    }

    /// Refused with this status and code.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Self {
        let this = self.is(status);
        let body = this.json();
        assert_eq!(body["errors"][0]["code"], code, "{this}");
        this
    }

    #[track_caller]
    pub(crate) fn bytes(self, expected: impl AsRef<[u8]>) -> Self {
        assert!(self.body == expected.as_ref(), "another body: {self}");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// The strings in a list of its JSON.
    #[track_caller]
    pub(crate) fn names(&self, member: &str) -> Vec<String> {
        let json = self.json();
        let list = json[member]
            .as_array()
            .unwrap_or_else(|| panic!("no {member}: {self}"));
        list.iter()
            .map(|name| name.as_str().expect("a string").to_owned())
            .collect()
    }

    /// As [`names`](Self::names), nothing where the answer is a refusal.
    #[track_caller]
    pub(crate) fn names_or_none(&self, member: &str) -> Vec<String> {
        if self.status == 200 {
            self.names(member)
        } else {
            Vec::new()
        }
    }

    /// Where a `Link` leads whose relation is `next`.
    #[track_caller]
    pub(crate) fn next_page(&self) -> Option<String> {
        let link = self.get("link")?;
        let (target, relation) = link.split_once('>').expect("a target in <>");
        assert_eq!(relation.replace(' ', ""), ";rel=\"next\"", "{self}");
        Some(target.trim_start_matches('<').to_owned())
    }
}

impl std::fmt::Display for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = self.body.get(..500).unwrap_or(&self.body);
        write!(
            f,
            "{} → {} {:?} {}",
            self.what,
            self.status,
            self.headers,
            String::from_utf8_lossy(body)
        )
    }
}
