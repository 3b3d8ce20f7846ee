//! The users of an htpasswd file.

use std::{collections::HashMap, fmt};

use super::{
    hash::{BcryptHash, DEFAULT_COST},
    line::{Line, Why, lines},
};

/// The users of a file with their bcrypt hashes, and what else stands there. `Debug` shows no hash.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Entries {
    users: HashMap<Box<str>, BcryptHash>,
    /// The highest cost of a hash.
    cost: u32,
    skipped: Vec<Skipped>,
}

/// A line that lets nobody in. `Display` says who cannot log in, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    line: usize,
    user: Option<String>,
    why: Why,
}

impl Skipped {
    pub(super) fn new(line: usize, user: Option<&str>, why: Why) -> Self {
        let user = user.map(str::to_owned);
        Self { line, user, why }
    }

    /// The number of the line, from 1 on.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The user, if it names one.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, user, why } = self;
        match user {
            Some(user) if *why == Why::NotText => write!(
                f,
                "line {line}: {user:?} cannot log in, since {why}; save the file as UTF-8"
            ),
            Some(user) => write!(
                f,
                "line {line}: {user:?} cannot log in, since {why}; set the password anew with \
                 `registry htpasswd -B FILE USER`"
            ),
            None => write!(f, "line {line} is skipped, since {why}"),
        }
    }
}

impl Entries {
    /// Reads a file.
    pub(super) fn parse(file: &[u8]) -> Self {
        let mut entries = Self::default();
        for (number, line) in (1..).zip(lines(file)) {
            let text = String::from_utf8_lossy(line);
            let (user, why) = match Line::of(&text) {
                Line::Nothing => continue,
                Line::User(user, Ok(hash)) => {
                    entries.users.insert(user.into(), hash);
                    continue;
                }
                Line::User(user, Err(why)) => (Some(user), why),
                Line::Odd(why) => (None, why),
            };
            if let Some(user) = user {
                // An older line of this user must not go on to count.
                entries.users.remove(user);
            }
            entries.skipped.push(Skipped::new(number, user, why));
        }
        let costs = entries.users.values().map(BcryptHash::cost);
        entries.cost = costs.max().unwrap_or(DEFAULT_COST);
        entries
    }

    /// The hash of a user.
    pub(super) fn hash(&self, user: &str) -> Option<&BcryptHash> {
        self.users.get(user)
    }

    /// A hash that no password has, and that costs as much to find that out as the dearest.
    pub(super) fn nobody(&self) -> BcryptHash {
        BcryptHash::of_nobody(self.cost)
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

    /// The lines that let nobody in.
    pub(super) fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries")
            .field("users", &self.users.len())
            .field("skipped", &self.skipped.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Made by Apache's htpasswd 2.4: -B -C 5, -m, -s, -d, -2, -5 and -p.
    const FILE: &[u8] = include_bytes!("../../tests/fixtures/htpasswd");

    #[test]
    fn a_file_of_apaches() {
        let entries = Entries::parse(FILE);
        assert_eq!(entries.len(), 2);
        assert_eq!(entries.hash("bcrypt").unwrap().cost(), 5);
        let skipped: Vec<_> = entries
            .skipped()
            .iter()
            .map(|line| (line.line(), line.user(), line.why.to_string()))
            .collect();
        let row = |line, user, why: &str| (line, Some(user), why.to_owned());
        assert_eq!(
            skipped,
            [
                row(4, "md5", "it is an MD5 hash"),
                row(5, "sha", "it is a SHA-1 hash without salt"),
                row(6, "crypt", "it is no bcrypt hash"),
                row(7, "sha256", "it is a SHA-2 hash"),
                row(8, "plain", "it is no bcrypt hash"),
            ]
        );
    }

    #[test]
    fn odd_lines() {
        let hash = BcryptHash::of_nobody(10);
        let written = hash.expose();
        let short = &written[..59];
        let dear = written.replace("$10$", "$18$");
        let text = format!(
            "\u{feff}\n# a: comment\r\n  ada:{written}  \r\nbob:{written}\nbob:{short}\n\
             :{written}\nnone\ncarol:$apr1$x\ncarol:{written}\nfay:{dear}\n"
        );
        let latin = [b"J\xf6rg:", written.as_bytes()].concat();
        let entries = Entries::parse(&[text.as_bytes(), &latin].concat());
        assert_eq!(entries.hash("ada"), Some(&hash));
        assert_eq!(entries.hash("bob"), None);
        assert!(entries.hash("carol").is_some());
        assert_eq!(entries.len(), 2);
        let said: Vec<_> = entries.skipped().iter().map(ToString::to_string).collect();
        let remedy = "set the password anew with `registry htpasswd -B FILE USER`";
        assert_eq!(
            said,
            [
                format!(
                    "line 5: \"bob\" cannot log in, since it is a bcrypt hash that is damaged; {remedy}"
                ),
                "line 6 is skipped, since it has no user".to_owned(),
                "line 7 is skipped, since it has no colon".to_owned(),
                format!("line 8: \"carol\" cannot log in, since it is an MD5 hash; {remedy}"),
                format!(
                    "line 10: \"fay\" cannot log in, since its cost is above 17, which takes too \
                     long; {remedy}"
                ),
                "line 11: \"J\u{fffd}rg\" cannot log in, since the name is not UTF-8; save the file as UTF-8"
                    .to_owned(),
            ]
        );
    }

    #[test]
    fn everything_wrong_costs_what_the_dearest_costs() {
        assert_eq!(Entries::parse(b"").nobody().cost(), 10);
        let line = |cost| format!("u{cost}:{}\n", BcryptHash::of_nobody(cost).expose());
        let entries = Entries::parse([line(5), line(12), line(7)].concat().as_bytes());
        assert_eq!((entries.nobody().cost(), entries.dearest()), (12, 12));
    }

    #[test]
    fn hashes_are_not_shown() {
        let shown = format!("{:?}", Entries::parse(FILE));
        assert_eq!(shown, "Entries { users: 2, skipped: 5, .. }");
    }

    proptest! {
        #[test]
        fn nothing_else_lets_anybody_in(text in "([a-c:$2y.\\n#\\r 0-9]|\\PC){0,200}") {
            let entries = Entries::parse(text.as_bytes());
            for (user, hash) in &entries.users {
                let line = format!("{user}:{}", hash.expose());
                prop_assert!(text.contains(&line), "{}", line);
            }
        }
    }
}
