//! A YAML document as it was written: its values, how they are spelled, and the line of each.
//!
//! YAML takes `1.10` for a number and `off` for a truth value. Where the table of keys wants a text,
//! these are texts, as they stand there.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};
use serde_saphyr::{Error, NonFiniteFloatPolicy, Spanned};

use super::{schema::Node, tree::join};

/// A document that is YAML. `Debug` shows nothing of it: there may be secrets in it.
pub(super) struct Document<'a> {
    text: &'a str,
    root: Spanned<Written>,
}

/// Why a text is no document: the line, where that is known, and what is wrong.
#[derive(Debug)]
pub(super) struct NotYaml {
    pub(super) line: Option<u64>,
    pub(super) message: String,
}

impl<'a> Document<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, NotYaml> {
        let options = serde_saphyr::options! {
            with_snippet: false,
            non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        };
        match serde_saphyr::from_str_with_options(text, options) {
            Ok(root) => Ok(Self { text, root }),
            Err(error) => Err(NotYaml {
                line: error.location().map(|location| location.line()),
                message: message(&error),
            }),
        }
    }

    /// Its values, where `node` says what may be there.
    pub(super) fn value(&self, node: &Node) -> Value {
        self.value_of(&self.root, Some(node))
    }

    /// Its values, as YAML takes them.
    pub(super) fn plain_value(&self) -> Value {
        self.value_of(&self.root, None)
    }

    pub(super) fn lines(&self) -> Lines {
        let mut lines = Lines::default();
        lines.collect("", &self.root);
        lines
    }

    fn value_of(&self, written: &Spanned<Written>, node: Option<&Node>) -> Value {
        match &written.value {
            Written::List(entries) => {
                let entry = match node {
                    Some(Node::List(_, entry)) => Some(*entry),
                    _ => None,
                };
                let values = entries.iter().map(|value| self.value_of(value, entry));
                Value::Array(values.collect())
            }
            Written::Map(entries) => {
                let below = |key: &str| match node {
                    Some(Node::Map(_, value)) => Some(*value),
                    node => node?.key(key),
                };
                let entry = |(key, value): &(Spanned<String>, Spanned<Written>)| {
                    (key.value.clone(), self.value_of(value, below(&key.value)))
                };
                Value::Object(entries.iter().map(entry).collect::<Map<_, _>>())
            }
            Written::NonFinite => self.spelled(written, &Value::Null),
            Written::Scalar(value @ (Value::Null | Value::String(_))) => value.clone(),
            Written::Scalar(value) => match node {
                Some(Node::Value(setting)) if !setting.typed => self.spelled(written, value),
                _ => value.clone(),
            },
        }
    }

    /// A number or a truth value as a text.
    fn spelled(&self, written: &Spanned<Written>, value: &Value) -> Value {
        let span = written.defined.span();
        let place = span.byte_offset().zip(span.byte_len());
        let spelled = place.and_then(|(from, length)| {
            let from = usize::try_from(from).ok()?;
            let length = usize::try_from(length).ok()?;
            self.text.get(from..from.checked_add(length)?)
        });
        // In quotes it is none of these but by a tag, as in `!!int "5"`.
        let spelled = spelled.map(|text| text.trim().trim_matches(['"', '\'']));
        Value::String(spelled.map_or_else(|| value.to_string(), str::to_owned))
    }
}

impl fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").finish_non_exhaustive()
    }
}

/// What is wrong, in words that say what to do.
fn message(error: &Error) -> String {
    match error.without_snippet() {
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("`{key}` is written twice in one section; keep one of the two")
        }
        Error::DuplicateMappingKey { key: None, .. } => {
            "a key is written twice in one section; keep one of the two".to_owned()
        }
        Error::MultipleDocuments { .. } => {
            "a second document begins here; there can be one: remove the `---` or `...` before it, \
             or what follows"
                .to_owned()
        }
        error => format!("not YAML: {error}"),
    }
}

/// The lines of all settings, by their path.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<String, u64>);

impl Lines {
    /// Whether there is a setting at `path` itself.
    pub(super) fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// The line of the setting at `path`, or of the nearest one that it is in.
    pub(super) fn at(&self, mut path: &str) -> Option<u64> {
        loop {
            if let Some(line) = self.0.get(path) {
                return Some(*line);
            }
            path = path.rsplit_once('.')?.0;
        }
    }

    fn collect(&mut self, path: &str, written: &Spanned<Written>) {
        match &written.value {
            Written::List(entries) => {
                for (i, entry) in entries.iter().enumerate() {
                    let path = join(path, &i.to_string());
                    self.0.insert(path.clone(), entry.referenced.line());
                    self.collect(&path, entry);
                }
            }
            Written::Map(entries) => {
                for (key, entry) in entries {
                    let path = join(path, &key.value);
                    self.0.insert(path.clone(), key.referenced.line());
                    self.collect(&path, entry);
                }
            }
            Written::NonFinite | Written::Scalar(_) => {}
        }
    }
}

