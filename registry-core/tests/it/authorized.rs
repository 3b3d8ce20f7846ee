use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use registry_core::{
    Context, Engine, Error, ErrorCode, Expect, Page, Registry, Result,
    access::{Action, AuthError, Authorizer, Decision, Resource, Visible},
    layer::Authorized,
    registry::{
        Chunk, Finish, GetBlob, Mount, ReferrersFilter, StartUpload, UploadSession, UploadStart,
    },
};

use crate::fixture::*;

#[derive(Debug, Default)]
struct Table {
    repositories: BTreeMap<String, Vec<Action>>,
    catalog: bool,
    down: bool,
    /// Says that everything can be seen, whatever may be pulled.
    careless: bool,
    asked: Mutex<usize>,
}

impl Table {
    fn of(rights: &[(&str, &[Action])]) -> Self {
        let rights = rights
            .iter()
            .map(|(name, actions)| ((*name).to_owned(), actions.to_vec()));
        Self {
            repositories: rights.collect(),
            ..Self::default()
        }
    }
}

#[async_trait]
impl Authorizer for Table {
    async fn permitted(&self, _: &Context, resource: &Resource) -> Result<Decision, AuthError> {
        *self.asked.lock().unwrap() += 1;
        if self.down {
            return Err(AuthError::Unavailable("down".into()));
        }
        let actions = match resource {
            Resource::Repository(name) => self.repositories.get(name.as_str()).cloned(),
            _ => self.catalog.then(|| vec![Action::Pull]),
        };
        Ok(Decision::only(actions.unwrap_or_default()).because("not yours"))
    }

    async fn visible(&self, _: &Context) -> Result<Visible, AuthError> {
        if self.down {
            return Err(AuthError::Unavailable("down".into()));
        }
        if self.careless {
            return Ok(Visible::All);
        }
        let rights = self.repositories.clone();
        Ok(Visible::filter(move |name| {
            let actions = rights.get(name.as_str());
            actions.is_some_and(|actions| actions.contains(&Action::Pull))
        }))
    }
}

/// Each verb once in repository `a`: its name, the action it needs, and its answer.
async fn every_verb(
    registry: &impl Registry,
    engine: &Engine,
) -> Vec<(&'static str, Action, Result<()>)> {
    use Action::{Delete, Pull, Push};
    let (a, cx) = (name("a"), cx());
    let blob = push_blob(engine, "a", "hello").await;
    push_index(engine, "a", "x", &["v1"]).await;
    let open: [UploadSession; 3] = [
        started(engine, "a").await,
        started(engine, "a").await,
        started(engine, "a").await,
    ];
    let finish = Finish::new(sha256(""));
    let (page, none) = (Page::first(5), ReferrersFilter::none());
    let start = StartUpload::default();
    vec![
        (
            "stat_blob",
            Pull,
            registry.stat_blob(&cx, &a, &blob).await.map(drop),
        ),
        (
            "get_blob",
            Pull,
            registry
                .get_blob(&cx, &a, &blob, GetBlob::default())
                .await
                .map(drop),
        ),
        (
            "start_upload",
            Push,
            registry.start_upload(&cx, &a, start).await.map(drop),
        ),
        (
            "upload_session",
            Push,
            registry
                .upload_session(&cx, &a, &open[0].id, None)
                .await
                .map(drop),
        ),
        (
            "append_upload",
            Push,
            registry
                .append_upload(&cx, &a, &open[0].id, Chunk::new(body(&["x"])))
                .await
                .map(drop),
        ),
        (
            "finish_upload",
            Push,
            registry
                .finish_upload(&cx, &a, &open[1].id, finish)
                .await
                .map(drop),
        ),
        (
            "cancel_upload",
            Push,
            registry.cancel_upload(&cx, &a, &open[2].id, None).await,
        ),
        (
            "stat_manifest",
            Pull,
            registry
                .stat_manifest(&cx, &a, &by_tag("v1"))
                .await
                .map(drop),
        ),
        (
            "get_manifest",
            Pull,
            registry
                .get_manifest(&cx, &a, &by_tag("v1"))
                .await
                .map(drop),
        ),
        (
            "put_manifest",
            Push,
            registry
                .put_manifest(&cx, &a, push(index("y")))
                .await
                .map(drop),
        ),
        (
            "list_tags",
            Pull,
            registry.list_tags(&cx, &a, page.clone()).await.map(drop),
        ),
        (
            "list_referrers",
            Pull,
            registry
                .list_referrers(&cx, &a, &blob, page, none)
                .await
                .map(drop),
        ),
        (
            "delete_manifest",
            Delete,
            registry
                .delete_manifest(&cx, &a, &by_tag("v1"), Expect::Any)
                .await,
        ),
        (
            "delete_blob",
            Delete,
            registry.delete_blob(&cx, &a, &blob).await,
        ),
    ]
}

