//! Verifies credentials, each once.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared, WeakShared},
};
use registry_core::{Clock, Entropy, access::AuthError};

use super::{
    known::{Asked, Key, Known, Says, Shown, Verdict, lock},
    turns::{Busy, Turns},
};

/// When whoever finds too many waiting may come again.
const LATER: Duration = Duration::from_secs(1);

/// The credentials that were right and those that were not, and those that are being verified.
pub(super) struct Verified {
    shared: Arc<Known>,
    turns: Turns,
    under_way: Arc<Mutex<UnderWay>>,
}

type Verification = BoxFuture<'static, Verdict>;

/// The verifications under way, by their questions, each with its number.
#[derive(Default)]
struct UnderWay {
    verifications: HashMap<Key, (u64, WeakShared<Verification>)>,
    begun: u64,
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remembered = self.shared.remembered();
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
            shared: Arc::new(Known::new(secret, says)),
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
        !lock(&self.under_way).verifications.is_empty()
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
        let verification = self.join(&mut lock(&self.under_way), key, question, shown, clock);
        match verification.await {
            Verdict::Right => Ok(true),
            Verdict::Wrong => Ok(false),
            Verdict::Wait(retry_after) => Err(AuthError::Throttled { retry_after }),
        }
    }

    /// The verification that is under way, or a new one. It ends when all who asked have left, unless it
    /// is their turn already.
    fn join(
        &self,
        under_way: &mut UnderWay,
        key: Key,
        question: Key,
        shown: Shown<'_>,
        clock: &Arc<dyn Clock>,
    ) -> Shared<Verification> {
        let there = under_way.verifications.get(&question);
        if let Some(verification) = there.and_then(|(_, verification)| verification.upgrade()) {
            return verification;
        }
        under_way.begun += 1;
        let number = under_way.begun;
        let leave = Leave {
            under_way: Arc::clone(&self.under_way),
            question,
            number,
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
            under_way.verifications.insert(question, (number, weak));
        }
        verification
    }
}

/// Takes a verification off the list when it is over: that one, and not the next with its question, which
/// may have begun when nobody waited for it any more.
struct Leave {
    under_way: Arc<Mutex<UnderWay>>,
    question: Key,
    number: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        let mut under_way = lock(&self.under_way);
        let there = under_way.verifications.get(&self.question);
        if there.is_some_and(|(number, _)| *number == self.number) {
            under_way.verifications.remove(&self.question);
        }
    }
}

#[cfg(test)]
mod tests {
    use registry_core::{SystemClock, SystemEntropy, access::Secret};

    use super::*;
    use crate::htpasswd::hash::BcryptHash;

    fn shown<'a>(user: &'a Arc<str>, password: &'a Secret) -> Shown<'a> {
        Shown {
            user,
            password,
            who: None,
            hash: BcryptHash::of_nobody(4),
            known: true,
            dearest: 4,
        }
    }

    #[test]
    fn one_that_was_left_does_not_take_the_next_off_the_list() {
        let verified = Verified::new(&SystemEntropy, |_, _| false);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (user, password, question) = (Arc::from("ada"), Secret::new("p"), [0; 32]);
        let begin = |under_way: &mut UnderWay| {
            verified.join(
                under_way,
                [1; 32],
                question,
                shown(&user, &password),
                &clock,
            )
        };
        let left = begin(&mut lock(&verified.under_way));
        drop(left);
        // Whoever waited last is gone before it can take it off the list, since another holds that.
        let late = Leave {
            under_way: Arc::clone(&verified.under_way),
            question,
            number: 1,
        };
        let next = begin(&mut lock(&verified.under_way));
        drop(late);
        let joined = begin(&mut lock(&verified.under_way));
        assert!(next.ptr_eq(&joined), "the same question is asked twice");
        drop((next, joined));
        assert!(!verified.is_waiting());
    }
}
