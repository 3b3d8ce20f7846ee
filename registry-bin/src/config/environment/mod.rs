//! `REGISTRY_*` variables, laid over the file's tree by Distribution's rules.
//!
//! A variable is the path of a key in capitals, joined by `_` (no key contains one). Its value is
//! YAML and replaces what is there, also a whole section; a secret can be left in a file, which
//! `…_FILE` names. Variables are applied in the order of
//! their names, so that a section comes before what is in it. A number is an index into a list,
//! at most one past its end.

mod links;
#[cfg(test)]
mod tests;

use std::path::Path;

use serde_json::{Map, Value};

use self::links::Links;
use super::{
    document::Document,
    error::{ConfigError, Origin, QUOTES},
    schema::{Node, ROOT},
    source::{Reading, contents},
    tree::{Tree, asks, check, join, meant, name_the_driver, refused},
};

/// The variable that names the configuration file.
pub const CONFIGURATION_PATH: &str = "REGISTRY_CONFIGURATION_PATH";

const PREFIX: &str = "REGISTRY_";

/// Applies the variables. The answer is a warning for each that means nothing.
pub(crate) fn apply(
    tree: &mut Tree,
    variables: impl IntoIterator<Item = (String, String)>,
    reading: Reading,
) -> Result<Vec<String>, ConfigError> {
    let mut variables: Vec<_> = variables
        .into_iter()
        .filter(|(name, _)| name.starts_with(PREFIX) && name != CONFIGURATION_PATH)
        .collect();
    variables.sort();
    let links = Links::find(&variables);
    let mut warnings = Vec::new();
    let mut problems = Vec::new();
    for (name, value) in variables {
        let path: Vec<_> = name.split('_').skip(1).collect();
        let mut place = Place {
            origin: Origin::Variable(name.clone()),
            path: String::new(),
            payload: &value,
            reading,
            outside: false,
            idle: false,
        };
        match place.overwrite(&ROOT, &mut tree.root, &path) {
            Ok(true) => {
                if let Some(earlier) = tree.overrides.insert(place.path.clone(), name.clone()) {
                    let message = format!("{earlier} sets it as well; keep one of the two");
                    problems.push(place.problem(&message));
                }
            }
            Ok(false) | Err(_) if place.outside && links.has(&path, &value) => {
                warnings.push(not_a_setting(&name));
            }
            Ok(false) if place.idle => {}
            Ok(false) if decides(&path) => problems.push(place.unknown(&path)),
            Ok(false) => warnings.push(not_a_setting(&name)),
            Err(error) => problems.push(error),
        }
    }
    ConfigError::all(problems).map(|()| warnings)
}

/// Whether a variable of this path is about who comes in, by what, or what may be done. There a slip of the pen
/// must not pass for nothing: it would leave the registry open, or writable.
fn decides(path: &[&str]) -> bool {
    matches!(path, ["AUTH" | "STORAGE", _, ..] | ["HTTP", "TLS", _, ..])
}

/// What to say of a variable that means nothing: and which was meant, maybe.
fn not_a_setting(name: &str) -> String {
    let path = name.trim_start_matches(PREFIX).to_ascii_lowercase();
    let known = settings();
    let written = path.replace('_', ".");
    match meant(&written, known.iter().map(String::as_str)) {
        Some(path) => format!(
            "{name}: not a setting, ignored; {} is meant, maybe",
            variable(path)
        ),
        None => format!("{name}: not a setting, ignored"),
    }
}

/// The name of the variable that sets what is at `path`.
fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "_").to_ascii_uppercase())
}

/// The paths of all settings.
pub(super) fn settings() -> Vec<String> {
    fn collect(node: &Node, path: &str, found: &mut Vec<String>) {
        for (key, node) in node.keys() {
            let path = join(path, key);
            collect(node, &path, found);
            found.push(path);
        }
    }
    let mut found = Vec::new();
    collect(&ROOT, "", &mut found);
    found
}

struct Place<'a> {
    origin: Origin,
    path: String,
    payload: &'a str,
    reading: Reading,
    /// It left what is honoured.
    outside: bool,
    /// It is below what is not honoured, and asks for nothing.
    idle: bool,
}

