//! A server for the service: hyper on Tokio.
//!
//! HTTP/1.1 and HTTP/2 (by prior knowledge) on TCP and unix sockets, with what a server on a hostile
//! network needs: time-outs for headers, idle connections and answers that nobody reads, limits on
//! headers and connections, a refusal of requests that do not name one host, and an end that lets running requests finish for a bounded time. (The
//! time-out for bodies is the service's.)

mod answer;
mod watched;

use std::{
    convert::Infallible,
    error::Error as StdError,
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Request, Response};
use http_body::Body as HttpBody;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::{Semaphore, watch},
};
use tower_service::Service;

use self::{
    answer::{Answer, UnnamedHost, unnamed_host},
    watched::Watched,
};
use super::{
    body::Body,
    origin::{ClientCertificate, Encrypted, Lingering, LocalPeer, Peer},
    service::RegistryService,
};

/// The most bytes that are read from a connection at a time, and so held for one request.
pub const READ_BUFFER: usize = 64 * 1024;

/// Serves `service` on `listener`, with the defaults of [`Server`], for ever.
///
/// ```no_run
/// # async fn example(registry: impl registry_core::Registry) -> std::io::Result<()> {
/// use registry_core::server::{RegistryService, hyper::serve};
///
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:5000").await?;
/// serve(listener, RegistryService::new(registry)).await
/// # }
/// ```
///
/// # Errors
///
/// None at present: failures to accept are waited out.
pub async fn serve<L, S, B>(listener: L, service: S) -> io::Result<()>
where
    L: Listener,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    Server::new()
        .serve(listener, service, std::future::pending())
        .await;
    Ok(())
}

impl<B, F> hyper::service::Service<Request<B>> for RegistryService<F>
where
    Self: Service<
            Request<B>,
            Response = Response<Body>,
            Error = Infallible,
            Future = BoxFuture<'static, Result<Response<Body>, Infallible>>,
        > + Clone,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn call(&self, request: Request<B>) -> Self::Future {
        Service::call(&mut self.clone(), request)
    }
}

/// Something that connections come from.
pub trait Listener: Send {
    /// A connection.
    type Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection, and the address of its other end. It has none where it is a process of
    /// this machine that came by a Unix socket: a [`LocalPeer`]. The future is dropped, and asked for
    /// anew, at any time: no connection may be lost by that.
    fn accept(
        &mut self,
    ) -> impl Future<Output = io::Result<(Self::Connection, Option<SocketAddr>)>> + Send;

    /// The DER of the certificate that the client of a connection proved to own, if an authority
    /// vouches for it: a [`ClientCertificate`]. None where there is no TLS.
    fn client_certificate(&self, connection: &Self::Connection) -> Option<Bytes>;

    /// Whether its connections are [`Encrypted`].
    fn is_encrypted(&self) -> bool;
}

impl Listener for TcpListener {
    type Connection = tokio::net::TcpStream;

    async fn accept(&mut self) -> io::Result<(Self::Connection, Option<SocketAddr>)> {
        let (stream, peer) = Self::accept(self).await?;
        // Answers are written whole; waiting for more only delays them.
        stream.set_nodelay(true)?;
        Ok((stream, Some(peer)))
    }

    fn client_certificate(&self, _: &Self::Connection) -> Option<Bytes> {
        None
    }

    fn is_encrypted(&self) -> bool {
        false
    }
}

impl Listener for UnixListener {
    type Connection = tokio::net::UnixStream;

    async fn accept(&mut self) -> io::Result<(Self::Connection, Option<SocketAddr>)> {
        let (stream, _) = Self::accept(self).await?;
        Ok((stream, None))
    }

    fn client_certificate(&self, _: &Self::Connection) -> Option<Bytes> {
        None
    }

    fn is_encrypted(&self) -> bool {
        false
    }
}

