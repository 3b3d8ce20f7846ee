//! Reads typed values out of the tree, each complaint with where it was written and its key.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::{
    duration,
    error::ConfigError,
    tree::{Tree, join},
};

type Result<T> = std::result::Result<T, ConfigError>;

/// A section of the tree. What is not there, or null, reads as `None` everywhere.
#[derive(Clone, Debug)]
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

    pub(crate) fn boolean(&self, key: &str) -> Result<Option<bool>> {
        let message = "must be true or false, without quotes";
        self.read(key, message, |value| match value {
            Value::Bool(value) => Some(*value),
            _ => None,
        })
    }

    pub(crate) fn string(&self, key: &str) -> Result<Option<String>> {
        self.read(key, "must be a text", text)
    }

    pub(crate) fn count(&self, key: &str) -> Result<Option<usize>> {
        let message = "must be a whole number, at least 1";
        self.read(key, message, |value| {
            let count = value.as_u64().filter(|count| *count > 0)?;
            usize::try_from(count).ok()
        })
    }

    pub(crate) fn duration(&self, key: &str) -> Result<Option<Duration>> {
        let message = "must be a duration such as 168h, 1m30s or 500ms";
        self.read(key, message, |value| duration::parse(&text(value)?))
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        let known = words.iter().map(|(word, _)| *word);
        let known: Vec<_> = known.filter(|word| !word.is_empty()).collect();
        let message = format!("must be one of {}", known.join(", "));
        self.read(key, &message, |value| {
            let written = text(value)?.to_ascii_lowercase();
            words
                .iter()
                .find(|(word, _)| *word == written)
                .map(|(_, meaning)| *meaning)
        })
    }

    pub(crate) fn strings(&self, key: &str) -> Result<Vec<String>> {
        let list = self.read(key, "must be a list of texts, such as [a, b]", |value| {
            value.as_array()?.iter().map(text).collect()
        })?;
        Ok(list.unwrap_or_default())
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

    /// Keys of the operator's choice, with a text each.
    pub(crate) fn texts(&self, key: &str) -> Result<BTreeMap<String, String>> {
        let section = self.section(key)?;
        let text = |key: &String| Ok((key.clone(), section.string(key)?.unwrap_or_default()));
        section.keys().map(text).collect()
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
        let origin = match self.value.get(key) {
            Some(_) => self.tree.origin(&path),
            None => self.tree.base.clone(),
        };
        ConfigError::new(origin, path, message)
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

/// A scalar as a text. YAML takes `5000` and `true` for something else; where a text is wanted they
/// are texts.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        Value::String(value) => Some(value.clone()),
        Value::Array(_) | Value::Null | Value::Object(_) => None,
    }
}
