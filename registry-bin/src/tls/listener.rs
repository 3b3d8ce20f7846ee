//! Connections that are encrypted.

use std::{
    io,
    net::SocketAddr,
    panic::resume_unwind,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use registry_core::server::hyper::Listener;
use rustix::io::Errno;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    sync::mpsc,
    task::{JoinError, JoinHandle},
    time::timeout,
};
use tokio_rustls::{LazyConfigAcceptor, rustls::server::Acceptor as Hello, server::TlsStream};
use tracing::{debug, field::display, info};

use super::{handshakes::Handshakes, settings::Acceptor};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How many handshakes go on at once; where there are more, one of the address that has most is cut.
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
    pub fn new<L>(listener: L, acceptor: Acceptor) -> Self
    where
        L: Listener<Connection = C> + 'static,
    {
        Self::bounded(listener, acceptor, HANDSHAKES)
    }

    /// The same, with so many handshakes at once.
    fn bounded<L>(mut listener: L, acceptor: Acceptor, handshakes: usize) -> Self
    where
        L: Listener<Connection = C> + 'static,
    {
        let verifies = acceptor.verifies_clients();
        let (shaken, ready) = mpsc::channel(1);
        let mut handshakes = Handshakes::new(handshakes);
        let accepting = tokio::spawn(async move {
            // While the server takes none, since it serves as many as it may, more wait to be accepted.
            while let Ok(room) = shaken.reserve().await {
                drop(room);
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = shaken.closed() => return,
                };
                let (stream, peer) = match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        debug!(%error, "a connection could not be accepted");
                        if !(is_exhaustion(&error) && handshakes.cut_one().await) {
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                        continue;
                    }
                };
                let (shaken, acceptor) = (shaken.clone(), acceptor.clone());
                let handshake = async move {
                    if let Some(stream) = shake_in_time(stream, peer, &acceptor).await {
                        // It waits for the server as a task of its own, so that nobody is cut who shook
                        // hands. Where nobody takes it any more, it is closed.
                        tokio::spawn(async move { shaken.send((stream, peer)).await });
                    }
                };
                handshakes.begin(peer, handshake).await;
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
            // It goes on as long as this is there, but for a panic; and nobody else accepts.
            None => match (&mut self.accepting)
                .await
                .map_err(JoinError::try_into_panic)
            {
                Err(Ok(panicked)) => resume_unwind(panicked),
                Ok(()) | Err(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            },
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

    fn is_encrypted(&self) -> bool {
        true
    }
}

/// The type of record that every client which speaks TLS begins with (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 22;

/// Whether there are too many open files, here or on the whole machine, or too little memory for one
/// more. Handshakes that are cut give some back.
fn is_exhaustion(error: &io::Error) -> bool {
    let number = Errno::from_io_error(error);
    number.is_some_and(|number| {
        [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].contains(&number)
    })
}

/// Shakes hands, and says why not.
async fn shake_in_time<C>(
    stream: C,
    peer: Option<SocketAddr>,
    acceptor: &Acceptor,
) -> Option<TlsStream<Begun<C>>>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let error = match timeout(HANDSHAKE, shake(stream, acceptor)).await {
        Ok(Ok(shaken)) => return shaken,
        Ok(Err(error)) => error,
        Err(_) => {
            debug!(?peer, "a handshake took too long");
            return None;
        }
    };
    let peer = peer.map(display);
    let reason = error.get_ref().and_then(|error| error.downcast_ref());
    match reason {
        // Its owner learns nothing but that, so who asks the operator must be told.
        Some(rustls::Error::InvalidCertificate(reason)) => {
            info!(%reason, peer, "TLS: the certificate of a client was refused");
        }
        _ => debug!(%error, peer, "a handshake failed"),
    }
    None
}

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

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, sync::Arc};

    use rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName},
        version::TLS12,
    };
    use tempfile::TempDir;
    use tokio::io::{DuplexStream, duplex};
    use tokio_rustls::{TlsConnector, client};

    use super::*;
    use crate::{
        config::{Certificate, Tls, TlsVersion},
        tls::pem,
    };

    /// Less than handshakes may take, so that none of them ended by itself. Time goes on only while
    /// nothing is under way.
    const SOON: Duration = Duration::from_secs(5);

    /// A listener to which the test brings what is accepted.
    struct Brought(mpsc::UnboundedReceiver<io::Result<DuplexStream>>);

    impl Listener for Brought {
        type Connection = DuplexStream;

        async fn accept(&mut self) -> io::Result<(DuplexStream, Option<SocketAddr>)> {
            match self.0.recv().await {
                Some(Err(error)) if error.kind() == io::ErrorKind::Other => panic!("{error}"),
                Some(brought) => Ok((brought?, None)),
                None => std::future::pending().await,
            }
        }

        fn client_certificate(&self, _: &DuplexStream) -> Option<Bytes> {
            None
        }

        fn is_encrypted(&self) -> bool {
            false
        }
    }

    struct Bench {
        listener: TlsListener<DuplexStream>,
        bring: mpsc::UnboundedSender<io::Result<DuplexStream>>,
        client: TlsConnector,
        _home: TempDir,
    }

    impl Bench {
        /// With so many handshakes at once.
        fn new(handshakes: usize) -> Self {
            let home = tempfile::tempdir().unwrap();
            let names = ["localhost".to_owned()];
            let made = rcgen::generate_simple_self_signed(names).unwrap();
            let (certificate, key) = (home.path().join("c"), home.path().join("k"));
            fs::write(&certificate, made.cert.pem()).unwrap();
            fs::write(&key, made.signing_key.serialize_pem()).unwrap();
            let acceptor = acceptor(&certificate, &key);
            let (bring, brought) = mpsc::unbounded_channel();
            Self {
                listener: TlsListener::bounded(Brought(brought), acceptor, handshakes),
                bring,
                client: connector(made.cert.der().clone()),
                _home: home,
            }
        }

        fn connect(&self) -> DuplexStream {
            let (ours, theirs) = duplex(16 * 1024);
            self.bring.send(Ok(theirs)).unwrap();
            ours
        }

        /// A client that begins a handshake and says no more.
        async fn half(&self) -> DuplexStream {
            let mut stream = self.connect();
            stream.write_all(&[22, 3, 1]).await.unwrap();
            stream
        }

        async fn whole(&self) -> io::Result<client::TlsStream<DuplexStream>> {
            let name = ServerName::try_from("localhost").unwrap();
            let shaken = self.client.connect(name, self.connect());
            timeout(SOON, shaken).await.expect("it is held up")
        }
    }

    fn acceptor(certificate: &Path, key: &Path) -> Acceptor {
        let tls = Tls {
            certificate: Certificate::Files {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
            },
            clients: None,
            minimum: TlsVersion::Tls12,
            cipher_suites: Vec::new(),
        };
        Acceptor::new(&tls, false).unwrap()
    }

    fn connector(authority: CertificateDer<'static>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(authority).unwrap();
        // In this version the server has the last word: where a client is ready, it is as well.
        let config = ClientConfig::builder_with_provider(Arc::new(pem::provider()))
            .with_protocol_versions(&[&TLS12])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config).into()
    }

    async fn served(bench: &mut Bench) {
        let accepted = timeout(SOON, bench.listener.accept()).await;
        accepted.expect("nobody shook hands").unwrap();
    }

    async fn is_cut(stream: &mut DuplexStream) {
        let read = timeout(SOON, stream.read_u8()).await;
        read.expect("it is open").unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn who_ends_no_handshake_makes_room_for_others() {
        let mut bench = Bench::new(2);
        for _ in 0..3 {
            let [mut first, mut second] = [bench.half().await, bench.half().await];
            let mut third = bench.half().await;
            is_cut(&mut first).await;
            bench.whole().await.unwrap();
            is_cut(&mut second).await;
            served(&mut bench).await;
            third.write_all(&[1]).await.expect("it is not cut");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_shook_hands_waits_for_the_server_and_is_not_cut() {
        let mut bench = Bench::new(1);
        let mut clients = Vec::new();
        // One is ready for the server, and a second waits behind it, before no more is accepted.
        for _ in 0..2 {
            clients.push(bench.whole().await.unwrap());
        }
        let mut next = bench.half().await;
        for _ in 0..2 {
            served(&mut bench).await;
        }
        clients.push(bench.whole().await.unwrap());
        is_cut(&mut next).await;
        served(&mut bench).await;
    }

    #[tokio::test(start_paused = true)]
    async fn where_files_are_out_a_handshake_gives_its_own_back() {
        let bench = Bench::new(8);
        let (mut first, mut second) = (bench.half().await, bench.half().await);
        let error = io::Error::from_raw_os_error(Errno::MFILE.raw_os_error());
        bench.bring.send(Err(error)).unwrap();
        is_cut(&mut first).await;
        bench
            .bring
            .send(Err(io::ErrorKind::ConnectionAborted.into()))
            .unwrap();
        bench.whole().await.unwrap();
        second.write_all(&[1]).await.expect("it is not cut");
    }
    #[tokio::test(start_paused = true)]
    async fn a_panic_where_connections_come_from_is_one_where_they_are_taken() {
        let mut bench = Bench::new(1);
        bench.bring.send(Err(io::Error::other("no more"))).unwrap();
        let taken = tokio::spawn(async move { bench.listener.accept().await.map(drop) }).await;
        assert!(taken.expect_err("it is told").is_panic());
    }
}
