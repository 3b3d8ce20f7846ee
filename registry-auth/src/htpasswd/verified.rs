//! Verifies credentials, each once.

use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared, WeakShared},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use registry_core::{
    Clock, Entropy,
    access::{AuthError, Secret},
};
use sha2::Sha256;

use super::{
    REMEMBERED,
    entries::{dummy, spare},
    turns::{Busy, Turns, Who},
};
use crate::attempts::Attempts;

/// How many credentials are remembered that were right, and how many that were wrong.
const KEPT: usize = 16_384;

/// When whoever finds too many waiting may come again.
const LATER: Duration = Duration::from_secs(1);

/// A credential, or a question about one, under a key that nobody has.
type Key = [u8; 32];

/// Whether a password has a hash.
pub(super) type Says = fn(&str, &str) -> bool;

/// The credentials that were right and those that were not, and those that are being verified.
pub(super) struct Verified {
    shared: Arc<Known>,
    turns: Turns,
    under_way: Arc<Mutex<HashMap<Key, WeakShared<Verification>>>>,
}

type Verification = BoxFuture<'static, Verdict>;

/// What a verification found.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    Right,
    Wrong,
    /// It was not looked at.
    Wait(Duration),
}

/// A credential, by whom it was shown, and what the file says of the user.
pub(super) struct Shown<'a> {
    pub(super) user: &'a Arc<str>,
    pub(super) password: &'a Secret,
    /// What counts as one address.
    pub(super) who: Who,
    /// The user's hash, or one that no password has.
    pub(super) hash: Arc<str>,
    /// Whether there is such a user.
    pub(super) known: bool,
    /// The highest cost of the file: as much is spent on every wrong password.
    pub(super) dearest: u32,
}

/// What verifications find out.
struct Known {
    secret: [u8; 32],
    says: Says,
    /// Credentials that were right, wherever they came from.
    right: Mutex<HashMap<Key, Right>>,
    /// Questions whose answer was yes, until when that is remembered.
    right_here: Mutex<HashMap<Key, SystemTime>>,
    /// Questions whose answer was no, until when that is remembered.
    wrong: Mutex<HashMap<Key, SystemTime>>,
    attempts: Attempts,
}

/// A credential that was right.
struct Right {
    /// The hash that it was right for.
    hash: Arc<str>,
    until: SystemTime,
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remembered = lock(&self.shared.right).len();
        f.debug_struct("Verified")
            .field("remembered", &remembered)
            .finish_non_exhaustive()
    }
}

impl Verified {
    pub(super) fn new(entropy: &dyn Entropy, says: Says) -> Self {
        let mut secret = [0; 32];
        for half in secret.chunks_mut(16) {
            half.copy_from_slice(&entropy.random());
        }
        Self {
            shared: Arc::new(Known {
                secret,
                says,
                right: Mutex::default(),
                right_here: Mutex::default(),
                wrong: Mutex::default(),
                attempts: Attempts::default(),
            }),
            turns: Turns::of_this_machine(),
            under_way: Arc::default(),
        }
    }

    /// All turns, which keeps everybody waiting.
    #[cfg(test)]
    pub(super) fn every_turn(&self) -> Vec<super::turns::Turn> {
        let turn = || self.turns.take(None).now_or_never();
        std::iter::from_fn(|| turn().and_then(Result::ok)).collect()
    }

    /// Whether somebody waits.
    #[cfg(test)]
    pub(super) fn is_waiting(&self) -> bool {
        !lock(&self.under_way).is_empty()
    }

    /// Whether the password is the user's. It is looked at on another thread, once for all at one address
    /// who ask at the same time; one whose answer is known is not looked at.
    pub(super) async fn verify(
        &self,
        shown: Shown<'_>,
        clock: &Arc<dyn Clock>,
    ) -> Result<bool, AuthError> {
        let (known, now) = (&self.shared, clock.now());
        let key = known.key(shown.user, shown.password);
        // Only what that address showed before is answered without being counted: what others showed
        // would tell a guesser which guess is right.
        let question = known.question(&key, &shown);
        if known.was_right_here(&question, now) {
            return Ok(true);
        }
        if known.was_wrong(&question, now) {
            return Ok(false);
        }
        if let Some(retry_after) = known.attempts.wait(shown.who, shown.user, now) {
            return Err(AuthError::Throttled { retry_after });
        }
        match self.join(key, question, shown, clock).await {
            Verdict::Right => Ok(true),
            Verdict::Wrong => Ok(false),
            Verdict::Wait(retry_after) => Err(AuthError::Throttled { retry_after }),
        }
    }

