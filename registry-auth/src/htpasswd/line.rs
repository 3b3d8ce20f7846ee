//! One line of an htpasswd file: the one grammar, for whoever reads a file and for whoever changes it.
//!
//! A file is lines, with a line feed behind each; a byte order mark in front of the first is none of it.
//! White space around a line does not count. A line is empty, a comment that begins with `#`, or a user
//! and a hash with the first colon between them. What is not UTF-8 becomes U+FFFD: no hash has it, and
//! no user who comes in. Of several lines for one user the last counts, as in Distribution.

use std::fmt;

use super::hash::{BcryptHash, NoHash};

/// What some editors put in front of UTF-8.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The lines of a file, each with what ends it.
pub(super) fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    let file = file.strip_prefix(BYTE_ORDER_MARK).unwrap_or(file);
    file.split_inclusive(|byte| *byte == b'\n')
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Nothing: it is empty, or a comment.
    Nothing,
    /// It lets nobody in, and names nobody.
    Odd(Why),
    /// A user, who comes in with the password of that hash, or does not.
    User(&'a str, Result<BcryptHash, Why>),
}

/// Why a line lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Hash(NoHash),
    NoColon,
    NoUser,
    NotText,
}

impl<'a> Line<'a> {
    /// Reads a line.
    pub(super) fn of(text: &'a str) -> Self {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            return Self::Nothing;
        }
        match text.split_once(':') {
            None => Self::Odd(Why::NoColon),
            Some(("", _)) => Self::Odd(Why::NoUser),
            Some((user, _)) if user.contains(char::REPLACEMENT_CHARACTER) => {
                Self::User(user, Err(Why::NotText))
            }
            Some((user, hash)) => Self::User(user, BcryptHash::parse(hash).map_err(Why::Hash)),
        }
    }
}

/// Whether a line with that user, wherever it stands, is a line of that user.
pub(super) fn can_be_written(user: &str) -> bool {
    let line = format!("{user}:{}", BcryptHash::of_nobody(4).expose());
    !user.contains(char::is_control)
        && lines(line.as_bytes()).eq([line.as_bytes()])
        && matches!(Line::of(&line), Line::User(read, Ok(_)) if read == user)
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hash(why) => why.fmt(f),
            Self::NoColon => f.write_str("it has no colon"),
            Self::NoUser => f.write_str("it has no user"),
            Self::NotText => f.write_str("the name is not UTF-8"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_every_kind() {
        let hash = BcryptHash::of_nobody(10);
        let written = hash.expose();
        for (text, expected) in [
            ("", Line::Nothing),
            (" \t\r\n", Line::Nothing),
            ("# a: comment\n", Line::Nothing),
            ("  #a:b", Line::Nothing),
            ("ada", Line::Odd(Why::NoColon)),
            (":x", Line::Odd(Why::NoUser)),
            ("ada:x", Line::User("ada", Err(Why::Hash(NoHash::Unknown)))),
            ("a#a:", Line::User("a#a", Err(Why::Hash(NoHash::Unknown)))),
            (
                "J\u{fffd}rg:x",
                Line::User("J\u{fffd}rg", Err(Why::NotText)),
            ),
        ] {
            assert_eq!(Line::of(text), expected, "{text:?}");
        }
        for (around, user) in [
            ("  ada:{}  \r\n", "ada"),
            ("ada :{}", "ada "),
            ("ä b:{}\n", "ä b"),
        ] {
            let text = around.replace("{}", written);
            assert_eq!(
                Line::of(&text),
                Line::User(user, Ok(hash.clone())),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_file_is_cut_at_line_feeds() {
        let cut = |text: &'static str| lines(text.as_bytes()).collect::<Vec<_>>();
        assert!(cut("").is_empty() && cut("\u{feff}").is_empty());
        assert_eq!(cut("\u{feff}a\r\n\nb"), [&b"a\r\n"[..], b"\n", b"b"]);
        assert_eq!(cut("a\u{feff}\n"), ["a\u{feff}\n".as_bytes()]);
    }

    #[test]
    fn names_that_would_be_read_as_another_are_not_written() {
        for user in ["ada", "a b", "a ", "ä", "a#", "a\u{feff}"] {
            assert!(can_be_written(user), "{user:?}");
        }
        for user in [
            "",
            " ",
            " a",
            "\u{a0}a",
            "#a",
            "a:b",
            "a\nb",
            "a\r",
            "a\0",
            "\u{feff}a",
            "\u{fffd}",
        ] {
            assert!(!can_be_written(user), "{user:?}");
        }
    }
}
