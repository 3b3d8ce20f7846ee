//! SIGTERM while much is under way: what runs ends well, nothing new begins.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Instant,
};

use registry_core::Algorithm;
use tempfile::TempDir;

use crate::program::{PATIENCE, Program, until};

/// Uploads and downloads, each.
const TRANSFERS: u8 = 16;

/// More than the buffers of a connection hold, so that a download stands still while nobody reads.
const DOWNLOAD: usize = 16 << 20;

const UPLOAD: usize = 1 << 20;

/// An upload whose first half is there.
struct Upload {
    stream: TcpStream,
    content: Vec<u8>,
}

impl Upload {
    fn begin(program: &Program, number: u8) -> Self {
        let content = vec![number; UPLOAD];
        let digest = Algorithm::Sha256.digest(&content);
        let mut stream = connect(program);
        let head = format!(
            "POST /v2/up/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: registry\r\n\
             Content-Type: application/octet-stream\r\nContent-Length: {UPLOAD}\r\n\
             Expect: 100-continue\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("it reads");
        let mut ready = [0; 25];
        stream.read_exact(&mut ready).expect("it answers");
        assert_eq!(&ready, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(&content[..UPLOAD / 2]).expect("it reads");
        Self { stream, content }
    }

    fn finish(mut self) {
        let rest = &self.content[UPLOAD / 2..];
        self.stream.write_all(rest).expect("it reads to the end");
        let mut answer = String::new();
        let read = self.stream.read_to_string(&mut answer);
        read.expect("it answers and closes");
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    }
}

/// A download whose first bytes were read.
struct Download(TcpStream);

impl Download {
    fn begin(program: &Program, digest: &str) -> Self {
        let mut stream = connect(program);
        let head = format!("GET /v2/down/blobs/{digest} HTTP/1.1\r\nHost: registry\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("it reads");
        let mut status = [0; 13];
        stream.read_exact(&mut status).expect("it answers");
        assert_eq!(&status, b"HTTP/1.1 200 ");
        Self(stream)
    }

    fn finish(mut self) {
        let mut rest = Vec::new();
        let read = self.0.read_to_end(&mut rest);
        read.expect("it sends to the end and closes");
        let head = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let body = &rest[head.expect("it has a head") + 4..];
        assert!(body.len() == DOWNLOAD && body.iter().all(|byte| *byte == 7));
    }
}

fn connect(program: &Program) -> TcpStream {
    let stream = program.connect();
    let patience = Some(PATIENCE);
    stream.set_read_timeout(patience).expect("it is a time");
    stream.set_write_timeout(patience).expect("it is a time");
    stream
}

#[test]
fn under_32_transfers_all_end_well_and_no_connection_is_taken() {
    let home = TempDir::new().expect("a temporary directory can be made");
    let program = Program::start(home.path(), &[], &[("REGISTRY_HTTP_DRAINTIMEOUT", "10m")]);
    let content = vec![7; DOWNLOAD];
    let digest = Algorithm::Sha256.digest(&content).to_string();
    let push = format!(
        "POST /v2/down/blobs/uploads/?digest={digest}\nContent-Type: application/octet-stream"
    );
    assert_eq!(program.request(&push, &content).status, 201);

    let uploads: Vec<_> = (0..TRANSFERS)
        .map(|number| Upload::begin(&program, number))
        .collect();
    let downloads: Vec<_> = (0..TRANSFERS)
        .map(|_| Download::begin(&program, &digest))
        .collect();
    program.signal("TERM");
    let signalled = Instant::now();
    until("connections are refused", || {
        let refused = TcpStream::connect(&program.address).err();
        refused.is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
    let refused = signalled.elapsed();
    uploads.into_iter().for_each(Upload::finish);
    downloads.into_iter().for_each(Download::finish);
    program.wait_for("stopped, every request was answered");
    let ended = signalled.elapsed();
    assert_eq!(program.wait().0.code(), Some(0));
    println!("refused after {refused:?}, ended after {ended:?}");
}
