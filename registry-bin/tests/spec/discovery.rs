//! Sections "Listing Tags", "Listing Referrers", "Enabling the Referrers API".

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{
    OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Repository, Server, Setup, Store, descriptor, image,
    index, sha256, with,
};

const SUBJECT: &str = "the subject";

/// Members that make a document a referrer.
fn about(subject: &str, more: &Value) -> Value {
    let members = json!({ "subject": descriptor(OCI_MANIFEST, subject) });
    serde_json::from_slice(&with(members, more)).unwrap()
}

/// Pushes an index about the subject by its digest.
#[track_caller]
fn referrer(r: &Repository, more: &Value) -> String {
    let bytes = index(&[], &about(SUBJECT, more));
    let digest = sha256(&bytes);
    r.manifest(&digest, bytes).send().is(201);
    digest
}

/// The one entry in the list of referrers.
#[track_caller]
fn only(r: &Repository) -> Value {
    let list = r
        .get(&format!("referrers/{}", sha256(SUBJECT)))
        .is(200)
        .json();
    assert_eq!(list["manifests"].as_array().unwrap().len(), 1, "{list}");
    list["manifests"][0].clone()
}

/// Every page, following `Link`.
#[track_caller]
fn pages(r: &Repository, first: &str, member: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut page = r.get(first).is(200);
    for _ in 0..1000 {
        all.extend(page.json()[member].as_array().unwrap().iter().cloned());
        let Some(next) = page.next_page() else {
            return all;
        };
        page = r.at("GET", &next).send().is(200);
    }
    panic!("the pages do not end: {page}");
}

