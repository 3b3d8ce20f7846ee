//! Whatever stands in the file and the variables: nothing panics, what is wrong is named with its
//! place, and what is shown comes to the same.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    environment::settings,
    tests::{STOCK, load, there_and_back},
};

const ODD: [&str; 38] = [
    "{<<: a}",
    "\"\\x7f\\x85\\u2028\"",
    "",
    " ",
    "~",
    "true",
    "no",
    "0",
    "-1",
    "1.5",
    "0x10",
    ".inf",
    "99999999999999999999",
    "5s",
    "1h30m",
    "-5m",
    "1.5h",
    "[]",
    "[a]",
    "[[a]]",
    "[a, {b: c}]",
    "{}",
    "{a: b}",
    "{addr: {}}",
    "- a\n- b",
    "a: b: c",
    "\"",
    "'",
    "[::1]:5000",
    ":5000",
    "/nowhere",
    "&a [*a]",
    "*a",
    "!!binary x",
    "\u{0}",
    "\u{feff}a",
    "\t- a",
    "%",
];

fn odd() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(&ODD[..]).prop_map(str::to_owned),
        1 => "\\PC{0,12}",
        1 => "[-a-z0-9:{}\\[\\], &*!\"'#|>~\n\t]{0,24}",
    ]
}

/// The name of a variable: of a setting, of one in a list, or of none.
fn name() -> impl Strategy<Value = String> {
    let last = select(&["", "", "", "_0", "_1", "_7", "_FILE", "_X-HEADER", "_NONE"][..]);
    (select(settings()), last).prop_map(|(path, last)| {
        let path = path.replace('.', "_").to_ascii_uppercase();
        format!("REGISTRY_{path}{last}")
    })
}

fn file() -> impl Strategy<Value = &'static str> {
    select(&STOCK[..])
}

/// Each line of what is wrong begins with where that is; what is missing is in no place, and begins
/// with its key.
fn has_its_place(told: &str) -> bool {
    let begins = |line: &str| {
        line.starts_with("c.yml") || line.starts_with("REGISTRY_") || {
            let key = line.split(": ").next().unwrap_or_default();
            settings().iter().any(|path| path == key)
        }
    };
    told.lines().all(begins)
}

proptest! {
    #[test]
    fn variables(file in file(), set in vec((name(), odd()), 0..6)) {
        // A row of the table that sets them is a line.
        let rows: Vec<_> = set
            .iter()
            .map(|(name, value)| format!("{name}={}", value.replace('\n', " ")))
            .collect();
        match load(Some(file), &rows.join("\n")) {
            Ok(config) => {
                let (one, other) = there_and_back(config);
                prop_assert_eq!(one, other, "{:?}", rows);
            }
            Err(told) => prop_assert!(has_its_place(&told), "{rows:?}\n{told}"),
        }
    }

    #[test]
    fn files(file in file(), edits in vec((any::<prop::sample::Index>(), 0..40_usize, odd()), 1..4)) {
        let mut text: Vec<char> = file.chars().collect();
        for (at, length, new) in edits {
            let from = at.index(text.len() + 1);
            let to = text.len().min(from + length);
            text.splice(from..to, new.chars());
        }
        let text: String = text.into_iter().collect();
        match load(Some(&text), "") {
            Ok(config) => {
                let (one, other) = there_and_back(config);
                prop_assert_eq!(one, other, "{}", text);
            }
            Err(told) => prop_assert!(has_its_place(&told), "{text}\n{told}"),
        }
    }
}
