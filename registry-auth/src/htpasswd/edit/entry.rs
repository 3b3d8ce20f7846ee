//! What is written into an htpasswd file for a user.

use std::{fmt, io, path::PathBuf};

use registry_core::access::Secret;

use crate::htpasswd::{
    hash::{BcryptHash, COSTS},
    line::can_be_written,
};

/// The most bytes of a user's name, as in Apache's `htpasswd`.
const LONGEST_NAME: usize = 255;

/// A user with the bcrypt hash of the password: what stands in an htpasswd file. `Debug` does not show the
/// hash.
///
/// Whatever the name, it is one line that is read as that user's and nobody else's.
///
/// ```
/// use registry_auth::htpasswd::{DEFAULT_COST, Entry};
/// use registry_core::access::Secret;
///
/// let entry = Entry::hash("ada", &Secret::new("correct horse"), DEFAULT_COST)?;
/// assert!(entry.line().starts_with("ada:$2y$10$"));
/// assert!(Entry::hash("ada:x\nroot", &Secret::new("p"), DEFAULT_COST).is_err());
/// # Ok::<(), registry_auth::htpasswd::EditError>(())
/// ```
#[derive(Clone)]
pub struct Entry {
    user: String,
    hash: BcryptHash,
}

impl Entry {
    /// Hashes a password, which takes as long as the cost says: two to its power rounds.
    ///
    /// # Errors
    ///
    /// [`EditError`] says what is wrong with the name, the password or the cost.
    pub fn hash(user: &str, password: &Secret, cost: u32) -> Result<Self, EditError> {
        if user.len() > LONGEST_NAME || !can_be_written(user) {
            return Err(EditError::User);
        }
        if !COSTS.contains(&cost) {
            return Err(EditError::Cost(cost));
        }
        let password = password.expose();
        if password.is_empty() || password.contains('\0') {
            return Err(EditError::Password);
        }
        let hash = BcryptHash::of(password, cost).map_err(|_| EditError::Salt)?;
        Ok(Self {
            user: user.to_owned(),
            hash,
        })
    }

    /// With a hash that no password has, which is made sooner.
    #[cfg(test)]
    pub(super) fn of_nobody(user: &str) -> Self {
        Self {
            user: user.to_owned(),
            hash: BcryptHash::of_nobody(5),
        }
    }

    /// The user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The line of a file, without what ends it: it holds the hash.
    pub fn line(&self) -> String {
        format!("{}:{}", self.user, self.hash.expose())
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Why a user cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The cost is out of bounds.
    #[error("a cost is a number from {lowest} to {highest}; {0} is not", lowest = COSTS.start(), highest = COSTS.end())]
    Cost(u32),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// The operating system gives no randomness for a salt.
    #[error("no salt can be made")]
    Salt,
    /// The password is empty, or has a byte that bcrypt does not take.
    #[error("a password is not empty and has no NUL byte")]
    Password,
    /// The user's name is empty, too long, or would be read as something else.
    #[error(
        "the name of a user has 1 to {LONGEST_NAME} bytes, no colon and no control characters, and \
         begins with neither `#` nor a space"
    )]
    User,
}
