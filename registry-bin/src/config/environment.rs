//! `REGISTRY_*` variables, laid over the file's tree by Distribution's rules.
//!
//! A variable is the path of a key in capitals, joined by `_` (no key contains one). Its value is
//! YAML and replaces what is there, also a whole section; a secret can be left in a file, which
//! `…_FILE` names. Variables are applied in the order of
//! their names, so that a section comes before what is in it. A number is an index into a list,
//! at most one past its end.

use std::path::Path;

use serde_json::{Map, Value};

use super::{
    document::Document,
    error::{ConfigError, Origin, QUOTES},
    schema::{Node, ROOT},
    source::contents,
    tree::{Tree, asks, check, join, meant, name_the_driver, refused},
};

/// The variable that names the configuration file.
pub const CONFIGURATION_PATH: &str = "REGISTRY_CONFIGURATION_PATH";

const PREFIX: &str = "REGISTRY_";

/// Applies the variables. The answer is a warning for each that means nothing.
pub(crate) fn apply(
    tree: &mut Tree,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<String>, ConfigError> {
    let mut variables: Vec<_> = variables
        .into_iter()
        .filter(|(name, _)| name.starts_with(PREFIX) && name != CONFIGURATION_PATH)
        .collect();
    variables.sort();
    let mut warnings = Vec::new();
    let mut problems = Vec::new();
    for (name, value) in variables {
        let path: Vec<_> = name.split('_').skip(1).collect();
        let mut place = Place {
            origin: Origin::Variable(name.clone()),
            path: String::new(),
            payload: &value,
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
            Ok(false) | Err(_) if place.outside && is_link(&path, &value) => {
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

/// Whether a variable of this path is about who comes in or what may be done. There a slip of the pen
/// must not pass for nothing: it would leave the registry open, or writable.
fn decides(path: &[&str]) -> bool {
    matches!(path, ["AUTH" | "STORAGE", _, ..])
}

/// Whether a variable is one that Kubernetes or Docker sets for another service whose name begins with
/// `registry-`: `REGISTRY_REDIS_SERVICE_HOST`, `REGISTRY_REDIS_PORT=tcp://…` and what is like them.
fn is_link(path: &[&str], value: &str) -> bool {
    const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
    // There Distribution takes keys of the operator's choice, so anything may be one.
    const FREE: [&str; 4] = ["CREDENTIALS", "FIELDS", "HEADERS", "OPTIONS"];
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let protocol = |text: &str| PROTOCOLS.contains(&text);
    let (service, shape) = match path {
        [service @ .., "SERVICE", "HOST" | "PORT"] => (service, true),
        [service @ .., "SERVICE", "PORT", _] => (service, number(value)),
        [service @ .., "PORT", port, kind, "ADDR" | "PORT" | "PROTO"]
        | [service @ .., "PORT", port, kind] => (service, number(port) && protocol(kind)),
        [service @ .., "PORT"] => {
            let url = value.split_once("://");
            (
                service,
                url.is_some_and(|(kind, _)| protocol(&kind.to_ascii_uppercase())),
            )
        }
        _ => return false,
    };
    shape && !service.iter().any(|part| FREE.contains(part))
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
        let text = contents(Path::new(self.payload)).map_err(|error| {
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const FILE: &str = "version: 0.1\nstorage: {filesystem: {rootdirectory: /a}, delete: {enabled: \
                        true}}\nhttp: {headers: {X-A: [a, b]}}\n";

    fn applied(variables: &str) -> Result<(Value, Vec<String>), String> {
        let mut tree = Tree::of_file(FILE, Origin::File("c".into(), None)).unwrap();
        let variables = variables.lines().map(|line| {
            let (name, value) = line.split_once('=').expect("each row is NAME=value");
            (name.to_owned(), value.to_owned())
        });
        match apply(&mut tree, variables) {
            Ok(warnings) => Ok((tree.root, warnings)),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn variables_overwrite_as_distributions_do() {
        let rows = [
            (
                "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/b",
                "/storage/filesystem",
                r#"{"rootdirectory":"/b"}"#,
            ),
            (
                "REGISTRY_STORAGE=inmemory",
                "/storage",
                r#"{"inmemory":{}}"#,
            ),
            (
                "REGISTRY_STORAGE_DELETE_ENABLED=true\nREGISTRY_STORAGE=inmemory",
                "/storage",
                r#"{"delete":{"enabled":true},"inmemory":{}}"#,
            ),
            (
                "REGISTRY_STORAGE_DELETE={enabled: false}",
                "/storage/delete",
                r#"{"enabled":false}"#,
            ),
            ("REGISTRY_HTTP_ADDR=:5001", "/http/addr", r#"":5001""#),
            (
                "REGISTRY_HTTP_HEADERS_X-A_1=c",
                "/http/headers",
                r#"{"X-A":["a","c"]}"#,
            ),
            (
                "REGISTRY_HTTP_HEADERS_X-A_2=c",
                "/http/headers",
                r#"{"X-A":["a","b","c"]}"#,
            ),
            (
                "REGISTRY_HTTP_HEADERS_X-B=[d]",
                "/http/headers",
                r#"{"X-A":["a","b"],"x-b":["d"]}"#,
            ),
            (
                "REGISTRY_LOG_FIELDS_SERVICE=registry",
                "/log",
                r#"{"fields":{"service":"registry"}}"#,
            ),
            (
                "REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_OS=linux",
                "/validation/manifests/indexes/platformlist",
                r#"[{"os":"linux"}]"#,
            ),
            (
                "REGISTRY_AUTH=htpasswd\nREGISTRY_AUTH_HTPASSWD_REALM=Registry \
                 Realm\nREGISTRY_AUTH_HTPASSWD_PATH=/auth/htpasswd",
                "/auth",
                r#"{"htpasswd":{"path":"/auth/htpasswd","realm":"Registry Realm"}}"#,
            ),
            (
                "REGISTRY_CATALOG={maxentries: 5}",
                "/catalog",
                r#"{"maxentries":5}"#,
            ),
        ];
        for (variables, pointer, expected) in rows {
            let (root, warnings) = applied(variables).unwrap();
            let found = root.pointer(pointer).map(Value::to_string);
            assert_eq!(found.as_deref(), Some(expected), "{variables:?}");
            assert!(warnings.is_empty(), "{warnings:?}");
        }
    }

    #[test]
    fn what_distribution_does_not_know_warns() {
        for name in [
            "REGISTRY_PORT",
            "REGISTRY_SERVICE_HOST",
            "REGISTRY_HTTP_FOO",
            "REGISTRY_HTTP_ADDR_FOO",
        ] {
            let (root, warnings) = applied(&format!("{name}=tcp://10.0.0.1:5000")).unwrap();
            assert_eq!(warnings, [format!("{name}: not a setting, ignored")]);
            assert_eq!(root, Tree::of_file(FILE, Origin::Defaults).unwrap().root);
        }
        let (_, warnings) = applied("REGISTRY_HTTP_ADR=:1").unwrap();
        assert!(warnings[0].ends_with("; REGISTRY_HTTP_ADDR is meant, maybe"));
        assert!(
            applied("REGISTRY_CONFIGURATION_PATH=x\nPATH=/bin")
                .unwrap()
                .1
                .is_empty()
        );
    }

    #[test]
    fn what_asks_for_nothing_is_no_matter() {
        for variable in [
            "REGISTRY_PROXY_REMOTEURL=",
            "REGISTRY_LOG_HOOKS=[]",
            "REGISTRY_REDIS={}",
            "REGISTRY_COMPATIBILITY_SCHEMA1_ENABLED=false",
            "REGISTRY_LOG={hooks: []}",
        ] {
            assert_eq!(applied(variable).unwrap().1, [""; 0], "{variable}");
        }
    }

    const LINKS: [(&str, &str); 9] = [
        ("SERVICE_HOST", "10.0.0.1"),
        ("SERVICE_PORT", "6379"),
        ("SERVICE_PORT_HTTP", "80"),
        ("PORT", "tcp://10.0.0.1:6379"),
        ("PORT_6379_TCP", "tcp://10.0.0.1:6379"),
        ("PORT_6379_TCP_ADDR", "10.0.0.1"),
        ("PORT_6379_TCP_PORT", "6379"),
        ("PORT_6379_TCP_PROTO", "tcp"),
        ("PORT_53_UDP_PROTO", "udp"),
    ];

    #[test]
    fn links_of_other_services_are_ignored() {
        for service in [
            "REDIS",
            "REDIS_0",
            "PROXY",
            "AUTH",
            "STORAGE",
            "STORAGE_S3",
            "HTTP",
            "WEB",
        ] {
            for (name, value) in LINKS {
                let name = format!("REGISTRY_{service}_{name}");
                let (root, warnings) = applied(&format!("{name}={value}")).unwrap();
                assert!(warnings[0].starts_with(&format!("{name}: not a setting, ignored")));
                assert_eq!(root, Tree::of_file(FILE, Origin::Defaults).unwrap().root);
            }
        }
        for (name, value) in [
            ("AUTH_TOKEN_SERVICE", "r"),
            ("REDIS_PORT", "6379"),
            ("REDIS_PORT_6379", "x"),
            ("REDIS_ADDR", "["),
        ] {
            let told = applied(&format!("REGISTRY_{name}={value}")).unwrap_err();
            assert!(told.contains(": not supported"), "{told}");
        }
    }

    /// No key of Distribution's looks like a link, whatever is put where a key is free.
    #[test]
    fn a_link_hides_no_key() {
        for line in include_str!("../../tests/keys/distribution.txt").lines() {
            let key = line.split('\t').next().unwrap_or_default();
            let key = key
                .replace("[]", "0")
                .replace('.', "_")
                .to_ascii_uppercase();
            for (free, value) in LINKS {
                let name = key.replace('*', free);
                let path: Vec<_> = name.split('_').collect();
                assert!(!is_link(&path, value), "{name}={value}");
            }
        }
    }

    /// Who comes in, and what may be done, is not decided by what means nothing.
    #[test]
    fn what_is_unknown_below_storage_and_auth_is_an_error() {
        let rows = [
            (
                "AUTH_HTPASSWD_PATH_FILE",
                "auth.htpasswd.path.file: unknown setting; REGISTRY_AUTH_HTPASSWD_PATH is meant, maybe",
            ),
            (
                "AUTH_HTPASSWD_FILE",
                "auth.htpasswd.file: unknown setting; the variables here are: \
                 REGISTRY_AUTH_HTPASSWD_REALM, REGISTRY_AUTH_HTPASSWD_PATH",
            ),
            (
                "AUTH_HTPASWD_PATH",
                "auth.htpaswd: no kind of authentication of this registry",
            ),
            (
                "AUTH_NONE_X",
                "auth.none.x: unknown setting; REGISTRY_AUTH_NONE is meant, maybe",
            ),
            (
                "STORAGE_MAINTENANCE_READONLY_ENABLED_FOO",
                "storage.maintenance.readonly.enabled.foo: unknown setting; \
                 REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED is meant, maybe",
            ),
            (
                "STORAGE_DELETE_ENABLE",
                "storage.delete.enable: unknown setting; REGISTRY_STORAGE_DELETE_ENABLED is meant",
            ),
            (
                "STORAGE_MAINTENANCE_FOO",
                "storage.maintenance.foo: unknown setting; the variables here are: \
                 REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED, ",
            ),
        ];
        for (name, start) in rows {
            let told = applied(&format!("REGISTRY_{name}=true")).unwrap_err();
            assert!(
                told.starts_with(&format!("REGISTRY_{name}: {start}")),
                "{told}"
            );
        }
    }

    #[test]
    fn what_is_not_honoured_is_named() {
        let rows = [
            (
                "REGISTRY_AUTH",
                "token",
                "REGISTRY_AUTH: auth.token: not supported",
            ),
            (
                "REGISTRY_AUTH_TOKEN_REALM",
                "/p",
                "REGISTRY_AUTH_TOKEN_REALM: auth.token: not supported",
            ),
            (
                "REGISTRY_AUTH_LDAP_URL",
                "/p",
                "REGISTRY_AUTH_LDAP_URL: auth.ldap: no kind of authentication",
            ),
            (
                "REGISTRY_STORAGE",
                "s3",
                "REGISTRY_STORAGE: storage.s3: not supported",
            ),
            (
                "REGISTRY_STORAGE_S3_BUCKET",
                "b",
                "REGISTRY_STORAGE_S3_BUCKET: storage.s3: not supp",
            ),
            (
                "REGISTRY_STORAGE",
                "ftp",
                "REGISTRY_STORAGE: storage.ftp: unknown key",
            ),
            (
                "REGISTRY_STORAGE_FTP_HOST",
                "h",
                "REGISTRY_STORAGE_FTP_HOST: storage.ftp: no storage",
            ),
            (
                "REGISTRY_LOG",
                "{hooks: [{type: mail}]}",
                "REGISTRY_LOG: log.hooks: not supported",
            ),
            (
                "REGISTRY_REDIS_ADDRS_0",
                "a",
                "REGISTRY_REDIS_ADDRS_0: redis: not supported",
            ),
            (
                "REGISTRY_HTTP_HEADERS_X-A_4",
                "c",
                "REGISTRY_HTTP_HEADERS_X-A_4: http.headers.X-A: 4 is",
            ),
            (
                "REGISTRY_HTTP_HEADERS_X-A_B",
                "c",
                "REGISTRY_HTTP_HEADERS_X-A_B: http.headers.X-A: B is",
            ),
            (
                "REGISTRY_HTTP_ADDR",
                "[",
                "REGISTRY_HTTP_ADDR: http.addr: not YAML",
            ),
        ];
        for (name, value, start) in rows {
            let told = applied(&format!("{name}={value}")).unwrap_err();
            assert!(told.starts_with(start), "{told}");
        }
    }

    #[test]
    fn a_secret_can_be_left_in_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "hunter: [2\r\n").unwrap();
        let name = file.path().display();
        let (root, _) = applied(&format!("REGISTRY_HTTP_SECRET_FILE={name}")).unwrap();
        assert_eq!(root["http"]["secret"], "hunter: [2");
        for (variables, wrong) in [
            (
                format!("REGISTRY_HTTP_SECRET=a\nREGISTRY_HTTP_SECRET_FILE={name}"),
                "http.secret: REGISTRY_HTTP_SECRET sets it as well",
            ),
            (
                "REGISTRY_HTTP_SECRET_FILE=/absent".to_owned(),
                "http.secret: /absent cannot be read",
            ),
            (
                "REGISTRY_HTTP_SECRET_FILE=/dev/null".to_owned(),
                "http.secret: /dev/null is empty",
            ),
        ] {
            let told = applied(&variables).unwrap_err();
            assert!(told.starts_with("REGISTRY_HTTP_SECRET_FILE: "), "{told}");
            assert!(told.contains(wrong), "{told}");
        }
        // What is no secret stays where it can be seen.
        let (_, warnings) = applied(&format!("REGISTRY_HTTP_HOST_FILE={name}")).unwrap();
        assert_eq!(warnings.len(), 1);
    }
}
