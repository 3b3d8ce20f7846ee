//! What a configuration came to: each setting with its value, and where that was written.

use std::fmt;

use serde_json::Value;

use super::error::Origin;

/// All settings in the order in which they were read, with defaults filled in.
///
/// `Display` writes those that are set as YAML, each with its origin behind it. Secrets are masked.
#[derive(Clone, Debug, Default)]
pub struct Resolved(Vec<Entry>);

/// One setting.
#[derive(Clone, Debug)]
struct Entry {
    path: String,
    /// A scalar, or a list or map that is shown on one line.
    value: Value,
    origin: Origin,
}

/// What stands for a secret.
const MASK: &str = "***";

impl Resolved {
    pub(super) fn note(&mut self, path: String, value: Value, origin: Origin) {
        // Read twice, said once.
        if !self.0.iter().any(|entry| entry.path == path) {
            self.0.push(Entry {
                path,
                value,
                origin,
            });
        }
    }

    /// Where the value of a setting was written.
    pub fn origin(&self, path: &str) -> Origin {
        let entry = self.0.iter().find(|entry| entry.path == path);
        entry.map_or(Origin::Defaults, |entry| entry.origin.clone())
    }

    /// Each setting by its path.
    #[cfg(test)]
    pub(super) fn values(&self) -> std::collections::BTreeMap<String, Value> {
        let value = |entry: &Entry| (entry.path.clone(), entry.value.clone());
        self.0.iter().map(value).collect()
    }

    pub(super) fn note_secret(&mut self, path: String, there: bool, origin: Origin) {
        let value = if there { MASK.into() } else { Value::Null };
        self.note(path, value, origin);
    }
}

impl Entry {
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
        let first = |path: &str, depth: usize| {
            let head: Vec<_> = path.split('.').take(depth).collect();
            let head = head.join(".");
            let below =
                |entry: &Entry| entry.path == head || entry.path.starts_with(&format!("{head}."));
            self.0.iter().position(below)
        };
        entries.sort_by_key(|entry| {
            let depth = entry.path.split('.').count();
            (1..=depth)
                .map(|depth| first(&entry.path, depth))
                .collect::<Vec<_>>()
        });
        let mut open: Vec<&str> = Vec::new();
        for entry in entries {
            let mut keys: Vec<_> = entry.path.split('.').collect();
            let last = keys.pop().unwrap_or_default();
            let shared = open.iter().zip(&keys).take_while(|(a, b)| a == b).count();
            for (depth, key) in keys.iter().enumerate().skip(shared) {
                writeln!(f, "{:1$}{key}:", "", depth * 2)?;
            }
            let line = format!("{:1$}{last}: {2}", "", keys.len() * 2, entry.value);
            writeln!(f, "{line:<44} # {}", entry.origin)?;
            open = keys;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sections_stay_together_and_secrets_are_masked() {
        let mut resolved = Resolved::default();
        let file = |line| Origin::File("c.yml".into(), Some(line));
        resolved.note("a.b".into(), json!(1), file(2));
        resolved.note("c".into(), json!("x y"), Origin::Defaults);
        resolved.note("a.d.e".into(), json!(["f"]), file(4));
        resolved.note("a.b".into(), json!(2), Origin::Defaults);
        resolved.note("e".into(), json!(null), Origin::Defaults);
        resolved.note("f".into(), json!([]), Origin::Defaults);
        let variable = Origin::Variable("REGISTRY_A_S".into());
        resolved.note_secret("a.s".into(), true, variable);
        let lines: Vec<_> = [
            "a:",
            "  b: 1                                       # c.yml:2",
            "  d:",
            "    e: [\"f\"]                                 # c.yml:4",
            "  s: \"***\"                                   # REGISTRY_A_S",
            "c: \"x y\"                                     # default",
        ]
        .map(|line| format!("{line}\n"))
        .into();
        assert_eq!(resolved.to_string(), lines.concat());
    }
}
