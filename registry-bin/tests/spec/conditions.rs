//! Conditional writes of tags: If-Match and If-None-Match on PUT and DELETE of manifests
//! (RFC 9110 §13.1).

use serde_json::json;

use crate::support::{Repository, Response, index, sha256};

/// A push of an empty index, different for each text, under conditions.
fn push(r: &Repository, tag: &str, text: &str, conditions: &[(&str, &str)]) -> Response {
    let bytes = index(&[], &json!({ "annotations": { "text": text } }));
    let reference = match tag.split_once('?') {
        Some((_, query)) => format!("{}?{query}", sha256(&bytes)),
        None => tag.to_owned(),
    };
    let mut request = r.manifest(&reference, &bytes);
    for (name, value) in conditions {
        request = request.header(name, value);
    }
    request.send()
}

fn points_to(r: &Repository, tag: &str) -> Option<String> {
    let found = r.head(&format!("manifests/{tag}"));
    (found.status == 200).then(|| found.header("Docker-Content-Digest").to_owned())
}

rules! {
    fn if_none_match_any_creates_and_does_not_move(r) {
        push(r, "t", "a", &[("If-None-Match", "*")]).is(201);
        let first = points_to(r, "t");
        push(r, "t", "b", &[("If-None-Match", "*")]).is(412);
        push(r, "t", "a", &[("If-None-Match", "*")]).is(412);
        assert_eq!(points_to(r, "t"), first);
    }

    fn if_match_any_moves_and_does_not_create(r) {
        push(r, "t", "a", &[("If-Match", "*")]).is(412);
        assert_eq!(points_to(r, "t"), None);
        r.tagged("t", "a");
        push(r, "t", "b", &[("If-Match", "*")]).is(201);
    }

    fn if_match_names_what_the_tag_points_to(r) {
        let a = r.tagged("t", "a");
        let other = sha256("other");
        push(r, "t", "b", &[("If-Match", &format!("\"{other}\""))]).is(412);
        assert_eq!(points_to(r, "t"), Some(a.clone()));
        push(r, "t", "b", &[("If-Match", &format!("\"{other}\", \"{a}\""))]).is(201);
        push(r, "t", "c", &[("If-Match", &format!("\"{a}\""))]).is(412);
    }

    fn if_none_match_names_what_the_tag_must_not_point_to(r) {
        let a = r.tagged("t", "a");
        let other = sha256("other");
        push(r, "t", "b", &[("If-None-Match", &format!("\"{other}\", \"{a}\""))]).is(412);
        push(r, "t", "b", &[("If-None-Match", &format!("\"{other}\""))]).is(201);
        push(r, "new", "b", &[("If-None-Match", &format!("\"{a}\""))]).is(201);
    }

    fn an_etag_is_what_if_match_takes(r) {
        r.tagged("t", "a");
        let tag = r.get("manifests/t").header("ETag").to_owned();
        push(r, "t", "b", &[("If-Match", &tag)]).is(201);
        push(r, "t", "c", &[("If-Match", &tag)]).is(412);
    }

    fn conditions_hold_for_each_of_several_tags(r) {
        let a = r.tagged("old", "a");
        push(r, "?tag=new&tag=old", "b", &[("If-None-Match", "*")]).is(412);
        assert_eq!((points_to(r, "new"), points_to(r, "old")), (None, Some(a.clone())));
        let pushed = push(r, "?tag=new&tag=newer", "b", &[("If-None-Match", "*")]).is(201);
        assert_eq!(pushed.list("OCI-Tag"), ["new", "newer"]);
        push(r, "?tag=old&tag=new", "c", &[("If-Match", &format!("\"{a}\""))]).is(412);
        assert_eq!(points_to(r, "old"), Some(a));
    }

    fn conditions_with_tags_are_not_about_the_digest(r) {
        r.tagged("t", "a");
        // The digest is there; the tag is not.
        push(r, "?tag=fresh", "a", &[("If-None-Match", "*")]).is(201);
    }

    fn conditions_hold_for_a_digest_without_tags(r) {
        push(r, "?", "a", &[("If-Match", "*")]).is(412);
        push(r, "?", "a", &[("If-None-Match", "*")]).is(201);
        push(r, "?", "a", &[("If-None-Match", "*")]).is(412);
    }

    fn deletes_take_conditions(r) {
        let a = r.tagged("t", "a");
        let other = format!("\"{}\"", sha256("other"));
        let delete = |name: &str, value: &str| {
            r.ask("DELETE", "manifests/t").header(name, value).send()
        };
        delete("If-Match", &other).is(412);
        delete("If-None-Match", "*").is(412);
        delete("If-None-Match", &format!("\"{a}\"")).is(412);
        assert_eq!(points_to(r, "t"), Some(a.clone()));
        delete("If-Match", &format!("\"{a}\"")).is(202);
        assert_eq!(points_to(r, "t"), None);
        r.tagged("t", "a");
        let by_digest = |value: &str| {
            r.ask("DELETE", &format!("manifests/{a}")).header("If-Match", value).send()
        };
        by_digest(&other).is(412);
        by_digest("*").is(202);
        assert_eq!(points_to(r, "t"), None);
    }

    fn a_junk_condition_is_refused_and_nothing_is_written(r) {
        for (name, value) in [
            ("If-Match", "nonsense"),
            ("If-None-Match", "\"sha256:abc\""),
            ("If-Match", "W/\"x\""),
            ("If-Match", "\""),
            ("If-Match", ""),
        ] {
            let status = push(r, "t", "a", &[(name, value)]).status;
            assert!([400, 412, 201].contains(&status), "{name}: {value}: {status}");
            // Something that no tag can be is not what this one is.
            assert!(name != "If-Match" || status != 201, "{name}: {value}: {status}");
        }
    }
}
