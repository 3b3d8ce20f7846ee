use registry_core::{
    Digest, Engine, ErrorCode, MediaType, Registry, engine::ReferencePolicy, manifest::Platform,
};

use crate::{double::Double, fixture::*};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

fn image(config: &Digest, layer: &Digest, layer_type: &str) -> String {
    format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"a/b","digest":"{config}","size":2}},"layers":[{{"mediaType":"{layer_type}","digest":"{layer}","size":5}}]}}"#
    )
}

fn list(child: &Digest, media_type: &str, os: &str) -> String {
    format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{media_type}","digest":"{child}","size":5,"platform":{{"os":"{os}","architecture":"amd64"}}}}]}}"#
    )
}

async fn stored(policy: ReferencePolicy, manifest: &str) -> bool {
    let store = Double::new();
    let engine = builder(&store).references(policy).build();
    push_blob(&engine, "a", "config").await;
    push_blob(&engine, "a", "layer").await;
    push_blob(&engine, "b", "elsewhere").await;
    push_index(&engine, "a", "child", &[]).await;
    match engine.put_manifest(&cx(), &name("a"), push(manifest)).await {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.code(), ErrorCode::ManifestBlobUnknown);
            assert!(error.detail_value().unwrap()[0].is_string());
            false
        }
    }
}

#[tokio::test]
async fn what_must_be_there_by_policy() {
    let (config, layer, none) = (sha256("config"), sha256("layer"), sha256("none"));
    let child = sha256(&index("child"));
    let of = MediaType::oci_index().as_str().to_owned();
    let strange = Digest::parse("blake3:abc").unwrap();
    let policies = [
        ReferencePolicy::Everything,
        ReferencePolicy::Platforms(vec![Platform::new("linux", "amd64")]),
        ReferencePolicy::Images,
        ReferencePolicy::Nothing,
    ];
    let table = [
        (image(&config, &layer, LAYER), [true, true, true, true]),
        (image(&config, &none, LAYER), [false, false, false, true]),
        (image(&none, &layer, LAYER), [false, false, false, true]),
        (image(&config, &none, FOREIGN), [true, true, true, true]),
        (
            image(&config, &sha256("elsewhere"), LAYER),
            [false, false, false, true],
        ),
        (image(&config, &strange, LAYER), [false, false, false, true]),
        (image(&config, &child, LAYER), [false, false, false, true]),
        (list(&child, &of, "linux"), [true, true, true, true]),
        (list(&none, &of, "linux"), [false, false, true, true]),
        (list(&none, &of, "windows"), [false, true, true, true]),
        (list(&layer, &of, "linux"), [false, false, true, true]),
        (list(&layer, LAYER, "linux"), [true, true, true, true]),
        (list(&strange, &of, "linux"), [false, false, true, true]),
    ];
    for (manifest, expected) in table {
        for (policy, expected) in policies.iter().zip(expected) {
            let found = stored(policy.clone(), &manifest).await;
            assert_eq!(found, expected, "{policy:?} {manifest}");
        }
    }
}

#[tokio::test]
async fn a_subject_need_not_be_there_and_each_is_looked_up_once() {
    let (engine, store): (Engine, _) = engine();
    let subject = Digest::parse("blake3:abc").unwrap();
    let about = push(referrer("x", &subject, "a/b"));
    engine.put_manifest(&cx(), &name("a"), about).await.unwrap();
    let digest = push_blob(&engine, "a", "x").await;
    store.calls();
    let same = image(&digest, &digest, LAYER);
    engine
        .put_manifest(&cx(), &name("a"), push(same))
        .await
        .unwrap();
    assert_eq!(store.calls(), ["blob_link", "put_manifest"]);
}
