//! The invariants of `docs/ARCHITECTURE.md` that a machine can check.
//!
//! Sources are read as tokens, without comments, test modules and what is inside of strings; every
//! path in them is resolved to the module or crate it leads to. A failure names the place, what it
//! leads to, and why that must not be.

#![allow(
    clippy::future_not_send,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is how a test fails, and a test waits where it runs"
)]

mod source;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use self::source::{Source, Target};

/// Files below one of `within` lead to nothing that begins with one of `never`. A target is
/// `crate::module::…` inside of a crate, or the name of another crate.
struct Edge {
    within: &'static [&'static str],
    except: &'static [&'static str],
    never: &'static [&'static str],
    why: &'static str,
}

const INNER: &[&str] = &[
    "registry-core/src/registry/",
    "registry-core/src/upload.rs",
    "registry-core/src/access.rs",
    "registry-core/src/event.rs",
    "registry-core/src/runtime.rs",
    "registry-core/src/store/",
    "registry-core/src/engine/",
    "registry-core/src/layer/",
    "registry-core/src/maintenance",
];

const EDGES: &[Edge] = &[
    Edge {
        within: INNER,
        except: &[],
        never: &[
            "crate::protocol",
            "crate::server",
            "http",
            "http_body",
            "hyper",
            "hyper_util",
        ],
        why: "HTTP is one adapter of the registry; its inside is used without it",
    },
    Edge {
        within: INNER,
        except: &["registry-core/src/runtime.rs"],
        never: &["tokio"],
        why: "the core runs on any executor; `runtime` is the port to one",
    },
    Edge {
        within: &["registry-core/src/server/", "registry-core/src/layer/"],
        except: &[],
        never: &[
            "crate::engine",
            "crate::maintenance",
            "crate::store::BlobStore",
            "crate::store::MetadataStore",
            "crate::store::conformance",
            "crate::store::faulty",
        ],
        why: "they see only `Registry`, so that a mirror or a filter works the same",
    },
    Edge {
        within: &["registry-core/src/protocol/"],
        except: &[],
        never: &[
            "crate::server",
            "crate::engine",
            "crate::layer",
            "crate::store::BlobStore",
            "crate::store::MetadataStore",
            "hyper",
            "tokio",
        ],
        why: "the wire format is pure, and shared by servers and clients",
    },
    Edge {
        within: &["registry-core/src/server/"],
        except: &["registry-core/src/server/hyper"],
        never: &["hyper", "hyper_util", "tokio"],
        why: "the service runs in any server; `server::hyper` is the adapter to one",
    },
    Edge {
        within: &["registry-bin/src/"],
        // These two write and look at files of users; they authenticate nobody.
        except: &[
            "registry-bin/src/assemble",
            "registry-bin/src/check.rs",
            "registry-bin/src/htpasswd.rs",
        ],
        never: &["registry_storage", "registry_auth"],
        why: "only `assemble` names concrete stores and authenticators",
    },
];

/// The files whose types know nothing of the rest.
const DOMAIN: &[&str] = &[
    "name",
    "digest",
    "hash",
    "reference",
    "media_type",
    "descriptor",
    "manifest",
    "range",
    "page",
    "error",
    "content",
    "clock",
    "entropy",
    "location",
];

const DOMAIN_CRATES: &[&str] = &["std", "bytes", "serde", "serde_json", "sha2", "thiserror"];

/// `file` alone, of those below `within`, has one of `words`.
struct Home {
    within: &'static str,
    file: &'static [&'static str],
    words: &'static [&'static str],
    why: &'static str,
}

const HOMES: &[Home] = &[
    Home {
        within: "registry-storage/src/",
        // `disk` is the operation, `publish` the decision.
        file: &[
            "registry-storage/src/fs/publish.rs",
            "registry-storage/src/fs/disk.rs",
        ],
        words: &[
            "rename",
            "renameat",
            "renameat_with",
            "hard_link",
            "linkat",
            "symlink",
        ],
        why: "what becomes visible, and when, is decided in one place",
    },
    Home {
        within: "registry-storage/src/",
        file: &[
            "registry-storage/src/layout.rs",
            "registry-storage/src/layout/",
        ],
        words: &[
            "\"_layers\"",
            "\"_manifests\"",
            "\"_uploads\"",
            "\"_registry\"",
            "\"repositories\"",
            "\"revisions\"",
            "\"hashstates\"",
            "\"startedat\"",
        ],
        why: "the scheme of keys is Distribution's, and is kept in one place",
    },
    Home {
        within: "registry-core/src/",
        file: &["registry-core/src/protocol/failure.rs"],
        words: &[
            "BAD_REQUEST",
            "UNAUTHORIZED",
            "FORBIDDEN",
            "NOT_FOUND",
            "METHOD_NOT_ALLOWED",
            "REQUEST_TIMEOUT",
            "CONFLICT",
            "PRECONDITION_FAILED",
            "PAYLOAD_TOO_LARGE",
            "URI_TOO_LONG",
            "RANGE_NOT_SATISFIABLE",
            "TOO_MANY_REQUESTS",
            "INTERNAL_SERVER_ERROR",
            "SERVICE_UNAVAILABLE",
        ],
        why: "one table says which error has which status",
    },
    Home {
        within: "registry-core/src/protocol/",
        file: &[],
        words: &["async", "await"],
        why: "tables are tested without a runtime",
    },
    Home {
        within: "registry-core/src/server/render",
        file: &[],
        words: &["async", "await"],
        why: "tables are tested without a runtime",
    },
];

