//! What was written, before it means anything: the file's tree with the variables laid over it.

use std::{cell::RefCell, collections::BTreeMap, fmt};

use serde_json::{Map, Value};

use super::{
    document::{Document, Lines, NotYaml},
    error::{ConfigError, Origin},
    resolved::Resolved,
    schema::{BESIDE_THE_DRIVER, Node, ROOT},
};

/// A tree of settings, where each was written, and what became of them. `Debug` shows no value: some
/// are secrets.
pub(crate) struct Tree {
    pub(crate) root: Value,
    /// By the path of the setting, the variable that set it.
    pub(crate) overrides: BTreeMap<String, String>,
    /// What was read so far, with defaults filled in.
    pub(crate) resolved: RefCell<Resolved>,
    /// What is fine and still a mistake, maybe: found while it was read.
    pub(crate) warnings: RefCell<Vec<String>>,
    base: Origin,
    lines: Lines,
}

impl Tree {
    /// The tree of a file, each of whose keys is one that is honoured.
    pub(crate) fn parse(text: &str, base: Origin) -> Result<Self, ConfigError> {
        let document = Document::parse(text).map_err(|NotYaml { line, message }| {
            let origin = match &base {
                Origin::File(path, _) => Origin::File(path.clone(), line),
                other => other.clone(),
            };
            ConfigError::new(origin, "", message)
        })?;
        let mut root = document.value(&ROOT);
        if !matches!(root, Value::Object(_)) {
            let message = "not a configuration: it has no keys; it must begin with `version: 0.1`";
            return Err(ConfigError::new(base, "", message));
        }
        for section in ["storage", "auth"] {
            if let Some(section) = root.get_mut(section) {
                name_the_driver(section);
            }
        }
        let tree = Self {
            root,
            lines: document.lines(),
            base,
            ..Self::empty()
        };
        let mut problems = Vec::new();
        let origin = |path: &str| tree.origin(path);
        check(&ROOT, &tree.root, "", &origin, &mut problems);
        ConfigError::all(problems)?;
        Ok(tree)
    }

    /// A tree of nothing.
    pub(crate) fn empty() -> Self {
        Self {
            root: Value::Object(Map::new()),
            overrides: BTreeMap::new(),
            resolved: RefCell::default(),
            warnings: RefCell::default(),
            base: Origin::Defaults,
            lines: Lines::default(),
        }
    }

    /// Where the setting at `path` was written: by the nearest variable, or in the file.
    pub(crate) fn origin(&self, path: &str) -> Origin {
        if !self.lines.has(path)
            && let Some(variable) = self.variable_of_an_entry(path)
        {
            return Origin::Variable(variable.clone());
        }
        let mut nearest = path;
        loop {
            if let Some(variable) = self.overrides.get(nearest) {
                return Origin::Variable(variable.clone());
            }
            match nearest.rsplit_once('.') {
                Some((parent, _)) => nearest = parent,
                None => break,
            }
        }
        match &self.base {
            Origin::File(file, _) => Origin::File(file.clone(), self.lines.at(path)),
            other => other.clone(),
        }
    }

    /// Where it was first written that there is anything at `path`: a section may be there by a variable
    /// for one of its settings alone.
    pub(crate) fn origin_of_section(&self, path: &str) -> Origin {
        let whole = self.origin(path);
        if self.lines.has(path) && matches!(whole, Origin::File(..)) {
            return whole;
        }
        let inside = |set: &str| set.strip_prefix(path).is_some_and(|r| r.starts_with('.'));
        let mut overrides = self.overrides.iter();
        match overrides.find(|(set, _)| inside(set)) {
            Some((_, variable)) => Origin::Variable(variable.clone()),
            None => whole,
        }
    }

