//! The server, on sockets.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, Response, Version};
use http_body_util::{BodyExt as _, Empty, StreamBody, combinators::BoxBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use registry_core::server::{
    RegistryService,
    hyper::{Listener, Server},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufStream, DuplexStream},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tower_service::Service;

use crate::probe::{Probe, Verbs};

const GET: &str = "GET /v2/ HTTP/1.1\r\nHost: r\r\n\r\n";
const LONG: Duration = Duration::from_secs(3600);

struct Running {
    end: oneshot::Sender<()>,
    served: JoinHandle<bool>,
    verbs: Verbs,
}

impl Running {
    fn new(server: Server, listener: impl Listener + 'static) -> Self {
        let (probe, verbs) = Probe::new();
        let (end, ended) = oneshot::channel::<()>();
        let service = RegistryService::new(Arc::clone(&probe)).trusted_local_peers(true);
        let served = tokio::spawn(server.serve(listener, service, async {
            let _ = ended.await;
        }));
        Self { end, served, verbs }
    }

    async fn on_tcp(server: Server) -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Self::new(server, listener), address)
    }
}

/// Fails where waiting would go on for ever.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(20), what).await;
    waited.expect("it hangs")
}

/// Reads one answer and returns its head.
async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(stream.read_u8()).await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    soon(stream.read_exact(&mut body)).await.unwrap();
    head
}

async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), bytes: &str) -> String {
    stream.write_all(bytes.as_bytes()).await.unwrap();
    answer(stream).await
}

/// Waits until the server closes the connection.
async fn closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end too.
    let _ = soon(stream.read_to_end(&mut rest)).await;
}

/// A connection with half of an upload under way.
async fn uploading(running: &mut Running, address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let start = "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: r\r\nContent-Length: 0\r\n\r\n";
    let head = ask(&mut stream, start).await;
    let target = head
        .lines()
        .find_map(|line| line.strip_prefix("location: "));
    let target = target.unwrap().split('?').next().unwrap();
    let patch = format!("PATCH {target} HTTP/1.1\r\nHost: r\r\nContent-Length: 10\r\n\r\nhello");
    stream.write_all(patch.as_bytes()).await.unwrap();
    soon(running.verbs.entered("append_upload")).await;
    stream
}

#[tokio::test]
async fn a_connection_is_kept() {
    let (_running, address) = Running::on_tcp(Server::new()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..2 {
        assert!(ask(&mut stream, GET).await.starts_with("http/1.1 200"));
    }
}

#[tokio::test]
async fn http2_is_spoken_with_those_who_begin_with_it() {
    let (_running, address) = Running::on_tcp(Server::new()).await;
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream)
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = Request::get(format!("http://{address}/v2/"));
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let answer = soon(sender.send_request(request)).await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    assert_eq!(answer.status(), 200);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "{}");
}

#[tokio::test]
async fn http2_can_be_left_out() {
    let (_running, address) = Running::on_tcp(Server::new().http2(false)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    // Closed or reset: some of what was sent was not read.
    let _ = soon(stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(!answer.contains("HTTP/2"), "{answer}");
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut stream, GET).await.starts_with("http/1.1 200 ok"));
}

