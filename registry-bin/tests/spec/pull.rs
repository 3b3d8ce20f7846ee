//! Sections "Pulling manifests", "Pulling blobs", "Checking if content exists in the registry",
//! "Registry Proxying", "Determining Support".

use serde_json::json;

use crate::support::{
    DOCKER_LIST, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, descriptor,
    image, index, sha256, with,
};

rules! {
    fn determining_support__get_v2_is_200(r) {
        for target in ["/v2/", "/v2"] {
            r.client.request("GET", target).send().is(200).bytes("{}");
        }
        r.client.request("HEAD", "/v2/").send().is(200).has("Content-Length", 2);
    }

    fn pulling_manifests__existing_must_be_200_and_the_manifest(r) {
        let bytes = r.image("latest");
        r.get("manifests/latest").is(200).bytes(&bytes);
        r.get(&format!("manifests/{}", sha256(&bytes))).is(200).bytes(&bytes);
    }

    fn pulling_manifests__must_have_the_digest(r) {
        let bytes = r.image("latest");
        let digest = sha256(&bytes);
        for reference in ["latest", digest.as_str()] {
            let target = format!("manifests/{reference}");
            r.get(&target).is(200).has("Docker-Content-Digest", &digest);
        }
    }

    fn pulling_manifests__missing_must_be_404(r) {
        r.image("latest");
        r.get("manifests/other").refused(404, "MANIFEST_UNKNOWN");
        let digest = sha256("nothing");
        r.get(&format!("manifests/{digest}")).refused(404, "MANIFEST_UNKNOWN");
    }

    fn pulling_manifests__reference_is_a_tag_or_a_digest_and_nothing_else(r) {
        r.image("latest");
        for bad in ["-a", ".a", "a,b", "sha256:abc", "sha256:", ":abc", "a%00", &"a".repeat(129)] {
            let status = r.get(&format!("manifests/{bad}")).status;
            assert!([400, 404].contains(&status), "{bad}: {status}");
        }
        let longest = "a".repeat(128);
        r.tagged(&longest, "x");
        r.get(&format!("manifests/{longest}")).is(200);
    }

    fn pulling_manifests__name_matches_its_grammar(r) {
        for good in ["a", "a/b/c", "a.b", "a_b", "a__b", "a---b", "0/1"] {
            let status = r.client.request("GET", &format!("/v2/{good}/tags/list")).send().status;
            assert!([200, 404].contains(&status), "{good}: {status}");
        }
        for bad in ["A", "a..b", "a___b", "-a", "a-", "a//b", "a_", ".a", "a/_b", "a%2f..%2fb"] {
            let status = r.client.request("GET", &format!("/v2/{bad}/tags/list")).send().status;
            assert!([400, 404].contains(&status), "{bad}: {status}");
            let put = r.client.request("PUT", &format!("/v2/{bad}/manifests/a"));
            let put = put.header("Content-Type", OCI_INDEX).body(index(&[], &json!({})));
            let status = put.send().status;
            assert!([400, 404].contains(&status), "{bad}: {status}");
        }
    }

    fn pulling_manifests__content_type_is_the_one_pushed(r) {
        r.blob("{}");
        let bare = json!({ "mediaType": null });
        let image = image("{}", &[], &bare);
        let index = index(&[], &bare);
        for (media_type, bytes) in [
            (OCI_MANIFEST, &image),
            (DOCKER_MANIFEST, &with(
                serde_json::from_slice(&image).unwrap(),
                &json!({ "mediaType": DOCKER_MANIFEST }),
            )),
            (OCI_INDEX, &index),
            (DOCKER_LIST, &with(
                serde_json::from_slice(&index).unwrap(),
                &json!({ "mediaType": DOCKER_LIST }),
            )),
        ] {
            let push = r.ask("PUT", "manifests/t").header("Content-Type", media_type);
            push.body(bytes).send().is(201);
            for method in ["GET", "HEAD"] {
                let pulled = r.ask(method, "manifests/t").send().is(200);
                assert_eq!(pulled.header("Content-Type"), media_type);
            }
        }
    }

    fn pulling_manifests__content_type_should_have_no_parameters(r) {
        let push = r.ask("PUT", "manifests/t");
        let push = push.header("Content-Type", format!("{OCI_INDEX}; charset=utf-8"));
        push.body(index(&[], &json!({}))).send().is(201);
        r.get("manifests/t").is(200).has("Content-Type", OCI_INDEX);
    }

    fn pulling_manifests__accept_neither_hides_nor_rewrites(r) {
        let one = r.image("one");
        let bytes = index(&[&one], &json!({}));
        r.manifest("many", &bytes).send().is(201);
        for accept in ["*/*", OCI_MANIFEST, DOCKER_MANIFEST, "text/html", "nonsense", ""] {
            let pulled = r.ask("GET", "manifests/many").header("Accept", accept).send();
            pulled.is(200).has("Content-Type", OCI_INDEX).bytes(&bytes);
        }
    }

    fn pulling_blobs__existing_must_be_200_and_the_blob(r) {
        let digest = r.blob("a blob");
        r.get(&format!("blobs/{digest}")).is(200).bytes("a blob").has("Content-Length", 6);
    }

    fn pulling_blobs__must_have_the_digest(r) {
        let digest = r.blob("a blob");
        let pulled = r.get(&format!("blobs/{digest}")).is(200);
        pulled.has("Docker-Content-Digest", &digest);
    }

    fn pulling_blobs__missing_must_be_404(r) {
        let missing = format!("blobs/{}", sha256("missing"));
        r.get(&missing).refused(404, "BLOB_UNKNOWN");
        r.blob("a blob");
        r.get(&missing).refused(404, "BLOB_UNKNOWN");
    }

    fn pulling_blobs__of_another_repository_must_be_404(r) {
        let digest = r.beside("other").blob("theirs");
        r.get(&format!("blobs/{digest}")).refused(404, "BLOB_UNKNOWN");
        r.head(&format!("blobs/{digest}")).is(404);
    }

    fn pulling_blobs__should_support_range(r) {
        let blob = format!("blobs/{}", r.blob("0123456789"));
        let table = [
            ("bytes=0-0", "0", "bytes 0-0/10"),
            ("bytes=3-5", "345", "bytes 3-5/10"),
            ("bytes=7-", "789", "bytes 7-9/10"),
            ("bytes=-2", "89", "bytes 8-9/10"),
            ("bytes=5-500", "56789", "bytes 5-9/10"),
            ("bytes=-500", "0123456789", "bytes 0-9/10"),
        ];
        for (range, part, content_range) in table {
            let pulled = r.ask("GET", &blob).header("Range", range).send();
            let pulled = pulled.is(206).bytes(part).has("Content-Range", content_range);
            pulled.has("Content-Length", part.len());
        }
        let pulled = r.ask("GET", &blob).header("Range", "lines=1-2").send();
        pulled.is(200).bytes("0123456789");
        for range in ["bytes=10-", "bytes=500-0", "bytes=-0", "bytes=x"] {
            let refused = r.ask("GET", &blob).header("Range", range).send();
            refused.refused(416, "RANGE_INVALID").has("Content-Range", "bytes */10");
        }
    }

    fn pulling_blobs__an_empty_blob_is_a_blob(r) {
        let digest = r.blob("");
        let blob = format!("blobs/{digest}");
        r.get(&blob).is(200).bytes("").has("Content-Length", 0);
        r.head(&blob).is(200).has("Content-Length", 0).has("Docker-Content-Digest", digest);
    }

    fn checking_if_content_exists__head_of_existing_must_be_200(r) {
        let bytes = r.image("latest");
        let digest = sha256(&bytes);
        let blob = r.blob("a blob");
        r.head("manifests/latest").is(200);
        r.head(&format!("manifests/{digest}")).is(200);
        r.head(&format!("blobs/{blob}")).is(200);
    }

    fn checking_if_content_exists__must_have_digest_and_size(r) {
        let bytes = r.image("latest");
        let digest = sha256(&bytes);
        for reference in ["latest", digest.as_str()] {
            let head = r.head(&format!("manifests/{reference}")).is(200);
            head.has("Content-Length", bytes.len()).has("Docker-Content-Digest", &digest);
        }
        let blob = r.blob("a blob");
        let head = r.head(&format!("blobs/{blob}")).is(200);
        head.has("Content-Length", 6).has("Docker-Content-Digest", blob);
    }

    fn checking_if_content_exists__missing_must_be_404(r) {
        let digest = sha256("missing");
        for repository in [r, &r.beside("known")] {
            repository.head("manifests/missing").is(404);
            repository.head(&format!("manifests/{digest}")).is(404);
            repository.head(&format!("blobs/{digest}")).is(404);
            r.beside("known").blob("known");
        }
    }

    fn checking_if_content_exists__head_has_the_headers_of_get(r) {
        r.image("latest");
        let blob = format!("blobs/{}", r.blob("a blob"));
        for target in ["manifests/latest", &blob, "tags/list", &format!("referrers/{}", sha256(""))] {
            let headers = |method| {
                let mut headers = r.ask(method, target).send().is(200).headers;
                headers.retain(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id"));
                headers.sort();
                headers
            };
            assert_eq!(headers("HEAD"), headers("GET"), "{target}");
        }
    }

    fn registry_proxying__ns_may_be_ignored(r) {
        let bytes = r.image("latest");
        let digest = r.blob("a blob");
        r.get("manifests/latest?ns=docker.io").is(200).bytes(bytes).lacks("OCI-Namespace");
        r.get(&format!("blobs/{digest}?ns=docker.io")).is(200).bytes("a blob");
    }

    fn warnings__none_are_sent(r) {
        r.image("latest");
        r.get("manifests/latest").is(200).lacks("Warning");
    }

    fn pulling__what_is_answered_is_what_was_pushed(r) {
        // Odd, but valid: spaces, an order of its own, members that nobody knows, `data`.
        r.blob("{}");
        let config = descriptor(OCI_CONFIG, "{}");
        let layer = with(descriptor(OCI_LAYER, "{}"), &json!({ "data": "e30=" }));
        let bytes = format!(
            " {{\n\"zzz\" : [1,2 , {{}}],\"layers\":[{}],\t\"config\":{config},\r\n\
             \"schemaVersion\":2,\"annotations\":{{\"ü\":\"\\u00fc\"}} }}\n\n",
            String::from_utf8(layer).unwrap()
        );
        let push = r.ask("PUT", "manifests/odd").header("Content-Type", OCI_MANIFEST);
        push.body(&bytes).send().is(201).has("Docker-Content-Digest", sha256(&bytes));
        r.get("manifests/odd").is(200).bytes(&bytes);
    }
}
