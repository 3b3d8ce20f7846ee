//! Rust sources and cargo manifests, read just well enough to see where their paths lead.

use std::{collections::HashMap, fmt};

/// One source file.
pub(crate) struct Source {
    /// Its path inside the workspace, with forward slashes.
    pub(crate) path: String,
    /// How many lines it has besides its test modules.
    pub(crate) lines: usize,
    tokens: Vec<Token>,
    paths: Vec<(Vec<String>, usize)>,
    crates: Vec<String>,
    reexports: HashMap<String, Vec<String>>,
}

/// Where a path leads.
pub(crate) enum Target {
    /// To another crate.
    Crate(String),
    /// To a place in the same crate.
    Inside(Vec<String>),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crate(name) => f.write_str(name),
            Self::Inside(path) => write!(f, "crate::{}", path.join("::")),
        }
    }
}

impl Source {
    /// Reads a source; `crates` are the names of the crates that exist.
    pub(crate) fn read(path: &str, text: &str, crates: &[String]) -> Self {
        let (tokens, removed) = without_tests(&tokens(text));
        let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
        let tokens = if is_test { Vec::new() } else { tokens };
        Self {
            path: path.to_owned(),
            lines: if is_test {
                0
            } else {
                text.lines().count() - removed
            },
            paths: paths(&tokens),
            tokens,
            crates: crates.iter().map(|name| name.replace('-', "_")).collect(),
            reexports: HashMap::new(),
        }
    }

    /// The names that a crate's root gives to what lies in its modules.
    pub(crate) fn reexports(&self) -> HashMap<String, Vec<String>> {
        let inside = self.paths.iter().filter_map(|(path, _)| {
            let (first, rest) = path.split_first()?;
            let named = ["self", "crate"].contains(&first.as_str()) && rest.len() > 1;
            named.then(|| Some((rest.last()?.clone(), rest.to_vec())))?
        });
        inside.collect()
    }

    /// Lets paths through the root lead to what the root names.
    pub(crate) fn follow(&mut self, reexports: &HashMap<String, Vec<String>>) {
        if self.path.starts_with("registry-core/src/") {
            self.reexports = reexports.clone();
        }
    }

    /// Words and, in quotes, strings.
    pub(crate) fn words(&self) -> impl Iterator<Item = (String, usize)> + '_ {
        self.tokens.iter().filter_map(|token| match &token.kind {
            Kind::Word(word) => Some((word.clone(), token.line)),
            Kind::Text(text) => Some((format!("\"{text}\""), token.line)),
            Kind::Colons | Kind::Sign(_) => None,
        })
    }

    /// Where its paths lead.
    pub(crate) fn targets(&self) -> impl Iterator<Item = (Target, usize)> + '_ {
        let imported: HashMap<&str, &[String]> = self
            .paths
            .iter()
            .filter_map(|(path, _)| Some((path.last()?.as_str(), path.as_slice())))
            .filter(|(_, path)| path.len() > 1)
            .collect();
        self.paths.iter().filter_map(move |(path, line)| {
            let first = path.first()?;
            let whole: Vec<String> = match imported.get(first.as_str()) {
                Some(import) if import.first() != Some(first) => {
                    import.iter().chain(path.get(1..)?).cloned().collect()
                }
                _ => path.clone(),
            };
            Some((self.resolve(&whole)?, *line))
        })
    }

    fn resolve(&self, path: &[String]) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        let mut inside = match first.as_str() {
            "crate" => Vec::new(),
            "self" => self.module(),
            "super" => {
                let mut module = self.module();
                module.pop();
                module
            }
            name if name == "std" || self.crates.iter().any(|known| known == name) => {
                return Some(Target::Crate(name.to_owned()));
            }
            _ => return None,
        };
        for segment in rest {
            match segment.as_str() {
                "super" => {
                    inside.pop();
                }
                "self" => {}
                _ => inside.push(segment.clone()),
            }
        }
        if let [name, rest @ ..] = inside.as_slice()
            && let Some(place) = self.reexports.get(name)
        {
            return Some(Target::Inside(place.iter().chain(rest).cloned().collect()));
        }
        Some(Target::Inside(inside))
    }

    fn module(&self) -> Vec<String> {
        let path = self.path.split_once("/src/").map_or("", |(_, path)| path);
        let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
        path.split('/')
            .filter(|part| !["lib", "main"].contains(part))
            .map(str::to_owned)
            .collect()
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Word(String),
    Text(String),
    Colons,
    Sign(char),
}

