//! Reads typed values out of the tree, each complaint with where it was written and its key.

use std::{collections::BTreeMap, fmt, time::Duration};

use registry_core::access::Secret;
use serde::Serialize;
use serde_json::{Number, Value};

use super::{
    duration::{self, Invalid},
    error::{ConfigError, Origin, QUOTES, Result},
    tree::{Tree, join},
};

/// A section of the tree. What is not there, or null, reads as `None` everywhere.
/// `Debug` shows its keys, and no value: some are secrets.
#[derive(Clone)]
pub(crate) struct Section<'a> {
    tree: &'a Tree,
    path: String,
    value: &'a Value,
}

impl<'a> Section<'a> {
    pub(crate) fn root(tree: &'a Tree) -> Self {
        Self {
            tree,
            path: String::new(),
            value: &tree.root,
        }
    }

    pub(crate) fn section(&self, key: &str) -> Result<Self> {
        let section = Self {
            tree: self.tree,
            path: join(&self.path, key),
            value: self.value.get(key).unwrap_or(&Value::Null),
        };
        match section.value {
            Value::Null | Value::Object(_) => Ok(section),
            _ => Err(self.error(key, "must be a section: keys, each with a value")),
        }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, key: &str, default: bool) -> Result<bool> {
        let found = self.boolean_if(key)?;
        Ok(self.noted(key, found.unwrap_or(default)))
    }

    /// `true` or `false`, or neither.
    pub(crate) fn boolean_if(&self, key: &str) -> Result<Option<bool>> {
        let message = "must be true or false, without quotes";
        let found = self.read(key, message, |value| match value {
            Value::Bool(value) => Some(*value),
            _ => None,
        })?;
        if found.is_some() {
            self.noted(key, found);
        }
        Ok(found)
    }

    /// A text. An empty one is none.
    pub(crate) fn text(&self, key: &str) -> Result<Option<String>> {
        let found = self.written(key)?;
        Ok(self.noted(key, found))
    }

    /// A text, with a default.
    pub(crate) fn text_or(&self, key: &str, default: &str) -> Result<String> {
        let found = self.written(key)?;
        Ok(self.noted(key, found.unwrap_or_else(|| default.to_owned())))
    }

    /// A text that nobody may see.
    pub(crate) fn secret(&self, key: &str) -> Result<Option<Secret>> {
        let found = self.written(key)?.map(Secret::new);
        let mut resolved = self.tree.resolved.borrow_mut();
        resolved.note_secret(&self.path, key, found.is_some(), self.origin(key));
        Ok(found)
    }

    /// Checks a whole number that nothing depends on.
    pub(crate) fn idle_count(&self, key: &str) -> Result<()> {
        let message = "must be a whole number, not negative";
        self.read(key, message, Value::as_u64).map(drop)
    }

    /// A whole number that is `least` if it is less, as Distribution takes its limits: also as a text,
    /// and zero and what is below it too.
    pub(crate) fn limit(&self, key: &str, default: usize, least: usize) -> Result<usize> {
        let message = format!("must be a whole number; fewer than {least} are taken for {least}");
        let found = self.read(key, &message, |value| match value {
            Value::Number(number) if number.is_i64() => {
                Some(usize::try_from(number.as_i64()?).unwrap_or(0))
            }
            Value::String(text) => text.parse().ok(),
            _ => None,
        })?;
        let found = found.unwrap_or(default).max(least);
        Ok(self.noted(key, found))
    }

    /// A whole number, at least 1; zero is the default, as in Distribution.
    pub(crate) fn count(&self, key: &str, default: usize) -> Result<usize> {
        let message = "must be a whole number, not negative; 0 is the default";
        let found = self.read(key, message, |value| usize::try_from(value.as_u64()?).ok())?;
        let found = found.filter(|count| *count > 0).unwrap_or(default);
        Ok(self.noted(key, found))
    }

    /// A length of time.
    pub(crate) fn duration(
        &self,
        key: &str,
        default: Duration,
        number: BareNumber,
    ) -> Result<Duration> {
        let found = self.length(key, number)?.unwrap_or(default);
        self.noted(key, duration::display(found));
        Ok(found)
    }

    /// A length of time of Go's; zero is the default too.
    pub(crate) fn duration_or_zero(&self, key: &str, default: Duration) -> Result<Duration> {
        let found = self.length(key, BareNumber::Nanoseconds)?;
        let found = found.filter(|found| !found.is_zero()).unwrap_or(default);
        self.noted(key, duration::display(found));
        Ok(found)
    }

