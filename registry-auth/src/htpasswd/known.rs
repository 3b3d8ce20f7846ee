//! What is known of credentials: those that were right, and those that were wrong.
//!
//! They are remembered under a keyed hash alone, as many as were shown last.

use std::{
    net::IpAddr,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use lru::LruCache;
use registry_core::{
    Clock,
    access::{ClientNetwork, Secret},
};
use sha2::Sha256;

use super::{REMEMBERED, hash::BcryptHash, turns::Who};
use crate::attempts::Attempts;

/// How many credentials are remembered that were right, and how many that were wrong: those that were
/// shown last.
const KEPT: NonZeroUsize = NonZeroUsize::new(16_384).expect("it is not 0");

/// A credential, or a question about one, under a key that nobody has.
pub(super) type Key = [u8; 32];

/// Whether a password has a hash.
pub(super) type Says = fn(&str, &str) -> bool;

/// A credential, by whom it was shown, and what the file says of the user.
pub(super) struct Shown<'a> {
    pub(super) user: &'a Arc<str>,
    pub(super) password: &'a Secret,
    /// What counts as one address.
    pub(super) who: Who,
    /// The user's hash, or one that no password has.
    pub(super) hash: BcryptHash,
    /// Whether there is such a user.
    pub(super) known: bool,
    /// The highest cost of the file: as much is spent on every wrong password.
    pub(super) dearest: u32,
}

/// What verifications find out.
pub(super) struct Known {
    secret: [u8; 32],
    says: Says,
    /// Credentials that were right, wherever they came from.
    right: Mutex<LruCache<Key, Right>>,
    /// Questions whose answer was yes, until when that is remembered.
    right_here: Mutex<LruCache<Key, SystemTime>>,
    /// Questions whose answer was no, until when that is remembered.
    wrong: Mutex<LruCache<Key, SystemTime>>,
    pub(super) attempts: Attempts,
}

/// A credential that was right.
struct Right {
    /// The hash that it was right for.
    hash: BcryptHash,
    until: SystemTime,
}

/// What a verification that may outlive those who asked needs.
pub(super) struct Asked {
    pub(super) key: Key,
    pub(super) question: Key,
    pub(super) user: Arc<str>,
    pub(super) password: Secret,
    pub(super) who: Who,
    pub(super) hash: BcryptHash,
    pub(super) known: bool,
    pub(super) dearest: u32,
}

/// What a verification found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    Right,
    Wrong,
    /// It was not looked at.
    Wait(Duration),
}

impl Known {
    /// Nothing yet, under a key that nobody has.
    pub(super) fn new(secret: [u8; 32], says: Says) -> Self {
        Self {
            secret,
            says,
            right: Mutex::new(LruCache::new(KEPT)),
            right_here: Mutex::new(LruCache::new(KEPT)),
            wrong: Mutex::new(LruCache::new(KEPT)),
            attempts: Attempts::default(),
        }
    }

    /// How many right credentials are remembered.
    pub(super) fn remembered(&self) -> usize {
        lock(&self.right).len()
    }

    /// Looks at the password, and notes what was found, whether or not somebody still waits for it.
    pub(super) fn judge(&self, asked: Asked, clock: &dyn Clock) -> Verdict {
        let password = asked.password.expose();
        // Each cost is twice the one before, so those from its own on make up for what is missing.
        let spare = asked.hash.cost()..asked.dearest;
        let right = (self.says)(password, asked.hash.expose()) && asked.known;
        if right {
            self.note_right(asked, clock.now());
            return Verdict::Right;
        }
        for cost in spare {
            (self.says)(password, BcryptHash::of_nobody(cost).expose());
        }
        let now = clock.now();
        lock(&self.wrong).put(asked.question, now + REMEMBERED);
        self.attempts.failed(asked.who, &asked.user, now);
        Verdict::Wrong
    }

    /// Whether the credential was found right for that hash, not too long ago, wherever it came from.
    pub(super) fn was_right(&self, key: &Key, hash: &BcryptHash, now: SystemTime) -> bool {
        let mut right = lock(&self.right);
        let known = right.get(key);
        known.is_some_and(|known| known.hash == *hash && now < known.until)
    }

    /// Whether it was asked from there before, the answer was yes, and it was asked again before long.
    pub(super) fn was_right_here(&self, question: &Key, now: SystemTime) -> bool {
        let mut right = lock(&self.right_here);
        match right.get_mut(question).filter(|until| now < **until) {
            None => false,
            Some(until) => {
                *until = now + REMEMBERED;
                true
            }
        }
    }

    /// Whether it was asked from there before, and the answer was no: that is no guess.
    pub(super) fn was_wrong(&self, question: &Key, now: SystemTime) -> bool {
        let mut wrong = lock(&self.wrong);
        wrong.get(question).is_some_and(|until| now < *until)
    }

    pub(super) fn note_right(&self, asked: Asked, now: SystemTime) {
        let until = now + REMEMBERED;
        lock(&self.right_here).put(asked.question, until);
        let hash = asked.hash;
        lock(&self.right).put(asked.key, Right { hash, until });
        self.attempts.succeeded(asked.who, &asked.user);
    }

    pub(super) fn key(&self, user: &str, password: &Secret) -> Key {
        let mut mac = self.mac();
        // The length keeps the two apart, wherever one ends.
        mac.update(&(user.len() as u64).to_be_bytes());
        mac.update(user.as_bytes());
        mac.update(password.expose().as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Whether this credential has that hash, asked from that address.
    pub(super) fn question(&self, key: &Key, shown: &Shown<'_>) -> Key {
        let mut mac = self.mac();
        mac.update(key);
        mac.update(&[u8::from(shown.known)]);
        mac.update(shown.hash.expose().as_bytes());
        match shown.who.map(ClientNetwork::address) {
            None => {}
            Some(IpAddr::V4(ip)) => mac.update(&ip.octets()),
            Some(IpAddr::V6(ip)) => mac.update(&ip.octets()),
        }
        mac.finalize().into_bytes().into()
    }

    fn mac(&self) -> Hmac<Sha256> {
        Hmac::new_from_slice(&self.secret).expect("a key may have any length")
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use registry_core::SystemClock;

    use super::*;

    #[test]
    fn what_was_shown_last_is_remembered() {
        let (known, now) = (Known::new([7; 32], |_, _| false), SystemClock.now());
        let credential = |number: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_be_bytes());
            key
        };
        let note = |number| {
            let (key, question) = (credential(number), credential(number));
            let asked = Asked {
                key,
                question,
                user: "ada".into(),
                password: Secret::new("p"),
                who: None,
                hash: BcryptHash::of_nobody(4),
                known: true,
                dearest: 4,
            };
            known.note_right(asked, now);
        };
        for number in 0..KEPT.get() {
            note(number);
        }
        assert!(known.was_right_here(&credential(0), now));
        note(KEPT.get());
        let found = [0, 1, 2, KEPT.get()].map(|n| known.was_right_here(&credential(n), now));
        assert_eq!(found, [true, false, true, true]);
    }
}
