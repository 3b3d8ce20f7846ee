//! Just enough HTTP/1.1 to misbehave on purpose: one connection, heads and bodies under the caller's hand.
//!
//! It is no general client: no TLS, no redirects, no HTTP/2, and it believes the server's framing.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::SockRef;

use crate::content::Content;

/// No step of any exchange here takes longer on a server that works, be its disk ever so busy.
const PATIENCE: Duration = Duration::from_secs(180);
const BUFFER: usize = 64 * 1024;
const LARGEST_HEAD: usize = 60 * 1024;

/// How a request's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Chunked,
    Length(u64),
}

/// The first part of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    bodyless: bool,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.header(name)
            .is_some_and(|given| given.eq_ignore_ascii_case(value))
    }
}

/// A whole small answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

/// One TCP connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    authority: SocketAddr,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Connection {
    pub(crate) fn open(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let buffer = vec![0; BUFFER].into();
        Ok(Self {
            stream,
            authority: addr,
            buffer,
            start: 0,
            end: 0,
        })
    }

    /// Sends the head, and with it a body that is small enough to go along.
    pub(crate) fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        framing: Framing,
        small: &[u8],
    ) -> io::Result<()> {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.authority);
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        match framing {
            Framing::Chunked => head.push_str("Transfer-Encoding: chunked\r\n\r\n"),
            Framing::Length(0) if matches!(method, "GET" | "HEAD") => head.push_str("\r\n"),
            Framing::Length(length) => head.push_str(&format!("Content-Length: {length}\r\n\r\n")),
        }
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(small);
        self.stream.write_all(&bytes)
    }

    /// Sends the bytes `from..to` of `content`, without saying that the body ends.
    pub(crate) fn send_part(
        &mut self,
        content: &Content,
        from: u64,
        to: u64,
        framing: Framing,
    ) -> io::Result<()> {
        content.steps(from, to, |bytes| {
            if framing == Framing::Chunked {
                write!(self.stream, "{:x}\r\n", bytes.len())?;
                self.stream.write_all(bytes)?;
                return self.stream.write_all(b"\r\n");
            }
            self.stream.write_all(bytes)
        })
    }

    pub(crate) fn end(&mut self, framing: Framing) -> io::Result<()> {
        if framing == Framing::Chunked {
            self.stream.write_all(b"0\r\n\r\n")
        } else {
            Ok(())
        }
    }

    /// Reads the next final head; `method` says whether a body can follow.
    pub(crate) fn head(&mut self, method: &str) -> io::Result<Head> {
        loop {
            let text = self.head_text()?;
            let mut lines = text.split("\r\n");
            let status = lines
                .next()
                .and_then(|line| line.split(' ').nth(1)?.parse().ok());
            let status: u16 = status.ok_or_else(|| bad("no status line"))?;
            if (100..200).contains(&status) {
                continue;
            }
            let headers = lines.filter_map(|line| line.split_once(':'));
            let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
            let bodyless = method == "HEAD" || matches!(status, 204 | 304);
            return Ok(Head {
                status,
                headers: headers.collect(),
                bodyless,
            });
        }
    }

    /// Hands over the body that follows `head`; an end before its end is an error.
    pub(crate) fn body(&mut self, head: &Head, mut each: impl FnMut(&[u8])) -> io::Result<u64> {
        if head.bodyless {
            return Ok(0);
        }
        if head.is("Transfer-Encoding", "chunked") {
            let mut total = 0;
            loop {
                let line = self.line()?;
                let digits = line.split(';').next().unwrap_or_default().trim();
                let length = u64::from_str_radix(digits, 16).map_err(|_| bad("bad chunk size"))?;
                self.exactly(length, &mut each)?;
                self.line()?;
                if length == 0 {
                    return Ok(total);
                }
                total += length;
            }
        }
        if let Some(length) = head.header("Content-Length") {
            let length = length.parse().map_err(|_| bad("bad length"))?;
            self.exactly(length, &mut each)?;
            return Ok(length);
        }
        let mut total = 0;
        while self.more()? {
            each(&self.buffer[self.start..self.end]);
            total += (self.end - self.start) as u64;
            self.start = self.end;
        }
        Ok(total)
    }

    pub(crate) fn reply(&mut self, method: &str) -> io::Result<Reply> {
        let head = self.head(method)?;
        let mut body = Vec::new();
        self.body(&head, |bytes| body.extend_from_slice(bytes))?;
        Ok(Reply { head, body })
    }

    /// Says that nothing more comes and waits shortly for what the server makes of it.
    pub(crate) fn half_close(mut self) {
        let quiet = self.stream.set_read_timeout(Some(Duration::from_secs(2)));
        if quiet
            .and_then(|()| self.stream.shutdown(Shutdown::Write))
            .is_ok()
        {
            while matches!(self.stream.read(&mut self.buffer), Ok(1..)) {}
        }
    }

    /// Throws the connection away with a reset: what was not sent yet is lost.
    pub(crate) fn reset(self) -> io::Result<()> {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))
    }

    /// Whether the server means to go on with this connection after `head`.
    pub(crate) fn stays(head: &Head) -> bool {
        !head.is("Connection", "close")
    }

    fn head_text(&mut self) -> io::Result<String> {
        let mut text = Vec::new();
        while text.len() < LARGEST_HEAD {
            let line = self.line()?;
            if line.is_empty() && !text.is_empty() {
                return String::from_utf8(text).map_err(|_| bad("head is not text"));
            }
            text.extend_from_slice(line.as_bytes());
            text.extend_from_slice(b"\r\n");
        }
        Err(bad("endless head"))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        loop {
            if self.start == self.end && !self.more()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let waiting = &self.buffer[self.start..self.end];
            let found = waiting.iter().position(|byte| *byte == b'\n');
            let length = found.map_or(waiting.len(), |at| at + 1);
            line.extend_from_slice(&waiting[..length]);
            self.start += length;
            if found.is_some() {
                while line
                    .last()
                    .is_some_and(|byte| matches!(byte, b'\r' | b'\n'))
                {
                    line.pop();
                }
                return String::from_utf8(line).map_err(|_| bad("line is not text"));
            }
        }
    }

    fn exactly(&mut self, mut length: u64, each: &mut impl FnMut(&[u8])) -> io::Result<()> {
        while length > 0 {
            if self.start == self.end && !self.more()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let step = (self.end - self.start).min(usize::try_from(length).unwrap_or(usize::MAX));
            each(&self.buffer[self.start..self.start + step]);
            self.start += step;
            length -= step as u64;
        }
        Ok(())
    }

    fn more(&mut self) -> io::Result<bool> {
        self.start = 0;
        self.end = self.stream.read(&mut self.buffer)?;
        Ok(self.end > 0)
    }
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
