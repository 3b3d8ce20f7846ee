//! Handshakes under way: so many at a time, of which the oldest makes room.

use std::{collections::VecDeque, net::SocketAddr};

use tokio::task::JoinHandle;
use tracing::debug;

/// The handshakes under way, the oldest first. There are never more than a number of them.
///
/// Whoever begins many and ends none so cuts his own: everybody else ends one in less time than it
/// takes to begin all the others.
#[derive(Debug)]
pub(super) struct Handshakes {
    most: usize,
    begun: VecDeque<Handshake>,
}

#[derive(Debug)]
struct Handshake {
    task: JoinHandle<()>,
    peer: Option<SocketAddr>,
}

impl Handshakes {
    /// None yet, and never more than `most`.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            begun: VecDeque::new(),
        }
    }

    /// Begins one more. Where there are as many as there may be, the oldest is cut before.
    pub(super) async fn begin(
        &mut self,
        peer: Option<SocketAddr>,
        handshake: impl Future<Output = ()> + Send + 'static,
    ) {
        while self
            .begun
            .front()
            .is_some_and(|oldest| oldest.task.is_finished())
        {
            self.begun.pop_front();
        }
        if self.begun.len() >= self.most {
            self.begun.retain(|one| !one.task.is_finished());
        }
        if self.begun.len() >= self.most {
            self.cut_oldest().await;
        }
        let task = tokio::spawn(handshake);
        self.begun.push_back(Handshake { task, peer });
    }

    /// Cuts the oldest that is under way, and returns when its connection is closed; whether there was
    /// one.
    pub(super) async fn cut_oldest(&mut self) -> bool {
        while let Some(Handshake { task, peer }) = self.begun.pop_front() {
            if !task.is_finished() {
                task.abort();
                // It ends at once: it does nothing that cannot be left.
                drop(task.await);
                debug!(?peer, "a handshake was cut, since many began after it");
                return true;
            }
        }
        false
    }
}

impl Drop for Handshakes {
    fn drop(&mut self) {
        for handshake in &self.begun {
            handshake.task.abort();
        }
    }
}