    /// The first variable that sets an entry of the list at `path`, if there is none for all of it.
    fn variable_of_an_entry(&self, path: &str) -> Option<&String> {
        let entry = |(set, _): &(&String, &String)| {
            let rest = set
                .strip_prefix(path)
                .and_then(|rest| rest.strip_prefix('.'));
            rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        let all = self.overrides.contains_key(path);
        let mut entries = self.overrides.iter();
        entries
            .find(entry)
            .filter(|_| !all)
            .map(|(_, variable)| variable)
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree")
            .field("base", &self.base)
            .field("lines", &self.lines)
            .field("overrides", &self.overrides)
            .finish_non_exhaustive()
    }
}

/// `storage: inmemory` is short for `storage: {inmemory: {}}`, and so is `auth: htpasswd`.
pub(crate) fn name_the_driver(section: &mut Value) {
    if let Value::String(driver) = section {
        let driver = std::mem::take(driver);
        *section = match driver.as_str() {
            "" => Value::Null,
            _ => Value::Object(Map::from_iter([(driver, Value::Object(Map::new()))])),
        };
    }
}

/// Finds keys below `value` that are not honoured.
pub(crate) fn check(
    node: &Node,
    value: &Value,
    path: &str,
    origin: &dyn Fn(&str) -> Origin,
    problems: &mut Vec<ConfigError>,
) {
    match (node, value) {
        (Node::Refused(remedy), value) => {
            if asks(path, value) {
                problems.push(refused(origin(path), path, remedy));
            }
        }
        (Node::Section(keys), Value::Object(map)) => {
            for (key, value) in map {
                let path = join(path, key);
                match keys.iter().find(|(known, _)| known == key) {
                    Some((_, node)) => check(node, value, &path, origin, problems),
                    None => problems.push(unknown(node, key, origin(&path), &path)),
                }
            }
        }
        (Node::Map(_, node), Value::Object(map)) => {
            for (key, value) in map {
                check(node, value, &join(path, key), origin, problems);
            }
        }
        (Node::List(_, node), Value::Array(list)) => {
            for (i, value) in list.iter().enumerate() {
                check(node, value, &join(path, &i.to_string()), origin, problems);
            }
        }
        // A value of another shape is the reader's to complain about.
        (Node::List(..) | Node::Map(..) | Node::Section(_) | Node::Value(_), _) => {}
    }
}

/// Whether `value`, below a setting that is not honoured, asks for anything. What is empty or off does
/// not, as in Distribution; but naming a driver, or a kind of authentication, asks for it.
pub(crate) fn asks(path: &str, value: &Value) -> bool {
    if path.starts_with("storage.") || path.starts_with("auth.") {
        return true;
    }
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) | Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => list.iter().any(|value| asks(path, value)),
        Value::Object(map) => {
            // Only these can be switched off by themselves, there as well.
            let switches = ["log.hooks", "middleware", "notifications"];
            let switch = switches.iter().any(|section| path.starts_with(section));
            let off = switch && map.get("disabled") == Some(&Value::Bool(true));
            !off && map.values().any(|value| asks(path, value))
        }
    }
}

/// The error for a setting of Distribution's that is not honoured.
pub(crate) fn refused(origin: Origin, path: &str, remedy: &str) -> ConfigError {
    let message = format!(
        "not supported: this registry knows the setting and does not honour it, so it does not start \
         as if it were not there. What to do: {remedy}"
    );
    ConfigError::new(origin, path, message)
}

pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// That of `known` which was meant by `written`, maybe.
pub(crate) fn meant<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_ascii_lowercase();
    known
        .map(|key| (strsim::damerau_levenshtein(&written, key), key))
        .filter(|(distance, key)| *distance <= (key.len() / 8).max(1))
        .min()
        .map(|(_, key)| key)
}

