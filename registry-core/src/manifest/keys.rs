//! Keys that two readers of one manifest take for two.

use serde::{Deserialize, Deserializer, de};

/// A key that Go's JSON takes for one of a manifest's, since it compares without case, and others do
/// not: what is checked here and what a client reads would be two documents.
pub fn ambiguous_key(bytes: &[u8]) -> Option<String> {
    let keys: Keys<true> = serde_json::from_slice(bytes).ok()?;
    keys.0
}

/// The first key of a manifest (or of a descriptor) that differs from a known one in case alone.
struct Keys<const TOP: bool>(Option<String>);

const OF_MANIFESTS: [&str; 8] = [
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
];

const OF_DESCRIPTORS: [&str; 8] = [
    "mediaType",
    "digest",
    "size",
    "urls",
    "annotations",
    "data",
    "platform",
    "artifactType",
];

impl<'de, const TOP: bool> Deserialize<'de> for Keys<TOP> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeysVisitor::<TOP>)
    }
}

struct KeysVisitor<const TOP: bool>;

impl<'de, const TOP: bool> de::Visitor<'de> for KeysVisitor<TOP> {
    type Value = Keys<TOP>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a manifest, or what is in it")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Keys<TOP>, E> {
        Ok(Keys(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Keys<TOP>, E> {
        Ok(Keys(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Keys<TOP>, E> {
        Ok(Keys(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Keys<TOP>, E> {
        Ok(Keys(None))
    }

    fn visit_str<E>(self, _: &str) -> Result<Keys<TOP>, E> {
        Ok(Keys(None))
    }

    fn visit_unit<E>(self) -> Result<Keys<TOP>, E> {
        Ok(Keys(None))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut entries: A) -> Result<Keys<TOP>, A::Error> {
        let mut found = None;
        while let Some(Keys(entry)) = entries.next_element::<Self::Value>()? {
            found = found.or(entry);
        }
        Ok(Keys(found))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<Keys<TOP>, A::Error> {
        let known = if TOP { &OF_MANIFESTS } else { &OF_DESCRIPTORS };
        let mut found = None;
        while let Some(key) = entries.next_key::<String>()? {
            let odd = |known: &&str| key.eq_ignore_ascii_case(known) && key != *known;
            if known.iter().any(odd) {
                found.get_or_insert_with(|| key.clone());
            }
            if TOP && ["config", "layers", "manifests", "subject"].contains(&key.as_str()) {
                let Keys(inner) = entries.next_value::<Keys<false>>()?;
                found = found.or(inner);
            } else {
                entries.next_value::<de::IgnoredAny>()?;
            }
        }
        Ok(Keys(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_two_things_to_two_programs() {
        for (text, expected) in [
            (r#"{"Layers":[]}"#, Some("Layers")),
            (r#"{"manifests":[{"Digest":"x"}]}"#, Some("Digest")),
            (r#"{"config":{"digest":"x","SIZE":1}}"#, Some("SIZE")),
            (r#"{"subject":{"mediatype":"x"}}"#, Some("mediatype")),
            (
                r#"{"layers":[{"Layers":1}],"other":{"Digest":2},"Other":1}"#,
                None,
            ),
            (
                r#"{"annotations":{"Digest":"x"},"layers":[{"annotations":{"Size":"1"}}]}"#,
                None,
            ),
            (r#"{"layers":null,"config":3,"manifests":"x"}"#, None),
        ] {
            assert_eq!(
                ambiguous_key(text.as_bytes()).as_deref(),
                expected,
                "{text}"
            );
        }
    }
}
