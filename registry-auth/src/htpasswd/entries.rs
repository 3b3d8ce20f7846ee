//! The text of an htpasswd file.

use std::{collections::HashMap, ops::Range, sync::Arc};

use bcrypt::HashParts;

/// The users of a file with their bcrypt hashes, and what else stands there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entries {
    users: HashMap<Box<str>, Arc<str>>,
    /// The highest cost of a hash.
    cost: u32,
    pub(super) skipped: Vec<Skipped>,
}

/// A line that lets nobody in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Skipped {
    /// From 1 on.
    pub(super) line: usize,
    pub(super) user: Option<String>,
    pub(super) why: &'static str,
}

/// What a hash costs where the file has none.
const DEFAULT_COST: u32 = 10;

/// The highest cost that is waited for: Apache's `htpasswd` writes none that is higher. It takes
/// several seconds already.
const MOST: u32 = 17;

impl Entries {
    /// Reads a file. Of several lines for one user the last counts, as in Distribution.
    pub(super) fn parse(text: &str) -> Self {
        let mut entries = Self::default();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut skip = |user: Option<&str>, why| {
                entries.skipped.push(Skipped {
                    line: number + 1,
                    user: user.map(str::to_owned),
                    why,
                });
            };
            match line.split_once(':') {
                None => skip(None, "it has no colon"),
                Some(("", _)) => skip(None, "it has no user"),
                Some((user, hash)) => {
                    let why = match cost(hash) {
                        None => scheme(hash),
                        Some(cost) if cost > MOST => "its cost is above 17, which takes too long",
                        Some(_) if user.contains(char::REPLACEMENT_CHARACTER) => {
                            "the name is not UTF-8"
                        }
                        Some(_) => {
                            entries.users.insert(user.into(), hash.into());
                            continue;
                        }
                    };
                    // An older line of this user must not go on to count.
                    entries.users.remove(user);
                    skip(Some(user), why);
                }
            }
        }
        let costs = entries.users.values().filter_map(|hash| cost(hash));
        entries.cost = costs.max().unwrap_or(DEFAULT_COST);
        entries
    }

    /// The hash of a user.
    pub(super) fn hash(&self, user: &str) -> Option<&Arc<str>> {
        self.users.get(user)
    }

    /// A hash that no password has, and that costs as much to find that out as the dearest.
    pub(super) fn nobody(&self) -> Arc<str> {
        dummy(self.cost).into()
    }

    /// The highest cost of a hash.
    pub(super) fn dearest(&self) -> u32 {
        self.cost
    }

    /// Whether one of `others`' users is not among these.
    pub(super) fn lacks_one_of(&self, others: &Self) -> bool {
        others
            .users
            .keys()
            .any(|user| !self.users.contains_key(user))
    }

    /// How many users can come in.
    pub(super) fn len(&self) -> usize {
        self.users.len()
    }
}

/// The costs to spend beside that of a hash, so that it takes as long as the dearest: each is twice the
/// one before, so those from its own on make up for what is missing.
pub(super) fn spare(hash: &str, dearest: u32) -> Range<u32> {
    cost(hash).unwrap_or(dearest)..dearest
}

/// A hash of that cost which no password has.
pub(super) fn dummy(cost: u32) -> String {
    format!("$2y${cost:02}${}", ".".repeat(53))
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
fn scheme(hash: &str) -> &'static str {
    if hash.starts_with("$2") {
        "it is a bcrypt hash that is damaged"
    } else if hash.starts_with("$apr1$") || hash.starts_with("$1$") {
        "it is an MD5 hash"
    } else if hash.starts_with("{SHA}") {
        "it is a SHA-1 hash without salt"
    } else if hash.starts_with("$5$") || hash.starts_with("$6$") {
        "it is a SHA-2 hash"
    } else {
        "it is no bcrypt hash"
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Made by Apache's htpasswd 2.4: -B -C 5, -m, -s, -d, -2, -5 and -p.
    const FILE: &str = include_str!("../../tests/fixtures/htpasswd");

    #[test]
    fn a_file_of_apaches() {
        let entries = Entries::parse(FILE);
        assert_eq!(entries.len(), 2);
        assert!(entries.hash("bcrypt").unwrap().starts_with("$2y$05$"));
        let skipped: Vec<_> = entries
            .skipped
            .iter()
            .map(|line| (line.line, line.user.as_deref(), line.why))
            .collect();
        assert_eq!(
            skipped,
            [
                (4, Some("md5"), "it is an MD5 hash"),
                (5, Some("sha"), "it is a SHA-1 hash without salt"),
                (6, Some("crypt"), "it is no bcrypt hash"),
                (7, Some("sha256"), "it is a SHA-2 hash"),
                (8, Some("plain"), "it is no bcrypt hash"),
            ]
        );
    }

    #[test]
    fn odd_lines() {
        let hash = format!("$2b$10${}", ".".repeat(53));
        let short = &hash[..59];
        let dear = hash.replace("$10$", "$18$");
        // The right length, and no bytes in it.
        let empty = format!("$2b$10${}", "a".repeat(53));
        let signed = hash.replace("$10$", "$+9$");
        let cheap = hash.replace("$10$", "$03$");
        let text = format!(
            "\u{feff}\n# a: comment\r\n  ada:{hash}  \r\nbob:{hash}\nbob:{short}\n:{hash}\nnone\n\
             eve:$2y$99${}\ncarol:$apr1$x\ncarol:{hash}\ndan:{signed}\n\
             fay:{dear}\ngus:{empty}\nJ\u{fffd}rg:{hash}\nhal:{cheap}",
            ".".repeat(53)
        );
        let entries = Entries::parse(&text);
        assert_eq!(&**entries.hash("ada").unwrap(), hash);
        assert_eq!(entries.hash("bob"), None);
        assert!(entries.hash("carol").is_some());
        let lines: Vec<_> = entries.skipped.iter().map(|line| line.line).collect();
        assert_eq!(lines, [5, 6, 7, 8, 9, 11, 12, 13, 14, 15]);
    }

    #[test]
    fn everything_wrong_costs_what_the_dearest_costs() {
        assert!(Entries::parse("").nobody().starts_with("$2y$10$"));
        let line = |cost: u32| format!("u{cost}:{}\n", dummy(cost));
        let entries = Entries::parse(&[line(5), line(12), line(7)].concat());
        let nobody = entries.nobody();
        assert!(nobody.starts_with("$2y$12$"));
        for (hash, own) in [(&nobody, 12), (entries.hash("u5").unwrap(), 5)] {
            let rounds: u64 = spare(hash, entries.dearest()).map(|cost| 1 << cost).sum();
            assert_eq!((1 << own) + rounds, 1 << 12);
        }
    }

    proptest! {
        #[test]
        fn nothing_else_lets_anybody_in(text in "([a-c:$2y.\\n#\\r 0-9]|\\PC){0,200}") {
            let entries = Entries::parse(&text);
            for (user, hash) in &entries.users {
                prop_assert!(text.contains(&**user) && cost(hash).is_some());
            }
        }
    }
}
