//! A registry without HTTP: a build tool that pushes to itself, and promotes without a race.

use registry_core::{
    Algorithm, Context, Engine, ErrorCode, Expect, Reference, Registry, RepositoryName, Tag,
    registry::{Chunk, Finish, ManifestPush, StartUpload, UploadStart},
};
use registry_storage::memory::MemoryStorage;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    run().await
}

async fn run() -> Result<()> {
    let store = MemoryStorage::new();
    let registry = Engine::builder()
        .blobs(store.blobs())
        .metadata(store.metadata())
        .build();
    let cx = Context::anonymous();
    let app = RepositoryName::parse("team/app")?;

    // A blob: start, then finish with its bytes.
    let config = b"{}";
    let digest = Algorithm::Sha256.digest(config);
    let start = StartUpload::default();
    let UploadStart::Started(session) = registry.start_upload(&cx, &app, start).await? else {
        return Err("nothing was asked to be mounted".into());
    };
    let last = Finish::new(digest.clone()).chunk(Chunk::new(bytes::Bytes::from_static(config)));
    registry.finish_upload(&cx, &app, &session.id, last).await?;

    // A manifest that refers to it, under a tag that must be new.
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
            "config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{digest}","size":2}},
            "layers":[]}}"#
    );
    let release = Tag::parse("1.4.0")?;
    let push = || ManifestPush::new(manifest.clone()).tag(release.clone(), Expect::Absent);
    let pushed = registry.put_manifest(&cx, &app, push()).await?;
    println!("pushed {}", pushed.descriptor.digest);

    // A second release of the same name is refused, whoever comes first.
    let again = registry.put_manifest(&cx, &app, push()).await;
    assert_eq!(
        again.map_err(|e| e.code()).err(),
        Some(ErrorCode::PreconditionFailed)
    );

    let reference = Reference::Tag(release);
    let read = registry.get_manifest(&cx, &app, &reference).await?;
    assert_eq!(read.bytes, manifest);
    println!("read back {} bytes", read.bytes.len());
    Ok(())
}

#[cfg(test)]
#[tokio::test]
async fn it_runs() -> Result<()> {
    run().await
}
