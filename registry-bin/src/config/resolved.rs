//! What a configuration came to: each setting with its value, and where that was written.

use std::fmt;

use serde_json::Value;

use super::{document::Document, error::Origin, tree::join};

/// All settings in the order in which they were read, with defaults filled in.
///
/// `Display` writes those that are set as YAML, each with its origin behind it. Secrets are masked.
#[derive(Clone, Debug, Default)]
pub struct Resolved(Vec<Entry>);

/// One setting.
#[derive(Clone, Debug)]
struct Entry {
    /// The path of the section that it is in; empty at the top.
    section: String,
    /// Its own key, which may be the operator's, and hold anything.
    key: String,
    /// A scalar, or a list or map that is shown on one line.
    value: Value,
    origin: Origin,
}

/// What stands for a secret.
const MASK: &str = "***";

impl Resolved {
    pub(super) fn note(&mut self, section: &str, key: &str, value: Value, origin: Origin) {
        // Read twice, said once.
        let same = |entry: &Entry| entry.section == section && entry.key == key;
        if !self.0.iter().any(same) {
            self.0.push(Entry {
                section: section.to_owned(),
                key: key.to_owned(),
                value,
                origin,
            });
        }
    }

    pub(super) fn note_secret(&mut self, section: &str, key: &str, there: bool, origin: Origin) {
        let value = if there { MASK.into() } else { Value::Null };
        self.note(section, key, value, origin);
    }

    /// Where the value of a setting was written.
    pub fn origin(&self, path: &str) -> Origin {
        let entry = self.0.iter().find(|entry| entry.path() == path);
        entry.map_or(Origin::Defaults, |entry| entry.origin.clone())
    }

    /// Leaves out the defaults at `path` and below: they are those of something that is off.
    pub(super) fn forget_defaults(&mut self, path: &str) {
        self.0.retain(|entry| {
            let rest = entry.path();
            let rest = rest.strip_prefix(path);
            let below = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            !below || entry.origin != Origin::Defaults
        });
    }

    /// Each setting by its path.
    #[cfg(test)]
    pub(super) fn values(&self) -> std::collections::BTreeMap<String, Value> {
        let value = |entry: &Entry| (entry.path(), entry.value.clone());
        self.0.iter().map(value).collect()
    }
}

impl Entry {
    fn path(&self) -> String {
        join(&self.section, &self.key)
    }

    /// The keys that lead to it.
    fn keys(&self) -> Vec<&str> {
        let sections = self.section.split('.').filter(|key| !key.is_empty());
        sections.chain([self.key.as_str()]).collect()
    }

    /// Whether it is set to anything.
    fn says(&self) -> bool {
        match &self.value {
            Value::Null => false,
            Value::Array(list) => !list.is_empty(),
            Value::Object(_) | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        }
    }
}

impl fmt::Display for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut entries: Vec<_> = self.0.iter().filter(|entry| entry.says()).collect();
        // Sections stay together, in the order of their first setting.
        let first = |head: &[&str]| {
            let below = |entry: &Entry| entry.keys().starts_with(head);
            self.0.iter().position(below)
        };
        entries.sort_by_key(|entry| {
            let keys = entry.keys();
            let heads = (1..=keys.len()).filter_map(|depth| keys.get(..depth));
            heads.map(first).collect::<Vec<_>>()
        });
        let mut open: Vec<&str> = Vec::new();
        for entry in entries {
            let mut keys = entry.keys();
            let last = quoted(keys.pop().unwrap_or_default());
            let shared = open.iter().zip(&keys).take_while(|(a, b)| a == b).count();
            for (depth, key) in keys.iter().enumerate().skip(shared) {
                writeln!(f, "{:1$}{key}:", "", depth * 2)?;
            }
            let line = format!(
                "{:1$}{last}: {2}",
                "",
                keys.len() * 2,
                spelled(&entry.value)
            );
            writeln!(f, "{line:<44} # {}", entry.origin)?;
            open = keys;
        }
        Ok(())
    }
}

/// A key as YAML takes it for that text.
fn quoted(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    match Document::parse(key) {
        Ok(document) if key.chars().all(plain) && document.plain_value() == key => key.to_owned(),
        _ => spelled(&Value::from(key)),
    }
}

/// A value as YAML takes it: as JSON, where everything is escaped that cannot stand in YAML as it is.
fn spelled(value: &Value) -> String {
    let odd = |c: char| {
        c.is_control()
            || matches!(
                c,
                '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
            )
    };
    let text = value.to_string();
    let spell = |c: char| match c {
        c if odd(c) => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(spell).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sections_stay_together_and_secrets_are_masked() {
        let mut resolved = Resolved::default();
        let file = |line| Origin::File("c.yml".into(), Some(line));
        resolved.note("a", "b", json!(1), file(2));
        resolved.note("", "c", json!("x y"), Origin::Defaults);
        resolved.note("a.d", "e", json!(["f"]), file(4));
        resolved.note("a", "b", json!(2), Origin::Defaults);
        resolved.note("", "e", json!(null), Origin::Defaults);
        resolved.note("", "f", json!([]), Origin::Defaults);
        let variable = Origin::Variable("REGISTRY_A_S".into());
        resolved.note_secret("a", "s", true, variable);
        resolved.note("g", "x.y: z", json!(""), Origin::Defaults);
        resolved.note("h", "i", json!(1), Origin::Defaults);
        resolved.note("h.i", "j", json!(1), Origin::Defaults);
        resolved.note("h", "ij", json!(1), Origin::Defaults);
        resolved.forget_defaults("h.i");
        let lines: Vec<_> = [
            "a:",
            "  b: 1                                       # c.yml:2",
            "  d:",
            "    e: [\"f\"]                                 # c.yml:4",
            "  s: \"***\"                                   # REGISTRY_A_S",
            "c: \"x y\"                                     # default",
            "g:",
            "  \"x.y: z\": \"\"                               # default",
            "h:",
            "  ij: 1                                      # default",
        ]
        .map(|line| format!("{line}\n"))
        .into();
        assert_eq!(resolved.to_string(), lines.concat());
    }
}
