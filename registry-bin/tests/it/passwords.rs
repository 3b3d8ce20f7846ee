//! Users of an htpasswd file, as clients meet them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use registry_bin::{
    assemble,
    config::{Config, Environment},
};
use tempfile::TempDir;

use crate::program::{Answer, Program, output};

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
    bench
        .program
        .wait_for("authentication: htpasswd, users in ");
    bench.program.wait_for("users: 1 can log in");
    bench.program.signal("TERM");
    // The last line, after which nothing can be said any more.
    bench
        .program
        .wait_for("stopped, every request was answered");
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
    bench.program.wait_for("nobody can log in");
    bench.program.wait_for("registry htpasswd -Bc");
    fs::write(&bench.users, USERS).unwrap();
    assert_eq!(bench.get("/v2/", RIGHT).status, 200);
}

#[test]
fn a_check_says_what_a_start_says() {
    let home = TempDir::new().unwrap();
    let users = home.path().join("users");
    let pipe = home.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let lines = [USERS.as_bytes(), b"J\xf6rg:x\nmd5:$apr1$x$y\nnone\n"];
    fs::write(&users, lines.concat()).unwrap();
    for (path, expected) in [
        (
            &users,
            &[
                "line 2: \"J\u{fffd}rg\" cannot log in, since the name is not UTF-8",
                "line 3: \"md5\" cannot log in, since it is an MD5 hash",
                "line 4 is skipped, since it has no colon",
            ][..],
        ),
        (&pipe, &["it is no file; name one that can be read"]),
        (&home.path().join("absent"), &["No such file"]),
    ] {
        let variables = [
            ("REGISTRY_AUTH_HTPASSWD_REALM", "r"),
            ("REGISTRY_AUTH_HTPASSWD_PATH", path.to_str().unwrap()),
            ("REGISTRY_STORAGE", "inmemory"),
        ];
        let checked = output(home.path(), &["config", "--check"], &variables);
        let told = String::from_utf8(checked.stderr).unwrap();
        assert_eq!(checked.status.code(), Some(0), "{told}");
        // It says so before it listens, and quotes what it says.
        let program = Program::in_memory(home.path(), &variables);
        let log = program.log().replace("\\\"", "\"");
        for line in expected {
            assert!(told.contains(line), "{line}\n{told}");
            assert!(log.contains(line), "{line}\n{log}");
        }
        // (Of a configuration that nobody names it may be told, too.)
        let users = told
            .lines()
            .filter(|line| line.contains("auth.htpasswd.path"));
        assert_eq!(users.count(), expected.len(), "{told}");
    }
}

#[test]
fn users_of_a_file_of_some_editors_are_its_users() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("users");
    fs::write(&file, format!("\u{feff}{USERS}")).unwrap();
    let file = file.to_str().unwrap();
    for (arguments, expected) in [
        (
            &["-bv", file, "testuser", "testpassword"][..],
            "Password for user testuser correct.\n",
        ),
        (
            &["-BbC", "4", file, "testuser", "new"],
            "Updating password for user testuser\n",
        ),
        (
            &["-D", file, "testuser"],
            "Deleting password for user testuser\n",
        ),
    ] {
        let output = output(home.path(), &[&["htpasswd"], arguments].concat(), &[]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), told.as_str()), (Some(0), expected));
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "");
}

#[test]
fn what_is_no_file_of_users_is_refused_and_stays() {
    let home = TempDir::new().unwrap();
    let pipe = home.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for path in [pipe.as_path(), home.path(), Path::new("/dev/null")] {
        let file = path.to_str().unwrap();
        for arguments in [
            &["htpasswd", "-BbC", "4", file, "testuser", "p"][..],
            &["htpasswd", "-BbcC", "4", file, "testuser", "p"],
            &["htpasswd", "-bv", file, "testuser", "p"],
            &["htpasswd", "-D", file, "testuser"],
        ] {
            let output = output(home.path(), arguments, &[]);
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{arguments:?} {told}");
            assert!(told.contains(": it is no file"), "{arguments:?} {told}");
            assert!(!fs::metadata(path).unwrap().is_file());
        }
    }
}

#[test]
fn what_serves_shows_no_hash() {
    let home = TempDir::new().unwrap();
    let users = home.path().join("users");
    fs::write(&users, USERS).unwrap();
    let variables = [
        ("REGISTRY_AUTH_HTPASSWD_REALM", "r"),
        ("REGISTRY_AUTH_HTPASSWD_PATH", users.to_str().unwrap()),
        ("REGISTRY_STORAGE", "inmemory"),
    ];
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    let config = Config::load(None, &Environment::new(variables)).unwrap();
    let registry = assemble::registry(&config, None).unwrap();
    for shown in [format!("{registry:?}"), format!("{:#?}", registry.service)] {
        // It was read, and what is shown of it is how much of it there is.
        assert!(shown.contains("Entries"), "{shown}");
        for secret in ["$2y$", "VL8FdW"] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
    }
}

#[test]
fn whoever_guesses_waits() {
    let bench = Bench::new(Some(USERS));
    // The same one again is no guess.
    for _ in 0..7 {
        assert_eq!(bench.get("/v2/", WRONG).status, 401);
    }
    // How many are looked at and how long the wait is depends on the time that each takes; a clock that
    // stands still proves it elsewhere.
    // `wrong` with one more character.
    let ends = "ghijklmnopqrstuvwxyz0123456789".chars();
    let throttled = ends.enumerate().find_map(|(number, end)| {
        let answer = bench.get("/v2/", &format!("dGVzdHVzZXI6d3Jvbmc{end}"));
        assert!([401, 429].contains(&answer.status), "{answer:?}");
        (answer.status == 429).then_some((number, answer))
    });
    let (number, answer) = throttled.expect("so many guesses do not go without a wait");
    assert!(number >= 4, "{number} guesses were looked at");
    let wait = answer.header("retry-after").map(str::parse::<u64>);
    assert!(matches!(wait, Some(Ok(1..=60))), "{answer:?}");
    assert!(answer.body.contains("TOOMANYREQUESTS"), "{answer:?}");
    // Whose answer is known is told it all the same.
    assert_eq!(bench.get("/v2/", WRONG).status, 401);
}
