//! Options of the form `--name value` and `--flag`; one that nobody asked for is an error, not a wish.

use std::path::PathBuf;
use std::str::FromStr;

use crate::Result;

/// Options that stand alone.
const FLAGS: &[&str] = &["no-purge", "keep"];

/// What was given and has not been taken yet.
#[derive(Debug)]
pub(crate) struct Args {
    given: Vec<(String, String)>,
}

impl Args {
    pub(crate) fn parse(words: Vec<String>) -> Result<Self> {
        let mut given = Vec::new();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let name = word
                .strip_prefix("--")
                .ok_or_else(|| format!("not an option: {word}"))?;
            let value = if FLAGS.contains(&name) {
                String::new()
            } else {
                words
                    .next()
                    .ok_or_else(|| format!("--{name} needs a value"))?
            };
            given.push((name.to_owned(), value));
        }
        Ok(Self { given })
    }

    pub(crate) fn all(&mut self, name: &str) -> Vec<String> {
        let (taken, left) = self.given.drain(..).partition(|(given, _)| given == name);
        self.given = left;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.all(name).pop()
    }

    pub(crate) fn flag(&mut self, name: &str) -> bool {
        self.text(name).is_some()
    }

    pub(crate) fn number<N: FromStr>(&mut self, name: &str, default: N) -> Result<N> {
        match self.text(name) {
            Some(text) => text
                .parse()
                .map_err(|_| format!("--{name}: not a number: {text}").into()),
            None => Ok(default),
        }
    }

    /// A number of bytes: digits, then nothing, `KiB`, `MiB` or `GiB`.
    pub(crate) fn size(&mut self, name: &str, default: u64) -> Result<u64> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let shift = match &text[digits.len()..] {
            "" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            _ => return Err(format!("--{name}: not a size: {text}").into()),
        };
        let number: u64 = digits
            .parse()
            .map_err(|_| format!("--{name}: not a size: {text}"))?;
        Ok(number << shift)
    }

    /// Names separated by commas; all of `known` when the option is absent.
    pub(crate) fn choice(
        &mut self,
        name: &str,
        known: &[&'static str],
    ) -> Result<Vec<&'static str>> {
        let Some(text) = self.text(name) else {
            return Ok(known.to_vec());
        };
        text.split(',')
            .map(|word| {
                let found = known.iter().copied().find(|known| *known == word);
                found.ok_or_else(|| {
                    format!("--{name}: {word} is none of {}", known.join(", ")).into()
                })
            })
            .collect()
    }

    /// The scratch directory of this run, which the run may remove whole.
    pub(crate) fn work(&mut self, what: &str) -> PathBuf {
        let parent = self
            .text("work")
            .map_or_else(std::env::temp_dir, PathBuf::from);
        parent.join(format!("registry-bench-{what}-{}", std::process::id()))
    }

    /// Called when a subcommand has taken all it knows.
    pub(crate) fn done(&self) -> Result<()> {
        match self.given.first() {
            Some((name, _)) => Err(format!("unknown option here: --{name}").into()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Args {
        Args::parse(words.iter().map(|word| (*word).to_owned()).collect()).expect("well-formed")
    }

    #[test]
    fn sizes_have_units() {
        let mut args = args(&["--a", "12", "--b", "3KiB", "--c", "2GiB", "--d", "5MB"]);
        assert_eq!(args.size("a", 0).unwrap(), 12);
        assert_eq!(args.size("b", 0).unwrap(), 3072);
        assert_eq!(args.size("c", 0).unwrap(), 2 << 30);
        assert!(args.size("d", 0).is_err());
        assert_eq!(args.size("absent", 9).unwrap(), 9);
    }

    #[test]
    fn what_nobody_took_is_an_error() {
        let mut args = args(&["--keep", "--rounds", "3", "--only", "a,c"]);
        assert!(args.flag("keep"));
        assert_eq!(args.choice("only", &["a", "b", "c"]).unwrap(), ["a", "c"]);
        assert!(args.done().is_err());
        assert_eq!(args.number("rounds", 1).unwrap(), 3);
        assert!(args.done().is_ok());
    }
}