#[tokio::test]
async fn whoever_has_said_all_is_answered() {
    let (_running, address) = Running::on_tcp(Server::new()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(GET.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn unix_sockets_are_served() {
    let name = format!("registry-http-{}.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    let running = Running::new(Server::new(), UnixListener::bind(&path).unwrap());
    let mut stream = UnixStream::connect(&path).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let named = GET.replace("\r\n\r\n", "\r\nX-Request-Id: edge-7\r\n\r\n");
    let head = ask(&mut stream, &named).await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("x-request-id: edge-7"), "{head}");
    drop(running);

    let (_running, address) = Running::on_tcp(Server::new()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = ask(&mut stream, &named).await;
    assert!(!head.contains("edge-7"), "{head}");
}

#[tokio::test]
async fn more_connections_than_allowed_wait() {
    let (_running, address) = Running::on_tcp(Server::new().connections(1)).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    ask(&mut first, GET).await;
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(GET.as_bytes()).await.unwrap();
    // Enough turns for the second to be served, were it accepted.
    for _ in 0..50 {
        ask(&mut first, GET).await;
    }
    let early = second.try_read(&mut [0]).unwrap_err();
    assert_eq!(early.kind(), io::ErrorKind::WouldBlock);
    drop(first);
    assert!(answer(&mut second).await.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn a_head_must_come_in_time() {
    let server = Server::new().header_timeout(Duration::from_millis(100));
    let (_running, address) = Running::on_tcp(server).await;
    for sent in ["", "P", "PRI * HTTP/2.0\r\n", "GET /v2/ HTTP/1.1\r\nHost:"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        closed(&mut stream).await;
    }
}

/// Answers without end.
#[derive(Clone)]
struct Endless;

impl<B> Service<Request<B>> for Endless {
    type Response = Response<BoxBody<Bytes, Infallible>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let pieces = stream::repeat(Bytes::from_static(&[0; 65536]));
        let body = StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece))));
        ready(Ok(Response::new(BoxBody::new(body))))
    }
}

/// A server that soon gives up those who do not read, and tells why connections failed.
fn impatient() -> (Server, mpsc::UnboundedReceiver<String>) {
    let (failed, failures) = mpsc::unbounded_channel();
    let server = Server::new()
        .write_timeout(Duration::from_millis(100))
        .on_error(move |error| {
            let source = error.source().map(ToString::to_string);
            let _ = failed.send(source.unwrap_or_else(|| error.to_string()));
        });
    (server, failures)
}

#[tokio::test]
async fn an_answer_must_be_taken_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (server, mut failures) = impatient();
    tokio::spawn(server.serve(listener, Endless, std::future::pending()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(GET.as_bytes()).await.unwrap();
    let failure = soon(failures.recv()).await.unwrap();
    assert!(failure.contains("does not read"), "{failure}");
}

/// A client that looks at the answer only after it has sent everything, as many do.
#[tokio::test]
async fn a_refusal_is_seen_by_whoever_sends_on() {
    let (_running, address) = Running::on_tcp(Server::new()).await;
    let length = 5 << 20;
    let head = format!(
        "PUT /v2/a/manifests/t HTTP/1.1\r\nHost: r\r\nContent-Type: a/b\r\nContent-Length: {length}\r\n\r\n"
    );
    for _ in 0..10 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        soon(stream.write_all(&vec![b' '; length])).await.unwrap();
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    }
}

#[tokio::test]
async fn whoever_was_refused_is_listened_to_for_a_while() {
    tokio::time::pause();
    // How often something is said, and how long that is heard.
    for (pause, heard) in [(1, 30), (3, 3)] {
        let (mut stream, other) = tokio::io::duplex(64 * 1024);
        let service = RegistryService::new(Probe::new().0);
        let listener = Gathering(Some(other));
        tokio::spawn(Server::new().serve(listener, service, std::future::pending()));
        let head = "PUT /v2/a/manifests/t HTTP/1.1\r\nHost: r\r\nContent-Length: 5242880\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let begun = tokio::time::Instant::now();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 413"), "{answer:?}");
        assert_eq!(begun.elapsed(), Duration::ZERO, "it waited for nobody");
        while stream.write_all(b"more").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(pause)).await;
        }
        let listened = begun.elapsed().as_secs();
        assert!((heard..=heard + 1).contains(&listened), "{listened}");
    }
}

#[tokio::test]
async fn whoever_was_refused_does_not_delay_the_end() {
    tokio::time::pause();
    let (mut stream, other) = tokio::io::duplex(64 * 1024);
    let running = Running::new(Server::new().drain(LONG), Gathering(Some(other)));
    let head = "PUT /v2/a/manifests/t HTTP/1.1\r\nHost: r\r\nContent-Length: 5242880\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    running.end.send(()).unwrap();
    let begun = tokio::time::Instant::now();
    while stream.write_all(b"more").await.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(running.served.await.unwrap());
    assert!(begun.elapsed() <= Duration::from_secs(2));
}

