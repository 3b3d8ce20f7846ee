//! Bodies that arrive in pieces, stop half-way, or wait until they are told to go on.

use std::{
    io, mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
};

use bytes::Bytes;
use futures_util::{StreamExt, future, stream};

use crate::{content::ByteStream, store::pace::give_way};

/// Something that happens once, and can be waited for.
#[derive(Clone, Debug, Default)]
pub(super) struct Signal(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Signal {
    /// It happens.
    pub(super) fn set(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = true;
        mem::take(&mut state.1).into_iter().for_each(Waker::wake);
    }

    /// Done once it has happened.
    pub(super) async fn wait(&self) {
        future::poll_fn(|cx| {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if state.0 {
                return Poll::Ready(());
            }
            state.1.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// The bytes in pieces of `size`, with an empty one between them now and then, giving way at each.
pub(super) fn pieces(bytes: &Bytes, size: usize) -> ByteStream {
    let mut list = Vec::new();
    let mut rest = bytes.clone();
    while !rest.is_empty() {
        list.push(rest.split_to(size.clamp(1, rest.len())));
        if list.len() % 3 == 0 {
            list.push(Bytes::new());
        }
    }
    ByteStream::new(stream::iter(list).then(|piece| async {
        give_way().await;
        Ok(piece)
    }))
}

/// The bytes in pieces of `size`, then an error of the connection.
pub(super) fn cut(bytes: &Bytes, size: usize) -> ByteStream {
    let error = stream::once(async { Err(io::ErrorKind::ConnectionReset.into()) });
    ByteStream::new(pieces(bytes, size).chain(error))
}

/// A body that stalls.
#[derive(Clone, Debug, Default)]
pub(super) struct Stall {
    /// It has given its first bytes, and was asked for more.
    pub(super) reached: Signal,
    /// It may go on.
    pub(super) release: Signal,
}

impl Stall {
    /// `first`, a stall, `then`.
    pub(super) fn body(&self, first: &Bytes, then: &Bytes) -> ByteStream {
        let (stall, then) = (self.clone(), then.clone());
        let rest = stream::once(async move {
            stall.reached.set();
            stall.release.wait().await;
            Ok(then)
        });
        ByteStream::new(ByteStream::from(first.clone()).chain(rest))
    }
}

/// Whether a body was asked for its bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Watched(Arc<AtomicBool>);

impl Watched {
    /// A body that remembers.
    pub(super) fn body(&self, bytes: &Bytes) -> ByteStream {
        let (flag, bytes) = (Arc::clone(&self.0), bytes.clone());
        ByteStream::new(stream::once(async move {
            flag.store(true, Ordering::SeqCst);
            Ok(bytes)
        }))
    }

    /// Whether it was asked.
    pub(super) fn polled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
