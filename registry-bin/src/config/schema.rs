//! Every key that Distribution's configuration has, 2.8's and 3's, and which of them are honoured.
//!
//! One table, read by the check of the file, by the variables and by the reader. A key that is
//! Distribution's but not honoured stops the start: a registry must not be open because its
//! `auth` was ignored.

use self::Node::{List, Map, Refused, Section, Value};

/// What may be written at a place of the configuration.
#[derive(Debug)]
pub(crate) enum Node {
    /// A list; each entry is like this.
    List(&'static Self),
    /// Keys of the operator's own choice; each value is like this.
    Map(&'static Self),
    /// Distribution knows it, with whatever is below; this registry does not, yet.
    Refused,
    /// These keys, in the order they are documented.
    Section(&'static [(&'static str, Self)]),
    /// A scalar.
    Value,
}

impl Node {
    /// The keys of a section that are honoured.
    pub(crate) fn honoured(&self) -> impl Iterator<Item = &'static str> {
        let keys: &[(&str, Self)] = match self {
            Section(keys) => keys,
            List(_) | Map(_) | Refused | Value => &[],
        };
        keys.iter()
            .filter(|(_, node)| !matches!(node, Refused))
            .map(|(key, _)| *key)
    }
}

/// The keys of `storage` that are not the name of a driver.
pub(crate) const BESIDE_THE_DRIVER: [&str; 5] =
    ["maintenance", "cache", "delete", "redirect", "tag"];

/// The whole configuration.
pub(crate) const ROOT: Node = Section(&[
    ("version", Value),
    ("log", LOG),
    ("storage", STORAGE),
    ("http", HTTP),
    ("validation", VALIDATION),
    ("catalog", Section(&[("maxentries", Value)])),
    ("tags", Section(&[("maxtags", Value)])),
    ("auth", Refused),
    ("compatibility", Refused),
    ("health", Refused),
    ("loglevel", Refused),
    ("middleware", Refused),
    ("notifications", Refused),
    ("policy", Refused),
    ("proxy", Refused),
    ("redis", Refused),
    ("reporting", Refused),
]);

const LOG: Node = Section(&[
    ("level", Value),
    ("formatter", Value),
    ("fields", Map(&Value)),
    ("accesslog", Section(&[("disabled", Value)])),
    ("hooks", Refused),
    ("reportcaller", Refused),
]);

const STORAGE: Node = Section(&[
    (
        "filesystem",
        Section(&[("rootdirectory", Value), ("maxthreads", Value)]),
    ),
    ("inmemory", Section(&[])),
    ("delete", Section(&[("enabled", Value)])),
    ("maintenance", MAINTENANCE),
    ("azure", Refused),
    ("cache", Refused),
    ("gcs", Refused),
    ("oss", Refused),
    ("redirect", Refused),
    ("s3", Refused),
    ("s3aws", Refused),
    ("swift", Refused),
    ("tag", Refused),
]);

const MAINTENANCE: Node = Section(&[
    (
        "uploadpurging",
        Section(&[
            ("enabled", Value),
            ("age", Value),
            ("interval", Value),
            ("dryrun", Value),
        ]),
    ),
    ("readonly", Section(&[("enabled", Value)])),
]);

const HTTP: Node = Section(&[
    ("addr", Value),
    ("net", Value),
    ("host", Value),
    ("prefix", Value),
    ("secret", Value),
    ("relativeurls", Value),
    ("draintimeout", Value),
    ("headers", Map(&List(&Value))),
    ("debug", Refused),
    ("h2c", Refused),
    ("http2", Refused),
    ("tls", Refused),
]);

const VALIDATION: Node = Section(&[
    ("disabled", Value),
    (
        "manifests",
        Section(&[
            (
                "urls",
                Section(&[("allow", List(&Value)), ("deny", List(&Value))]),
            ),
            (
                "indexes",
                Section(&[
                    ("platforms", Value),
                    (
                        "platformlist",
                        List(&Section(&[("architecture", Value), ("os", Value)])),
                    ),
                ]),
            ),
            ("references", Value),
        ]),
    ),
    ("enabled", Refused),
]);
