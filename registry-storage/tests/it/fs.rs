//! The disk store, over two instances on one directory.

use std::sync::Arc;

use async_trait::async_trait;
use registry_core::{
    Algorithm, Descriptor, MediaType, RepositoryName,
    store::{
        ManifestRecord,
        conformance::{self, Stores, Subject},
    },
};
use registry_storage::fs::FsStorage;

/// Two instances on a fresh directory, which goes with them.
pub(crate) struct Disk;

#[async_trait]
impl Subject for Disk {
    async fn fresh(&self) -> (Stores, Stores) {
        let directory = Arc::new(tempfile::tempdir().expect("a temporary directory can be made"));
        let open = || {
            let storage = FsStorage::open(directory.path()).expect("the directory can be written");
            Stores::new(storage.blobs(), storage.metadata()).keeping(Arc::clone(&directory) as _)
        };
        (open(), open())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contracts() {
    conformance::run(&Disk).await.assert();
}

#[tokio::test]
async fn a_check_fails_while_the_directory_is_gone() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let root = directory.path().join("root");
    let storage = FsStorage::open(&root).expect("the directory can be written");
    storage.blobs().check().await.expect("it is there");
    storage.metadata().check().await.expect("it is there");
    let away = directory.path().join("away");
    std::fs::rename(&root, &away).expect("nothing is in the way");
    assert!(storage.blobs().check().await.is_err());
    assert!(storage.metadata().check().await.is_err());
    std::fs::rename(&away, &root).expect("nothing is in the way");
    storage.blobs().check().await.expect("it is there again");
    storage.metadata().check().await.expect("it is there again");
    // Whoever begins afresh removes what is below: that is made again when it is needed.
    for below in ["docker/registry/v2/blobs", "docker"] {
        std::fs::remove_dir_all(root.join(below)).expect("it is there");
        storage.blobs().check().await.expect(below);
        storage.metadata().check().await.expect(below);
    }
    std::fs::write(root.join("docker"), "").expect("the directory can be written");
    let error = storage.blobs().check().await.expect_err("it is a file");
    let cause = std::error::Error::source(&error).expect("the system said why");
    let named = cause.to_string();
    assert!(
        named.contains(root.to_str().expect("it is text")),
        "{named}"
    );
}

/// Distribution's collector knows repositories by their layers: it deletes the manifests of others, or
/// stops at them.
#[tokio::test]
async fn a_repository_without_blobs_is_one_for_distribution() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let storage = FsStorage::open(directory.path()).expect("the directory can be written");
    let name = RepositoryName::parse("a/b").expect("it is a name");
    for text in [r#"{"schemaVersion":2,"manifests":[]}"#, "{}"] {
        let descriptor = Descriptor::new(
            MediaType::oci_index(),
            Algorithm::Sha256.digest(text.as_bytes()),
            text.len() as u64,
        );
        let record = ManifestRecord::new(descriptor, text.into(), std::time::UNIX_EPOCH);
        let put = storage.metadata().put_manifest(&name, record, &[]).await;
        put.expect("the directory can be written");
        let layers = "docker/registry/v2/repositories/a/b/_layers";
        assert!(directory.path().join(layers).is_dir());
    }
}

/// What Distribution took in is served, also where we would not have taken it.
#[tokio::test]
async fn manifests_that_another_program_accepted_are_served() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let storage = FsStorage::open(directory.path()).expect("the directory can be written");
    let name = RepositoryName::parse("a").expect("it is a name");
    let root = directory.path().join("docker/registry/v2");
    for (text, expected) in [
        (
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":null}"#,
            MediaType::oci_index(),
        ),
        (
            r#"{"schemaVersion":2,"config":{"size":-1},"layers":[{}],"subject":{}}"#,
            MediaType::oci_manifest(),
        ),
    ] {
        let digest = Algorithm::Sha256.digest(text.as_bytes());
        let hex = digest.encoded();
        let blob = root.join("blobs/sha256").join(&hex[..2]).join(hex);
        let revision = root
            .join("repositories/a/_manifests/revisions/sha256")
            .join(hex);
        for (folder, file, content) in [(blob, "data", text), (revision, "link", digest.as_str())] {
            std::fs::create_dir_all(&folder).expect("the directory can be written");
            std::fs::write(folder.join(file), content).expect("the directory can be written");
        }
        let found = storage.metadata().manifest(&name, &digest).await;
        let found = found.expect("it can be read").expect("it is there");
        assert_eq!(
            (found.bytes.as_ref(), found.descriptor.media_type),
            (text.as_bytes(), expected)
        );
    }
}

/// As `find -type d -empty -delete` does after Distribution's garbage collection.
#[tokio::test]
async fn directories_that_were_empty_may_go() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let storage = FsStorage::open(directory.path()).expect("the directory can be written");
    let own = directory.path().join("docker/registry/v2/_registry");
    std::fs::remove_dir_all(own).expect("it is there");
    let name = RepositoryName::parse("a").expect("it is a name");
    let digest = Algorithm::Sha256.digest(b"x");
    let link = registry_core::store::BlobLink::new(digest.clone(), None);
    let linked = storage.metadata().link_blob(&name, &digest, link).await;
    linked.expect("the directory is made again");
}
