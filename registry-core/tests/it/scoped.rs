use registry_core::{
    ErrorCode, Page, Registry, RepositoryName,
    access::Visible,
    layer::Scoped,
    registry::{Mount, StartUpload, UploadStart},
};

use crate::fixture::*;

#[tokio::test]
async fn names_are_put_under_the_prefix() {
    let (engine, _) = engine();
    let team = Scoped::new(engine.clone(), name("team"));
    let blob = push_blob(&team, "app", "hello").await;
    push_index(&team, "app", "x", &["v1"]).await;
    engine
        .stat_blob(&cx(), &name("team/app"), &blob)
        .await
        .unwrap();
    engine
        .get_manifest(&cx(), &name("team/app"), &by_tag("v1"))
        .await
        .unwrap();
    team.get_manifest(&cx(), &name("app"), &by_tag("v1"))
        .await
        .unwrap();
    push_index(&engine, "other", "x", &["v1"]).await;
    let outside = team
        .get_manifest(&cx(), &name("other"), &by_tag("v1"))
        .await;
    assert_eq!(code(outside), ErrorCode::ManifestUnknown);
    let long = name(&"a".repeat(RepositoryName::MAX_LENGTH));
    assert_eq!(
        code(team.stat_blob(&cx(), &long, &blob).await),
        ErrorCode::NameInvalid
    );
}

#[tokio::test]
async fn the_catalog_is_that_of_the_prefix_page_by_page() {
    let (engine, _) = engine();
    let inside = ["team/a", "team/a-b", "team/a/b", "team/b", "team/z"];
    for repository in inside
        .iter()
        .chain(&["team", "team-a/x", "teams/x", "a", "z"])
    {
        push_index(&engine, repository, "x", &[]).await;
    }
    let team = Scoped::new(engine, name("team"));
    let sets = [
        (Visible::All, vec!["a", "a-b", "a/b", "b", "z"]),
        (Visible::prefixes(["a".to_owned()]), vec!["a", "a-b", "a/b"]),
        (
            Visible::filter(|name| name.as_str().len() == 1),
            vec!["a", "b", "z"],
        ),
        (Visible::none(), vec![]),
    ];
    for (visible, expected) in sets {
        for limit in 1..=6 {
            let (mut page, mut found) = (Page::first(limit), Vec::new());
            loop {
                let listing = team
                    .list_repositories(&cx(), page, visible.clone())
                    .await
                    .unwrap();
                found.extend(listing.items.iter().map(ToString::to_string));
                if !listing.more {
                    break;
                }
                page = Page::first(limit).after(found.last().unwrap());
            }
            assert_eq!(found, expected, "{visible:?} by {limit}");
        }
    }
}

#[tokio::test]
async fn mounts_stay_inside() {
    let (engine, _) = engine();
    let outside = push_blob(&engine, "other", "outside").await;
    let team = Scoped::new(engine, name("team"));
    let inside = push_blob(&team, "from", "inside").await;
    let mount = async |digest, from: Option<&str>| {
        let request = StartUpload::mount(Mount::new(digest, from.map(name)));
        let started = team.start_upload(&cx(), &name("to"), request).await;
        match started.unwrap() {
            UploadStart::Mounted { from, .. } => Some(from.to_string()),
            UploadStart::Started(_) => None,
        }
    };
    assert_eq!(mount(outside.clone(), Some("other")).await, None);
    assert_eq!(mount(outside, None).await, None);
    let long = "a".repeat(RepositoryName::MAX_LENGTH);
    assert_eq!(mount(inside.clone(), Some(&long)).await, None);
    assert_eq!(
        mount(inside.clone(), Some("from")).await.as_deref(),
        Some("from")
    );
    assert!(mount(inside, None).await.is_some());
}