type OnError = Arc<dyn Fn(&(dyn StdError + Send + Sync + 'static)) + Send + Sync>;

/// A server's settings.
#[derive(Clone)]
#[must_use]
pub struct Server {
    connections: usize,
    header_timeout: Duration,
    idle_timeout: Duration,
    write_timeout: Duration,
    drain: Duration,
    max_headers: usize,
    http2: bool,
    on_error: Option<OnError>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("connections", &self.connections)
            .field("header_timeout", &self.header_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("write_timeout", &self.write_timeout)
            .field("drain", &self.drain)
            .finish_non_exhaustive()
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl Server {
    /// A server with the defaults.
    pub fn new() -> Self {
        Self {
            connections: 10_000,
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(120),
            write_timeout: Duration::from_secs(120),
            drain: Duration::from_secs(30),
            max_headers: 100,
            http2: true,
            on_error: None,
        }
    }

    /// How many connections are served at a time; more wait to be accepted. Default: 10,000.
    pub fn connections(self, connections: usize) -> Self {
        Self {
            connections: connections.max(1),
            ..self
        }
    }

    /// How long the head of a request may take. It also ends a connection over HTTP/1.1 on which no
    /// further request begins, unless [`idle_timeout`](Self::idle_timeout) is shorter. Default: 30 s.
    pub fn header_timeout(self, timeout: Duration) -> Self {
        Self {
            header_timeout: timeout,
            ..self
        }
    }

    /// How long a connection over HTTP/2 may be silent before it is asked whether it is there.
    /// Default: 120 s.
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        Self {
            idle_timeout: timeout,
            ..self
        }
    }

    /// How long a client may take nothing of what is sent to it; at most twice as long. Then the
    /// connection is closed. A connection that gathers what it sends, as TLS does, must be able to
    /// send all of that in this time; and what the system gathers counts as taken only in larger
    /// pieces, so that a reader of some KiB a second can be cut off as well. Default: 120 s.
    pub fn write_timeout(self, timeout: Duration) -> Self {
        Self {
            write_timeout: timeout,
            ..self
        }
    }

    /// How long running requests may go on after the end was asked for. Default: 30 s.
    pub fn drain(self, bound: Duration) -> Self {
        Self {
            drain: bound,
            ..self
        }
    }

    /// How many headers a request may have. Default: 100.
    pub fn max_headers(self, max: usize) -> Self {
        Self {
            max_headers: max,
            ..self
        }
    }

    /// Whether clients may speak HTTP/2. Default: yes.
    pub fn http2(self, http2: bool) -> Self {
        Self { http2, ..self }
    }

    /// Is shown why a connection failed, or could not be accepted; or why a request was refused before
    /// it reached the service.
    pub fn on_error(
        self,
        on_error: impl Fn(&(dyn StdError + Send + Sync + 'static)) + Send + Sync + 'static,
    ) -> Self {
        Self {
            on_error: Some(Arc::new(on_error)),
            ..self
        }
    }

    /// Serves until `end`, then lets running requests finish, at most for as long as
    /// [`drain`](Self::drain) says: what runs then is cut off. Whether all of them did.
    pub async fn serve<L, S, B>(
        self,
        mut listener: L,
        service: S,
        end: impl Future<Output = ()> + Send,
    ) -> bool
    where
        L: Listener,
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send + 'static,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let builder = Arc::new(self.builder());
        let graceful = GracefulShutdown::new();
        let (cut, _) = watch::channel(());
        let ending = Arc::new(AtomicBool::new(false));
        let places = Arc::new(Semaphore::new(self.connections.min(Semaphore::MAX_PERMITS)));
        let mut end = std::pin::pin!(end);
        loop {
            let accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (listener.accept().await, place)
            };
            let (accepted, place) = tokio::select! {
                accepted = accepted => accepted,
                () = &mut end => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.report(&error);
                    // Out of files or memory: trying again at once would only burn time.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let certificate = listener.client_certificate(&stream).map(ClientCertificate);
            let encrypted = listener.is_encrypted();
            let lingering = Lingering::default();
            let asked_to_linger = lingering.clone();
            let service = hyper::service::service_fn({
                let (service, on_error) = (service.clone(), self.on_error.clone());
                move |mut request: Request<Incoming>| {
                    let extensions = request.extensions_mut();
                    match peer {
                        Some(peer) => drop(extensions.insert(Peer(peer))),
                        None => drop(extensions.insert(LocalPeer)),
                    }
                    if let Some(certificate) = &certificate {
                        extensions.insert(certificate.clone());
                    }
                    if encrypted {
                        extensions.insert(Encrypted);
                    }
                    extensions.insert(lingering.clone());
                    let (mut service, on_error) = (service.clone(), on_error.clone());
                    async move {
                        if let Some(refusal) = unnamed_host(request.version(), request.headers()) {
                            if let Some(on_error) = on_error {
                                on_error(&UnnamedHost);
                            }
                            return Ok::<_, Infallible>(refusal);
                        }
                        std::future::poll_fn(|cx| service.poll_ready(cx)).await?;
                        let response = service.call(request).await?;
                        Ok(response.map(|body| Answer::Service { body }))
                    }
                }
            });
            let stream = TokioIo::new(Watched::new(
                stream,
                self.header_timeout,
                self.write_timeout,
                asked_to_linger,
                Arc::clone(&ending),
            ));
            let connection = builder.serve_connection(stream, service).into_owned();
            let connection = graceful.watch(connection);
            let on_error = self.on_error.clone();
            let mut cut = cut.subscribe();
            tokio::spawn(async move {
                let cut_off = async {
                    if cut.changed().await.is_err() {
                        // Nobody bounds it any more.
                        std::future::pending().await
                    }
                };
                let ended = tokio::select! {
                    ended = connection => ended,
                    () = cut_off => Ok(()),
                };
                if let (Err(error), Some(on_error)) = (ended, on_error) {
                    on_error(&*error);
                }
                drop(place);
            });
        }
        drop(listener);
        ending.store(true, Ordering::Relaxed);
        let drained = tokio::time::timeout(self.drain, graceful.shutdown()).await;
        if drained.is_err() {
            cut.send_replace(());
            cut.closed().await;
        }
        drained.is_ok()
    }

    fn report(&self, error: &io::Error) {
        if let Some(on_error) = &self.on_error {
            on_error(error);
        }
    }

    fn builder(&self) -> auto::Builder<TokioExecutor> {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout.min(self.idle_timeout))
            // A client that has said all it has to say is answered.
            .half_close(true)
            .max_headers(self.max_headers)
            .max_buf_size(READ_BUFFER);
        builder
            .http2()
            .timer(TokioTimer::new())
            .initial_stream_window_size(256 * 1024)
            .initial_connection_window_size(1024 * 1024)
            .max_frame_size(64 * 1024)
            .max_send_buf_size(256 * 1024)
            .max_concurrent_streams(128)
            .max_header_list_size(32 * 1024)
            .keep_alive_interval(self.idle_timeout)
            .keep_alive_timeout(self.header_timeout);
        if self.http2 {
            builder
        } else {
            builder.http1_only()
        }
    }
}
