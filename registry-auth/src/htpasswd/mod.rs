//! Users and passwords in a file that Apache's `htpasswd` writes.
//!
//! [`Htpasswd`] lets in whoever shows a user and a password whose bcrypt hash stands in the file. There are
//! no anonymous clients. Entries of other kinds (MD5, SHA-1, crypt) let nobody in; each is named in the
//! log, with what to do, when the file is read.
//!
//! # Changes of the file
//!
//! The file is looked at with every request, by its size, times and identity, and read again when it is
//! another: a user that was removed, or a password that was changed, is refused from the next request on.
//! One that is being written is waited for until it stays the same for [`SETTLING`], and for a quarter of
//! a second where a user is missing that was there before; at most a second.
//! While it cannot be read nobody is let in (503), and the log says why.
//!
//! That look is one call of the operating system (`stat`) on the thread that serves the request, a few
//! microseconds where the file is local. On a volume of the network that hangs, it hangs, and with it the
//! thread and the requests that wait for it; keep the file on a local one. It is not looked at only every
//! so often, since what was removed must be refused at once.
//!
//! # Cost
//!
//! A bcrypt hash takes a twentieth of a second to verify at cost 10, on purpose. A credential is verified
//! once: that it was right is remembered for [`REMEMBERED`] after it was shown last, under a keyed hash of
//! it, for as long as the user's entry stays what it was; that it was wrong, as well. As many as were shown
//! last are remembered. Verification, like the reading of the file, runs on the threads that Tokio keeps for
//! what blocks, as many at a time as there are processors but one; requests of one address that show the same
//! credential wait for one verification. Addresses take turns, so that one that asks for much holds up itself.
//! A client that leaves gives up its place.
//!
//! A wrong password and an unknown user cost as much as the dearest hash of the file. Hashes of a cost above
//! 17 let nobody in.
//!
//! The hashes of the file are kept in memory. Neither they nor passwords are ever shown: not in the log, not
//! in an error, not by `Debug`.
//!
//! Whoever guesses is slowed down: see [`AuthError::Throttled`]. A credential that the same address showed
//! before, and whose answer is remembered, is never held up and counts for nothing: a program with an old
//! password does not lock out its neighbours. What other addresses showed is used only for an attempt
//! that has its turn, and is counted: sooner it would tell a guesser which guess is right.
//!
//! # Passwords
//!
//! bcrypt looks at the first 72 bytes of a password. Longer ones are cut there, as Apache does. A password
//! with a NUL byte is wrong.

mod edit;
mod entries;
mod file;
mod hash;
mod known;
mod line;
mod look;
mod turns;
mod verified;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use registry_core::{
    Clock, Entropy, SystemClock, SystemEntropy,
    access::{
        Access, AuthError, AuthRequest, Authenticator, Challenge, ClientNetwork, Credentials,
        Principal,
    },
};

pub use self::{
    edit::{EditError, Entry, HtpasswdFile},
    entries::Skipped,
    hash::DEFAULT_COST,
};
use self::{file::Watched, known::Shown, verified::Verified};

/// How long a credential is remembered: one that was right, after it was shown last; one that was wrong,
/// after it was looked at.
pub const REMEMBERED: Duration = Duration::from_secs(15 * 60);

/// How long a file that was just changed must stay the same until it is taken for whole.
pub const SETTLING: Duration = Duration::from_millis(20);

/// An [`Authenticator`] over an htpasswd file.
///
/// ```no_run
/// use registry_auth::htpasswd::Htpasswd;
/// use registry_core::{Registry, server::RegistryService};
///
/// fn api(registry: impl Registry) -> RegistryService {
///     let users = Htpasswd::new("/auth/htpasswd", "Registry Realm");
///     RegistryService::new(registry).authenticator(users)
/// }
/// ```
///
/// # Panics
///
/// [`authenticate`](Authenticator::authenticate) panics outside of a Tokio runtime, whose threads for what
/// blocks it needs.
#[derive(Debug)]
pub struct Htpasswd {
    realm: String,
    file: Watched,
    verified: Verified,
    clock: Arc<dyn Clock>,
}

impl Htpasswd {
    /// The users of the file at `path`, who are shown `realm` when they are asked for their password. It
    /// is read with the first request.
    pub fn new(path: impl Into<PathBuf>, realm: impl Into<String>) -> Self {
        Self {
            realm: realm.into(),
            file: Watched::new(path.into()),
            verified: Verified::new(&SystemEntropy as &dyn Entropy, bcrypt_says),
            clock: Arc::new(SystemClock),
        }
    }

    /// Where the time comes from. Default: the system's clock.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Who can come in by the file, and who cannot although it names them. Reads it, where that is not
    /// done, on this thread: where the file was just changed that takes up to a second.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    pub fn users(&self) -> Result<Users, Arc<std::io::Error>> {
        let entries = self.file.read(self.clock.now())?;
        Ok(Users {
            count: entries.len(),
            skipped: entries.skipped().to_vec(),
        })
    }
}

/// What a file says of users.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Users {
    /// How many can come in.
    pub count: usize,
    /// The lines that let nobody in.
    pub skipped: Vec<Skipped>,
}

#[async_trait]
impl Authenticator for Htpasswd {
    async fn authenticate(&self, request: &AuthRequest<'_>) -> Result<Principal, AuthError> {
        let (user, password) = match &request.credentials {
            Credentials::Basic { username, password } => (username, password),
            Credentials::None => return Err(AuthError::Rejected("a login is needed")),
            _ => return Err(AuthError::Rejected("a user and a password are needed")),
        };
        if user.is_empty() || password.expose().is_empty() || password.expose().contains('\0') {
            return Err(WRONG);
        }
        let entries = self.file.entries(self.clock.now()).await;
        let entries = entries.map_err(|error| AuthError::Unavailable(error.into()))?;
        let known = entries.hash(user);
        let hash = known.map_or_else(|| entries.nobody(), Clone::clone);
        let client = request.client.or(request.peer.map(|peer| peer.ip()));
        let shown = Shown {
            user,
            password,
            who: client.map(ClientNetwork::of),
            dearest: entries.dearest(),
            hash,
            known: known.is_some(),
        };
        if self.verified.verify(shown, &self.clock).await? {
            Ok(Principal::named(Arc::clone(user)))
        } else {
            Err(WRONG)
        }
    }

    fn challenge(&self, _: &[Access]) -> Challenge {
        Challenge::basic(&self.realm)
    }
}

/// The same for a user that is not known and for a password that is wrong.
const WRONG: AuthError = AuthError::Rejected("the user or the password is wrong");

fn bcrypt_says(password: &str, hash: &str) -> bool {
    bcrypt::verify(password, hash).unwrap_or(false)
}

#[cfg(test)]
mod tests;
