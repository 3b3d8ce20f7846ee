//! Users of an htpasswd file, as clients meet them.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use crate::program::{Answer, Program};

/// `testuser:testpassword` and `testuser:wrong`, in Base64.
const RIGHT: &str = "dGVzdHVzZXI6dGVzdHBhc3N3b3Jk";
const WRONG: &str = "dGVzdHVzZXI6d3Jvbmc=";

/// `testuser:testpassword`, as `registry htpasswd -Bbn -C 4` printed it.
const USERS: &str = "testuser:$2y$04$VL8FdW.0tX1Yjk1q9EY97e.PqVCIRhJVXgb5mhlkc.rslWAljY1Zi\n";

struct Bench {
    _home: TempDir,
    users: PathBuf,
    program: Program,
}

impl Bench {
    /// With the variables exactly as people write them.
    fn new(users: Option<&str>) -> Self {
        let home = TempDir::new().unwrap();
        let path = home.path().join("htpasswd");
        if let Some(users) = users {
            fs::write(&path, users).unwrap();
        }
        let variables = [
            ("REGISTRY_AUTH", "htpasswd"),
            ("REGISTRY_AUTH_HTPASSWD_REALM", "Registry Realm"),
            ("REGISTRY_AUTH_HTPASSWD_PATH", path.to_str().unwrap()),
        ];
        let program = Program::in_memory(home.path(), &variables);
        Self {
            _home: home,
            users: path,
            program,
        }
    }

    fn get(&self, path: &str, credentials: &str) -> Answer {
        let head = format!("GET {path}\nAuthorization: Basic {credentials}");
        self.program.request(&head, b"")
    }
}

#[test]
fn logins_and_challenges() {
    let bench = Bench::new(Some(USERS));
    for request in [
        "GET /v2/",
        "GET /v2/_catalog",
        "POST /v2/a/blobs/uploads/",
        "GET /v2/a/tags/list",
    ] {
        let answer = bench.program.request(request, b"");
        assert_eq!(answer.status, 401, "{request}");
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Basic realm=\"Registry Realm\"")
        );
        assert!(answer.body.contains("\"UNAUTHORIZED\""), "{}", answer.body);
    }
    assert_eq!(bench.get("/v2/", RIGHT).status, 200);
    assert_eq!(
        bench.get("/v2/_catalog", RIGHT).body,
        "{\"repositories\":[]}"
    );
    assert_eq!(bench.get("/v2/", WRONG).status, 401);
    assert_eq!(bench.program.request("GET /", b"").status, 200);
    let log = bench.program.log();
    assert!(log.contains("authentication: htpasswd, users in "), "{log}");
    assert!(log.contains("users: 1 can log in"), "{log}");
    bench.program.signal("TERM");
    let (log, printed) = (bench.program.log(), bench.program.wait().1);
    for secret in [RIGHT, WRONG, "testpassword", "$2y$"] {
        assert!(
            !log.contains(secret) && !printed.contains(secret),
            "{secret}"
        );
    }
    assert!(printed.contains("- testuser ["), "{printed}");
}

#[test]
fn a_user_who_was_removed_is_refused_at_once() {
    let bench = Bench::new(Some(USERS));
    assert_eq!(bench.get("/v2/", RIGHT).status, 200);
    fs::write(&bench.users, "# nobody\n").unwrap();
    assert_eq!(bench.get("/v2/", RIGHT).status, 401);
    fs::write(&bench.users, USERS).unwrap();
    assert_eq!(bench.get("/v2/", RIGHT).status, 200);
}

#[test]
fn without_the_file_nobody_comes_in() {
    let bench = Bench::new(None);
    let answer = bench.get("/v2/", RIGHT);
    assert_eq!(answer.status, 503);
    let log = bench.program.log();
    assert!(
        log.contains("nobody can log in") && log.contains("registry htpasswd -Bc"),
        "{log}"
    );
    fs::write(&bench.users, USERS).unwrap();
    assert_eq!(bench.get("/v2/", RIGHT).status, 200);
}

#[test]
fn whoever_guesses_waits() {
    let bench = Bench::new(Some(USERS));
    // The same one again is no guess.
    for _ in 0..7 {
        assert_eq!(bench.get("/v2/", WRONG).status, 401);
    }
    // `wrong0` to `wrong5`.
    let guesses = ['w', 'x', 'y', 'z', '0', '1'].map(|end| format!("dGVzdHVzZXI6d3Jvbmc{end}"));
    let statuses: Vec<_> = guesses
        .iter()
        .map(|guess| bench.get("/v2/", guess))
        .collect();
    let found: Vec<_> = statuses.iter().map(|answer| answer.status).collect();
    assert_eq!(found, [401, 401, 401, 401, 429, 429]);
    assert_eq!(statuses[4].header("retry-after"), Some("1"));
    assert!(
        statuses[4].body.contains("TOOMANYREQUESTS"),
        "{}",
        statuses[4].body
    );
}