fn unknown(section: &Node, key: &str, origin: Origin, path: &str) -> ConfigError {
    let known: Vec<_> = section
        .honoured()
        .filter(|key| path.starts_with("storage.") || !BESIDE_THE_DRIVER.contains(key))
        .collect();
    let message = if known.is_empty() {
        "unknown key: this section takes none".to_owned()
    } else if let Some(meant) = meant(key, known.iter().copied()) {
        format!(
            "unknown key; `{meant}` is meant, maybe; the keys here are: {}",
            known.join(", ")
        )
    } else {
        format!("unknown key; the keys here are: {}", known.join(", "))
    };
    ConfigError::new(origin, path, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        match Tree::parse(text, Origin::File("config.yml".into(), None)) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_key_of_distributions_that_is_not_honoured_is_named() {
        fn refused(node: &Node, path: &str, found: &mut Vec<String>) {
            match node {
                Node::Refused(_) => found.push(path.to_owned()),
                Node::Section(keys) => keys
                    .iter()
                    .for_each(|(key, node)| refused(node, &join(path, key), found)),
                Node::List(..) | Node::Map(..) | Node::Value(_) => {}
            }
        }
        let mut paths = Vec::new();
        refused(&ROOT, "", &mut paths);
        assert_eq!(paths.len(), 18, "{paths:?}");
        for path in paths {
            let file = path.split('.').fold(String::new(), |text, key| {
                format!(
                    "{}{key}:\n",
                    if text.is_empty() {
                        text
                    } else {
                        format!("{text}  ")
                    }
                )
            });
            let file = format!("{} {{a: [{{b: 1}}]}}", file.trim_end());
            let told = problems(&format!("version: 0.1\n{file}"));
            let line = 1 + path.split('.').count();
            let start = format!("config.yml:{line}: {path}: not supported");
            assert!(told.starts_with(&start), "{path}: {told}");
        }
    }

    #[test]
    fn what_says_nothing_is_not_refused() {
        for text in [
            "redis:",
            "proxy: {}",
            "proxy: {remoteurl: '', username: ~}",
            "notifications: {endpoints: []}",
            "notifications: {events: {includereferences: false}, endpoints: [{disabled: true, url: x}]}",
            "middleware: {registry: [], storage: }",
            "middleware: {storage: [{name: redirect, disabled: true, options: {baseurl: x}}]}",
            "log: {hooks: []}",
            "log: {hooks: [{type: mail, disabled: true, levels: [panic]}]}",
            "health: {file: [], http: [], tcp: []}",
            "compatibility: {schema1: {enabled: false}}",
            "reporting: {bugsnag: {apikey: ''}}",
        ] {
            assert_eq!(problems(text), "", "{text}");
        }
        for text in [
            "redis: {db: 0}",
            "proxy: {remoteurl: 'https://r'}",
            "notifications: {endpoints: [{disabled: true, url: x}, {url: y}]}",
            "middleware: {storage: [{name: redirect, disabled: true}, {name: cloudfront}]}",
            "log: {hooks: [{type: mail}]}",
            "health: {file: [{file: /a, disabled: true}]}",
            "compatibility: {schema1: {enabled: true}}",
            "storage: {s3: }",
            "auth: {token: }",
            "auth: silly",
        ] {
            assert!(problems(text).contains(": not supported"), "{text}");
        }
    }

    #[test]
    fn unknown_keys_are_named_with_their_path() {
        let rows = [
            ("htpp: {}", "config.yml:1: htpp: unknown key"),
            (
                "http: {port: 1}",
                "config.yml:1: http.port: unknown key; the keys here are: addr, net",
            ),
            (
                "storage: {inmemory: {a: 1}}",
                "config.yml:1: storage.inmemory.a: unknown key: this",
            ),
            (
                "storage: ftp",
                "config.yml:1: storage.ftp: unknown key; the keys here are: filesystem",
            ),
            (
                "validation: {manifests: {indexes: {platformlist: [{cpu: 1}]}}}",
                "config.yml:1: validation.manifests.indexes.platformlist.0.cpu: unknown key",
            ),
            ("- 1", "config.yml: not a configuration"),
            ("a: [", "config.yml:1: not YAML"),
            (
                "http: {}\nhttp: {}",
                "config.yml:2: `http` is written twice",
            ),
            ("http: {}\n---\nhttp: {}", "config.yml:3: a second document"),
        ];
        for (text, start) in rows {
            let told = problems(text);
            assert!(told.starts_with(start), "{text}: {told}");
        }
    }
}
