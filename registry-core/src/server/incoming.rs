//! Bodies of requests, on their way in.
//!
//! The body is shared between whoever reads it (the registry, in a task of its own) and the service,
//! which drains what is left of it after a refusal. It fails when it makes no progress for too long.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_core::{Stream, future::BoxFuture};
use futures_util::{
    StreamExt as _,
    future::{Either, select},
};
use http_body::Body as HttpBody;

use crate::{content::ByteStream, runtime::Runtime};

/// The most bytes of a refused body that are read before the answer, so that the connection can go on.
/// With what is left then it ends. (The adapter for hyper goes on to take it for a while, so that the
/// client sees the answer.)
pub const DRAINED: u64 = 256 * 1024;

/// How long that may take.
const DRAINED_WITHIN: Duration = Duration::from_secs(1);

type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// The body of a request.
#[derive(Clone)]
pub(super) struct Incoming {
    shared: Arc<Mutex<Shared>>,
    /// How many bytes it says it has.
    pub(super) length: Option<u64>,
    awaits_continue: bool,
}

struct Shared {
    pieces: Pieces,
    begun: bool,
    ended: bool,
    /// Whether it ended before its end: what is left cannot be told from the next request.
    failed: bool,
}

impl Incoming {
    pub(super) fn new<B>(
        body: B,
        awaits_continue: bool,
        runtime: Arc<dyn Runtime>,
        patience: Duration,
    ) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let length = body.size_hint().exact();
        let ended = body.is_end_stream();
        let pieces = Timed {
            body: Box::pin(body),
            runtime,
            patience,
            timer: None,
            progressed: false,
        };
        let shared = Shared {
            pieces: Box::pin(pieces),
            begun: false,
            ended,
            failed: false,
        };
        Self {
            shared: Arc::new(Mutex::new(shared)),
            length,
            awaits_continue,
        }
    }

    /// The bytes, for whoever reads them.
    pub(super) fn stream(&self) -> ByteStream {
        ByteStream::new(Reading(Arc::clone(&self.shared)))
    }

    /// Reads on after a refusal, to a bound in bytes and in time: the client waits for its answer
    /// meanwhile. Whether the connection can go on afterwards.
    pub(super) async fn drain(&self, runtime: &dyn Runtime) -> bool {
        let drained = std::pin::pin!(self.read_on());
        match select(drained, runtime.sleep(DRAINED_WITHIN)).await {
            Either::Left((drained, _)) => drained,
            Either::Right(((), _)) => false,
        }
    }

    async fn read_on(&self) -> bool {
        let (begun, ended, failed) = {
            let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            (shared.begun, shared.ended, shared.failed)
        };
        if ended {
            return !failed;
        }
        // Reading would ask the client for a body that it has not sent, or for one known to be long.
        let asked = self.awaits_continue && !begun;
        if asked || self.length.is_some_and(|length| length > DRAINED && !begun) {
            return false;
        }
        let mut stream = self.stream();
        let mut read = 0;
        while read <= DRAINED {
            match stream.next().await {
                Some(Ok(piece)) => read += piece.len() as u64,
                Some(Err(_)) => return false,
                None => return true,
            }
        }
        false
    }
}

struct Reading(Arc<Mutex<Shared>>);

impl Stream for Reading {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.ended {
            return Poll::Ready(None);
        }
        shared.begun = true;
        let polled = shared.pieces.as_mut().poll_next(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            shared.ended = true;
            shared.failed = !matches!(polled, Poll::Ready(None));
        }
        polled
    }
}

struct Timed<B> {
    body: Pin<Box<B>>,
    runtime: Arc<dyn Runtime>,
    patience: Duration,
    timer: Option<BoxFuture<'static, ()>>,
    /// Whether bytes came since the timer was set. One timer serves many pieces that way.
    progressed: bool,
}

impl<B> Stream for Timed<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match self.body.as_mut().poll_frame(cx) {
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Some(Err(io::Error::other(error))));
                }
                Poll::Ready(Some(Ok(frame))) => {
                    self.progressed = true;
                    match frame.into_data() {
                        Ok(bytes) if !bytes.is_empty() => return Poll::Ready(Some(Ok(bytes))),
                        // Trailers say nothing that counts here.
                        Ok(_) | Err(_) => {}
                    }
                }
                Poll::Pending => break,
            }
        }
        loop {
            let timer = match &mut self.timer {
                Some(timer) => timer,
                None => {
                    let timer = self.runtime.sleep(self.patience);
                    self.progressed = false;
                    self.timer.insert(timer)
                }
            };
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
            if !self.progressed {
                let message = "the body made no progress";
                return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, message))));
            }
        }
    }
}
