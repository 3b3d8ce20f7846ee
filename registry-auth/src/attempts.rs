//! Slows down whoever guesses.
//!
//! Failures are counted for each address, and for each account at each address. After a few the next
//! attempt must wait, twice as long each time, to a bound. Nobody can lock somebody else out: what
//! one address does to an account counts against that address alone. (That guesses from many
//! addresses stay slow is the business of whoever verifies: few at a time.)
//!
//! What is remembered is bounded. When it is full, the count whose last failure is oldest is forgotten.

use std::{
    hash::{BuildHasher as _, RandomState},
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use lru::LruCache;
use registry_core::access::ClientNetwork;

/// How many failures of one account at one address go without a wait.
const FREE_FOR_ACCOUNT: u32 = 5;

/// How many failures of one address go without a wait.
const FREE_FOR_ADDRESS: u32 = 20;

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(60);

/// How long a failure is remembered after the last one.
const MEMORY: Duration = Duration::from_secs(15 * 60);

/// How many counts are kept.
const KEPT: NonZeroUsize = NonZeroUsize::new(16_384).expect("it is not 0");

/// The counts of failures.
#[derive(Debug)]
pub(crate) struct Attempts {
    counts: Mutex<LruCache<u64, Count>>,
    /// Keyed, so that nobody can make counts collide on purpose.
    hasher: RandomState,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    failures: u32,
    last: SystemTime,
}

impl Count {
    /// How long from `now` the next attempt must wait.
    fn wait(&self, free: u32, now: SystemTime) -> Option<Duration> {
        let beyond = self.failures.checked_sub(free)?;
        let wait = Duration::from_secs(1)
            .saturating_mul(1 << beyond.min(16))
            .min(LONGEST);
        let over = self.last + wait;
        let left = over.duration_since(now).ok()?;
        (!left.is_zero()).then_some(left)
    }

    fn is_forgotten(&self, now: SystemTime) -> bool {
        now.duration_since(self.last).is_ok_and(|age| age > MEMORY)
    }
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            counts: Mutex::new(LruCache::new(KEPT)),
            hasher: RandomState::new(),
        }
    }
}

impl Attempts {
    /// How long an attempt must wait; `None` is not at all.
    pub(crate) fn wait(
        &self,
        client: Option<ClientNetwork>,
        account: &str,
        now: SystemTime,
    ) -> Option<Duration> {
        let counts = self.counts();
        let wait = |key: u64, free| {
            let count = counts.peek(&key).filter(|count| !count.is_forgotten(now))?;
            count.wait(free, now)
        };
        let [address, pair] = self.keys(client, account);
        wait(address, FREE_FOR_ADDRESS).max(wait(pair, FREE_FOR_ACCOUNT))
    }

    /// Notes that an attempt failed.
    pub(crate) fn failed(&self, client: Option<ClientNetwork>, account: &str, now: SystemTime) {
        let mut counts = self.counts();
        for key in self.keys(client, account) {
            let count = counts.get_or_insert_mut(key, || Count {
                failures: 0,
                last: now,
            });
            if count.is_forgotten(now) {
                count.failures = 0;
            }
            count.failures = count.failures.saturating_add(1);
            count.last = now;
        }
    }

    /// Notes that an attempt succeeded: the account is its owner's at this address.
    pub(crate) fn succeeded(&self, client: Option<ClientNetwork>, account: &str) {
        let [_, pair] = self.keys(client, account);
        self.counts().pop(&pair);
    }

    fn keys(&self, client: Option<ClientNetwork>, account: &str) -> [u64; 2] {
        let address = self.hasher.hash_one((client, None::<&str>));
        [address, self.hasher.hash_one((client, Some(account)))]
    }

    fn counts(&self) -> MutexGuard<'_, LruCache<u64, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn client(text: &str) -> Option<ClientNetwork> {
        Some(ClientNetwork::of(text.parse().expect("an address")))
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn waits_grow_and_end() {
        let attempts = Attempts::default();
        let here = client("192.0.2.1");
        for failures in 1..=12 {
            attempts.failed(here, "ada", START);
            let expected = match failures {
                1..5 => None,
                5..=10 => Some(seconds(1 << (failures - 5))),
                _ => Some(LONGEST),
            };
            let found = attempts.wait(here, "ada", START);
            assert_eq!(found, expected, "{failures}");
        }
        assert_eq!(attempts.wait(here, "ada", START + LONGEST), None);
        let later = START + MEMORY + seconds(1);
        attempts.failed(here, "ada", later);
        assert_eq!(attempts.wait(here, "ada", later), None);
    }

    #[test]
    fn only_the_guesser_waits() {
        let attempts = Attempts::default();
        for _ in 0..10 {
            attempts.failed(client("192.0.2.1"), "ada", START);
        }
        let waits = |address, account| attempts.wait(client(address), account, START).is_some();
        assert!(waits("192.0.2.1", "ada"));
        assert!(waits("::ffff:192.0.2.1", "ada"));
        assert!(!waits("192.0.2.2", "ada"));
        assert!(!waits("192.0.2.1", "bob"));
        attempts.succeeded(client("192.0.2.1"), "ada");
        assert!(!waits("192.0.2.1", "ada"));
    }

    #[test]
    fn an_address_that_tries_many_accounts_waits_for_all() {
        let attempts = Attempts::default();
        for number in 0..20 {
            let address = client(&format!("2001:db8::{number:x}"));
            attempts.failed(address, &format!("user{number}"), START);
        }
        assert!(
            attempts
                .wait(client("2001:db8::ffff"), "ada", START)
                .is_some()
        );
        assert!(
            attempts
                .wait(client("2001:db8:0:1::1"), "ada", START)
                .is_none()
        );
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_is_forgotten() {
        let attempts = Attempts::default();
        let guess = |client| (0..5).for_each(|_| attempts.failed(client, "ada", START));
        let waits = |client| attempts.wait(client, "ada", START).is_some();
        let (first, second) = (client("192.0.2.1"), client("192.0.2.2"));
        guess(first);
        guess(second);
        // An address has two counts: its own, and that of the account.
        for number in 0..KEPT.get() / 2 - 2 {
            let address = std::net::Ipv4Addr::from(number as u32);
            let network = ClientNetwork::of(address.into());
            attempts.failed(Some(network), "ada", START);
        }
        assert!(waits(first) && waits(second));
        // All of one moment, and still in order.
        attempts.failed(first, "ada", START);
        attempts.failed(client("192.0.2.3"), "ada", START);
        assert!(waits(first) && !waits(second));
        assert_eq!(attempts.counts().len(), KEPT.get());
    }
}
