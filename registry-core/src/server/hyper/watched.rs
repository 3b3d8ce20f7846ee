//! A connection whose other end must speak in time, and read in time.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

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
}

impl<C> Watched<C> {
    pub(super) fn new(connection: C, header_timeout: Duration, write_timeout: Duration) -> Self {
        Self {
            connection,
            beginning: Some(Box::pin(tokio::time::sleep(header_timeout))),
            seen: 0,
            write_timeout,
            stalled: None,
            progressed: false,
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

impl<C: AsyncWrite + Unpin> AsyncWrite for Watched<C> {
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
        let polled = Pin::new(&mut self.connection).poll_shutdown(cx);
        self.in_time(cx, polled)
    }
}
