//! The verbs of the protocol that the benches need, over one kept connection.

use std::io;
use std::net::SocketAddr;

use crate::Result;
use crate::content::{Content, Hash};
use crate::http::{Connection, Framing, Head, Reply};

/// Accepts every kind of manifest, as real clients do.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A client of one registry.
#[derive(Debug)]
pub(crate) struct Wire {
    addr: SocketAddr,
    kept: Option<Connection>,
}

impl Wire {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        Self { addr, kept: None }
    }

    /// The kept connection, or a new one; whoever leaves it in good order gives it back with `keep`.
    pub(crate) fn connection(&mut self) -> io::Result<Connection> {
        self.kept
            .take()
            .map_or_else(|| Connection::open(self.addr), Ok)
    }

    pub(crate) fn keep(&mut self, connection: Connection, head: &Head) {
        if Connection::stays(head) {
            self.kept = Some(connection);
        }
    }

    /// Forgets the kept connection: its server is another process by now.
    pub(crate) fn forget(&mut self) {
        self.kept = None;
    }

    /// One request with a small body.
    pub(crate) fn exchange(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Reply> {
        let mut connection = self.connection()?;
        connection.send(
            method,
            target,
            headers,
            Framing::Length(body.len() as u64),
            body,
        )?;
        let reply = connection.reply(method)?;
        self.keep(connection, &reply.head);
        Ok(reply)
    }

    pub(crate) fn get(&mut self, target: &str) -> io::Result<Reply> {
        self.exchange("GET", target, &[("Accept", ACCEPT)], &[])
    }

    /// Sends `from..to` of `content` in one body; a server that answers early is heard.
    pub(crate) fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        (content, from, to): (&Content, u64, u64),
        chunked: bool,
    ) -> io::Result<Reply> {
        let framing = if chunked {
            Framing::Chunked
        } else {
            Framing::Length(to - from)
        };
        let mut connection = self.connection()?;
        let sent = connection
            .send(method, target, headers, framing, &[])
            .and_then(|()| connection.send_part(content, from, to, framing))
            .and_then(|()| connection.end(framing));
        let reply = connection.reply(method).map_err(|error| {
            sent.as_ref()
                .err()
                .map_or(error, |sent| io::Error::new(sent.kind(), sent.to_string()))
        })?;
        if sent.is_ok() {
            self.keep(connection, &reply.head);
        }
        Ok(reply)
    }

    /// Begins an upload and says where it goes on.
    pub(crate) fn start_upload(&mut self, repository: &str) -> Result<String> {
        let reply = self.exchange(
            "POST",
            &format!("/v2/{repository}/blobs/uploads/"),
            &[],
            &[],
        )?;
        expect(&reply, 202, "POST")?;
        location(&reply.head).ok_or_else(|| "POST without a Location".into())
    }

    /// Pushes one blob as the Docker daemon does: POST, a streamed PATCH, an empty PUT.
    pub(crate) fn push_blob(
        &mut self,
        repository: &str,
        content: &Content,
        digest: &str,
    ) -> Result<()> {
        let at = self.start_upload(repository)?;
        let body = (content, 0, content.size);
        let headers = [("Content-Type", "application/octet-stream")];
        let reply = self.send("PATCH", &at, &headers, body, true)?;
        expect(&reply, 202, "PATCH")?;
        let at = location(&reply.head).unwrap_or(at);
        let reply = self.exchange("PUT", &with_query(&at, "digest", digest), &[], &[])?;
        expect(&reply, 201, "PUT")
    }

    /// Reads a blob whole and compares its bytes with its name.
    pub(crate) fn check_blob(&mut self, repository: &str, digest: &str) -> Result<()> {
        let mut connection = self.connection()?;
        let target = format!("/v2/{repository}/blobs/{digest}");
        connection.send("GET", &target, &[], Framing::Length(0), &[])?;
        let head = connection.head("GET")?;
        let mut hash = Hash::default();
        connection.body(&head, |bytes| hash.add(bytes))?;
        if head.status != 200 {
            return Err(format!("GET of blob {digest}: {}", head.status).into());
        }
        let found = hash.digest();
        self.keep(connection, &head);
        if found == digest {
            Ok(())
        } else {
            Err(format!("blob {digest} reads as {found}").into())
        }
    }
}

/// An error that shows the answer, unless its status is `status`.
pub(crate) fn expect(reply: &Reply, status: u16, what: &str) -> Result<()> {
    if reply.head.status == status {
        return Ok(());
    }
    let body = String::from_utf8_lossy(&reply.body);
    Err(format!("{what}: {} {}", reply.head.status, body.trim()).into())
}

/// The `Location` of an answer as a request target.
pub(crate) fn location(head: &Head) -> Option<String> {
    let given = head.header("Location")?;
    let Some((_, rest)) = given.split_once("://") else {
        return Some(given.to_owned());
    };
    rest.find('/').map(|at| rest[at..].to_owned())
}

pub(crate) fn with_query(target: &str, name: &str, value: &str) -> String {
    let mark = if target.contains('?') { '&' } else { '?' };
    format!("{target}{mark}{name}={value}")
}
