//! Who may do what, decided by you: everybody pulls what is public, a team pushes below its name.

use std::sync::Arc;

use async_trait::async_trait;
use registry_core::{
    Context, Engine, ErrorCode, Expect, Page, Registry, RepositoryName, Tag,
    access::{Action, AuthError, Authorizer, Decision, Principal, Resource, Visible},
    layer::Authorized,
    registry::ManifestPush,
};
use registry_storage::memory::MemoryStorage;

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> Result<()> {
    run().await
}

/// A user `team` owns `team/…`; `public/…` is for everybody to pull.
#[derive(Debug)]
struct Teams;

impl Teams {
    fn readable(cx: &Context) -> Vec<String> {
        let own = cx.principal.name.as_ref().map(|name| format!("{name}/"));
        own.into_iter().chain(["public/".to_owned()]).collect()
    }
}

#[async_trait]
impl Authorizer for Teams {
    async fn permitted(&self, cx: &Context, resource: &Resource) -> Result<Decision, AuthError> {
        let Resource::Repository(repository) = resource else {
            return Ok(Decision::only([Action::Pull]));
        };
        let owner = repository.components().next();
        if owner.is_some() && owner == cx.principal.name.as_deref() {
            return Ok(Decision::all());
        }
        let readable = Visible::prefixes(Self::readable(cx)).contains(repository);
        let granted = readable.then_some(Action::Pull);
        Ok(Decision::only(granted).because("it belongs to another team"))
    }

    async fn visible(&self, cx: &Context) -> Result<Visible, AuthError> {
        Ok(Visible::prefixes(Self::readable(cx)))
    }
}

async fn run() -> Result<()> {
    let store = MemoryStorage::new();
    let engine = Engine::builder()
        .blobs(store.blobs())
        .metadata(store.metadata())
        .build();
    let registry = Authorized::new(engine, Arc::new(Teams));

    let red = Context::of(Principal::named("red"));
    let blue = Context::of(Principal::named("blue"));
    let app = RepositoryName::parse("red/app")?;
    let index = &br#"{"schemaVersion":2,"manifests":[]}"#[..];
    let tag = Tag::parse("v1")?;
    let push = || ManifestPush::new(index).tag(tag.clone(), Expect::Any);
    registry.put_manifest(&red, &app, push()).await?;
    let denied = registry
        .put_manifest(&blue, &app, push())
        .await
        .map_err(|e| e.code());
    assert_eq!(denied.err(), Some(ErrorCode::Denied));

    for (who, cx) in [("red", red), ("blue", blue)] {
        let page = Page::first(10);
        let seen = registry.list_repositories(&cx, page, Visible::All).await?;
        println!("{who} sees {} repositories", seen.items.len());
        assert_eq!(seen.items.len(), usize::from(who == "red"));
    }
    Ok(())
}

#[cfg(test)]
#[tokio::test]
async fn it_runs() -> Result<()> {
    run().await
}