/// Which crate may depend on which of the workspace.
const CRATES: &[(&str, &[&str], &str)] = &[
    ("registry-core", &[], "the core depends on nothing of ours"),
    (
        "registry-storage",
        &["registry-core"],
        "stores and authentication do not know each other",
    ),
    (
        "registry-auth",
        &["registry-core"],
        "stores and authentication do not know each other",
    ),
    (
        "registry-bin",
        &["registry-core", "registry-storage", "registry-auth"],
        "it is the top",
    ),
];

const LONGEST_FILE: usize = 700;

fn below(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path.starts_with(place))
}

fn leads_to(target: &str, forbidden: &str) -> bool {
    target
        .strip_prefix(forbidden)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Everything that is wrong with one source.
fn violations(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let path = source.path.as_str();
    for edge in EDGES {
        if !below(path, edge.within) || below(path, edge.except) {
            continue;
        }
        for (target, line) in source.targets() {
            let target = target.to_string();
            if edge
                .never
                .iter()
                .any(|forbidden| leads_to(&target, forbidden))
            {
                found.push(format!("{path}:{line} leads to {target}: {}", edge.why));
            }
        }
    }
    if let Some(module) = domain_module(path) {
        for (target, line) in source.targets() {
            if !domain_allows(module, &target) {
                found.push(format!(
                    "{path}:{line} leads to {target}: domain files are fuzzed and tested at once \
                     because they need almost nothing"
                ));
            }
        }
    }
    for home in HOMES {
        if !path.starts_with(home.within) || below(path, home.file) {
            continue;
        }
        for (word, line) in source.words() {
            if home.words.contains(&word.as_str()) {
                found.push(format!("{path}:{line} has {word}: {}", home.why));
            }
        }
    }
    if source.lines > LONGEST_FILE {
        found.push(format!(
            "{path} has {} lines besides its tests: more than {LONGEST_FILE} hold more than one \
             thing",
            source.lines
        ));
    }
    found
}

fn domain_module(path: &str) -> Option<&str> {
    let module = path
        .strip_prefix("registry-core/src/")?
        .strip_suffix(".rs")?;
    DOMAIN.contains(&module).then_some(module)
}

fn domain_allows(module: &str, target: &Target) -> bool {
    match target {
        Target::Crate(name) => {
            DOMAIN_CRATES.contains(&name.as_str())
                || (module == "content" && name == "futures_core")
        }
        // The error of seam 1 is where those of the ports arrive.
        Target::Inside(path) => path.first().is_none_or(|first| {
            DOMAIN.contains(&first.as_str())
                || (module == "error" && ["access", "store"].contains(&first.as_str()))
        }),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in its workspace")
        .to_owned()
}

/// The members of the workspace, as its manifest lists them.
fn members() -> Vec<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let list = manifest.split_once("members = [").unwrap().1;
    let list = list.split_once(']').unwrap().0;
    list.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn sources() -> Vec<Source> {
    let root = root();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let crates = source::dependency_names(&manifest);
    let mut all = Vec::new();
    for member in members() {
        let mut folders = vec![root.join(&member).join("src")];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries.map(Result::unwrap) {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
                    let text = fs::read_to_string(&path).unwrap();
                    all.push(Source::read(&name.replace('\\', "/"), &text, &crates));
                }
            }
        }
    }
    let reexports = all
        .iter()
        .find(|source| source.path == "registry-core/src/lib.rs")
        .expect("the core has a root")
        .reexports();
    for source in &mut all {
        source.follow(&reexports);
    }
    all
}

