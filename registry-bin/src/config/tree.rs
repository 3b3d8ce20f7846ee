//! What was written, before it means anything: the file's tree with the variables laid over it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    error::{ConfigError, Origin},
    schema::{BESIDE_THE_DRIVER, Node, ROOT},
};

/// A tree of settings, and which of them a variable set.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: Value,
    pub(crate) base: Origin,
    pub(crate) overrides: BTreeMap<String, String>,
}

impl Tree {
    /// The tree of a file, each of whose keys is one that is honoured.
    pub(crate) fn of_file(text: &str, base: Origin) -> Result<Self, ConfigError> {
        let mut root = yaml(text).map_err(|message| ConfigError::new(base.clone(), "", message))?;
        if !matches!(root, Value::Object(_)) {
            let message = "not a configuration: it has no keys; it must begin with `version: 0.1`";
            return Err(ConfigError::new(base, "", message));
        }
        if let Some(storage) = root.get_mut("storage") {
            name_the_driver(storage);
        }
        let mut problems = Vec::new();
        check(&ROOT, &root, "", &base, &mut problems);
        ConfigError::all(problems)?;
        Ok(Self {
            root,
            base,
            overrides: BTreeMap::new(),
        })
    }

    /// A tree of nothing.
    pub(crate) fn empty() -> Self {
        Self {
            root: Value::Object(Map::new()),
            base: Origin::Defaults,
            overrides: BTreeMap::new(),
        }
    }

    /// Where the setting at `path` was written: by the nearest variable, or in the file.
    pub(crate) fn origin(&self, path: &str) -> Origin {
        let mut path = path;
        loop {
            if let Some(variable) = self.overrides.get(path) {
                return Origin::Variable(variable.clone());
            }
            match path.rsplit_once('.') {
                Some((parent, _)) => path = parent,
                None => return self.base.clone(),
            }
        }
    }
}

/// Parses YAML.
pub(crate) fn yaml(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|e| format!("not YAML: {e}"))
}

/// `storage: inmemory` is short for `storage: {inmemory: {}}`.
pub(crate) fn name_the_driver(storage: &mut Value) {
    if let Value::String(driver) = storage {
        let driver = std::mem::take(driver);
        *storage = Value::Object(Map::from_iter([(driver, Value::Object(Map::new()))]));
    }
}

/// Finds keys below `value` that are not honoured.
pub(crate) fn check(
    node: &Node,
    value: &Value,
    path: &str,
    origin: &Origin,
    problems: &mut Vec<ConfigError>,
) {
    match (node, value) {
        (Node::Refused, _) => problems.push(refused(origin, path)),
        (Node::Section(keys), Value::Object(map)) => {
            for (key, value) in map {
                let path = join(path, key);
                match keys.iter().find(|(known, _)| known == key) {
                    Some((_, node)) => check(node, value, &path, origin, problems),
                    None => problems.push(unknown(node, origin, &path)),
                }
            }
        }
        (Node::Map(node), Value::Object(map)) => {
            for (key, value) in map {
                check(node, value, &join(path, key), origin, problems);
            }
        }
        (Node::List(node), Value::Array(list)) => {
            for (i, value) in list.iter().enumerate() {
                check(node, value, &join(path, &i.to_string()), origin, problems);
            }
        }
        // A value of another shape is the reader's to complain about.
        (Node::List(_) | Node::Map(_) | Node::Section(_) | Node::Value, _) => {}
    }
}

/// The error for a setting of Distribution's that is not honoured.
pub(crate) fn refused(origin: &Origin, path: &str) -> ConfigError {
    let message = match path {
        "loglevel" => "not supported: Distribution deprecated it; write `log.level` instead",
        "compatibility" | "reporting" | "storage.oss" | "storage.swift" => {
            "not supported: Distribution 3 removed it as well; remove it"
        }
        "validation.enabled" => {
            "not supported: validation is on unless `validation.disabled` says otherwise; remove it"
        }
        _ => {
            "not supported yet: this registry knows the setting of Distribution's and cannot \
             honour it, so it does not start as if it were not there; remove it to start without"
        }
    };
    ConfigError::new(origin.clone(), path, message)
}

pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn unknown(section: &Node, origin: &Origin, path: &str) -> ConfigError {
    let known: Vec<_> = section
        .honoured()
        .filter(|key| path.starts_with("storage.") || !BESIDE_THE_DRIVER.contains(key))
        .collect();
    let message = if known.is_empty() {
        "unknown key: this section takes none".to_owned()
    } else {
        format!("unknown key; the keys here are: {}", known.join(", "))
    };
    ConfigError::new(origin.clone(), path, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        match Tree::of_file(text, Origin::File("config.yml".into())) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_key_of_distributions_that_is_not_honoured_is_named() {
        fn refused(node: &Node, path: &str, found: &mut Vec<String>) {
            match node {
                Node::Refused => found.push(path.to_owned()),
                Node::Section(keys) => keys
                    .iter()
                    .for_each(|(key, node)| refused(node, &join(path, key), found)),
                Node::List(_) | Node::Map(_) | Node::Value => {}
            }
        }
        let mut paths = Vec::new();
        refused(&ROOT, "", &mut paths);
        assert_eq!(paths.len(), 26, "{paths:?}");
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
            let told = problems(&format!("version: 0.1\n{file}"));
            let start = format!("config.yml: {path}: not supported");
            assert!(told.starts_with(&start), "{path}: {told}");
        }
    }

    #[test]
    fn the_file_of_the_image_registry_2_is_refused_by_name() {
        let told = problems(
            "version: 0.1\nlog:\n  fields:\n    service: registry\nstorage:\n  cache:\n    \
             blobdescriptor: inmemory\n  filesystem:\n    rootdirectory: /var/lib/registry\nhttp:\n  \
             addr: :5000\n  headers:\n    X-Content-Type-Options: [nosniff]\nhealth:\n  \
             storagedriver:\n    enabled: true\n",
        );
        let keys: Vec<_> = told
            .lines()
            .filter_map(|line| line.split(": ").nth(1))
            .collect();
        assert_eq!(keys, ["health", "storage.cache"]);
    }

    #[test]
    fn unknown_keys_are_named_with_their_path() {
        let rows = [
            ("htpp: {}", "config.yml: htpp: unknown key"),
            (
                "http: {port: 1}",
                "config.yml: http.port: unknown key; the keys here are: addr, net",
            ),
            (
                "storage: {inmemory: {a: 1}}",
                "config.yml: storage.inmemory.a: unknown key: this",
            ),
            (
                "storage: ftp",
                "config.yml: storage.ftp: unknown key; the keys here are: filesystem",
            ),
            (
                "validation: {manifests: {indexes: {platformlist: [{cpu: 1}]}}}",
                "config.yml: validation.manifests.indexes.platformlist.0.cpu: unknown key",
            ),
            ("- 1", "config.yml: not a configuration"),
            ("a: [", "config.yml: not YAML"),
            ("http: {}\nhttp: {}", "config.yml: not YAML"),
        ];
        for (text, start) in rows {
            let told = problems(text);
            assert!(told.starts_with(start), "{text}: {told}");
        }
    }
}