/// What stands at a place. It has no `Debug`: it may be a secret.
enum Written {
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
    /// A number that JSON has none for: nothing but how it is spelled is known of it.
    NonFinite,
    Scalar(Value),
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Written, E> {
        Ok(Written::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Written, E> {
        let number = serde_json::Number::from_f64(value);
        Ok(number.map_or(Written::NonFinite, |number| Written::Scalar(number.into())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Written, E> {
        Ok(Written::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Written, E> {
        Ok(Written::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Written, E> {
        Ok(Written::Scalar(value.into()))
    }

    fn visit_none<E>(self) -> Result<Written, E> {
        Ok(Written::Scalar(Value::Null))
    }

    fn visit_unit<E>(self) -> Result<Written, E> {
        Ok(Written::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Written, D::Error> {
        Written::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Written, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_element()? {
            entries.push(entry);
        }
        Ok(Written::List(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Written, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Written::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::schema::ROOT, *};

    #[test]
    fn each_setting_has_its_line() {
        let text = "version: 0.1\n# a comment\nhttp:\n  addr: :5000\n  headers:\n    X-A: [a,\n      b]\nlog: \
                    {level: info, fields: {a: 1}}\nstorage: &s\n  inmemory:\nvalidation:\n  manifests:\n    \
                    indexes:\n      platformlist:\n        - os: linux\n          architecture: x\n";
        let lines = Document::parse(text).unwrap().lines();
        for (path, line) in [
            ("version", Some(1)),
            ("http", Some(3)),
            ("http.addr", Some(4)),
            ("http.headers.X-A.1", Some(7)),
            ("http.tls.key", Some(3)),
            ("log.fields.a", Some(8)),
            ("storage.inmemory", Some(10)),
            (
                "validation.manifests.indexes.platformlist.0.architecture",
                Some(16),
            ),
            ("absent", None),
        ] {
            assert_eq!(lines.at(path), line, "{path}");
        }
    }

    #[test]
    fn a_text_is_as_it_was_written() {
        for written in [
            "1.10",
            "0123",
            "1e3",
            "yes",
            "0x1F",
            "1_000",
            "off",
            "-1",
            "+5",
            ".inf",
            ".NaN",
            "1e999",
            "99999999999999999999",
            "0o17",
            "2001-01-01",
            "True",
            "a: b",
        ] {
            let plain = if written == "a: b" { "'a: b'" } else { written };
            for text in [
                format!("http: {{headers: {{X-T: [x, {plain}]}}, host: {plain}}} # c"),
                format!(
                    "\u{feff}# ä\r\nhttp:\r\n  host: &a {plain}   # c\r\n  headers: {{X-T: [y, *a]}}"
                ),
                format!(
                    "http: {{<<: {{host: {plain}}}, headers: {{X-T: [!!str x, !!str {plain}]}}}}"
                ),
                format!(
                    "http:\n  host:\n    {plain}\n  headers:\n    X-T:\n    - ''\n    - {plain}\n"
                ),
            ] {
                let value = Document::parse(&text).unwrap().value(&ROOT);
                assert_eq!(value["http"]["host"], written, "{text}");
                assert_eq!(value["http"]["headers"]["X-T"][1], written, "{text}");
            }
        }
        let text = "{http: {host: ~, relativeurls: yes, secret: !!int '5'}, tags: {maxtags: 0x1F}}";
        let value = Document::parse(text).unwrap().value(&ROOT);
        let expected = serde_json::json!(
            {"http": {"host": null, "relativeurls": true, "secret": "5"}, "tags": {"maxtags": 31}}
        );
        assert_eq!(value, expected);
    }

    #[test]
    fn it_does_not_show_what_is_written_there() {
        let document = Document::parse("http: {secret: hunter2}").unwrap();
        assert_eq!(format!("{document:?}"), "Document { .. }");
    }

    #[test]
    fn what_is_no_document_is_said_in_our_words() {
        for (text, line, said) in [
            ("a: [", 1, "not YAML: "),
            (
                "a: 1\nb: 2\na: 3",
                3,
                "`a` is written twice in one section; keep one",
            ),
            (
                "a: {b: 1, b: 1}",
                1,
                "`b` is written twice in one section; keep one",
            ),
            (
                "a: 1\n---\na: 2\n",
                3,
                "a second document begins here; there can be one",
            ),
        ] {
            let wrong = Document::parse(text).unwrap_err();
            assert_eq!(wrong.line, Some(line), "{text}");
            assert!(wrong.message.starts_with(said), "{}", wrong.message);
            assert!(!wrong.message.contains("Options"), "{}", wrong.message);
        }
    }
}
