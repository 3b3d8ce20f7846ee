//! What `validation` and `policy` mean: which manifests are taken.

use registry_core::manifest::Platform;

use super::super::{Class, Indexes, References, Validation, error::Result, reader::Section};

pub(super) fn classes(repository: &Section<'_>) -> Result<Vec<Class>> {
    let class = |name: String| match name.as_str() {
        "image" => Ok(Class::Image),
        "plugin" => Ok(Class::Plugin),
        _ => {
            let message = format!("{name:?} is no class; write image or plugin");
            Err(repository.error("classes", message))
        }
    };
    repository
        .strings("classes")?
        .into_iter()
        .map(class)
        .collect()
}

pub(super) fn validation(validation: &Section<'_>) -> Result<Validation> {
    let enabled = validation.boolean_if("enabled")?.unwrap_or(false);
    let disabled = validation.boolean("disabled", false)? && !enabled;
    let manifests = validation.section("manifests")?;
    let urls = manifests.section("urls")?;
    let words = [("all", References::All), ("none", References::None)];
    let (allow, deny) = (patterns(&urls, "allow")?, patterns(&urls, "deny")?);
    let indexes = indexes(&manifests.section("indexes")?)?;
    let when_enabled = |patterns| if disabled { Vec::new() } else { patterns };
    Ok(Validation {
        references: manifests.word("references", &words)?,
        indexes: if disabled { Indexes::None } else { indexes },
        urls_allow: when_enabled(allow),
        urls_deny: when_enabled(deny),
    })
}

fn indexes(indexes: &Section<'_>) -> Result<Indexes> {
    let words = [
        ("all", Children::All),
        ("none", Children::None),
        ("list", Children::Listed),
    ];
    let platforms = indexes.word("platforms", &words)?;
    let listed = indexes.sections("platformlist")?;
    let listed: Vec<_> = listed.iter().map(platform).collect::<Result<_>>()?;
    if !listed.is_empty() {
        let shown = listed.iter().map(|platform| {
            serde_json::json!({"os": platform.os, "architecture": platform.architecture})
        });
        indexes.noted("platformlist", shown.collect::<Vec<_>>());
    }
    match platforms {
        Children::All => Ok(Indexes::All),
        Children::None => Ok(Indexes::None),
        Children::Listed if listed.is_empty() => Err(indexes.error(
            "platformlist",
            "must have an entry, since platforms is list",
        )),
        Children::Listed => Ok(Indexes::List(listed)),
    }
}

/// What `platforms` says of the children of an index.
#[derive(Clone, Copy)]
enum Children {
    All,
    Listed,
    None,
}

fn platform(platform: &Section<'_>) -> Result<Platform> {
    let text = |key| match platform.written(key)? {
        Some(text) => Ok(text),
        _ => Err(platform.error(key, "is missing, such as linux, or amd64")),
    };
    Ok(Platform::new(text("os")?, text("architecture")?))
}

fn patterns(urls: &Section<'_>, key: &str) -> Result<Vec<regex::Regex>> {
    let compile = |text: &String| {
        regex::Regex::new(text).map_err(|error| {
            // The lines before the last draw the place under the pattern.
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default();
            let reason = reason.trim_start_matches("error: ");
            urls.error(key, format!("`{text}` is no regular expression: {reason}"))
        })
    };
    urls.strings(key)?.iter().map(compile).collect()
}