fn wanted(error: &Error) -> Vec<Action> {
    error
        .wanted()
        .iter()
        .flat_map(|access| access.actions.clone())
        .collect()
}

#[tokio::test]
async fn every_verb_by_every_action() {
    for granted in Action::ALL {
        let (engine, _) = engine();
        let table = Arc::new(Table::of(&[("a", &[granted])]));
        let registry = Authorized::new(engine.clone(), table);
        for (verb, needed, answer) in every_verb(&registry, &engine).await {
            if needed == granted {
                answer.unwrap_or_else(|error| panic!("{verb} with {granted:?}: {error}"));
                continue;
            }
            let error = answer.expect_err(verb);
            assert_eq!(error.code(), ErrorCode::Denied, "{verb} with {granted:?}");
            assert_eq!(error.message(), "not yours");
            let expected = match needed {
                Action::Push => vec![Action::Pull, Action::Push],
                needed => vec![needed],
            };
            assert_eq!(wanted(&error), expected, "{verb}");
        }
    }
}

#[tokio::test]
async fn no_decision_is_neither_yes_nor_no() {
    let (engine, store) = engine();
    let table = Arc::new(Table {
        down: true,
        ..Table::default()
    });
    let registry = Authorized::new(engine.clone(), table);
    for (verb, _, answer) in every_verb(&registry, &engine).await {
        assert_eq!(code(answer), ErrorCode::Unavailable, "{verb}");
    }
    store.calls();
    let catalog = registry
        .list_repositories(&cx(), Page::first(1), Visible::All)
        .await;
    assert_eq!(code(catalog), ErrorCode::Unavailable);
    assert!(store.calls().is_empty());
}

#[tokio::test]
async fn the_catalog_shows_what_may_be_pulled() {
    let (engine, _) = engine();
    for repository in ["a", "b", "c"] {
        push_index(&engine, repository, "x", &[]).await;
    }
    let rights = [
        ("a", &[Action::Pull][..]),
        ("b", &[Action::Push]),
        ("c", &[Action::Pull]),
    ];
    let list = async |catalog, visible| {
        let table = Table {
            catalog,
            ..Table::of(&rights)
        };
        let registry = Authorized::new(engine.clone(), Arc::new(table));
        registry
            .list_repositories(&cx(), Page::first(9), visible)
            .await
    };
    let refused = list(false, Visible::All).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Denied);
    assert_eq!(refused.wanted()[0].resource, Resource::Catalog);
    assert_eq!(
        list(true, Visible::All).await.unwrap().items,
        [name("a"), name("c")]
    );
    let narrow = Visible::filter(|name| name.as_str() != "c");
    assert_eq!(list(true, narrow).await.unwrap().items, [name("a")]);
}

#[tokio::test]
async fn mounts_need_push_here_and_pull_there() {
    use Action::{Pull, Push};
    let table: [(&[Action], &[Action], bool, bool); 5] = [
        (&[Push], &[Pull], true, true),
        (&[Push], &[Push], true, false),
        (&[Push], &[], true, false),
        (&[Pull], &[Pull], false, false),
        (&[], &[Pull], false, false),
    ];
    for (here, there, permitted, mounted) in table {
        for from in [Some(name("from")), None] {
            let (engine, _) = engine();
            let digest = push_blob(&engine, "from", "hello").await;
            let table = Table::of(&[("to", here), ("from", there)]);
            let registry = Authorized::new(engine, Arc::new(table));
            let request = StartUpload::mount(Mount::new(digest, from));
            match registry.start_upload(&cx(), &name("to"), request).await {
                Ok(UploadStart::Mounted { .. }) => assert!(mounted),
                Ok(UploadStart::Started(_)) => assert!(permitted && !mounted),
                Err(error) => {
                    assert_eq!(error.code(), ErrorCode::Denied);
                    assert!(!permitted);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_named_source_is_asked_about_by_itself() {
    let (engine, _) = engine();
    let digest = push_blob(&engine, "from", "hello").await;
    let table = Table {
        careless: true,
        ..Table::of(&[("to", &[Action::Push])])
    };
    let registry = Authorized::new(engine, Arc::new(table));
    let request = StartUpload::mount(Mount::new(digest, Some(name("from"))));
    let started = registry.start_upload(&cx(), &name("to"), request).await;
    assert!(matches!(started, Ok(UploadStart::Started(_))));
}

#[tokio::test]
async fn one_verb_is_one_question() {
    let (engine, _) = engine();
    let digest = push_blob(&engine, "a", "hello").await;
    let table = Arc::new(Table::of(&[("a", &[Action::Pull, Action::Push])]));
    let registry = Authorized::new(engine, Arc::<Table>::clone(&table));
    registry
        .stat_blob(&cx(), &name("a"), &digest)
        .await
        .unwrap();
    started(&registry, "a").await;
    assert_eq!(*table.asked.lock().unwrap(), 2);
}
