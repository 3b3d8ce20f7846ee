use registry_core::{
    ErrorCode, Expect, Page, Registry,
    access::Visible,
    layer::ReadOnly,
    registry::{Chunk, Finish, GetBlob, ReferrersFilter, StartUpload},
};

use crate::fixture::*;

#[tokio::test]
async fn reads_pass_and_writes_do_not() {
    let (engine, store) = engine();
    let blob = push_blob(&engine, "a", "hello").await;
    let digest = push_index(&engine, "a", "x", &["v1"]).await;
    let session = started(&engine, "a").await;
    let (registry, cx, a) = (ReadOnly::new(engine), cx(), name("a"));

    registry.stat_blob(&cx, &a, &blob).await.unwrap();
    registry
        .get_blob(&cx, &a, &blob, GetBlob::default())
        .await
        .unwrap();
    registry
        .upload_session(&cx, &a, &session.id, None)
        .await
        .unwrap();
    registry
        .stat_manifest(&cx, &a, &by_tag("v1"))
        .await
        .unwrap();
    registry.get_manifest(&cx, &a, &by_tag("v1")).await.unwrap();
    registry.list_tags(&cx, &a, Page::first(1)).await.unwrap();
    registry
        .list_repositories(&cx, Page::first(1), Visible::All)
        .await
        .unwrap();
    let filter = ReferrersFilter::none();
    registry
        .list_referrers(&cx, &a, &digest, Page::first(1), filter)
        .await
        .unwrap();

    store.calls();
    let id = &session.id;
    let refused = [
        registry.delete_blob(&cx, &a, &blob).await.map(drop),
        registry
            .start_upload(&cx, &a, StartUpload::default())
            .await
            .map(drop),
        registry
            .append_upload(&cx, &a, id, Chunk::new(untouchable()))
            .await
            .map(drop),
        registry
            .finish_upload(&cx, &a, id, Finish::new(blob))
            .await
            .map(drop),
        registry.cancel_upload(&cx, &a, id, None).await,
        registry
            .put_manifest(&cx, &a, push(index("y")))
            .await
            .map(drop),
        registry
            .delete_manifest(&cx, &a, &by_tag("v1"), Expect::Any)
            .await,
    ];
    for answer in refused {
        assert_eq!(code(answer), ErrorCode::Unsupported);
    }
    assert!(store.calls().is_empty());
}