    /// The verification that is under way, or a new one. It ends when all who asked have left, unless it
    /// is their turn already.
    fn join(
        &self,
        key: Key,
        question: Key,
        shown: Shown<'_>,
        clock: &Arc<dyn Clock>,
    ) -> Shared<Verification> {
        let mut under_way = lock(&self.under_way);
        if let Some(verification) = under_way.get(&question).and_then(WeakShared::upgrade) {
            return verification;
        }
        let leave = Leave {
            under_way: Arc::clone(&self.under_way),
            question,
        };
        let (known, turns, clock) = (
            Arc::clone(&self.shared),
            self.turns.clone(),
            Arc::clone(clock),
        );
        let asked = Asked {
            key,
            question,
            user: Arc::clone(shown.user),
            password: shown.password.clone(),
            who: shown.who,
            hash: shown.hash,
            known: shown.known,
            dearest: shown.dearest,
        };
        let verification = async move {
            let _leave = leave;
            let turn = match turns.take(asked.who).await {
                Ok(turn) => turn,
                Err(Busy) => return Verdict::Wait(LATER),
            };
            // Others may have found out more while this one waited.
            let now = clock.now();
            if known.was_wrong(&asked.question, now) {
                return Verdict::Wrong;
            }
            if let Some(wait) = known.attempts.wait(asked.who, &asked.user, now) {
                return Verdict::Wait(wait);
            }
            if asked.known && known.was_right(&asked.key, &asked.hash, now) {
                known.note_right(asked, now);
                return Verdict::Right;
            }
            let judge = move || {
                let verdict = known.judge(asked, &*clock);
                drop(turn);
                verdict
            };
            // A verification that panicked says no.
            let verdict = tokio::task::spawn_blocking(judge).await;
            verdict.unwrap_or(Verdict::Wrong)
        };
        let verification = verification.boxed().shared();
        if let Some(weak) = verification.downgrade() {
            under_way.insert(question, weak);
        }
        verification
    }
}

/// What a verification that may outlive those who asked needs.
struct Asked {
    key: Key,
    question: Key,
    user: Arc<str>,
    password: Secret,
    who: Who,
    hash: Arc<str>,
    known: bool,
    dearest: u32,
}

impl Known {
    /// Looks at the password, and notes what was found, whether or not somebody still waits for it.
    fn judge(&self, asked: Asked, clock: &dyn Clock) -> Verdict {
        let password = asked.password.expose();
        let spare = spare(&asked.hash, asked.dearest);
        let right = (self.says)(password, &asked.hash) && asked.known;
        if right {
            self.note_right(asked, clock.now());
            return Verdict::Right;
        }
        for cost in spare {
            (self.says)(password, &dummy(cost));
        }
        let now = clock.now();
        let mut wrong = lock(&self.wrong);
        make_room(&mut wrong, |until| now < *until);
        wrong.insert(asked.question, now + REMEMBERED);
        drop(wrong);
        self.attempts.failed(asked.who, &asked.user, now);
        Verdict::Wrong
    }

    /// Whether the credential was found right for that hash, not too long ago, wherever it came from.
    fn was_right(&self, key: &Key, hash: &Arc<str>, now: SystemTime) -> bool {
        let right = lock(&self.right);
        let known = right.get(key);
        known.is_some_and(|known| known.hash == *hash && now < known.until)
    }

    /// Whether it was asked from there before, the answer was yes, and it was asked again before long.
    fn was_right_here(&self, question: &Key, now: SystemTime) -> bool {
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
    fn was_wrong(&self, question: &Key, now: SystemTime) -> bool {
        let wrong = lock(&self.wrong);
        wrong.get(question).is_some_and(|until| now < *until)
    }

    fn note_right(&self, asked: Asked, now: SystemTime) {
        let until = now + REMEMBERED;
        let mut here = lock(&self.right_here);
        make_room(&mut here, |until| now < *until);
        here.insert(asked.question, until);
        drop(here);
        let mut right = lock(&self.right);
        make_room(&mut right, |known| now < known.until);
        let hash = asked.hash;
        right.insert(asked.key, Right { hash, until });
        drop(right);
        self.attempts.succeeded(asked.who, &asked.user);
    }

    fn key(&self, user: &str, password: &Secret) -> Key {
        let mut mac = self.mac();
        // The length keeps the two apart, wherever one ends.
        mac.update(&(user.len() as u64).to_be_bytes());
        mac.update(user.as_bytes());
        mac.update(password.expose().as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Whether this credential has that hash, asked from that address.
    fn question(&self, key: &Key, shown: &Shown<'_>) -> Key {
        let mut mac = self.mac();
        mac.update(key);
        mac.update(&[u8::from(shown.known)]);
        mac.update(shown.hash.as_bytes());
        match shown.who.map(|ip| ip.to_canonical()) {
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

/// Takes a verification off the list when it is over.
struct Leave {
    under_way: Arc<Mutex<HashMap<Key, WeakShared<Verification>>>>,
    question: Key,
}

impl Drop for Leave {
    fn drop(&mut self) {
        lock(&self.under_way).remove(&self.question);
    }
}

/// Forgets what is over, and rather all than to grow.
fn make_room<T>(kept: &mut HashMap<Key, T>, counts: impl Fn(&T) -> bool) {
    if kept.len() >= KEPT {
        kept.retain(|_, value| counts(value));
    }
    if kept.len() >= KEPT {
        kept.clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
