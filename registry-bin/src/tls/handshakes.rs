//! Handshakes under way: so many at a time, of which the greediest address makes room.

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
    net::SocketAddr,
};

use registry_core::access::ClientNetwork;
use tokio::task::JoinHandle;
use tracing::debug;

/// The handshakes under way, the oldest first. There are never more than a number of them.
///
/// Whoever begins many and ends none so cuts his own. Among those of one address, as behind a proxy, it
/// is the oldest that is cut: the others end one in less time than it takes to begin so many.
#[derive(Debug)]
pub(super) struct Handshakes {
    most: usize,
    begun: VecDeque<Handshake>,
}

#[derive(Debug)]
struct Handshake {
    task: JoinHandle<()>,
    from: Option<ClientNetwork>,
}

impl Handshakes {
    /// None yet, and never more than `most`.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            begun: VecDeque::new(),
        }
    }

    /// Begins one more. Where there are as many as there may be, one is cut before.
    pub(super) async fn begin(
        &mut self,
        peer: Option<SocketAddr>,
        handshake: impl Future<Output = ()> + Send + 'static,
    ) {
        let is_over = |one: &Handshake| one.task.is_finished();
        while self.begun.front().is_some_and(is_over) {
            self.begun.pop_front();
        }
        if self.begun.len() >= self.most {
            self.begun.retain(|one| !is_over(one));
        }
        if self.begun.len() >= self.most {
            self.cut_one().await;
        }
        let from = peer.map(|peer| ClientNetwork::of(peer.ip()));
        let task = tokio::spawn(handshake);
        self.begun.push_back(Handshake { task, from });
    }

    /// Cuts one that is under way, and returns when its connection is closed; whether there was one.
    pub(super) async fn cut_one(&mut self) -> bool {
        self.begun.retain(|one| !one.task.is_finished());
        let cut = self.oldest_of_the_greediest();
        let Some(Handshake { task, from }) = cut.and_then(|at| self.begun.remove(at)) else {
            return false;
        };
        task.abort();
        // It ends at once: it does nothing that cannot be left.
        drop(task.await);
        let from = from.map(ClientNetwork::address);
        debug!(?from, "a handshake was cut, since so many are under way");
        true
    }

    fn oldest_of_the_greediest(&self) -> Option<usize> {
        let mut counts = HashMap::new();
        for (at, one) in self.begun.iter().enumerate() {
            let (count, _) = counts.entry(one.from).or_insert((0_usize, at));
            *count += 1;
        }
        let greediest = counts
            .into_values()
            .max_by_key(|(count, oldest)| (*count, Reverse(*oldest)));
        greediest.map(|(_, oldest)| oldest)
    }
}

impl Drop for Handshakes {
    fn drop(&mut self) {
        for handshake in &self.begun {
            handshake.task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;

    use super::*;

    /// Begins a handshake that does not end; what is returned is closed when it is cut.
    async fn begin(handshakes: &mut Handshakes, peer: &str) -> oneshot::Sender<()> {
        let (under_way, held) = oneshot::channel();
        let peer = peer.parse().expect("an address");
        let handshake = async move {
            let _held = held;
            pending::<()>().await;
        };
        handshakes.begin(Some(peer), handshake).await;
        under_way
    }

    #[tokio::test]
    async fn whoever_begins_many_cuts_its_own() {
        let mut handshakes = Handshakes::new(4);
        let patient = begin(&mut handshakes, "192.0.2.1:1").await;
        let mut greedy = Vec::new();
        for port in 1..10 {
            let peer = format!("[2001:db8::{port}]:{port}");
            greedy.push(begin(&mut handshakes, &peer).await);
        }
        assert!(!patient.is_closed());
        let cut: Vec<_> = greedy.iter().map(oneshot::Sender::is_closed).collect();
        assert_eq!(
            cut,
            [true, true, true, true, true, true, false, false, false]
        );
        let another = begin(&mut handshakes, "192.0.2.2:1").await;
        assert!(!patient.is_closed() && !another.is_closed() && greedy[6].is_closed());
    }

    #[tokio::test]
    async fn of_equals_the_oldest_is_cut() {
        let mut handshakes = Handshakes::new(2);
        let first = begin(&mut handshakes, "192.0.2.1:1").await;
        let second = begin(&mut handshakes, "192.0.2.2:1").await;
        let third = begin(&mut handshakes, "192.0.2.3:1").await;
        assert!(first.is_closed() && !second.is_closed() && !third.is_closed());
        assert!(handshakes.cut_one().await && handshakes.cut_one().await);
        assert!(second.is_closed() && third.is_closed());
        assert!(!handshakes.cut_one().await);
    }
}
