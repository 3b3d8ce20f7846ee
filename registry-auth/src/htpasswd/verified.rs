//! Verifies credentials, each once.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use registry_core::{
    Entropy,
    access::{AuthError, Secret},
};
use sha2::Sha256;
use tokio::sync::Semaphore;

/// How many credentials are remembered.
const KEPT: usize = 16_384;

/// How many verifications may wait for their turn.
const WAITING: usize = 1024;

/// How many of them for one user.
const WAITING_FOR_USER: usize = 64;

/// A credential, under a key that nobody has.
pub(super) type Key = [u8; 32];

type Verification = Shared<BoxFuture<'static, bool>>;

/// Whether a password has a hash.
type Says = fn(&str, &str) -> bool;

/// The credentials that were right, and those that are being verified.
pub(super) struct Verified {
    secret: [u8; 32],
    says: Says,
    right: Mutex<HashMap<Key, Right>>,
    under_way: Arc<Mutex<UnderWay>>,
    processors: Arc<Semaphore>,
}

/// A credential that was right.
struct Right {
    /// The hash that it was right for.
    hash: Arc<str>,
    until: SystemTime,
}

#[derive(Default)]
struct UnderWay {
    verifications: HashMap<Key, Verification>,
    /// One at a time for each user, and how many wait for that.
    users: HashMap<Arc<str>, (Arc<Semaphore>, usize)>,
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remembered = lock(&self.right).len();
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
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            secret,
            says,
            right: Mutex::default(),
            under_way: Arc::default(),
            processors: Arc::new(Semaphore::new(processors)),
        }
    }

    pub(super) fn key(&self, user: &str, password: &Secret) -> Key {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.secret).expect("a key may have any length");
        // The length keeps the two apart, wherever one ends.
        mac.update(&(user.len() as u64).to_be_bytes());
        mac.update(user.as_bytes());
        mac.update(password.expose().as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Whether the credential was found right for that hash, not too long ago.
    pub(super) fn remembers(&self, key: &Key, hash: &Arc<str>, now: SystemTime) -> bool {
        let right = lock(&self.right);
        let known = right.get(key);
        known.is_some_and(|known| known.hash == *hash && now < known.until)
    }

    pub(super) fn remember(&self, key: Key, hash: Arc<str>, until: SystemTime, now: SystemTime) {
        let mut right = lock(&self.right);
        if right.len() >= KEPT {
            right.retain(|_, known| now < known.until);
        }
        if right.len() >= KEPT {
            // Rather verify again than grow.
            right.clear();
        }
        right.insert(key, Right { hash, until });
    }

    /// Whether the password has the hash: found out on another thread, once for all who ask at the
    /// same time.
    pub(super) async fn verify(
        &self,
        key: Key,
        user: &Arc<str>,
        password: &Secret,
        hash: &Arc<str>,
    ) -> Result<bool, AuthError> {
        let verification = self.join(key, user, password, hash);
        match verification {
            Some(verification) => Ok(verification.await),
            None => Err(AuthError::Throttled {
                retry_after: std::time::Duration::from_secs(1),
            }),
        }
    }

    /// The verification that is under way, or a new one; `None` when too many are.
    fn join(
        &self,
        key: Key,
        user: &Arc<str>,
        password: &Secret,
        hash: &Arc<str>,
    ) -> Option<Verification> {
        // A hash that changed meanwhile is another question.
        let question = self.question(key, hash);
        let mut under_way = lock(&self.under_way);
        if let Some(verification) = under_way.verifications.get(&question) {
            return Some(verification.clone());
        }
        if under_way.verifications.len() >= WAITING {
            return None;
        }
        let one = || (Arc::new(Semaphore::new(1)), 0);
        let (turn, waiting) = under_way.users.entry(Arc::clone(user)).or_insert_with(one);
        if *waiting >= WAITING_FOR_USER {
            return None;
        }
        *waiting += 1;
        let (turn, processors) = (Arc::clone(turn), Arc::clone(&self.processors));
        let leave = Leave {
            under_way: Arc::clone(&self.under_way),
            question,
            user: Arc::clone(user),
        };
        let (says, password, hash) = (self.says, password.clone(), Arc::clone(hash));
        // A task of its own: it goes on when those who asked have left.
        let verification = tokio::spawn(async move {
            let _leave = leave;
            let _turn = turn.acquire_owned().await;
            let processor = processors.acquire_owned().await;
            let verify = move || {
                let _processor = processor;
                says(password.expose(), &hash)
            };
            // A verification that panicked says no.
            tokio::task::spawn_blocking(verify).await.unwrap_or(false)
        });
        let verification = async { verification.await.unwrap_or(false) };
        let verification = verification.boxed().shared();
        let joined = verification.clone();
        under_way.verifications.insert(question, verification);
        Some(joined)
    }

    fn question(&self, key: Key, hash: &str) -> Key {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.secret).expect("a key may have any length");
        mac.update(&key);
        mac.update(hash.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// Takes a verification off the list when it is over.
struct Leave {
    under_way: Arc<Mutex<UnderWay>>,
    question: Key,
    user: Arc<str>,
}

impl Drop for Leave {
    fn drop(&mut self) {
        let mut under_way = lock(&self.under_way);
        if let Some((_, waiting)) = under_way.users.get_mut(&self.user) {
            *waiting -= 1;
            if *waiting == 0 {
                under_way.users.remove(&self.user);
            }
        }
        under_way.verifications.remove(&self.question);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
