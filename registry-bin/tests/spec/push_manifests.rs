//! Sections "Push", "Pushing Manifests", "Pushing Manifests with Subject".

use registry_core::engine::ReferencePolicy;
use serde_json::json;

use crate::support::{
    DOCKER_LIST, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Repository,
    Server, Setup, Store, descriptor, image, index, sha256, sha512, with,
};

/// An index of one child that is nowhere.
fn dangling() -> Vec<u8> {
    index(&[b"nowhere"], &json!({}))
}

rules! {
    fn push__a_subject_that_is_not_there_must_be_accepted(r) {
        r.blob("{}");
        let subject = descriptor(OCI_MANIFEST, "not there yet");
        let bytes = image("{}", &[], &json!({ "subject": subject }));
        r.manifest("referrer", &bytes).send().is(201);
        r.get("manifests/referrer").is(200).bytes(bytes);
    }

    fn push__a_missing_reference_must_be_manifest_blob_unknown(r) {
        r.manifest("t", image("missing", &[], &json!({}))).send()
            .refused(400, "MANIFEST_BLOB_UNKNOWN");
        r.blob("{}");
        r.manifest("t", image("{}", &["missing"], &json!({}))).send()
            .refused(400, "MANIFEST_BLOB_UNKNOWN");
        r.manifest("t", dangling()).send().refused(400, "MANIFEST_BLOB_UNKNOWN");
        r.get("manifests/t").is(404);
    }

    fn push__a_blob_of_another_repository_does_not_count(r) {
        r.beside("other").blob("theirs");
        r.blob("{}");
        r.manifest("t", image("{}", &["theirs"], &json!({}))).send()
            .refused(400, "MANIFEST_BLOB_UNKNOWN");
    }

    fn pushing_manifests__must_be_201_and_the_location_pullable(r) {
        r.blob("{}");
        let bytes = image("{}", &[], &json!({}));
        for reference in ["tag".to_owned(), sha256(&bytes)] {
            let pushed = r.manifest(&reference, &bytes).send().is(201);
            r.at("GET", pushed.header("Location")).send().is(200).bytes(&bytes);
        }
    }

    fn pushing_manifests__exact_bytes_must_be_stored(r) {
        let bytes = "{ \"schemaVersion\":2 ,\n\n\"manifests\": [ ] , \"\\u0061\": 1e0 }\n";
        let push = r.ask("PUT", "manifests/t").header("Content-Type", OCI_INDEX);
        push.body(bytes).send().is(201);
        r.get("manifests/t").is(200).bytes(bytes);
    }

    fn pushing_manifests__digest_must_be_the_client_s(r) {
        let bytes = index(&[], &json!({}));
        for digest in [sha256(&bytes), sha512(&bytes)] {
            let pushed = r.manifest(&digest, &bytes).send().is(201);
            let pushed = pushed.has("Docker-Content-Digest", &digest);
            assert!(pushed.header("Location").ends_with(&digest), "{pushed}");
            for method in ["GET", "HEAD"] {
                let pulled = r.ask(method, &format!("manifests/{digest}")).send().is(200);
                pulled.has("Docker-Content-Digest", &digest);
            }
        }
        let by_tag = r.manifest("t", &bytes).send().is(201);
        by_tag.has("Docker-Content-Digest", sha256(&bytes));
    }

    fn pushing_manifests__another_digest_is_400(r) {
        let bytes = index(&[], &json!({}));
        for digest in [sha256("x"), sha512("x")] {
            r.manifest(&digest, &bytes).send().refused(400, "DIGEST_INVALID");
            r.get(&format!("manifests/{digest}")).is(404);
        }
        r.manifest("blake3:abc", &bytes).send().refused(400, "DIGEST_INVALID");
        r.manifest("sha256:abc", &bytes).send().refused(400, "DIGEST_INVALID");
    }

    fn pushing_manifests__parameters_of_the_content_type_should_be_ignored(r) {
        let bytes = index(&[], &json!({}));
        let push = r.ask("PUT", "manifests/t");
        let push = push.header("Content-Type", format!("{OCI_INDEX}; charset=utf-8; a=\"b;c\""));
        push.body(bytes).send().is(201);
    }

    fn pushing_manifests__without_content_type_it_is_read_from_the_document(r) {
        r.blob("{}");
        for (bytes, media_type) in [
            (image("{}", &[], &json!({ "mediaType": null })), OCI_MANIFEST),
            (index(&[], &json!({ "mediaType": null })), OCI_INDEX),
            (image("{}", &[], &json!({ "mediaType": DOCKER_MANIFEST })), DOCKER_MANIFEST),
            (index(&[], &json!({ "mediaType": DOCKER_LIST })), DOCKER_LIST),
        ] {
            r.ask("PUT", "manifests/t").body(&bytes).send().is(201);
            r.get("manifests/t").is(200).has("Content-Type", media_type).bytes(&bytes);
        }
    }

    fn pushing_manifests__a_mismatch_of_media_types_is_400(r) {
        r.blob("{}");
        let oci = image("{}", &[], &json!({}));
        for wrong in [DOCKER_MANIFEST, OCI_INDEX, "text/plain", "nonsense"] {
            let push = r.ask("PUT", "manifests/t").header("Content-Type", wrong);
            push.body(&oci).send().refused(400, "MANIFEST_INVALID");
        }
        // Also where the document does not say what it is, but cannot be what it was sent as.
        let bare = image("{}", &[], &json!({ "mediaType": null }));
        let push = r.ask("PUT", "manifests/t").header("Content-Type", OCI_INDEX);
        push.body(&bare).send().refused(400, "MANIFEST_INVALID");
        r.get("manifests/t").is(404);
    }

    fn pushing_manifests__at_least_10_tags_should_be_possible(r) {
        let bytes = index(&[], &json!({}));
        let tags: Vec<String> = (0..10).map(|n| format!("v1.{n}")).collect();
        let digest = sha256(&bytes);
        let target = format!("{digest}?tag={}", tags.join("&tag="));
        let pushed = r.manifest(&target, &bytes).send().is(201);
        assert_eq!(pushed.list("OCI-Tag"), tags);
        assert_eq!(pushed.header("Docker-Content-Digest"), digest);
        for tag in &tags {
            let pulled = r.get(&format!("manifests/{tag}")).is(200).bytes(&bytes);
            pulled.has("Docker-Content-Digest", &digest);
        }
    }

    fn pushing_manifests__with_tags_works_in_sha512(r) {
        let bytes = index(&[], &json!({}));
        let digest = sha512(&bytes);
        let pushed = r.manifest(&format!("{digest}?tag=a&tag=b"), &bytes).send().is(201);
        assert_eq!(pushed.list("OCI-Tag"), ["a", "b"]);
        let pulled = r.get("manifests/a").is(200).bytes(&bytes);
        pulled.has("Docker-Content-Digest", &digest);
        r.head("manifests/b").is(200).has("Docker-Content-Digest", &digest);
    }

    fn pushing_manifests__all_tags_are_validated_before_any_is_written(r) {
        let bytes = index(&[], &json!({}));
        for bad in ["-bad", "", "a%2Fb", &"a".repeat(129)] {
            let target = format!("{}?tag=good&tag={bad}", sha256(&bytes));
            r.manifest(&target, &bytes).send().refused(400, "TAG_INVALID");
        }
        r.get("manifests/good").is(404);
        r.get(&format!("manifests/{}", sha256(&bytes))).is(404);
    }

    fn pushing_manifests__too_many_tags_may_be_414(r) {
        let bytes = index(&[], &json!({}));
        let tags: Vec<String> = (0..1000).map(|n| format!("tag=t{n}")).collect();
        let target = format!("{}?{}", sha256(&bytes), tags.join("&"));
        r.manifest(&target, &bytes).send().is(414);
        r.get("manifests/t0").is(404);
    }

    fn pushing_manifests__the_list_of_blobs_may_be_empty(r) {
        r.blob("{}");
        for more in [json!({ "layers": [] }), json!({ "layers": null })] {
            let bytes = image("{}", &[], &more);
            r.manifest("t", &bytes).send().is(201);
            r.get("manifests/t").is(200).bytes(bytes);
        }
        let bytes = index(&[], &json!({}));
        r.manifest("t", &bytes).send().is(201);
    }

    fn pushing_manifests__a_nonexistent_repository_must_be_404(r) {
        r.get("manifests/latest").refused(404, "MANIFEST_UNKNOWN");
        r.get(&format!("manifests/{}", sha256(""))).refused(404, "MANIFEST_UNKNOWN");
    }

    fn pushing_manifests__4_megabytes_should_be_accepted(r) {
        let bytes = index(&[], &json!({ "annotations": { "a": "x".repeat((4 << 20) - 500) } }));
        assert!(bytes.len() > 4_000_000 && bytes.len() <= 4 << 20);
        r.manifest("t", &bytes).send().is(201);
        r.get("manifests/t").is(200).bytes(&bytes);
    }

    fn pushing_manifests__over_the_limit_should_be_413(r) {
        let bytes = index(&[], &json!({ "annotations": { "a": "x".repeat(4 << 20) } }));
        r.manifest("t", &bytes).send().is(413);
        let push = r.ask("PUT", "manifests/t").header("Content-Type", OCI_INDEX);
        push.streamed(&bytes).send().is(413);
        r.get("manifests/t").is(404);
    }

    fn pushing_manifests__a_tag_moves(r) {
        let (old, new) = (r.tagged("t", "old"), r.tagged("t", "new"));
        r.get("manifests/t").is(200).has("Docker-Content-Digest", new);
        r.get(&format!("manifests/{old}")).is(200);
    }

    fn pushing_manifests__an_invalid_one_is_400_and_nothing_is_there(r) {
        r.blob("{}");
        let config = descriptor(OCI_CONFIG, "{}");
        for bad in [
            json!(null),
            json!([]),
            json!({}),
            json!({ "schemaVersion": 1 }),
            json!({ "schemaVersion": 2 }),
            json!({ "schemaVersion": 2, "config": config, "layers": [], "manifests": [] }),
            json!({ "schemaVersion": 2, "config": { "digest": "sha256:abc", "size": 1 } }),
            json!({ "schemaVersion": 2, "config": config, "layers": [{ "size": 1 }] }),
            json!({ "schemaVersion": 2, "config": config, "subject": { "digest": "x" } }),
        ] {
            let push = r.ask("PUT", "manifests/t").header("Content-Type", OCI_MANIFEST);
            push.body(bad.to_string()).send().refused(400, "MANIFEST_INVALID");
        }
        for bad in ["", "{", "{}{}", "\0", &"[".repeat(10_000)] {
            let push = r.ask("PUT", "manifests/t").header("Content-Type", OCI_MANIFEST);
            push.body(bad).send().refused(400, "MANIFEST_INVALID");
        }
        r.get("tags/list").is(200).has("Content-Type", "application/json");
        assert!(r.get("tags/list").names("tags").is_empty());
    }

    fn pushing_manifests__an_index_of_images_and_indexes(r) {
        let (one, two) = (r.image("one"), r.image("two"));
        let inner = index(&[&one, &two], &json!({}));
        r.manifest(&sha256(&inner), &inner).send().is(201);
        let outer = with(
            json!({ "schemaVersion": 2, "manifests": [descriptor(OCI_INDEX, &inner)] }),
            &json!({ "mediaType": OCI_INDEX }),
        );
        r.manifest("outer", &outer).send().is(201);
        r.get("manifests/outer").is(200).bytes(outer);
    }

    fn pushing_manifests__an_artifact_of_the_empty_blob(r) {
        r.blob("{}");
        let empty = descriptor("application/vnd.oci.empty.v1+json", "{}");
        for artifact_type in ["application/vnd.example+type", "a/b; version=0.2", "anything"] {
            let bytes = with(
                json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [empty] }),
                &json!({ "config": empty, "artifactType": artifact_type, "custom": { "a": [1] } }),
            );
            r.manifest("artifact", &bytes).send().is(201);
            r.get("manifests/artifact").is(200).bytes(bytes);
        }
    }

    fn pushing_manifests__nondistributable_layers_need_no_blob(r) {
        r.blob("{}");
        for media_type in [
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        ] {
            let mut layer = descriptor(media_type, "elsewhere");
            layer["urls"] = json!(["https://example.com/layer"]);
            let bytes = image("{}", &[], &json!({ "layers": [layer] }));
            r.manifest("foreign", &bytes).send().is(201);
            r.get("manifests/foreign").is(200).bytes(bytes);
        }
    }

    fn pushing_manifests__layers_may_carry_their_data(r) {
        r.blob("{}");
        r.blob("data");
        let mut layer = descriptor(OCI_LAYER, "data");
        layer["data"] = json!("ZGF0YQ==");
        let bytes = image("{}", &[], &json!({ "layers": [layer] }));
        r.manifest("t", &bytes).send().is(201);
        r.get("manifests/t").is(200).bytes(bytes);
    }

    fn pushing_manifests__sha512_from_end_to_end(r) {
        let blob = sha512("{}");
        r.close(&r.start(), &blob).body("{}").send().is(201).has("Docker-Content-Digest", &blob);
        let of_512 = json!({ "mediaType": OCI_CONFIG, "digest": blob, "size": 2 });
        let bytes = image("", &[], &json!({ "config": of_512, "layers": [of_512] }));
        let digest = sha512(&bytes);
        r.manifest(&digest, &bytes).send().is(201).has("Docker-Content-Digest", &digest);
        let subject = json!({ "mediaType": OCI_MANIFEST, "digest": digest, "size": bytes.len() });
        let referrer = index(&[], &json!({ "subject": subject }));
        let pushed = r.manifest("referrer", &referrer).send().is(201);
        pushed.has("OCI-Subject", &digest);
        assert_eq!(r.referrers(&digest), [sha256(&referrer)].into());
        r.delete(&format!("manifests/{digest}")).is(202);
        r.get(&format!("manifests/{digest}")).is(404);
        r.delete(&format!("blobs/{blob}")).is(202);
        r.get(&format!("blobs/{blob}")).is(404);
    }

    fn pushing_manifests__subjects_of_any_algorithm_are_taken(r) {
        let subject = json!({ "mediaType": OCI_MANIFEST, "digest": "blake3:abc", "size": 1 });
        let bytes = index(&[], &json!({ "subject": subject }));
        r.manifest("t", &bytes).send().is(201).has("OCI-Subject", "blake3:abc");
        assert_eq!(r.referrers("blake3:abc"), [sha256(bytes)].into());
    }

    fn pushing_manifests_with_subject__must_answer_oci_subject(r) {
        let image_bytes = r.image("subject");
        let digest = sha256(&image_bytes);
        let subject = json!({ "subject": descriptor(OCI_MANIFEST, &image_bytes) });
        for bytes in [image("{}", &[], &subject), index(&[], &subject)] {
            for reference in ["t".to_owned(), sha256(&bytes), sha256(&bytes) + "?tag=u"] {
                r.manifest(&reference, &bytes).send().is(201).has("OCI-Subject", &digest);
            }
        }
        r.manifest("t", &image_bytes).send().is(201).lacks("OCI-Subject");
    }
}

/// What is checked at a push can be turned off.
fn without_checks(store: Store) {
    let r = Repository::new(
        Server::start(Setup::new(store).references(ReferencePolicy::Nothing)),
        "sparse",
    );
    let bytes = dangling();
    r.manifest("index", &bytes).send().is(201);
    r.get("manifests/index").is(200).bytes(bytes);
    r.manifest("image", image("nowhere", &["nor this"], &json!({})))
        .send()
        .is(201);
}

/// Distribution's switch is about the children of indexes alone.
#[test]
fn sparse_indexes_where_only_images_are_checked() {
    let setup = Setup::new(Store::Memory).references(ReferencePolicy::Images);
    let r = Repository::new(Server::start(setup), "sparse");
    r.manifest("index", dangling()).send().is(201);
    r.manifest("image", image("nowhere", &[], &json!({})))
        .send()
        .refused(400, "MANIFEST_BLOB_UNKNOWN");
}

#[test]
fn sparse_documents_where_references_are_not_checked_fs() {
    without_checks(Store::Fs);
}

#[test]
fn sparse_documents_where_references_are_not_checked_memory() {
    without_checks(Store::Memory);
}
