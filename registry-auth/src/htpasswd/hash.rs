//! Hashes of passwords: which are verified, and what they cost.

use std::{fmt, ops::RangeInclusive, sync::Arc};

use bcrypt::{BcryptError, HashParts, Version};

/// What a hash costs where nothing else is said: two to this power rounds.
pub const DEFAULT_COST: u32 = 10;

/// The costs of hashes that are made and verified, as in Apache's `htpasswd`. The highest takes several
/// seconds already.
pub(super) const COSTS: RangeInclusive<u32> = 4..=17;

/// A bcrypt hash that can be verified. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct BcryptHash {
    text: Arc<str>,
    cost: u32,
}

/// Why a hash lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoHash {
    Damaged,
    Dear,
    Md5,
    Sha1,
    Sha2,
    Unknown,
}

impl BcryptHash {
    /// What stands in a file.
    pub(super) fn parse(text: &str) -> Result<Self, NoHash> {
        let cost = cost(text).ok_or_else(|| scheme(text))?;
        if !COSTS.contains(&cost) {
            return Err(if cost > *COSTS.end() {
                NoHash::Dear
            } else {
                NoHash::Damaged
            });
        }
        Ok(Self {
            text: text.into(),
            cost,
        })
    }

    /// The hash of a password, with a new salt.
    pub(super) fn of(password: &str, cost: u32) -> Result<Self, BcryptError> {
        let hash = bcrypt::hash_with_result(password, cost)?;
        let text = hash.format_for_version(Version::TwoY).into();
        Ok(Self { text, cost })
    }

    /// A hash of that cost which no password has.
    pub(super) fn of_nobody(cost: u32) -> Self {
        Self {
            text: format!("$2y${cost:02}${}", ".".repeat(53)).into(),
            cost,
        }
    }

    /// Two to this power rounds.
    pub(super) fn cost(&self) -> u32 {
        self.cost
    }

    /// The hash itself: verify by it, never print it.
    pub(super) fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for BcryptHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BcryptHash(…)")
    }
}

impl fmt::Display for NoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Damaged => "it is a bcrypt hash that is damaged",
            Self::Dear => {
                return write!(f, "its cost is above {}, which takes too long", COSTS.end());
            }
            Self::Md5 => "it is an MD5 hash",
            Self::Sha1 => "it is a SHA-1 hash without salt",
            Self::Sha2 => "it is a SHA-2 hash",
            Self::Unknown => "it is no bcrypt hash",
        })
    }
}

/// The cost of a bcrypt hash; `None` when it is none.
fn cost(hash: &str) -> Option<u32> {
    let kinds = ["$2a$", "$2b$", "$2y$"];
    let digits = |cost: &str| cost.bytes().all(|b| b.is_ascii_digit());
    let known =
        kinds.iter().any(|kind| hash.starts_with(kind)) && hash.get(4..6).is_some_and(digits);
    // What cannot be decoded would be refused sooner than other wrong passwords.
    let parts: HashParts = hash.parse().ok().filter(|_| known)?;
    Some(parts.get_cost()).filter(|cost| (4..=31).contains(cost))
}

/// What else a hash is.
fn scheme(hash: &str) -> NoHash {
    if hash.starts_with("$2") {
        NoHash::Damaged
    } else if hash.starts_with("$apr1$") || hash.starts_with("$1$") {
        NoHash::Md5
    } else if hash.starts_with("{SHA}") {
        NoHash::Sha1
    } else if hash.starts_with("$5$") || hash.starts_with("$6$") {
        NoHash::Sha2
    } else {
        NoHash::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes() {
        let good = BcryptHash::of_nobody(10);
        assert_eq!(BcryptHash::parse(good.expose()), Ok(good.clone()));
        assert_eq!(good.cost(), 10);
        assert!(!bcrypt::verify("", BcryptHash::of_nobody(4).expose()).unwrap());
        let text = good.expose();
        for (hash, expected) in [
            (text.replace("$2y$", "$2x$"), NoHash::Damaged),
            (text.replace("$10$", "$+9$"), NoHash::Damaged),
            (text.replace("$10$", "$03$"), NoHash::Damaged),
            (text.replace("$10$", "$32$"), NoHash::Damaged),
            (text.replace("$10$", "$18$"), NoHash::Dear),
            (text[..59].to_owned(), NoHash::Damaged),
            // The right length, and no bytes in it.
            (text.replace('.', "a"), NoHash::Damaged),
            ("$apr1$Y2wHM8DD$yW".to_owned(), NoHash::Md5),
            ("{SHA}MXmmXv8lI7veU8mbKZtxnBCjUjU=".to_owned(), NoHash::Sha1),
            ("$5$PerDgXkE48b".to_owned(), NoHash::Sha2),
            (" ".to_owned() + text, NoHash::Unknown),
            (String::new(), NoHash::Unknown),
        ] {
            assert_eq!(BcryptHash::parse(&hash), Err(expected), "{hash}");
        }
        for cost in COSTS {
            assert!(BcryptHash::parse(BcryptHash::of_nobody(cost).expose()).is_ok());
        }
        assert!(!format!("{good:?}").contains("$2"));
    }
}
