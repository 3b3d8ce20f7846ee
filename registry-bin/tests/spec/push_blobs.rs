//! Sections "Pushing blobs", "POST then PUT", "Single POST", "Pushing a blob in chunks", "Cancel a
//! blob upload", "Mounting a blob from another repository".

use crate::support::{Repository, Response, and, octets, sha256, sha512};

/// The upload stands with that many bytes; the Location to go on at.
#[track_caller]
fn stands(r: &Repository, location: &str, length: usize) -> String {
    let status = r.at("GET", location).send().is(204);
    let status = status.has("Range", format!("0-{}", length.saturating_sub(1)));
    status.header("location").to_owned()
}

/// 201, and its Location can be pulled.
#[track_caller]
fn created(r: &Repository, response: Response, content: &str) {
    let created = response.is(201);
    r.at("GET", created.header("location"))
        .send()
        .is(200)
        .bytes(content);
}

rules! {
    fn pushing_blobs__an_invalid_digest_should_be_400(r) {
        for bad in ["sha256:abc", "sha256", "", "SHA256:0", &sha256("a").to_uppercase()] {
            let location = r.start();
            r.close(&location, bad).body("a").send().refused(400, "DIGEST_INVALID");
            let single = r.ask("POST", &format!("blobs/uploads/?digest={bad}")).body("a").send();
            single.refused(400, "DIGEST_INVALID");
        }
        r.get("blobs/sha256:abc").refused(400, "DIGEST_INVALID");
    }

    fn pushing_blobs__an_unsupported_algorithm_should_be_400(r) {
        let digest = "blake3:abcdef";
        let location = r.start();
        r.close(&location, digest).body("a").send().refused(400, "DIGEST_INVALID");
        let single = r.ask("POST", &format!("blobs/uploads/?digest={digest}")).body("a").send();
        single.refused(400, "DIGEST_INVALID");
        let start = r.ask("POST", "blobs/uploads/?digest-algorithm=blake3").send();
        start.refused(400, "DIGEST_INVALID");
    }

    fn post_then_put__post_must_be_202_with_location(r) {
        let started = r.ask("POST", "blobs/uploads/").send().is(202);
        assert!(started.header("Location").contains(&format!("/v2/{}/blobs/uploads/", r.name)));
        started.has("Content-Length", 0);
    }

    fn post_then_put__each_location_must_be_its_own(r) {
        let locations: std::collections::BTreeSet<_> = (0..20).map(|_| r.start()).collect();
        assert_eq!(locations.len(), 20);
        let started = r.ask("POST", "blobs/uploads/").send().is(202);
        let id = started.header("Docker-Upload-UUID");
        assert!(started.header("Location").contains(id));
    }

    fn post_then_put__location_is_relative(r) {
        assert!(r.start().starts_with("/v2/"));
    }

    fn post_then_put__put_must_be_201_and_the_location_pullable(r) {
        let location = r.start();
        let put = r.close(&location, &sha256("a blob")).body("a blob").send();
        created(r, put, "a blob");
    }

    fn post_then_put__another_digest_is_400_and_nothing_is_there(r) {
        let location = r.start();
        let digest = sha256("something");
        r.close(&location, &digest).body("else").send().refused(400, "DIGEST_INVALID");
        r.get(&format!("blobs/{digest}")).is(404);
        r.get(&format!("blobs/{}", sha256("else"))).is(404);
    }

    fn single_post__must_be_201_and_the_location_pullable(r) {
        let digest = sha256("at once");
        let target = format!("blobs/uploads/?digest={digest}");
        let post = octets(r.ask("POST", &target)).body("at once").send();
        created(r, post.has("Docker-Content-Digest", &digest), "at once");
        let streamed = format!("blobs/uploads/?digest={}", sha256("streamed"));
        let post = octets(r.ask("POST", &streamed)).streamed("streamed").send();
        created(r, post, "streamed");
    }

    fn single_post__another_digest_is_400(r) {
        let digest = sha256("something");
        let target = format!("blobs/uploads/?digest={digest}");
        octets(r.ask("POST", &target)).body("else").send().refused(400, "DIGEST_INVALID");
        r.head(&format!("blobs/{digest}")).is(404);
    }

    fn single_post__works_in_sha512(r) {
        let digest = sha512("at once");
        let target = format!("blobs/uploads/?digest={digest}");
        let post = octets(r.ask("POST", &target)).body("at once").send();
        created(r, post.has("Docker-Content-Digest", &digest), "at once");
    }

    fn pushing_a_blob_in_chunks__chunk_must_be_202_with_location_and_range(r) {
        let location = r.start();
        let request = r.at("PATCH", &location).header("Content-Range", "0-4");
        let first = octets(request).body("01234").send().is(202).has("Range", "0-4");
        let request = r.at("PATCH", first.header("location")).header("Content-Range", "5-6");
        let second = octets(request).body("56").send().is(202).has("Range", "0-6");
        let put = r.close(second.header("location"), &sha256("0123456")).send();
        created(r, put, "0123456");
    }

    fn pushing_a_blob_in_chunks__closing_must_be_201_and_the_location_pullable(r) {
        let location = r.append(&r.start(), 0, "in chunks");
        let put = r.close(&location, &sha256("in chunks")).send();
        created(r, put, "in chunks");
    }

    fn pushing_a_blob_in_chunks__final_chunk_may_come_with_put(r) {
        let location = r.append(&r.start(), 0, "0123");
        let put = r.close(&location, &sha256("012345")).header("Content-Range", "4-5");
        created(r, put.body("45").send(), "012345");
    }

    fn pushing_a_blob_in_chunks__first_chunk_must_begin_at_0(r) {
        let location = r.start();
        let request = r.at("PATCH", &location).header("Content-Range", "1-4");
        octets(request).body("1234").send().refused(416, "RANGE_INVALID");
    }

    fn pushing_a_blob_in_chunks__out_of_order_chunk_must_be_416(r) {
        let location = r.append(&r.start(), 0, "01234");
        for range in ["6-9", "4-7", "0-3", "9-12"] {
            let request = r.at("PATCH", &location).header("Content-Range", range);
            octets(request).body("xxxx").send().refused(416, "RANGE_INVALID");
        }
        for range in ["6-9", "0-3"] {
            let request = r.at("PATCH", &location).header("Content-Range", range);
            octets(request).streamed("xxxx").send().refused(416, "RANGE_INVALID");
        }
    }

    fn pushing_a_blob_in_chunks__out_of_order_put_must_be_416(r) {
        let location = r.append(&r.start(), 0, "01234");
        for range in ["6-7", "4-5", "0-1"] {
            let put = r.close(&location, &sha256("0123456")).header("Content-Range", range);
            put.body("56").send().refused(416, "RANGE_INVALID");
            let put = r.close(&location, &sha256("0123456")).header("Content-Range", range);
            put.streamed("56").send().refused(416, "RANGE_INVALID");
        }
        let put = r.close(&location, &sha256("0123456")).header("Content-Range", "5-6");
        created(r, put.body("56").send(), "0123456");
    }

    fn pushing_a_blob_in_chunks__416_keeps_the_session(r) {
        let location = r.append(&r.start(), 0, "01234");
        let request = r.at("PATCH", &location).header("Content-Range", "9-10");
        let refused = octets(request).body("xx").send().refused(416, "RANGE_INVALID");
        assert_eq!(refused.header("Range"), "0-4");
        assert!(refused.get("Location").is_some(), "{refused}");
        let location = stands(r, &location, 5);
        let location = r.append(&location, 5, "56");
        created(r, r.close(&location, &sha256("0123456")).send(), "0123456");
    }

    fn pushing_a_blob_in_chunks__status_must_be_204_with_location_and_range(r) {
        let location = r.append(&r.start(), 0, "01234");
        for method in ["GET", "HEAD"] {
            let status = r.at(method, &location).send().is(204).has("Range", "0-4");
            r.at("GET", status.header("location")).send().is(204);
        }
        // The Location of any earlier answer will do.
        let first = r.start();
        r.append(&first, 0, "012");
        stands(r, &first, 3);
    }

    fn pushing_a_blob_in_chunks__closing_must_name_a_digest(r) {
        let location = r.append(&r.start(), 0, "01234");
        r.at("PUT", &location).send().refused(400, "DIGEST_INVALID");
        let location = stands(r, &location, 5);
        created(r, r.close(&location, &sha256("01234")).send(), "01234");
    }

    fn pushing_a_blob_in_chunks__the_digest_is_of_the_whole_blob(r) {
        let location = r.append(&r.start(), 0, "0123");
        let put = r.close(&location, &sha256("45")).header("Content-Range", "4-5");
        put.body("45").send().refused(400, "DIGEST_INVALID");
    }

    fn pushing_a_blob_in_chunks__range_must_be_two_numbers(r) {
        let location = r.start();
        for range in ["x", "0", "0-", "-4", "4-0", "a-b", "0-99999999999999999999", "+0-4", "bytes"] {
            let request = r.at("PATCH", &location).header("Content-Range", range);
            let status = octets(request).body("01234").send().status;
            assert!([400, 416].contains(&status), "{range}: {status}");
        }
        stands(r, &location, 0);
        let location = r.append(&location, 0, "01234");
        created(r, r.close(&location, &sha256("01234")).send(), "01234");
    }

    fn pushing_a_blob_in_chunks__length_must_be_that_of_the_range(r) {
        let location = r.start();
        let request = r.at("PATCH", &location).header("Content-Range", "0-9");
        octets(request).body("01234").send().refused(400, "SIZE_INVALID");
    }

    fn pushing_a_blob_in_chunks__digest_algorithm_may_be_named_at_the_start(r) {
        let location = r.start_with("?digest-algorithm=sha512");
        let location = r.append(&location, 0, "in sha512");
        let digest = sha512("in sha512");
        let put = r.close(&location, &digest).send().has("Docker-Content-Digest", &digest);
        created(r, put, "in sha512");
        let pulled = r.get(&format!("blobs/{digest}")).is(200).bytes("in sha512");
        pulled.has("Docker-Content-Digest", &digest);
    }

    fn pushing_a_blob_in_chunks__digest_algorithm_may_be_named_at_the_end(r) {
        let location = r.append(&r.start(), 0, "0123");
        let digest = sha512("012345");
        let put = r.close(&location, &digest).header("Content-Range", "4-5").body("45").send();
        created(r, put.has("Docker-Content-Digest", &digest), "012345");
        // And one that was named at the start need not be the one at the end.
        let location = r.append(&r.start_with("?digest-algorithm=sha512"), 0, "other");
        created(r, r.close(&location, &sha256("other")).send(), "other");
    }

    fn cancel_a_blob_upload__should_be_204_and_the_session_gone(r) {
        let location = r.append(&r.start(), 0, "01234");
        r.at("DELETE", &location).send().is(204);
        r.at("GET", &location).send().refused(404, "BLOB_UPLOAD_UNKNOWN");
        let request = octets(r.at("PATCH", &location)).body("x");
        request.send().refused(404, "BLOB_UPLOAD_UNKNOWN");
        r.close(&location, &sha256("01234")).send().refused(404, "BLOB_UPLOAD_UNKNOWN");
        r.at("DELETE", &location).send().refused(404, "BLOB_UPLOAD_UNKNOWN");
    }

    fn mounting_a_blob__must_be_201_and_the_location_pullable(r) {
        let from = r.beside("from");
        let digest = from.blob("mounted");
        let target = format!("blobs/uploads/?mount={digest}&from={}", from.name);
        let mounted = r.ask("POST", &target).send();
        created(r, mounted.has("Docker-Content-Digest", &digest), "mounted");
        r.get(&format!("blobs/{digest}")).is(200).bytes("mounted");
    }

    fn mounting_a_blob__from_may_be_absent(r) {
        let digest = r.beside("from").blob("mounted from anywhere");
        let mounted = r.ask("POST", &format!("blobs/uploads/?mount={digest}")).send();
        created(r, mounted, "mounted from anywhere");
    }

    fn mounting_a_blob__what_cannot_be_mounted_should_be_202(r) {
        let digest = sha256("nowhere");
        let from = r.beside("from");
        from.blob("something else");
        for query in [
            format!("mount={digest}"),
            format!("mount={digest}&from={}", from.name),
            format!("mount={digest}&from=never/heard/of"),
        ] {
            let started = r.ask("POST", &format!("blobs/uploads/?{query}")).send().is(202);
            let location = started.header("location").to_owned();
            let put = r.close(&location, &sha256(&query)).body(&query).send();
            created(r, put, &query);
        }
    }

    fn mounting_a_blob__from_a_repository_without_it_mounts_nothing(r) {
        let digest = r.beside("has").blob("only here");
        let other = r.beside("other");
        other.blob("another");
        let target = format!("blobs/uploads/?mount={digest}&from={}", other.name);
        r.ask("POST", &target).send().is(202);
        r.head(&format!("blobs/{digest}")).is(404);
    }

    fn mounting_a_blob__works_in_sha512(r) {
        let from = r.beside("from");
        let digest = sha512("long");
        from.close(&from.start(), &digest).body("long").send().is(201);
        let target = format!("blobs/uploads/?mount={digest}&from={}", from.name);
        let mounted = r.ask("POST", &target).send();
        created(r, mounted.has("Docker-Content-Digest", &digest), "long");
    }

    fn uploads__a_stream_without_ranges_is_appended(r) {
        let location = r.start();
        let sent = octets(r.at("PATCH", &location)).streamed("01234").send().is(202);
        let sent = octets(r.at("PATCH", sent.header("location"))).streamed("56").send().is(202);
        let put = r.close(sent.header("location"), &sha256("012345678")).streamed("78").send();
        created(r, put, "012345678");
    }

    fn uploads__a_content_range_is_checked_without_a_length_too(r) {
        let location = r.start();
        let request = r.at("PATCH", &location).header("Content-Range", "0-4");
        let sent = octets(request).streamed("01234").send().is(202).has("Range", "0-4");
        let location = sent.header("location").to_owned();
        let request = r.at("PATCH", &location).header("Content-Range", "5-9");
        octets(request).streamed("56").send().refused(400, "SIZE_INVALID");
    }

    fn uploads__an_empty_session_takes_offset_0_and_after_one_byte_1(r) {
        let location = r.start();
        r.at("GET", &location).send().is(204).has("Range", "0-0");
        let location = r.append(&location, 0, "0");
        let location = stands(r, &location, 1);
        let location = r.append(&location, 1, "1");
        created(r, r.close(&location, &sha256("01")).send(), "01");
        let location = stands(r, &r.start(), 0);
        let request = r.at("PATCH", &location).header("Content-Range", "1-1");
        octets(request).body("1").send().refused(416, "RANGE_INVALID");
    }

    fn uploads__an_empty_chunk_changes_nothing(r) {
        let location = r.start();
        let sent = octets(r.at("PATCH", &location)).body("").send().is(202).has("Range", "0-0");
        let location = r.append(sent.header("location"), 0, "01");
        let sent = octets(r.at("PATCH", &location)).body("").send().is(202).has("Range", "0-1");
        created(r, r.close(sent.header("location"), &sha256("01")).send(), "01");
    }

    fn uploads__a_stale_location_is_416_for_a_body_and_fine_without(r) {
        let first = r.start();
        let second = r.append(&first, 0, "0123");
        octets(r.at("PATCH", &first)).body("0123").send().refused(416, "RANGE_INVALID");
        octets(r.at("PATCH", &first)).streamed("0123").send().refused(416, "RANGE_INVALID");
        octets(r.at("PATCH", &first)).body("").send().is(202).has("Range", "0-3");
        r.close(&first, &sha256("01230123")).body("0123").send().refused(416, "RANGE_INVALID");
        stands(r, &second, 4);
        created(r, r.close(&first, &sha256("0123")).send(), "0123");
    }

    fn uploads__a_stale_location_with_the_right_range_goes_on(r) {
        let first = r.start();
        r.append(&first, 0, "0123");
        let location = r.append(&first, 4, "45");
        created(r, r.close(&location, &sha256("012345")).send(), "012345");
    }

    fn uploads__a_location_without_its_query_goes_on(r) {
        let location = r.start();
        let bare = location.split('?').next().unwrap();
        octets(r.at("PATCH", bare)).body("0123").send().is(202).has("Range", "0-3");
        created(r, r.close(bare, &sha256("012345")).body("45").send(), "012345");
    }

    fn uploads__an_unreadable_query_is_no_404(r) {
        let location = r.start();
        let bare = location.split('?').next().unwrap();
        let forged = and(bare, "_state=bm90aGluZw");
        octets(r.at("PATCH", &forged)).body("0123").send().is(202).has("Range", "0-3");
    }

    fn uploads__of_another_repository_is_404(r) {
        let location = r.append(&r.start(), 0, "mine");
        let other = r.beside("other");
        let stolen = location.replacen(&r.name, &other.name, 1);
        other.at("GET", &stolen).send().refused(404, "BLOB_UPLOAD_UNKNOWN");
        octets(other.at("PATCH", &stolen)).body("x").send().refused(404, "BLOB_UPLOAD_UNKNOWN");
        other.close(&stolen, &sha256("mine")).send().refused(404, "BLOB_UPLOAD_UNKNOWN");
        other.at("DELETE", &stolen).send().refused(404, "BLOB_UPLOAD_UNKNOWN");
        stands(r, &location, 4);
    }

    fn uploads__a_wrong_digest_keeps_the_session(r) {
        let location = r.append(&r.start(), 0, "0123");
        r.close(&location, &sha256("x")).send().refused(400, "DIGEST_INVALID");
        created(r, r.close(&location, &sha256("0123")).send(), "0123");
    }

    fn uploads__a_repeated_closing_is_201(r) {
        let location = r.append(&r.start(), 0, "0123");
        for _ in 0..3 {
            let put = r.close(&location, &sha256("012345")).header("Content-Range", "4-5");
            let put = put.body("45").send().has("Docker-Content-Digest", sha256("012345"));
            created(r, put, "012345");
        }
        r.close(&location, &sha256("never")).send().refused(404, "BLOB_UPLOAD_UNKNOWN");
    }

    fn uploads__a_blob_may_be_pushed_twice(r) {
        for _ in 0..2 {
            let location = r.start();
            created(r, r.close(&location, &sha256("twice")).body("twice").send(), "twice");
        }
    }

    fn uploads__a_large_blob_comes_back_whole(r) {
        let content: String = (0..400_000).map(|n| format!("{n:07}\n")).collect();
        let location = r.start();
        let (head, tail) = content.split_at(1_234_567);
        let sent = octets(r.at("PATCH", &location)).streamed(head).send().is(202);
        let put = r.close(sent.header("location"), &sha256(&content)).body(tail).send();
        created(r, put, &content);
        let pull = r.ask("GET", &format!("blobs/{}", sha256(&content)));
        let pulled = pull.header("Range", "bytes=1000000-2999999").send().is(206);
        pulled.bytes(&content[1_000_000..3_000_000]);
    }

    fn uploads__unknown_is_404(r) {
        for id in ["00000000-0000-4000-8000-000000000000", "x", "a.b=c_d"] {
            let location = format!("/v2/{}/blobs/uploads/{id}", r.name);
            r.at("GET", &location).send().refused(404, "BLOB_UPLOAD_UNKNOWN");
            octets(r.at("PATCH", &location)).body("x").send().refused(404, "BLOB_UPLOAD_UNKNOWN");
            r.close(&location, &sha256("x")).send().refused(404, "BLOB_UPLOAD_UNKNOWN");
            r.at("DELETE", &location).send().refused(404, "BLOB_UPLOAD_UNKNOWN");
        }
    }
}