#[test]
fn nothing_imports_what_it_must_not() {
    let found: Vec<String> = sources().iter().flat_map(violations).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn a_planted_import_is_found() {
    let table = [
        (
            "registry-core/src/engine/blobs.rs",
            "use crate::protocol::Route;",
            "crate::protocol",
        ),
        (
            "registry-core/src/engine/blobs.rs",
            "use super::super::server;",
            "crate::server",
        ),
        (
            "registry-core/src/engine/mod.rs",
            "use {std::fmt, http::{Uri as U}};",
            "http",
        ),
        (
            "registry-core/src/engine/mod.rs",
            "fn f() { ::tokio::spawn(x) }",
            "tokio",
        ),
        (
            "registry-core/src/registry/",
            "fn f() -> http::Uri { todo() }",
            "http",
        ),
        (
            "registry-core/src/layer/observed.rs",
            "use crate::Engine;",
            "crate::engine",
        ),
        (
            "registry-core/src/layer/scoped.rs",
            "use crate::store::{self, UploadId};
            fn f(_: &dyn store::BlobStore) {}",
            "crate::store::BlobStore",
        ),
        (
            "registry-core/src/server/service.rs",
            "use tokio::time;",
            "tokio",
        ),
        (
            "registry-core/src/name.rs",
            "use async_trait::async_trait;",
            "async_trait",
        ),
        (
            "registry-core/src/name.rs",
            "use crate::store::StoreError;",
            "crate::store",
        ),
        (
            "registry-core/src/protocol/route.rs",
            "async fn f() {}",
            "async",
        ),
        (
            "registry-core/src/server/render.rs",
            "let x = async { 1 };",
            "async",
        ),
        (
            "registry-core/src/server/handlers.rs",
            "StatusCode::NOT_FOUND",
            "NOT_FOUND",
        ),
        (
            "registry-storage/src/fs/tags.rs",
            "std::fs::rename(a, b)",
            "rename",
        ),
        (
            "registry-storage/src/fs/tags.rs",
            "path.join(\"_layers\")",
            "_layers",
        ),
        (
            "registry-bin/src/serve.rs",
            "use registry_storage::FsStorage;",
            "registry_storage",
        ),
    ];
    let crates = ["http", "tokio", "async-trait", "registry-storage"].map(str::to_owned);
    let root = Source::read(
        "registry-core/src/lib.rs",
        "pub use self::{engine::Engine};",
        &crates,
    );
    for (path, text, expected) in table {
        let mut source = Source::read(path, text, &crates);
        source.follow(&root.reexports());
        let found = violations(&source).join("\n");
        assert!(found.contains(expected), "{path}: {text}: {found:?}");
    }
    let long = "fn f() {}\n".repeat(LONGEST_FILE + 1);
    let source = Source::read("registry-bin/src/main.rs", &long, &crates);
    assert_eq!(violations(&source).len(), 1);
}

#[test]
fn what_only_looks_like_an_import_is_none() {
    let innocent = r##"
        //! tokio::spawn, http::Uri
        /* /* tokio::spawn */ http::Uri */
        const A: &str = "tokio::spawn \" http::Uri";
        const B: &str = r#"tokio::spawn " http::Uri"#;
        const C: (char, char) = ('"', '\'');
        fn f<'a>(http: &'a str) -> impl Sized + use<'a> { http.len() }
        #[cfg(test)]
        mod tests { fn g() { if true { tokio::spawn(x); } } use http::Uri; }
        #[cfg(test)]
        use tokio::test;
    "##;
    let crates = ["http", "tokio"].map(str::to_owned);
    let source = Source::read("registry-core/src/engine/mod.rs", innocent, &crates);
    assert_eq!(violations(&source), [""; 0]);
}

#[test]
fn crates_depend_only_downwards() {
    for member in members() {
        let manifest = fs::read_to_string(root().join(&member).join("Cargo.toml")).unwrap();
        let Some((_, allowed, why)) = CRATES.iter().find(|(name, ..)| *name == member) else {
            continue;
        };
        let normal = source::section(&manifest, "dependencies");
        for dependency in source::keys(normal) {
            let ours = dependency.starts_with("registry-");
            assert!(
                !ours || allowed.contains(&dependency.as_str()),
                "{member} depends on {dependency}: {why}"
            );
            assert!(
                dependency != "opendal" || member == "registry-storage",
                "{member} depends on opendal: its API breaks often, only storage shields from it"
            );
        }
    }
}

#[test]
fn every_crate_says_which_compiler_it_needs() {
    for member in members() {
        let manifest = fs::read_to_string(root().join(&member).join("Cargo.toml")).unwrap();
        let package = source::section(&manifest, "package");
        assert!(
            source::keys(package).any(|key| key.starts_with("rust-version")),
            "{member} has no rust-version: whoever embeds it must know"
        );
    }
}

/// What an embedder without HTTP pays for.
#[test]
fn the_bare_core_is_small() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--locked",
            "--package",
            "registry-core",
        ])
        .args([
            "--no-default-features",
            "--edges",
            "normal",
            "--prefix",
            "none",
        ])
        .args(["--format", "{p}"])
        .current_dir(root())
        .output()
        .expect("cargo runs this test");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let crates: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    for heavy in ["tokio", "hyper", "http"] {
        assert!(!crates.contains(heavy), "{heavy} in {crates:?}");
    }
    assert!(crates.len() <= 36, "{} crates: {crates:?}", crates.len());
}
