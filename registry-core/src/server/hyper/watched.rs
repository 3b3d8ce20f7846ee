//! A connection whose other end must speak in time, and read in time.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use crate::server::origin::Lingering;

/// How long a client is listened to after the last answer, in all and while it says nothing.
const LISTENED: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(2);

/// How many of its bytes are thrown away at a time.
const UNREAD: usize = 8 * 1024;

/// What a connection over HTTP/2 begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection that must show in time which version of HTTP it speaks, from where on the version's
/// own time-outs hold, and take in time what is sent to it.
pub(super) struct Watched<C> {
    connection: C,
    beginning: Option<Pin<Box<Sleep>>>,
    seen: usize,
    write_timeout: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    /// Whether something was taken since the timer was set. One timer serves many writes that way.
    progressed: bool,
    lingering: Lingering,
    /// Whether the server ends, and waits for nobody who was answered.
    ending: Arc<AtomicBool>,
    /// Whether nothing more is sent, and how long there may still be somebody to listen to: until
    /// when in all, and until when in silence.
    shut: Option<[Pin<Box<Sleep>>; 2]>,
}

impl<C> Watched<C> {
    pub(super) fn new(
        connection: C,
        header_timeout: Duration,
        write_timeout: Duration,
        lingering: Lingering,
        ending: Arc<AtomicBool>,
    ) -> Self {
        Self {
            connection,
            beginning: Some(Box::pin(tokio::time::sleep(header_timeout))),
            seen: 0,
            write_timeout,
            stalled: None,
            progressed: false,
            lingering,
            ending,
            shut: None,
        }
    }

    /// What became of a write, or of what is still to be sent of earlier ones (as below TLS), or that
    /// it took too long.
    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.progressed = true;
            return polled;
        }
        loop {
            let timer = match &mut self.stalled {
                Some(timer) => timer,
                None => {
                    self.progressed = false;
                    let timer = tokio::time::sleep(self.write_timeout);
                    self.stalled.insert(Box::pin(timer))
                }
            };
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.stalled = None;
            if !self.progressed {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the client does not read what it is sent",
                )));
            }
        }
    }
}

impl<C: AsyncRead + Unpin> Watched<C> {
    /// Listens to a client that was told no in the middle of what it sends, and throws away what comes:
    /// a connection that is closed with unread bytes is reset, and the answer may be lost with it.
    fn poll_listen(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limits = self.shut.get_or_insert_with(|| {
            [LISTENED, SILENCE].map(|limit| Box::pin(tokio::time::sleep(limit)))
        });
        let [until, silence] = limits;
        let mut unread = [0; UNREAD];
        loop {
            let mut buffer = ReadBuf::new(&mut unread);
            match Pin::new(&mut self.connection).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    silence.as_mut().reset(Instant::now() + SILENCE);
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
            if self.ending.load(Ordering::Relaxed) || until.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
        }
        let over = until.as_mut().poll(cx).is_ready() || silence.as_mut().poll(cx).is_ready();
        if over { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Watched<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(timer) = &mut this.beginning else {
            return Pin::new(&mut this.connection).poll_read(cx, buffer);
        };
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.connection).poll_read(cx, buffer);
        if polled.is_pending() && timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let read = buffer.filled().get(before..).unwrap_or_default();
        let ahead = PREFACE.get(this.seen..).unwrap_or_default();
        this.seen += read.len();
        if read.len() >= ahead.len() || !ahead.starts_with(read) {
            this.beginning = None;
        }
        polled
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.connection).poll_write(cx, bytes);
        self.in_time(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.connection).poll_write_vectored(cx, bytes);
        self.in_time(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.connection).poll_flush(cx);
        self.in_time(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.shut.is_none() {
            let polled = Pin::new(&mut self.connection).poll_shutdown(cx);
            ready!(self.in_time(cx, polled))?;
        }
        if self.lingering.is_asked() {
            ready!(self.poll_listen(cx));
        }
        Poll::Ready(Ok(()))
    }
}
