//! The pages of the documentation that are made of the program, or checked against it.

use std::{env, fs, path::Path};

/// Compares what is between the markers of a page with `expected`. With `UPDATE_DOCS` set it
/// writes it there.
pub(crate) fn is_in_the_docs(page: &str, expected: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/reference")
        .join(page);
    let text = fs::read_to_string(&page).expect("the page is there");
    let (begin, end) = ("<!-- generated -->\n", "<!-- end -->\n");
    let (before, rest) = text
        .split_once(begin)
        .expect("the page has the first marker");
    let (found, after) = rest
        .split_once(end)
        .expect("the page has the second marker");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&page, format!("{before}{begin}{expected}{end}{after}"))
            .expect("the page is there");
    } else {
        let page = page.display();
        assert_eq!(
            found, expected,
            "{page} has drifted: run this with UPDATE_DOCS=1"
        );
    }
}

#[test]
fn the_commands_are_what_help_says() {
    is_in_the_docs("commands.md", &crate::cli::reference());
}

/// Each warning and each error of the program is on the page that says what to do about it.
#[test]
fn every_line_that_asks_for_something_is_explained() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(top.join("docs/reference/log.md")).expect("the page is there");
    let mut found = Vec::new();
    for folder in [
        "registry-bin/src",
        "registry-auth/src",
        "registry-storage/src",
    ] {
        collect(&top.join(folder), &mut found);
    }
    assert!(found.len() > 15, "{found:?}");
    for message in found {
        // What differs from line to line is in braces.
        let mut pieces = message.split(['{', '}']).step_by(2);
        let Some(piece) = pieces.find(|piece| piece.len() > 12) else {
            // All of it was said elsewhere.
            continue;
        };
        let begin: String = piece
            .trim_matches([' ', ':', ',', ';'])
            .chars()
            .take(24)
            .collect();
        assert!(
            page.contains(&begin),
            "{begin:?} is not in docs/reference/log.md"
        );
    }
}

/// The messages of `warn!` and `error!` in the sources below a folder.
fn collect(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            collect(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).expect("it is text");
        let text = text
            .split("#[cfg(test)]")
            .next()
            .unwrap_or_default()
            .replace("\\\n", "");
        for call in text
            .split("warn!(")
            .skip(1)
            .chain(text.split("error!(").skip(1))
        {
            let call = call.split(");").next().unwrap_or_default();
            // The message is the first text that is not the separator of a join.
            let mut texts = call.split('"').skip(1).step_by(2);
            let message = texts.find(|text| text.len() > 4).unwrap_or_default();
            if message.len() > 12 && !message.starts_with('{') {
                let words: Vec<_> = message.split_whitespace().collect();
                found.push(words.join(" "));
            }
        }
    }
}