#[derive(Clone, Debug)]
struct Token {
    kind: Kind,
    line: usize,
}

/// Every path, imports with their braces written out.
fn paths(tokens: &[Token]) -> Vec<(Vec<String>, usize)> {
    let mut found = Vec::new();
    let mut rest = tokens;
    while let [token, tail @ ..] = rest {
        rest = tail;
        let Kind::Word(word) = &token.kind else {
            continue;
        };
        let line = token.line;
        if word == "use"
            && tail
                .first()
                .is_some_and(|next| next.kind != Kind::Sign('<'))
        {
            let mut here = Vec::new();
            rest = import(tail, &[], &mut here);
            found.extend(here.into_iter().map(|path| (path, line)));
            continue;
        }
        let mut path = vec![word.clone()];
        while let [
            Token {
                kind: Kind::Colons, ..
            },
            Token {
                kind: Kind::Word(next),
                ..
            },
            after @ ..,
        ] = rest
        {
            path.push(next.clone());
            rest = after;
        }
        if path.len() > 1 {
            found.push((path, line));
        }
    }
    found
}

/// One tree of an import, from behind `use`, `::`, `{` or `,`; what follows it is returned.
fn import<'a>(
    mut rest: &'a [Token],
    prefix: &[String],
    found: &mut Vec<Vec<String>>,
) -> &'a [Token] {
    let mut path = prefix.to_vec();
    loop {
        let [token, tail @ ..] = rest else {
            return rest;
        };
        match &token.kind {
            Kind::Colons => rest = tail,
            Kind::Word(word) if word == "as" => rest = tail.get(1..).unwrap_or_default(),
            Kind::Word(word) => {
                path.push(word.clone());
                rest = tail;
            }
            Kind::Sign('{') => {
                rest = tail;
                loop {
                    rest = import(rest, &path, found);
                    match rest {
                        [
                            Token {
                                kind: Kind::Sign(','),
                                ..
                            },
                            after @ ..,
                        ] => rest = after,
                        [
                            Token {
                                kind: Kind::Sign('}'),
                                ..
                            },
                            after @ ..,
                        ] => return after,
                        _ => return rest,
                    }
                }
            }
            Kind::Sign('*') => rest = tail,
            Kind::Sign(_) | Kind::Text(_) => {
                if path.len() > prefix.len() {
                    if path.last().is_some_and(|last| last == "self") {
                        path.pop();
                    }
                    found.push(path);
                }
                return rest;
            }
        }
    }
}

/// Leaves out what is only compiled for tests, and says how many lines that were.
fn without_tests(tokens: &[Token]) -> (Vec<Token>, usize) {
    let word = |text: &str| Kind::Word(text.to_owned());
    let mark = [
        Kind::Sign('#'),
        Kind::Sign('['),
        word("cfg"),
        Kind::Sign('('),
        word("test"),
        Kind::Sign(')'),
        Kind::Sign(']'),
    ];
    let (mut kept, mut removed, mut rest) = (Vec::new(), 0, tokens);
    while let [token, tail @ ..] = rest {
        let marked = rest.len() > mark.len()
            && rest
                .iter()
                .zip(&mark)
                .all(|(token, kind)| token.kind == *kind);
        if !marked {
            kept.push(token.clone());
            rest = tail;
            continue;
        }
        let (mut depth, mut last) = (0_usize, token.line);
        rest = rest.get(mark.len()..).unwrap_or_default();
        while let [token, tail @ ..] = rest {
            rest = tail;
            last = token.line;
            match token.kind {
                Kind::Sign('{') => depth += 1,
                Kind::Sign('}') if depth > 1 => depth -= 1,
                Kind::Sign('}') => break,
                Kind::Sign(';') if depth == 0 => break,
                _ => {}
            }
        }
        removed += last - token.line + 1;
    }
    (kept, removed)
}

fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut found, mut index, mut line) = (Vec::new(), 0, 1);
    while index < chars.len() {
        let (start, first) = (index, line);
        let kind = match at(index) {
            '/' if at(index + 1) == '/' => {
                while index < chars.len() && at(index) != '\n' {
                    index += 1;
                }
                None
            }
            '/' if at(index + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(index), at(index + 1)) {
                        ('/', '*') => (depth, index) = (depth + 1, index + 2),
                        ('*', '/') => (depth, index) = (depth - 1, index + 2),
                        _ => index += 1,
                    }
                    if depth == 0 || index >= chars.len() {
                        break None;
                    }
                }
            }
            '"' => {
                index += 1;
                while index < chars.len() && at(index) != '"' {
                    index += if at(index) == '\\' { 2 } else { 1 };
                }
                index += 1;
                Some(Kind::Text(chars[start + 1..index - 1].iter().collect()))
            }
            '\'' if at(index + 1) == '\\' || at(index + 2) == '\'' => {
                index += if at(index + 1) == '\\' { 3 } else { 2 };
                while index < chars.len() && at(index) != '\'' {
                    index += 1;
                }
                index += 1;
                None
            }
            '\'' => {
                index += 1;
                while is_word(at(index)) {
                    index += 1;
                }
                None
            }
            c if is_word(c) => {
                while is_word(at(index)) {
                    index += 1;
                }
                let word: String = chars[start..index].iter().collect();
                let mut hashes = 0;
                while at(index + hashes) == '#' {
                    hashes += 1;
                }
                let raw = ["r", "br", "cr"].contains(&word.as_str());
                if raw && at(index + hashes) == '"' {
                    index += hashes + 1;
                    let open = index;
                    while index < chars.len()
                        && !(at(index) == '"' && (1..=hashes).all(|n| at(index + n) == '#'))
                    {
                        index += 1;
                    }
                    let inside = chars[open..index].iter().collect();
                    index += hashes + 1;
                    Some(Kind::Text(inside))
                } else {
                    Some(Kind::Word(word))
                }
            }
            ':' if at(index + 1) == ':' => {
                index += 2;
                Some(Kind::Colons)
            }
            c => {
                index += 1;
                (!c.is_whitespace()).then_some(Kind::Sign(c))
            }
        };
        line += chars[start..index.min(chars.len())]
            .iter()
            .filter(|&&c| c == '\n')
            .count();
        found.extend(kind.map(|kind| Token { kind, line: first }));
    }
    found
}

/// The lines of one section of a manifest.
pub(crate) fn section<'a>(manifest: &'a str, name: &str) -> &'a str {
    let head = format!("\n[{name}]\n");
    let start = match manifest.strip_prefix(head.trim_start()) {
        Some(rest) => rest,
        None => manifest.split_once(&head).map_or("", |(_, rest)| rest),
    };
    start
        .split_once("\n[")
        .map_or(start, |(section, _)| section)
}

/// The keys of a section, up to their first dot.
pub(crate) fn keys(section: &str) -> impl Iterator<Item = String> + '_ {
    section.lines().filter_map(|line| {
        let key = line.split(['=', '.']).next()?.trim();
        (!key.is_empty() && !key.starts_with('#')).then(|| key.to_owned())
    })
}

/// The names of the crates that the workspace uses.
pub(crate) fn dependency_names(manifest: &str) -> Vec<String> {
    keys(section(manifest, "workspace.dependencies")).collect()
}