/// One connection, which gathers what it sends, as TLS does.
struct Gathering(Option<DuplexStream>);

impl Listener for Gathering {
    type Connection = BufStream<DuplexStream>;

    async fn accept(&mut self) -> io::Result<(Self::Connection, Option<SocketAddr>)> {
        let Some(stream) = self.0.take() else {
            return std::future::pending().await;
        };
        Ok((BufStream::with_capacity(1024, 64 * 1024, stream), None))
    }

    fn client_certificate(&self, _: &Self::Connection) -> Option<Bytes> {
        None
    }

    fn is_encrypted(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn the_end_of_an_answer_must_be_taken_in_time_too() {
    let (mut stream, other) = tokio::io::duplex(64);
    let (server, mut failures) = impatient();
    let service = RegistryService::new(Probe::new().0);
    tokio::spawn(server.serve(Gathering(Some(other)), service, std::future::pending()));
    stream.write_all(GET.as_bytes()).await.unwrap();
    let failure = soon(failures.recv()).await.unwrap();
    assert!(failure.contains("does not read"), "{failure}");
}

#[tokio::test]
async fn a_running_upload_finishes_after_the_end() {
    let (mut running, address) = Running::on_tcp(Server::new().drain(LONG)).await;
    let mut stream = uploading(&mut running, address).await;
    running.end.send(()).unwrap();
    // The listener is gone once the end was noticed.
    soon(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(ask(&mut stream, "world").await.starts_with("http/1.1 202"));
    assert!(soon(running.served).await.unwrap());
}

#[tokio::test]
async fn a_hanging_upload_is_cut_after_the_bound() {
    let server = Server::new().drain(Duration::from_millis(50));
    let (mut running, address) = Running::on_tcp(server).await;
    let mut stream = uploading(&mut running, address).await;
    running.end.send(()).unwrap();
    assert!(!soon(running.served).await.unwrap());
    closed(&mut stream).await;
}

#[tokio::test]
async fn idle_connections_do_not_delay_the_end() {
    let (running, address) = Running::on_tcp(Server::new().drain(LONG)).await;
    let _silent = TcpStream::connect(address).await.unwrap();
    let mut kept = TcpStream::connect(address).await.unwrap();
    ask(&mut kept, GET).await;
    running.end.send(()).unwrap();
    assert!(soon(running.served).await.unwrap());
    closed(&mut kept).await;
}

#[tokio::test]
async fn too_many_headers_are_refused() {
    let (_running, address) = Running::on_tcp(Server::new().max_headers(10)).await;
    for (count, status) in [(9, "http/1.1 200"), (10, "http/1.1 431")] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let more: String = (0..count).map(|n| format!("X-{n}: x\r\n")).collect();
        let asked = format!("GET /v2/ HTTP/1.1\r\nHost: r\r\n{more}\r\n");
        assert!(ask(&mut stream, &asked).await.starts_with(status));
    }
}

#[tokio::test]
async fn one_host_is_named() {
    let (_running, address) = Running::on_tcp(Server::new()).await;
    for (head, status) in [
        ("GET /v2/ HTTP/1.1\r\n", "http/1.1 400"),
        (
            "GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
            "http/1.1 400",
        ),
        ("GET /v2/ HTTP/1.1\r\nHost:\r\n", "http/1.1 200"),
        ("GET /v2/ HTTP/1.0\r\n", "http/1.0 200"),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let answer = ask(&mut stream, &format!("{head}\r\n")).await;
        assert!(answer.starts_with(status), "{head}: {answer}");
        if status.ends_with("400") {
            assert!(answer.contains("content-length: 0"), "{answer}");
            closed(&mut stream).await;
        }
    }
}
