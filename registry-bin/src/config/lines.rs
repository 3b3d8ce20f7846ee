//! Which line of a file a setting stands on.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::Spanned;

use super::tree::join;

/// The lines of all settings, by their path.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<String, u64>);

impl Lines {
    /// The lines of a text that is YAML; of one that is not, none.
    pub(super) fn of(text: &str) -> Self {
        let mut lines = Self::default();
        if let Ok(root) = serde_saphyr::from_str::<Spanned<Place>>(text) {
            lines.collect("", &root);
        }
        lines
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

    fn collect(&mut self, path: &str, place: &Spanned<Place>) {
        match &place.value {
            Place::List(entries) => {
                for (i, entry) in entries.iter().enumerate() {
                    let path = join(path, &i.to_string());
                    self.0.insert(path.clone(), entry.referenced.line());
                    self.collect(&path, entry);
                }
            }
            Place::Map(entries) => {
                for (key, entry) in entries {
                    let path = join(path, &key.value);
                    self.0.insert(path.clone(), key.referenced.line());
                    self.collect(&path, entry);
                }
            }
            Place::Scalar => {}
        }
    }
}

/// A YAML document, as far as places go.
enum Place {
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
    Scalar,
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Places)
    }
}

struct Places;

impl<'de> Visitor<'de> for Places {
    type Value = Place;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Place, E> {
        Ok(Place::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Place, E> {
        Ok(Place::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Place, E> {
        Ok(Place::Scalar)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Place, E> {
        Ok(Place::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Place, E> {
        Ok(Place::Scalar)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Place, E> {
        Ok(Place::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Place, E> {
        Ok(Place::Scalar)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Place, E> {
        Ok(Place::Scalar)
    }

    fn visit_none<E>(self) -> Result<Place, E> {
        Ok(Place::Scalar)
    }

    fn visit_unit<E>(self) -> Result<Place, E> {
        Ok(Place::Scalar)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Place, D::Error> {
        Place::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Place, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_element()? {
            entries.push(entry);
        }
        Ok(Place::List(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Place, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Place::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_has_its_line() {
        let text = "version: 0.1\n# a comment\nhttp:\n  addr: :5000\n  headers:\n    X-A: [a,\n      b]\nlog: \
                    {level: info, fields: {a: 1}}\nstorage: &s\n  inmemory:\nvalidation:\n  manifests:\n    \
                    indexes:\n      platformlist:\n        - os: linux\n          architecture: x\n";
        let lines = Lines::of(text);
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
        assert_eq!(Lines::of("a: [").at("a"), None);
    }
}
