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
//! While it cannot be read nobody is let in (503), and the log says why.
//!
//! # Cost
//!
//! A bcrypt hash takes a twentieth of a second to verify at cost 10, on purpose. A credential is verified
//! once: that it was right is remembered for [`REMEMBERED`], under a keyed hash of it, for as long as
//! the user's entry stays what it was. Verification runs on a thread of its own, as many at a time as
//! there are processors, one at a time for each user; requests that show the same credential wait for
//! one verification. An unknown user costs as much as a wrong password.
//!
//! Whoever guesses is slowed down: see [`AuthError::Throttled`]. A credential that is remembered is never
//! held up.
//!
//! # Passwords
//!
//! bcrypt looks at the first 72 bytes of a password. Longer ones are cut there, as Apache does. A password
//! with a NUL byte is wrong.

mod edit;
mod entries;
mod file;
mod verified;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use registry_core::{
    Clock, Entropy, SystemClock, SystemEntropy,
    access::{Access, AuthError, AuthRequest, Authenticator, Challenge, Credentials, Principal},
};

pub use self::edit::{DEFAULT_COST, EditError, HtpasswdFile, hash};
use self::{file::Watched, verified::Verified};
use crate::attempts::Attempts;

/// How long a credential that was right is remembered.
pub const REMEMBERED: Duration = Duration::from_secs(15 * 60);

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
#[derive(Debug)]
pub struct Htpasswd {
    realm: String,
    file: Watched,
    verified: Verified,
    attempts: Attempts,
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
            attempts: Attempts::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Takes the time from `clock`.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// How many users of the file can come in. Reads it, where that is not done.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    pub fn users(&self) -> Result<usize, Arc<std::io::Error>> {
        Ok(self.file.entries(self.clock.now())?.len())
    }
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
        let now = self.clock.now();
        let entries = self.file.entries(now);
        let entries = entries.map_err(|error| AuthError::Unavailable(error.into()))?;
        let known = entries.hash(user);
        let key = self.verified.key(user, password);
        if known.is_some_and(|hash| self.verified.remembers(&key, hash, now)) {
            return Ok(Principal::named(Arc::clone(user)));
        }
        let client = request.client.or(request.peer.map(|peer| peer.ip()));
        if let Some(retry_after) = self.attempts.wait(client, user, now) {
            return Err(AuthError::Throttled { retry_after });
        }
        let hash = known.map_or_else(|| entries.nobody(), Arc::clone);
        let right = self.verified.verify(key, user, password, &hash).await?;
        let now = self.clock.now();
        if right && known.is_some() {
            self.verified.remember(key, hash, now + REMEMBERED, now);
            self.attempts.succeeded(client, user);
            Ok(Principal::named(Arc::clone(user)))
        } else {
            self.attempts.failed(client, user, now);
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