    fn length(&self, key: &str, number: BareNumber) -> Result<Option<Duration>> {
        match self.value.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(written)) => self.nanoseconds(key, written, number).map(Some),
            Some(value) => match duration::parse(&text(value).unwrap_or_default()) {
                Ok(found) => Ok(Some(found)),
                Err(invalid) => Err(self.no_duration(key, value, invalid)),
            },
        }
    }

    /// A number where a duration is wanted, as Go takes it.
    fn nanoseconds(&self, key: &str, written: &Number, number: BareNumber) -> Result<Duration> {
        let value = Value::Number(written.clone());
        if written.as_f64().is_some_and(|number| number < 0.0) {
            return Err(self.no_duration(key, &value, Invalid::Negative));
        }
        match (written.as_u64(), number) {
            // Nothing is nothing in every unit.
            (Some(0), _) => Ok(Duration::ZERO),
            (Some(nanoseconds), BareNumber::Nanoseconds) => {
                let found = Duration::from_nanos(nanoseconds);
                if found < Duration::from_secs(1) {
                    let path = join(&self.path, key);
                    let message = format!(
                        "{path}: {written} has no unit, so it is nanoseconds; write {written}s for seconds"
                    );
                    self.tree.warnings.borrow_mut().push(message);
                }
                Ok(found)
            }
            _ => Err(self.no_duration(key, &value, Invalid::NoUnit)),
        }
    }

    fn no_duration(&self, key: &str, written: &Value, invalid: Invalid) -> ConfigError {
        let message = match invalid {
            Invalid::Negative => "must not be negative; write a duration such as 168h".to_owned(),
            Invalid::NoUnit => {
                let number = text(written).unwrap_or_default();
                format!("{number} has no unit; write {number}h for hours, or {number}s for seconds")
            }
            Invalid::Syntax => "must be a duration such as 168h, 1m30s or 500ms".to_owned(),
        };
        self.error(key, message)
    }

    /// One of a few words, the first of which is the default. The empty one is the default too.
    pub(crate) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<T> {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let message = format!("must be one of {}", known.join(", "));
        let found = self.read(key, &message, |value| {
            let written = text(value)?.to_ascii_lowercase();
            if written.is_empty() {
                return words.first();
            }
            words.iter().find(|(word, _)| *word == written)
        })?;
        let found = found
            .or(words.first())
            .expect("there are words to choose from");
        self.noted(key, found.0);
        Ok(found.1)
    }

    /// A list of texts.
    pub(crate) fn strings(&self, key: &str) -> Result<Vec<String>> {
        let message = "must be a list of texts, such as [a, b]";
        let list = self.read(key, message, |value| {
            value
                .as_array()?
                .iter()
                .map(text)
                .collect::<Option<Vec<_>>>()
        })?;
        Ok(self.noted(key, list.unwrap_or_default()))
    }

    pub(crate) fn sections(&self, key: &str) -> Result<Vec<Self>> {
        let list = self.read(key, "must be a list of sections", Value::as_array)?;
        let entries = list.into_iter().flatten().enumerate();
        let section = |(i, value): (usize, &'a Value)| Self {
            tree: self.tree,
            path: format!("{}.{i}", join(&self.path, key)),
            value,
        };
        Ok(entries.map(section).collect())
    }

    /// Keys of the operator's choice, with a text each; what is a list or a section is its JSON.
    pub(crate) fn texts_or_json(&self, key: &str) -> Result<BTreeMap<String, String>> {
        let section = self.section(key)?;
        let text = |(key, value): (&String, &Value)| {
            let text = text(value).unwrap_or_else(|| match value {
                Value::Null => String::new(),
                nested => nested.to_string(),
            });
            (key.clone(), section.noted(key, text))
        };
        let fields = section.value.as_object().into_iter().flatten();
        Ok(fields.map(text).collect())
    }

    /// Whether the key is written, and not null.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.value.get(key).is_some_and(|value| !value.is_null())
    }

    /// Whether the key stands there, with or without a value.
    pub(crate) fn is_written(&self, key: &str) -> bool {
        self.value.get(key).is_some()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &'a String> + use<'a> {
        self.value
            .as_object()
            .into_iter()
            .flat_map(|map| map.keys())
    }

    /// An error about a key of this section.
    pub(crate) fn error(&self, key: &str, message: impl Into<String>) -> ConfigError {
        let path = join(&self.path, key);
        ConfigError::new(self.tree.origin(&path), path, message)
    }

    /// Sections that exclude each other, each with where it was written.
    pub(crate) fn rivals(&self, keys: &[&str]) -> String {
        let rival = |key: &&str| {
            let origin = self.tree.origin_of_section(&join(&self.path, key));
            format!("{key}: {origin}")
        };
        let rivals: Vec<_> = keys.iter().map(rival).collect();
        rivals.join(", ")
    }

    /// Notes what a setting came to.
    pub(crate) fn noted<T: Serialize>(&self, key: &str, found: T) -> T {
        let value = serde_json::to_value(&found).unwrap_or_default();
        let mut resolved = self.tree.resolved.borrow_mut();
        resolved.note(&self.path, key, value, self.origin(key));
        found
    }

    /// Leaves the default of a key out of what is shown; of no key, those of the whole section.
    pub(crate) fn is_off(&self, key: Option<&str>) {
        let path = key.map_or_else(|| self.path.clone(), |key| join(&self.path, key));
        self.tree.resolved.borrow_mut().forget_defaults(&path);
    }

    fn origin(&self, key: &str) -> Origin {
        if self.has(key) {
            self.tree.origin(&join(&self.path, key))
        } else {
            Origin::Defaults
        }
    }

    /// A text, without a note of it. An empty one is none.
    pub(crate) fn written(&self, key: &str) -> Result<Option<String>> {
        let found = self.read(key, &format!("must be a text; {QUOTES}"), text)?;
        Ok(found.filter(|text| !text.is_empty()))
    }

    fn read<T>(
        &self,
        key: &str,
        message: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.value.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match read(value) {
                Some(value) => Ok(Some(value)),
                None => Err(self.error(key, message)),
            },
        }
    }
}

impl fmt::Debug for Section<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.keys().collect();
        f.debug_struct("Section")
            .field("path", &self.path)
            .field("keys", &keys)
            .finish_non_exhaustive()
    }
}

/// What a number is where a duration is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BareNumber {
    /// Nanoseconds: so it is in Distribution, with a setting that is a duration of Go's.
    Nanoseconds,
    /// Nothing: Distribution wants a text there.
    Refused,
}

/// A scalar as a text. (What is a text by the table of keys is one by now, as it was written.)
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        Value::String(value) => Some(value.clone()),
        Value::Array(_) | Value::Null | Value::Object(_) => None,
    }
}
