//! That no log shows what must stay secret.

use tempfile::TempDir;

use crate::program::Program;

#[test]
fn neither_log_shows_a_secret() {
    let home = TempDir::new().expect("a temporary directory can be made");
    let variables = [
        ("REGISTRY_LOG_LEVEL", "debug"),
        ("REGISTRY_HTTP_SECRET", "hunter2-secret"),
    ];
    let program = Program::in_memory(home.path(), &variables);
    // Basic is `user:hunter2-password`.
    let headers = "Authorization: Basic dXNlcjpodW50ZXIyLXBhc3N3b3Jk\n\
                   Cookie: session=hunter2-cookie\n\
                   Referer: https://user:hunter2-user@ci/job?token=hunter2-referer";
    let started = program.request(&format!("POST /v2/a/blobs/uploads/\n{headers}"), b"");
    assert_eq!(started.status, 202);
    let place = started.header("location").expect("it is an upload");
    let (path, _) = place.split_once('?').expect("it has an offset");
    for (line, status) in [
        (
            format!("PATCH {place}&hint=hunter2-hint&_state=hunter2-state"),
            202,
        ),
        (
            format!("PUT {path}?digest=hunter2-digest&_state=hunter2-state"),
            400,
        ),
        ("GET /v2/?account=u&token=hunter2-token".to_owned(), 200),
        (
            "GET /v2/no/such/end-point?token=hunter2-token".to_owned(),
            404,
        ),
        ("GET /?token=hunter2-token".to_owned(), 200),
        ("GET /v1/search?q=hunter2-query".to_owned(), 404),
    ] {
        let answer = program.request(&format!("{line}\n{headers}"), b"");
        assert_eq!(answer.status, status, "{line}");
    }
    let bearer = "GET /v2/\nAuthorization: Bearer hunter2-bearer";
    assert_eq!(program.request(bearer, b"").status, 200);
    program.signal("TERM");
    let ended = program.end();
    assert!(ended.log.contains("stopped"), "{}", ended.log);
    assert_eq!(ended.printed.lines().count(), 8, "{}", ended.printed);
    for lines in [ended.log, ended.printed] {
        for secret in ["hunter2", "dXNlcjpodW50ZXIyLXBhc3N3b3Jk"] {
            assert!(!lines.contains(secret), "{lines}");
        }
    }
}
