//! The pages of the documentation that are made of the program, or checked against it.

use std::{env, fs, path::Path};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

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

/// Messages that hold what was said elsewhere, and so nothing that could be on the page.
const PASSED_ON: [&str; 2] = ["TLS: …", "…"];

/// What is too short to be found is no line of the page.
const LEAST: usize = 12;

/// Each warning and each error of the program is on the page that says what to do about it: one of the
/// texts there is how it begins.
#[test]
fn every_line_that_asks_for_something_is_explained() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(top.join("docs/reference/log.md")).expect("the page is there");
    let explained = page.split('`').skip(1).step_by(2);
    let explained: Vec<_> = explained.filter(|text| text.len() >= LEAST).collect();
    let mut found = Vec::new();
    for folder in [
        "registry-bin/src",
        "registry-auth/src",
        "registry-storage/src",
    ] {
        collect(&top.join(folder), &mut found);
    }
    assert!(found.len() > 20, "{found:#?}");
    let is_explained = |message: &String| {
        let begins = |text: &&str| message.starts_with(*text);
        PASSED_ON.contains(&message.as_str()) || explained.iter().any(begins)
    };
    found.retain(|message| !is_explained(message));
    assert!(found.is_empty(), "not in docs/reference/log.md: {found:#?}");
}

/// The messages of `warn!` and `error!` in the sources below a folder, each with `…` for what differs.
fn collect(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            collect(&path, found);
        } else {
            let text = fs::read_to_string(&path).expect("it is text");
            messages(text.parse().expect("it is Rust"), found);
        }
    }
}

fn messages(tokens: TokenStream, found: &mut Vec<String>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(attribute) if attribute.stream().to_string() == "cfg (test)" => {
                // What it belongs to ends with a block, or a semicolon.
                let is_end = |token: &TokenTree| match token {
                    TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                    TokenTree::Punct(punct) => punct.as_char() == ';',
                    TokenTree::Ident(_) | TokenTree::Literal(_) => false,
                };
                tokens.find(is_end);
            }
            TokenTree::Group(group) => messages(group.stream(), found),
            TokenTree::Ident(name) if name == "warn" || name == "error" => {
                let is_macro =
                    |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == '!');
                if tokens.next_if(is_macro).is_some() {
                    let Some(TokenTree::Group(arguments)) = tokens.next() else {
                        panic!("`{name}!` without arguments");
                    };
                    found.push(message(arguments.stream()));
                }
            }
            TokenTree::Ident(_) | TokenTree::Literal(_) | TokenTree::Punct(_) => {}
        }
    }
}

/// The first argument that is a text.
fn message(arguments: TokenStream) -> String {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == ',');
    let mut arguments = arguments.split(is_comma);
    let text = arguments.find_map(|argument| match argument {
        [TokenTree::Literal(text)] => Some(text.to_string()),
        _ => None,
    });
    let text = text.expect("a line of the log has a message");
    // A line that goes on begins with what is not blank.
    let parts: Vec<_> = text.split("\\\n").map(str::trim_start).collect();
    let text = parts.concat().replace("\\\"", "\"");
    let mut message = String::new();
    for (at, piece) in text.trim_matches('"').split(['{', '}']).enumerate() {
        message.push_str(if at % 2 == 0 { piece } else { "…" });
    }
    message
}
