//! Section "Error Codes": one test for each code, and for the statuses beside them.

use serde_json::json;

use crate::support::{Client, Repository, Server, Setup, Store, image, index, octets, sha256};

rules! {
    fn error_codes__a_json_body_must_have_their_format(r) {
        for refused in [
            r.get("manifests/x"),
            r.get(&format!("blobs/{}", sha256("x"))),
            r.get("blobs/sha256:x"),
            r.client.request("GET", "/v2/UPPER/tags/list").send(),
            r.ask("PUT", "manifests/x").body("nonsense").send(),
            r.ask("POST", "tags/list").send(),
        ] {
            assert!((400..500).contains(&refused.status), "{refused}");
            assert!(refused.header("Content-Type").starts_with("application/json"));
            for error in refused.json()["errors"].as_array().unwrap() {
                let code = error["code"].as_str().unwrap();
                assert!(code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{code}");
                assert!(error.get("message").is_none_or(serde_json::Value::is_string));
            }
        }
    }

    fn error_codes__blob_unknown(r) {
        r.get(&format!("blobs/{}", sha256("x"))).refused(404, "BLOB_UNKNOWN");
    }

    fn error_codes__blob_upload_invalid(r) {
        let bad = format!("/v2/{}/blobs/uploads/..%00", r.name);
        let status = r.at("GET", &bad).send().status;
        assert!([400, 404].contains(&status), "{status}");
    }

    fn error_codes__blob_upload_unknown(r) {
        let location = format!("/v2/{}/blobs/uploads/gone", r.name);
        octets(r.at("PATCH", &location)).body("x").send().refused(404, "BLOB_UPLOAD_UNKNOWN");
    }

    fn error_codes__digest_invalid(r) {
        r.close(&r.start(), &sha256("x")).body("y").send().refused(400, "DIGEST_INVALID");
    }

    fn error_codes__manifest_blob_unknown(r) {
        let missing = r.manifest("t", image("{}", &[], &json!({}))).send();
        let missing = missing.refused(400, "MANIFEST_BLOB_UNKNOWN");
        assert!(missing.json()["errors"].to_string().contains(&sha256("{}")), "{missing}");
    }

    fn error_codes__manifest_invalid(r) {
        r.ask("PUT", "manifests/t").body("{}").send().refused(400, "MANIFEST_INVALID");
    }

    fn error_codes__manifest_unknown(r) {
        r.blob("x");
        r.get("manifests/t").refused(404, "MANIFEST_UNKNOWN");
    }

    fn error_codes__name_invalid(r) {
        for bad in ["UPPER", "a__", "-", &"a".repeat(256), &vec!["a"; 129].join("/")] {
            let list = r.client.request("GET", &format!("/v2/{bad}/tags/list")).send();
            list.refused(400, "NAME_INVALID");
        }
    }

    fn error_codes__name_unknown(r) {
        r.get("tags/list").refused(404, "NAME_UNKNOWN");
    }

    fn error_codes__size_invalid(r) {
        let request = r.at("PATCH", &r.start()).header("Content-Range", "0-3");
        octets(request).body("01").send().refused(400, "SIZE_INVALID");
    }

    fn error_codes__unsupported(r) {
        for (method, rest) in [
            ("POST", "tags/list"),
            ("POST", "manifests/x"),
            ("PATCH", "manifests/x"),
            ("PUT", "tags/list"),
            ("DELETE", "tags/list"),
            ("PUT", "blobs/uploads/"),
            ("GET", "blobs/uploads/"),
            ("BREW", "tags/list"),
        ] {
            let refused = r.ask(method, rest).send().refused(405, "UNSUPPORTED");
            assert!(refused.get("Allow").is_some(), "{refused}");
        }
        r.client.request("POST", "/v2/").send().refused(405, "UNSUPPORTED");
        r.client.request("PUT", "/v2/_catalog").send().refused(405, "UNSUPPORTED");
    }

    fn error_codes__tag_invalid(r) {
        r.manifest("-t", index(&[], &json!({}))).send().refused(400, "TAG_INVALID");
    }

    fn error_codes__no_end_point_is_404(r) {
        for target in ["/v2/a", "/v2/a/b", "/v2/a/blobs", "/v2/a/nothing/here", "/v1/", "/", "/v2x"] {
            r.client.request("GET", target).send().is(404);
        }
    }
}

/// Not more uploads are open than there may be, and the refusal says when to try again.
fn busy(store: Store) {
    let r = Repository::new(Server::start(Setup::new(store).open_uploads(2)), "busy");
    let first = r.start();
    r.start();
    let refused = r
        .ask("POST", "blobs/uploads/")
        .send()
        .refused(429, "TOOMANYREQUESTS");
    refused
        .header("Retry-After")
        .parse::<u32>()
        .expect("a number of seconds");
    r.close(&first, &sha256("x")).body("x").send().is(201);
    r.start();
}

#[test]
fn error_codes__toomanyrequests_should_have_retry_after_fs() {
    busy(Store::Fs);
}

#[test]
fn error_codes__toomanyrequests_should_have_retry_after_memory() {
    busy(Store::Memory);
}

/// `writer` with the right password may do anything, `reader` may pull, everybody else nothing.
#[test]
fn error_codes__unauthorized_and_denied() {
    let server = Server::start(Setup::new(Store::Memory).guarded());
    let client = Client::new(server.address());
    let refused = client
        .request("GET", "/v2/")
        .send()
        .refused(401, "UNAUTHORIZED");
    assert!(
        refused
            .header("WWW-Authenticate")
            .starts_with("Basic realm="),
        "{refused}"
    );
    let basic = |name: &str| match name {
        "writer" => "Basic d3JpdGVyOnB3",
        "reader" => "Basic cmVhZGVyOnB3",
        _ => "Basic bm9ib2R5OnB3",
    };
    let ask = |method: &str, target: &str, name: &str| {
        client
            .request(method, target)
            .header("Authorization", basic(name))
            .send()
    };
    ask("GET", "/v2/", "nobody").refused(401, "UNAUTHORIZED");
    ask("GET", "/v2/", "reader").is(200);
    ask("POST", "/v2/a/blobs/uploads/", "writer").is(202);
    ask("POST", "/v2/a/blobs/uploads/", "reader").refused(403, "DENIED");
    ask("GET", &format!("/v2/a/blobs/{}", sha256("x")), "reader").refused(404, "BLOB_UNKNOWN");
    ask("DELETE", &format!("/v2/a/blobs/{}", sha256("x")), "reader").refused(403, "DENIED");
}
