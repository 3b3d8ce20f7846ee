//! Work whose panics stay inside, and tasks that go on although whoever waits for them leaves.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::runtime::Runtime;

/// Waits for `work`: `None` when it panicked. It is dropped with whoever waits.
pub(super) async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    // Nothing of it is looked at again after a panic.
    std::future::poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)));
        polled.map_or(Poll::Ready(None), |polled| polled.map(Some))
    })
    .await
}

/// What `watch` gives: `None` when it panicked, which ends nothing but itself.
pub(super) fn survived<T>(watch: impl FnOnce() -> T) -> Option<T> {
    // The panic was told of by the hook that every program has.
    catch_unwind(AssertUnwindSafe(watch)).ok()
}

/// Runs `work` as a task of its own and waits for what it gives: `None` when it panicked, or the
/// runtime dropped it.
pub(super) async fn detached<T: Send + 'static>(
    runtime: &dyn Runtime,
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let shared = Arc::new(Mutex::new(State::Waiting(None)));
    let sender = Sender(Arc::clone(&shared));
    runtime.spawn(Box::pin(async move {
        let sender = sender;
        let value = work.await;
        sender.end(State::Done(value));
    }));
    Receiver(shared).await
}

enum State<T> {
    Waiting(Option<Waker>),
    Done(T),
    Gone,
}

struct Sender<T>(Arc<Mutex<State<T>>>);

impl<T> Sender<T> {
    fn end(&self, end: State<T>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Waiting(waker) = &mut *state {
            let waker = waker.take();
            *state = end;
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.end(State::Gone);
    }
}

struct Receiver<T>(Arc<Mutex<State<T>>>);

impl<T> Future for Receiver<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Gone) {
            State::Waiting(_) => {
                *state = State::Waiting(Some(cx.waker().clone()));
                Poll::Pending
            }
            State::Done(value) => Poll::Ready(Some(value)),
            State::Gone => Poll::Ready(None),
        }
    }
}
