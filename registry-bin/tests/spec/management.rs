//! Sections "Deleting tags", "Deleting Manifests", "Deleting Blobs".

use serde_json::json;

use crate::support::{Repository, Server, Setup, Store, image, index, sha256};

rules! {
    fn deleting_tags__must_be_202_and_then_404(r) {
        let digest = r.tagged("a", "x");
        r.tagged("b", "x");
        r.delete("manifests/a").is(202);
        r.get("manifests/a").refused(404, "MANIFEST_UNKNOWN");
        r.head("manifests/a").is(404);
        assert_eq!(r.get("tags/list").names("tags"), ["b"]);
        r.get("manifests/b").is(200);
        r.get(&format!("manifests/{digest}")).is(200);
    }

    fn deleting_tags__a_missing_one_is_404(r) {
        r.delete("manifests/a").is(404);
        r.tagged("a", "x");
        r.delete("manifests/b").refused(404, "MANIFEST_UNKNOWN");
        r.delete("manifests/a").is(202);
        r.delete("manifests/a").refused(404, "MANIFEST_UNKNOWN");
    }

    fn deleting_manifests__must_be_202_and_then_404_with_every_tag(r) {
        let digest = r.tagged("a", "x");
        r.tagged("b", "x");
        r.tagged("c", "y");
        r.delete(&format!("manifests/{digest}")).is(202);
        for reference in ["a", "b", digest.as_str()] {
            r.get(&format!("manifests/{reference}")).refused(404, "MANIFEST_UNKNOWN");
            r.head(&format!("manifests/{reference}")).is(404);
        }
        assert_eq!(r.get("tags/list").names("tags"), ["c"]);
        r.get("manifests/c").is(200);
    }

    fn deleting_manifests__of_an_unknown_repository_must_be_404(r) {
        r.delete(&format!("manifests/{}", sha256("x"))).is(404);
    }

    fn deleting_manifests__a_missing_one_is_404(r) {
        let digest = r.tagged("a", "x");
        r.delete(&format!("manifests/{}", sha256("other"))).refused(404, "MANIFEST_UNKNOWN");
        r.delete(&format!("manifests/{digest}")).is(202);
        r.delete(&format!("manifests/{digest}")).refused(404, "MANIFEST_UNKNOWN");
    }

    fn deleting_manifests__an_invalid_digest_is_400(r) {
        r.delete("manifests/sha256:abc").refused(400, "DIGEST_INVALID");
    }

    fn deleting_manifests__can_be_pushed_again(r) {
        for _ in 0..2 {
            let digest = r.tagged("a", "x");
            r.get("manifests/a").is(200);
            r.delete(&format!("manifests/{digest}")).is(202);
            r.get("manifests/a").is(404);
        }
    }

    fn deleting_manifests__a_child_is_final_and_its_index_stays(r) {
        let child = r.image("child");
        let bytes = index(&[&child], &json!({}));
        r.manifest("index", &bytes).send().is(201);
        r.delete(&format!("manifests/{}", sha256(&child))).is(202);
        r.get("manifests/child").is(404);
        r.get("manifests/index").is(200).bytes(bytes);
    }

    fn deleting_blobs__must_be_202_and_then_404(r) {
        let digest = r.blob("a blob");
        r.delete(&format!("blobs/{digest}")).is(202);
        r.get(&format!("blobs/{digest}")).refused(404, "BLOB_UNKNOWN");
        r.head(&format!("blobs/{digest}")).is(404);
        r.blob("a blob");
        r.get(&format!("blobs/{digest}")).is(200);
    }

    fn deleting_blobs__a_missing_one_must_be_404(r) {
        r.delete(&format!("blobs/{}", sha256("x"))).refused(404, "BLOB_UNKNOWN");
        let digest = r.blob("a blob");
        r.delete(&format!("blobs/{digest}")).is(202);
        r.delete(&format!("blobs/{digest}")).refused(404, "BLOB_UNKNOWN");
    }

    fn deleting_blobs__a_mounted_one_is_still_in_the_other_repository(r) {
        let other = r.beside("other");
        let digest = r.blob("shared");
        let target = format!("blobs/uploads/?mount={digest}&from={}", r.name);
        other.ask("POST", &target).send().is(201);
        r.delete(&format!("blobs/{digest}")).is(202);
        r.get(&format!("blobs/{digest}")).is(404);
        other.get(&format!("blobs/{digest}")).is(200).bytes("shared");
        // Nor can it be mounted back by whoever only knows where it was.
        let target = format!("blobs/uploads/?mount={digest}&from={}", r.name);
        r.beside("third").ask("POST", &target).send().is(202);
    }

    fn deleting_blobs__then_a_manifest_that_needs_it_is_refused(r) {
        r.blob("{}");
        let digest = r.blob("layer");
        r.delete(&format!("blobs/{digest}")).is(202);
        r.manifest("t", image("{}", &["layer"], &json!({}))).send()
            .refused(400, "MANIFEST_BLOB_UNKNOWN");
    }
}

/// Where deletes are off, nothing is deleted, and uploads can be cancelled.
fn switched_off(store: Store) {
    let r = Repository::new(Server::start(Setup::new(store).deletes(false)), "off");
    let bytes = r.image("latest");
    let blob = r.blob("a blob");
    r.delete("manifests/latest").refused(405, "UNSUPPORTED");
    r.delete(&format!("manifests/{}", sha256(&bytes)))
        .refused(405, "UNSUPPORTED");
    r.delete(&format!("blobs/{blob}"))
        .refused(405, "UNSUPPORTED");
    r.get("manifests/latest").is(200);
    r.get(&format!("blobs/{blob}")).is(200);
    let location = r.start();
    r.at("DELETE", &location).send().is(204);
}

#[test]
fn deletes_that_are_disabled_must_be_400_or_405_fs() {
    switched_off(Store::Fs);
}

#[test]
fn deletes_that_are_disabled_must_be_400_or_405_memory() {
    switched_off(Store::Memory);
}
