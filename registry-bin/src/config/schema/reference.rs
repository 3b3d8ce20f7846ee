//! The table of keys as a page of the documentation shows it.

use std::fmt::Write as _;

use super::{Node, ROOT, Setting};

/// The tables of keys in `docs/reference/configuration.md`: what is honoured, section by section,
/// then what is refused.
pub fn reference() -> String {
    let mut text = String::new();
    for (section, node) in ROOT.keys() {
        let mut rows = Vec::new();
        collect(node, section, &mut rows);
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(
            text,
            "### `{section}`\n\n| key | default | |\n|---|---|---|"
        );
        for (path, setting) in rows {
            let Setting { default, about, .. } = setting;
            let simple = !default.contains(['`', ' ']) && *default != "none";
            let default = if simple {
                format!("`{default}`")
            } else {
                (*default).to_owned()
            };
            let ours = if setting.ours { "*ours*: " } else { "" };
            let _ = writeln!(text, "| `{path}` | {default} | {ours}{about} |");
        }
        text.push('\n');
    }
    let mut refused = Vec::new();
    collect_refused(&ROOT, "", &mut refused);
    text.push_str("### Refused\n\n| key | what to do |\n|---|---|\n");
    for (path, remedy) in refused {
        let _ = writeln!(text, "| `{path}` | {remedy} |");
    }
    text
}

fn collect(node: &'static Node, path: &str, rows: &mut Vec<(String, &'static Setting)>) {
    match node {
        Node::List(setting, _) | Node::Map(setting, _) | Node::Value(setting) => {
            rows.push((path.to_owned(), setting));
        }
        Node::Refused(_) => {}
        Node::Section(keys) => {
            for (key, node) in *keys {
                collect(node, &format!("{path}.{key}"), rows);
            }
        }
    }
}

fn collect_refused(node: &'static Node, path: &str, rows: &mut Vec<(String, &'static str)>) {
    for (key, node) in node.keys() {
        let path = super::super::tree::join(path, key);
        match node {
            Node::Refused(remedy) => rows.push((path, remedy)),
            node => collect_refused(node, &path, rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::pages::is_in_the_docs;

    const KEYS: &str = include_str!("../../../tests/keys/distribution.txt");

    /// What becomes of a key: `None` is unknown, a text says why it is refused.
    fn standing(path: &str) -> Option<Result<(), &'static str>> {
        let mut node = &ROOT;
        for key in path.split('.') {
            node = match node {
                Node::List(_, entry) if key == "[]" => entry,
                Node::Map(_, value) if key == "*" => value,
                Node::Refused(remedy) => return Some(Err(remedy)),
                node => node
                    .keys()
                    .iter()
                    .find(|(known, _)| *known == key)
                    .map(|(_, n)| n)?,
            };
        }
        match node {
            Node::Refused(remedy) => Some(Err(remedy)),
            _ => Some(Ok(())),
        }
    }

    fn keys() -> impl Iterator<Item = [&'static str; 3]> {
        let lines = KEYS.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| {
            let fields: Vec<_> = line.split('\t').collect();
            fields.try_into().expect("each line has three fields")
        })
    }

    #[test]
    fn the_reference_is_what_the_table_says() {
        is_in_the_docs("configuration.md", &reference());
    }

    #[test]
    fn every_key_of_distributions_is_honoured_or_refused() {
        let mut table = String::from("| key | type | in | here |\n|---|---|---|---|\n");
        let mut known = BTreeSet::new();
        for [path, kind, releases] in keys() {
            assert!(known.insert(path), "{path} is there twice");
            let here = match standing(path) {
                Some(Ok(())) => "honoured".to_owned(),
                Some(Err(remedy)) => format!("refused: {remedy}"),
                None => panic!("{path} is neither honoured nor refused"),
            };
            let releases = releases
                .replace('2', "2.8")
                .replace('3', "3.1")
                .replace(' ', ", ");
            let _ = writeln!(table, "| `{path}` | {kind} | {releases} | {here} |");
        }
        assert!(known.len() > 200, "{}", known.len());
        is_in_the_docs("distribution-keys.md", &table);
    }

    /// And what Distribution does not know is marked as ours.
    #[test]
    fn what_distribution_does_not_know_is_marked() {
        let mut rows = Vec::new();
        collect(&ROOT, "", &mut rows);
        let known: Vec<_> = keys().map(|[path, ..]| path).collect();
        for (path, setting) in rows {
            let path = path.trim_start_matches('.');
            let theirs = known
                .iter()
                .any(|key| *key == path || key.starts_with(&format!("{path}.")));
            assert_eq!(setting.ours, !theirs, "{path}");
        }
    }
}
