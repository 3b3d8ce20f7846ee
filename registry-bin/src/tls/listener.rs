//! Connections that are encrypted.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use registry_core::server::hyper::Listener;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    sync::{Semaphore, mpsc},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{LazyConfigAcceptor, rustls::server::Acceptor as Hello, server::TlsStream};
use tracing::debug;

use super::settings::Acceptor;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How many handshakes go on at once; more wait to be accepted.
const HANDSHAKES: usize = 1024;

/// A listener whose connections have shaken hands. A slow client holds up nobody but itself.
#[derive(Debug)]
pub struct TlsListener<C> {
    ready: mpsc::Receiver<(TlsStream<Begun<C>>, Option<SocketAddr>)>,
    accepting: JoinHandle<()>,
    verifies: bool,
}

impl<C: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsListener<C> {
    /// Encrypts the connections of `listener`.
    pub fn new<L>(mut listener: L, acceptor: Acceptor) -> Self
    where
        L: Listener<Connection = C> + 'static,
    {
        let verifies = acceptor.verifies_clients();
        let (shaken, ready) = mpsc::channel(1);
        let places = Arc::new(Semaphore::new(HANDSHAKES));
        let accepting = tokio::spawn(async move {
            loop {
                let place = Arc::clone(&places).acquire_owned().await;
                let (stream, peer) = tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok(accepted) => accepted,
                        Err(error) => {
                            debug!(%error, "a connection could not be accepted");
                            tokio::time::sleep(Duration::from_millis(50)).await;
                            continue;
                        }
                    },
                    () = shaken.closed() => return,
                };
                let (shaken, acceptor) = (shaken.clone(), acceptor.clone());
                tokio::spawn(async move {
                    let _place = place;
                    match timeout(HANDSHAKE, shake(stream, &acceptor)).await {
                        // Where nobody takes it any more, it is closed.
                        Ok(Ok(Some(stream))) => drop(shaken.send((stream, peer)).await),
                        Ok(Ok(None)) => {}
                        Ok(Err(error)) => debug!(%error, ?peer, "a handshake failed"),
                        Err(_) => debug!(?peer, "a handshake took too long"),
                    }
                });
            }
        });
        Self {
            ready,
            accepting,
            verifies,
        }
    }
}

impl<C> Drop for TlsListener<C> {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin + Send + 'static> Listener for TlsListener<C> {
    type Connection = TlsStream<Begun<C>>;

    async fn accept(&mut self) -> io::Result<(Self::Connection, Option<SocketAddr>)> {
        match self.ready.recv().await {
            Some(accepted) => Ok(accepted),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn client_certificate(&self, connection: &Self::Connection) -> Option<Bytes> {
        if !self.verifies {
            return None;
        }
        let (_, session) = connection.get_ref();
        let certificate = session.peer_certificates()?.first()?;
        Some(Bytes::copy_from_slice(certificate))
    }
}

/// The type of record that every client which speaks TLS begins with (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 22;

/// Shakes hands; `None` when all that was to be said was said.
async fn shake<C>(mut stream: C, acceptor: &Acceptor) -> io::Result<Option<TlsStream<Begun<C>>>>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let first = stream.read_u8().await?;
    if first != HANDSHAKE_RECORD {
        plain(stream).await?;
        return Ok(None);
    }
    let stream = Begun {
        first: Some(first),
        stream,
    };
    let start = LazyConfigAcceptor::new(Hello::default(), stream).await?;
    let challenge = acceptor.challenge(&start.client_hello());
    if let Some(config) = challenge {
        // The authority sees what it came for in the handshake alone.
        start.into_stream(config).await?.shutdown().await?;
        return Ok(None);
    }
    let stream = start.into_stream(acceptor.config()).await?;
    Ok(Some(stream))
}

/// Answers somebody who does not speak TLS, as Go's server does.
async fn plain(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    const ANSWER: &[u8] =
        b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Connection: close\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    stream.write_all(ANSWER).await?;
    stream.shutdown().await?;
    // What was sent is read to a bound, so that the answer is not lost to a reset.
    let mut rest = [0; 4096];
    for _ in 0..16 {
        if stream.read(&mut rest).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// A connection whose first byte was looked at.
#[derive(Debug)]
pub struct Begun<C> {
    first: Option<u8>,
    stream: C,
}

impl<C: AsyncRead + Unpin> AsyncRead for Begun<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buffer.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Begun<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