impl Place<'_> {
    /// Goes down to where `path` leads and writes there; `false` when it leads nowhere.
    fn overwrite(
        &mut self,
        node: &Node,
        value: &mut Value,
        path: &[&str],
    ) -> Result<bool, ConfigError> {
        if let Node::Refused(remedy) = node {
            self.outside = true;
            self.idle = Document::parse(self.payload)
                .is_ok_and(|document| !asks(&self.path, &document.plain_value()));
            if self.idle {
                return Ok(false);
            }
            return Err(refused(self.origin.clone(), &self.path, remedy));
        }
        let Some((segment, rest)) = path.split_first() else {
            return self.replace(node, value).map(|()| true);
        };
        match node {
            Node::Section(keys) => {
                let found = keys
                    .iter()
                    .find(|(key, _)| key.to_ascii_uppercase() == **segment);
                match found {
                    Some((key, node)) => self.descend(node, value, key, rest),
                    None if self.path == "storage" => {
                        self.outside = true;
                        self.path = join(&self.path, &segment.to_ascii_lowercase());
                        Err(self.problem("no storage driver of this registry; use filesystem"))
                    }
                    None if self.path == "auth" => {
                        self.outside = true;
                        self.path = join(&self.path, &segment.to_ascii_lowercase());
                        Err(self
                            .problem("no kind of authentication of this registry; use htpasswd"))
                    }
                    None => {
                        self.outside = true;
                        Ok(false)
                    }
                }
            }
            Node::Map(_, node) => {
                let existing = value.as_object().and_then(|map| {
                    let same = |key: &&String| key.to_ascii_uppercase() == **segment;
                    map.keys().find(same).cloned()
                });
                let key = existing.unwrap_or_else(|| segment.to_ascii_lowercase());
                self.descend(node, value, &key, rest)
            }
            Node::List(_, node) => self.entry(node, value, segment, rest),
            Node::Value(setting) if !setting.visible && path == ["FILE"] => {
                *value = Value::String(self.content()?);
                Ok(true)
            }
            Node::Refused(_) | Node::Value(_) => {
                self.outside = true;
                Ok(false)
            }
        }
    }

    fn descend(
        &mut self,
        node: &Node,
        value: &mut Value,
        key: &str,
        rest: &[&str],
    ) -> Result<bool, ConfigError> {
        self.path = join(&self.path, key);
        let mut child = value.get(key).cloned().unwrap_or_default();
        let applied = self.overwrite(node, &mut child, rest)?;
        if applied {
            if !value.is_object() {
                *value = Value::Object(Map::new());
            }
            if let Some(map) = value.as_object_mut() {
                map.insert(key.to_owned(), child);
            }
        }
        Ok(applied)
    }

    fn entry(
        &mut self,
        node: &Node,
        value: &mut Value,
        segment: &str,
        rest: &[&str],
    ) -> Result<bool, ConfigError> {
        let length = value.as_array().map_or(0, Vec::len);
        let index = segment
            .parse()
            .ok()
            .filter(|index: &usize| *index <= length);
        let Some(index) = index else {
            let message = format!("{segment} is no index into this list; it must be 0 to {length}");
            return Err(self.problem(&message));
        };
        self.path = join(&self.path, segment);
        let mut child = value.get(index).cloned().unwrap_or_default();
        let applied = self.overwrite(node, &mut child, rest)?;
        if applied {
            if !value.is_array() {
                *value = Value::Array(Vec::new());
            }
            if let Some(list) = value.as_array_mut() {
                if index == length {
                    list.push(child);
                } else if let Some(entry) = list.get_mut(index) {
                    *entry = child;
                }
            }
        }
        Ok(applied)
    }

    fn replace(&self, node: &Node, value: &mut Value) -> Result<(), ConfigError> {
        let document = Document::parse(self.payload).map_err(|wrong| {
            let message = wrong.message;
            self.problem(&format!(
                "{message}; the value of a variable is YAML: {QUOTES}"
            ))
        })?;
        let mut payload = document.value(node);
        if self.path == "storage" || self.path == "auth" {
            name_the_driver(&mut payload);
        }
        let mut problems = Vec::new();
        let origin = |_: &str| self.origin.clone();
        check(node, &payload, &self.path, &origin, &mut problems);
        ConfigError::all(problems)?;
        *value = payload;
        Ok(())
    }

    /// What is in the file that the variable names: a secret, without the line's end.
    fn content(&self) -> Result<String, ConfigError> {
        let text = contents(Path::new(self.payload), self.reading).map_err(|error| {
            let file = self.payload;
            self.problem(&format!(
                "{file} cannot be read: {error}; name a file with the secret"
            ))
        })?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(self.problem(&format!("{} is empty", self.payload)));
        }
        Ok(text.to_owned())
    }

    /// The error for a variable that leads nowhere: `path` begins with where it got to.
    fn unknown(&self, path: &[&str]) -> ConfigError {
        let written = path.join(".").to_ascii_lowercase();
        let known = settings();
        let below: Vec<_> = known
            .iter()
            .filter_map(|path| Some((path, path.strip_prefix(&self.path)?)))
            .filter(|(_, rest)| rest.starts_with('.'))
            .filter(|(path, _)| !known.iter().any(|k| k.starts_with(&format!("{path}."))))
            .map(|(path, _)| variable(path))
            .collect();
        let remedy = match meant(&written, known.iter().map(String::as_str)) {
            Some(path) => format!("{} is meant, maybe", variable(path)),
            None if below.is_empty() => format!("{} is meant, maybe", variable(&self.path)),
            None => format!("the variables here are: {}", below.join(", ")),
        };
        ConfigError::new(
            self.origin.clone(),
            written,
            format!("unknown setting; {remedy}"),
        )
    }

    fn problem(&self, message: &str) -> ConfigError {
        ConfigError::new(self.origin.clone(), &*self.path, message)
    }
}
