//! The page of the log's lines that ask for something, against the program: what is passed on to the
//! log is explained, and what is explained the program can say. (What it says with a literal of its
//! own is looked up in `pages`.)

use std::{fs, path::Path};

use crate::config::{Config, Environment};

/// Shorter texts are words that are anywhere.
const LEAST: usize = 8;

/// The texts in the first column of the page's tables: how lines begin, `…` for what differs.
fn explained() -> Vec<String> {
    let page = top().join("docs/reference/log.md");
    let page = fs::read_to_string(page).expect("the page is there");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
    let first = rows.filter_map(|row| row.split(" | ").next());
    let texts = first.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    texts.map(str::to_owned).collect()
}

/// All that is said in the sources of the program and what it is made of, tests aside.
fn said() -> String {
    let mut said = String::new();
    for folder in [
        "registry-bin/src",
        "registry-auth/src",
        "registry-storage/src",
    ] {
        collect(&top().join(folder), &mut said);
    }
    said
}

fn top() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn collect(folder: &Path, said: &mut String) {
    for entry in fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            collect(&path, said);
        } else {
            said.push_str(&source(&path));
        }
    }
}

/// A source without its tests, with each text on one line.
fn source(path: &Path) -> String {
    if path.ends_with("tests.rs") {
        return String::new();
    }
    let text = fs::read_to_string(path).expect("it is text");
    let text = text.split("#[cfg(test)]\nmod tests {").next();
    let lines = text.unwrap_or_default().split("\\\n").enumerate();
    let lines = lines.map(|(at, line)| if at == 0 { line } else { line.trim_start() });
    lines.collect()
}

/// Whether a line begins as a text of the page says.
fn begins(line: &str, text: &str) -> bool {
    let mut rest = line;
    for (at, piece) in text.split('…').enumerate() {
        match rest.find(piece) {
            Some(found) if at > 0 || found == 0 => rest = &rest[found + piece.len()..],
            _ => return false,
        }
    }
    true
}

fn assert_explained(line: &str) {
    let texts = explained();
    let speaks = |text: &&String| text.split('…').any(|piece| piece.len() >= LEAST);
    let mut texts = texts.iter().filter(speaks);
    assert!(
        texts.any(|text| begins(line, text)),
        "not in docs/reference/log.md: {line}"
    );
}

#[test]
fn what_is_explained_is_said() {
    let said = said();
    let texts = explained();
    assert!(texts.len() > 30, "{texts:?}");
    for text in texts {
        // What certificates are complained about is put behind it.
        let text = text.strip_prefix("TLS: ").unwrap_or(&text);
        for piece in text.split('…') {
            let piece = piece.trim_matches([' ', ':', ',', ';', '{', '}', '"']);
            assert!(
                piece.len() < LEAST || said.contains(piece),
                "{piece:?} of docs/reference/log.md is said nowhere"
            );
        }
    }
}

/// What the configuration is warned about is what a warning is drawn from, and each is explained.
#[test]
fn what_a_configuration_is_warned_about_is_explained() {
    let set = [
        ("HOME", "/home/u"),
        ("REGISTRY_PORT", "tcp://10.0.0.1:5000"),
        ("REGISTRY_HTTP_ADR", ":1"),
        ("REGISTRY_LOGLEVEL", "info"),
        ("REGISTRY_HTTP_DRAINTIMEOUT", "60"),
    ];
    let set = set.map(|(name, value)| (name.into(), value.into()));
    let config = Config::load(None, &Environment::new(set)).expect("it starts");
    assert!(config.warnings.len() >= 4, "{:?}", config.warnings);
    for warning in &config.warnings {
        assert_explained(warning);
    }
}

/// The warnings of a start, and what certificates and keys are complained about, which are texts in
/// these files: all that are sentences.
#[test]
fn what_is_passed_on_to_the_log_is_explained() {
    let mut found = 0;
    for (file, before) in [
        ("warnings.rs", ""),
        ("config/source.rs", ""),
        ("tls/facts.rs", "TLS: "),
        ("tls/identity.rs", "TLS: "),
        ("tls/pem.rs", "TLS: "),
    ] {
        let source = source(&top().join("registry-bin/src").join(file));
        for call in [
            "warnings.push(",
            "notices.push(format!(",
            "let notice = format!(",
            "Some(format!(",
        ] {
            for said in source.split(call).skip(1) {
                let text = said.split('"').nth(1).unwrap_or_default();
                // What differs is in braces.
                let pieces: Vec<_> = text.split(['{', '}']).step_by(2).collect();
                assert_explained(&format!("{before}{}", pieces.join("…")));
                found += 1;
            }
        }
    }
    assert!(found > 12, "{found}");
}