rules! {
    fn listing_tags__must_be_200_with_name_and_tags(r) {
        r.tagged("a", "x");
        let list = r.get("tags/list").is(200).has("Content-Type", "application/json");
        assert_eq!(list.json(), json!({ "name": r.name, "tags": ["a"] }));
    }

    fn listing_tags__may_be_empty(r) {
        r.blob("something");
        assert_eq!(r.get("tags/list").is(200).json(), json!({ "name": r.name, "tags": [] }));
        let digest = r.tagged("a", "x");
        r.delete("manifests/a").is(202);
        r.get(&format!("manifests/{digest}")).is(200);
        assert_eq!(r.get("tags/list").is(200).json()["tags"], json!([]));
    }

    fn listing_tags__of_an_unknown_repository_is_404(r) {
        r.get("tags/list").refused(404, "NAME_UNKNOWN");
        r.start();
        r.get("tags/list").refused(404, "NAME_UNKNOWN");
    }

    fn listing_tags__must_be_in_order(r) {
        for tag in ["b", "a", "B", "10", "9", "_", "a.b", "a-b", "a_b", "ab", "A"] {
            r.tagged(tag, "x");
        }
        let tags = r.get("tags/list").is(200).names("tags");
        assert_eq!(tags, ["10", "9", "A", "B", "_", "a", "a-b", "a.b", "a_b", "ab", "b"]);
    }

    fn listing_tags__n_must_give_that_many(r) {
        for tag in ["a", "b", "c", "d", "e"] {
            r.tagged(tag, "x");
        }
        for (query, tags, more) in [
            ("n=2", vec!["a", "b"], true),
            ("n=5", vec!["a", "b", "c", "d", "e"], false),
            ("n=9", vec!["a", "b", "c", "d", "e"], false),
            ("n=2&last=a", vec!["b", "c"], true),
            ("n=2&last=bb", vec!["c", "d"], true),
            ("n=2&last=c", vec!["d", "e"], false),
            ("last=c", vec!["d", "e"], false),
            ("last=z", vec![], false),
            ("n=1&last=e", vec![], false),
        ] {
            let list = r.get(&format!("tags/list?{query}")).is(200);
            assert_eq!(list.names("tags"), tags, "{query}");
            assert_eq!(list.next_page().is_some(), more, "{query}");
        }
    }

    fn listing_tags__n_of_zero_must_be_empty_without_link(r) {
        r.tagged("a", "x");
        let list = r.get("tags/list?n=0").is(200).lacks("Link");
        assert_eq!(list.names("tags"), [""; 0]);
    }

    fn listing_tags__last_is_not_included_and_need_not_exist(r) {
        for tag in ["a", "c"] {
            r.tagged(tag, "x");
        }
        for (last, tags) in [("a", vec!["c"]), ("b", vec!["c"]), ("c", vec![]), ("A", vec!["a", "c"])] {
            assert_eq!(r.get(&format!("tags/list?last={last}")).is(200).names("tags"), tags);
        }
    }

    fn listing_tags__link_leads_through_all(r) {
        let tags: Vec<String> = (0..25).map(|n| format!("t{n:02}")).collect();
        for tag in &tags {
            r.tagged(tag, "x");
        }
        for n in [1, 3, 24, 25, 26] {
            assert_eq!(pages(r, &format!("tags/list?n={n}"), "tags"), tags, "{n}");
        }
    }

    fn listing_tags__a_junk_n_is_400(r) {
        r.tagged("a", "x");
        for bad in ["-1", "x", "1.5", "0x1", "1e3", "+1", "%00", "1,2"] {
            let list = r.get(&format!("tags/list?n={bad}"));
            list.refused(400, "PAGINATION_NUMBER_INVALID");
        }
        for huge in ["1001", "100000", "9223372036854775808", "99999999999999999999999"] {
            assert_eq!(r.get(&format!("tags/list?n={huge}")).is(200).names("tags"), ["a"]);
        }
    }

    fn listing_referrers__must_be_200_and_an_index(r) {
        let digest = referrer(r, &json!({}));
        let list = r.get(&format!("referrers/{}", sha256(SUBJECT))).is(200);
        let json = list.has("Content-Type", OCI_INDEX).json();
        assert_eq!(json["schemaVersion"], 2);
        assert_eq!(json["mediaType"], OCI_INDEX);
        assert_eq!(json["manifests"][0]["digest"], digest);
    }

    fn listing_referrers__must_never_be_404(r) {
        for subject in [sha256("nothing"), "sha512:".to_owned() + &"a".repeat(128), "x:y".into()] {
            let list = r.get(&format!("referrers/{subject}")).is(200);
            let list = list.has("Content-Type", OCI_INDEX);
            assert_eq!(list.json()["manifests"], json!([]));
        }
        r.image("latest");
        r.get(&format!("referrers/{}", sha256("nothing"))).is(200);
    }

    fn listing_referrers__an_invalid_digest_must_be_400(r) {
        for bad in ["latest", "sha256:abc", "sha256", ":", "sha256:", "a:b:c"] {
            r.get(&format!("referrers/{bad}")).refused(400, "DIGEST_INVALID");
        }
    }

    fn listing_referrers__descriptors_are_of_what_was_pushed(r) {
        let bytes = index(&[], &about(SUBJECT, &json!({})));
        r.manifest("t", &bytes).send().is(201);
        let entry = only(r);
        assert_eq!(entry["mediaType"], OCI_INDEX);
        assert_eq!(entry["digest"], sha256(&bytes));
        assert_eq!(entry["size"], bytes.len());
    }

    fn listing_referrers__artifact_type_must_be_that_of_the_manifest(r) {
        r.blob("{}");
        for artifact_type in ["application/vnd.example.sbom.v1", "a/b;version=0.2", "anything"] {
            let more = about(SUBJECT, &json!({ "artifactType": artifact_type }));
            for bytes in [image("{}", &[], &more), index(&[], &more)] {
                r.manifest("t", &bytes).send().is(201);
                assert_eq!(only(r)["artifactType"], artifact_type);
                r.delete(&format!("manifests/{}", sha256(&bytes))).is(202);
            }
        }
    }

    fn listing_referrers__without_artifact_type_it_must_be_the_config_s(r) {
        r.blob("{}");
        for artifact_type in [json!(null), json!("")] {
            let more = about(SUBJECT, &json!({ "artifactType": artifact_type }));
            let bytes = image("{}", &[], &more);
            r.manifest("t", &bytes).send().is(201);
            assert_eq!(only(r)["artifactType"], OCI_CONFIG);
            r.delete(&format!("manifests/{}", sha256(&bytes))).is(202);
        }
    }

    fn listing_referrers__of_an_index_without_artifact_type_it_must_be_omitted(r) {
        for artifact_type in [json!(null), json!("")] {
            let digest = referrer(r, &json!({ "artifactType": artifact_type }));
            assert_eq!(only(r).get("artifactType"), None);
            r.delete(&format!("manifests/{digest}")).is(202);
        }
    }

    fn listing_referrers__annotations_must_be_included(r) {
        let annotations = json!({ "org.example": "ä \" \\ \u{1}", "empty": "" });
        referrer(r, &json!({ "annotations": annotations }));
        assert_eq!(only(r)["annotations"], annotations);
    }

    fn listing_referrers__only_of_this_repository(r) {
        referrer(&r.beside("other"), &json!({}));
        assert_eq!(r.referrers(&sha256(SUBJECT)), [].into());
        let here = referrer(r, &json!({}));
        assert_eq!(r.referrers(&sha256(SUBJECT)), [here].into());
    }

    fn listing_referrers__of_images_and_indexes_with_and_without_the_subject(r) {
        r.blob("{}");
        let about_it = about(SUBJECT, &json!({}));
        let (one, two) = (image("{}", &[], &about_it), index(&[], &about_it));
        for bytes in [&one, &two] {
            r.manifest(&sha256(bytes), bytes).send().is(201);
        }
        assert_eq!(r.referrers(&sha256(SUBJECT)), [sha256(one), sha256(two)].into());
    }

    fn listing_referrers__a_deleted_one_is_gone(r) {
        let digest = referrer(r, &json!({}));
        r.delete(&format!("manifests/{digest}")).is(202);
        assert_eq!(r.referrers(&sha256(SUBJECT)), [].into());
    }

    fn listing_referrers__stay_when_the_subject_goes(r) {
        r.blob("{}");
        let subject = image("{}", &[], &json!({ "annotations": { "is": "subject" } }));
        r.manifest("t", &subject).send().is(201);
        let digest = sha256(&subject);
        let bytes = index(&[], &json!({ "subject": descriptor(OCI_MANIFEST, &subject) }));
        r.manifest("u", &bytes).send().is(201);
        r.delete(&format!("manifests/{digest}")).is(202);
        assert_eq!(r.referrers(&digest), [sha256(bytes)].into());
    }

    fn listing_referrers__a_filter_must_be_said_to_be_applied(r) {
        let a = referrer(r, &json!({ "artifactType": "application/a+json" }));
        referrer(r, &json!({ "artifactType": "application/b" }));
        referrer(r, &json!({ "artifactType": null }));
        let base = format!("referrers/{}", sha256(SUBJECT));
        assert_eq!(r.get(&base).is(200).lacks("OCI-Filters-Applied").json()["manifests"].as_array().unwrap().len(), 3);
        for query in ["application/a%2Bjson", "application%2Fa%2bjson"] {
            let list = r.get(&format!("{base}?artifactType={query}")).is(200);
            let list = list.has("OCI-Filters-Applied", "artifactType").json();
            let found: Vec<_> = list["manifests"].as_array().unwrap().iter().collect();
            assert_eq!(found.len(), 1, "{list}");
            assert_eq!(found[0]["digest"], a);
        }
        for nothing in ["application/none", "nonsense"] {
            let list = r.get(&format!("{base}?artifactType={nothing}")).is(200);
            let list = list.has("OCI-Filters-Applied", "artifactType");
            assert_eq!(list.json()["manifests"], json!([]));
        }
    }

    fn listing_referrers__n_pages_with_link(r) {
        let mut all: BTreeSet<String> = BTreeSet::new();
        for n in 0..7 {
            let kind = if n % 2 == 0 { "a/even" } else { "a/odd" };
            all.insert(referrer(r, &json!({ "artifactType": kind, "n": n })));
        }
        let base = format!("referrers/{}", sha256(SUBJECT));
        let digests = |list: Vec<Value>| -> Vec<String> {
            list.iter().map(|one| one["digest"].as_str().unwrap().to_owned()).collect()
        };
        let listed = digests(pages(r, &base, "manifests"));
        assert_eq!(listed, all.iter().cloned().collect::<Vec<_>>());
        let even = pages(r, &format!("{base}?artifactType=a/even"), "manifests");
        assert_eq!(even.len(), 4);
    }

    fn enabling_the_referrers_api__listed_under_a_fallback_tag_must_be_included(r) {
        // As a client of a registry without the API left it: the manifest, and an index of it
        // under the tag. Here the manifest is listed anyway; what must not be is anything else.
        r.blob("{}");
        let real = image("{}", &[], &about(SUBJECT, &json!({ "artifactType": "a/real" })));
        r.manifest(&sha256(&real), &real).send().is(201);
        let unrelated = r.image("unrelated");
        let lying = descriptor(OCI_MANIFEST, &real);
        let lying = with(lying, &json!({ "artifactType": "a/lie", "size": 3 }));
        let lying: Value = serde_json::from_slice(&lying).unwrap();
        let list = index(&[], &json!({
            "manifests": [lying, descriptor(OCI_MANIFEST, &unrelated)],
        }));
        let tag = sha256(SUBJECT).replace(':', "-");
        let _ = r.ask("PUT", &format!("manifests/{tag}"))
            .header("Content-Type", OCI_INDEX).body(list).send().is(201);
        let entry = only(r);
        assert_eq!(entry["digest"], sha256(&real));
        assert_eq!(entry["artifactType"], "a/real");
        assert_eq!(entry["size"], real.len());
    }

    fn enabling_the_referrers_api__newly_pushed_must_be_included(r) {
        let digest = referrer(r, &json!({}));
        assert_eq!(r.referrers(&sha256(SUBJECT)), [digest].into());
    }
}

