use registry_core::{
    Digest, Engine, Registry,
    access::Visible,
    registry::{Mount, StartUpload, UploadStart},
    store::BlobLink,
};

use crate::fixture::*;

/// Where the blob came from, or `None` when an upload was started.
async fn mount(
    engine: &Engine,
    digest: &Digest,
    from: Option<&str>,
    visible: Visible,
) -> Option<String> {
    let mut request = StartUpload::mount(Mount::new(digest.clone(), from.map(name)));
    request.visible = visible;
    let started = engine.start_upload(&cx(), &name("to"), request).await;
    match started.unwrap() {
        UploadStart::Mounted { descriptor, from } => {
            assert_eq!((&descriptor.digest, descriptor.size), (digest, 5));
            Some(from.to_string())
        }
        UploadStart::Started(_) => None,
    }
}

#[tokio::test]
async fn a_mount_needs_a_source_that_links_the_blob_and_may_be_seen() {
    let (engine, store) = engine();
    let digest = push_blob(&engine, "from", "hello").await;
    let hidden = Visible::prefixes(["elsewhere/".to_owned()]);
    assert_eq!(mount(&engine, &digest, Some("from"), hidden).await, None);
    assert_eq!(
        mount(&engine, &digest, Some("wrong"), Visible::All).await,
        None
    );
    assert_eq!(
        mount(&engine, &sha256("other"), Some("from"), Visible::All).await,
        None
    );
    assert!(
        !store
            .state()
            .links
            .contains_key(&(name("to"), digest.clone()))
    );

    let mounted = mount(&engine, &digest, Some("from"), Visible::All).await;
    assert_eq!(mounted.as_deref(), Some("from"));
    engine.stat_blob(&cx(), &name("to"), &digest).await.unwrap();
    engine
        .delete_blob(&cx(), &name("from"), &digest)
        .await
        .unwrap();
    engine.stat_blob(&cx(), &name("to"), &digest).await.unwrap();
}

#[tokio::test]
async fn a_mount_keeps_the_target_of_the_link() {
    let (engine, store) = engine();
    let (target, asked) = (push_blob(&engine, "from", "hello").await, sha512("hello"));
    let link = BlobLink::new(target.clone(), None);
    store
        .state()
        .links
        .insert((name("from"), asked.clone()), link);
    assert!(
        mount(&engine, &asked, Some("from"), Visible::All)
            .await
            .is_some()
    );
    let linked = store.state().links[&(name("to"), asked)].clone();
    assert_eq!(linked, BlobLink::new(target, Some(5)));
}

#[tokio::test]
async fn a_link_without_bytes_is_not_mounted() {
    let (engine, store) = engine();
    let digest = push_blob(&engine, "from", "hello").await;
    store.state().blobs.remove(&digest);
    assert_eq!(
        mount(&engine, &digest, Some("from"), Visible::All).await,
        None
    );
    assert_eq!(mount(&engine, &digest, None, Visible::All).await, None);
}

#[tokio::test]
async fn without_a_source_what_was_lately_seen_is_tried() {
    let (engine, store) = engine();
    let digest = push_blob(&engine, "from", "hello").await;
    let hidden = Visible::filter(|name| name.as_str() != "from");
    assert_eq!(mount(&engine, &digest, None, hidden.clone()).await, None);
    assert_eq!(
        mount(&engine, &digest, None, Visible::All).await.as_deref(),
        Some("from")
    );

    // Another engine has seen nothing yet, and takes it from any look at the blob.
    let fresh = builder(&store).build();
    assert_eq!(mount(&fresh, &digest, None, Visible::All).await, None);
    fresh
        .stat_blob(&cx(), &name("from"), &digest)
        .await
        .unwrap();
    assert_eq!(
        mount(&fresh, &digest, None, Visible::All).await.as_deref(),
        Some("from")
    );

    // What was seen is not believed: somebody else has unlinked it meanwhile.
    let stale = builder(&store).build();
    stale
        .stat_blob(&cx(), &name("from"), &digest)
        .await
        .unwrap();
    engine
        .delete_blob(&cx(), &name("from"), &digest)
        .await
        .unwrap();
    assert_eq!(mount(&stale, &digest, None, Visible::All).await, None);
}