/// The list is cut to what one answer may hold, and the rest is behind its `Link`.
fn short_pages(store: Store) {
    let r = Repository::new(Server::start(Setup::new(store).referrers(3)), "pages");
    let mut all = BTreeSet::new();
    for n in 0..10 {
        let kind = if n % 2 == 0 { "a/even" } else { "a/odd" };
        all.insert(referrer(&r, &json!({ "artifactType": kind, "n": n })));
    }
    let base = format!("referrers/{}", sha256(SUBJECT));
    let first = r.get(&base).is(200);
    assert_eq!(first.json()["manifests"].as_array().unwrap().len(), 3);
    assert!(first.next_page().is_some());
    let listed: Vec<Value> = pages(&r, &base, "manifests");
    let listed: Vec<String> = listed
        .iter()
        .map(|one| one["digest"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(listed, all.into_iter().collect::<Vec<_>>());

    let mut target = format!("/v2/{}/{base}?artifactType=a/even", r.name);
    let mut even = 0;
    loop {
        let page = r
            .at("GET", &target)
            .send()
            .is(200)
            .has("OCI-Filters-Applied", "artifactType");
        for one in page.json()["manifests"].as_array().unwrap() {
            assert_eq!(one["artifactType"], "a/even");
            even += 1;
        }
        match page.next_page() {
            Some(next) => target = next,
            None => break,
        }
    }
    assert_eq!(even, 5);
}

#[test]
fn listing_referrers__a_list_too_long_must_have_a_link_fs() {
    short_pages(Store::Fs);
}

#[test]
fn listing_referrers__a_list_too_long_must_have_a_link_memory() {
    short_pages(Store::Memory);
}
