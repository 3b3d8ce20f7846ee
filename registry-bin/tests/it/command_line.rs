//! What can be typed, and the exit status of what cannot.

use std::{fs, io::Write as _, path::Path, process::Stdio, thread};

use tempfile::TempDir;

use crate::program::{command, output};

#[test]
fn texts_and_statuses() {
    let home = TempDir::new().unwrap();
    let rows: [(&[&str], i32, &str, &str); 13] = [
        (
            &["--version"],
            0,
            concat!("registry ", env!("CARGO_PKG_VERSION"), "\n"),
            "",
        ),
        (&["--help"], 0, "An OCI and Docker registry.", ""),
        (&["help", "serve"], 0, "Serve until SIGTERM or SIGINT.", ""),
        (&["htpasswd", "--help"], 0, "Write users and passwords", ""),
        (&["completions", "bash"], 0, "_registry() {", ""),
        (&["man"], 0, ".ie", ""),
        (&[], 64, "", "error: 'registry' requires a subcommand"),
        (&["push"], 64, "", "error: unrecognized subcommand 'push'"),
        (
            &["serve", "a", "b"],
            64,
            "",
            "error: unexpected argument 'b'",
        ),
        (
            &["serve", "/nowhere.yml"],
            78,
            "",
            "registry: /nowhere.yml: cannot be read: ",
        ),
        (
            &["config", "--check", "/nowhere.yml"],
            78,
            "",
            "registry: /nowhere.yml: cannot be read: ",
        ),
        (
            &["garbage-collect", "-m", "config.yml"],
            1,
            "",
            "registry: garbage-collect comes with a later release",
        ),
        (&["htpasswd", "-n"], 64, "", "registry: the user is missing"),
    ];
    for (arguments, status, stdout, stderr) in rows {
        let output = output(home.path(), arguments, &[]);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert!(
            out.starts_with(stdout) && out.is_empty() == stdout.is_empty(),
            "{out}"
        );
        assert!(
            err.starts_with(stderr) && err.is_empty() == stderr.is_empty(),
            "{err}"
        );
    }
}

/// Runs the program, with `input` on its standard input.
fn fed(home: &Path, arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut child = command(home)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Whoever does not ask has gone by now.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let status = output.status.code().unwrap();
    (status, text(output.stdout), text(output.stderr))
}

/// Runs `registry htpasswd`, with `input` on its standard input.
fn htpasswd(home: &Path, arguments: &[&str], input: &str) -> (i32, String, String) {
    fed(home, &[&["htpasswd"], arguments].concat(), input)
}

#[test]
fn whoever_is_there_and_cannot_come_in_is_told_why() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("users");
    fs::write(&file, "# ours\nmd5:$apr1$x$y\n").unwrap();
    let arguments = ["-vb", file.to_str().unwrap(), "md5", "x"];
    let (status, _, told) = htpasswd(home.path(), &arguments, "");
    let expected = "registry: line 2: \"md5\" cannot log in, since it is an MD5 hash; ";
    assert!(status == 3 && told.starts_with(expected), "{status} {told}");
}

#[test]
fn users_are_written_as_people_know_it() {
    let home = TempDir::new().unwrap();
    let run = |arguments: &[&str], input| htpasswd(home.path(), arguments, input);
    let (status, line, note) = run(&["-Bbn", "testuser", "testpassword"], "");
    assert!(
        line.starts_with("testuser:$2y$10$") && line.ends_with('\n'),
        "{line}"
    );
    assert_eq!((status, note.as_str()), (0, ""));
    let file = home.path().join("users");
    let file = file.to_str().unwrap();
    for (arguments, input, status, said) in [
        (&["-B", file, "ada"][..], "x\n", 1, "users: No such file"),
        (
            &["-Bc", file, "ada"],
            "first\n",
            0,
            "Adding password for user ada\n",
        ),
        (
            &["-BbC", "4", file, "bob", "second"],
            "",
            0,
            "Adding password for user bob\n",
        ),
        (
            &["-bv", file, "bob", "second"],
            "",
            0,
            "Password for user bob correct.\n",
        ),
        (
            &["-iC", "5", file, "bob"],
            "third\n",
            0,
            "Updating password for user bob\n",
        ),
        (
            &["-bv", file, "bob", "second"],
            "",
            3,
            "registry: the password is wrong\n",
        ),
        (
            &["-v", file, "bob"],
            "third",
            0,
            "Password for user bob correct.\n",
        ),
        (
            &["-v", file, "eve"],
            "third",
            6,
            "registry: \"eve\" is not in ",
        ),
        (
            &["-D", file, "bob"],
            "",
            0,
            "Deleting password for user bob\n",
        ),
        (&["-D", file, "bob"], "", 6, "registry: \"bob\" is not in "),
        (
            &["-bm", file, "bob", "x"],
            "",
            64,
            "registry: only bcrypt hashes are written",
        ),
        (
            &["-b", file, "bob", ""],
            "",
            1,
            "registry: a password is not empty",
        ),
        (
            &["-b", file, "b:ob", "x"],
            "",
            1,
            "registry: the name of a user has",
        ),
        (
            &["-bC", "3", file, "bob", "x"],
            "",
            1,
            "registry: a cost is a number from 4 to 17",
        ),
        (
            &[file, "bob", "x"],
            "",
            64,
            "registry: there is one word too many",
        ),
        (&["-cD", file, "bob"], "", 64, "error: "),
    ] {
        let (found, out, told) = run(arguments, input);
        assert_eq!(found, status, "{arguments:?} {told}");
        assert!(
            out.is_empty() && told.contains(said),
            "{arguments:?} {told}"
        );
    }
    let text = fs::read_to_string(file).unwrap();
    assert!(
        text.starts_with("ada:$2y$10$") && text.lines().count() == 1,
        "{text}"
    );
}

#[test]
fn users_that_are_written_at_once_are_all_there() {
    let home = TempDir::new().unwrap();
    let (file, folder) = (home.path().join("users"), home.path().join("folder"));
    fs::write(&file, "").unwrap();
    fs::create_dir(&folder).unwrap();
    let link = folder.join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let users: Vec<_> = (0..12).map(|number| format!("user{number}")).collect();
    let write = |(user, path): (&String, &Path)| {
        let arguments = ["-BbC", "4", path.to_str().unwrap(), user, "p"];
        assert_eq!(htpasswd(home.path(), &arguments, "").0, 0, "{user}");
    };
    thread::scope(|scope| {
        for user in users
            .iter()
            .zip([file.as_path(), &link].into_iter().cycle())
        {
            scope.spawn(move || write(user));
        }
    });
    let written = fs::read_to_string(&file).unwrap();
    for user in &users {
        assert!(written.contains(&format!("{user}:")), "{user}: {written}");
    }
    let long = "x".repeat(73);
    let (_, _, said) = htpasswd(home.path(), &["-BbnC", "4", "ada", &long], "");
    assert_eq!(said, "Of this password only the first 72 bytes count.\n");
}

#[test]
fn a_configuration_is_shown_and_checked() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("c.yml");
    let users = home.path().join("users");
    let auth = format!(
        "auth: {{htpasswd: {{realm: r, path: {}}}}}",
        users.display()
    );
    fs::write(&file, format!("version: 0.1\n{auth}\nstorage: inmemory\n")).unwrap();
    let file = file.to_str().unwrap();
    let variables = [
        ("REGISTRY_HTTP_SECRET", "hunter2"),
        ("REGISTRY_HTTP_ADDR", "\":5001\""),
        ("REGISTRY_HTP_ADDR", "x"),
    ];
    let run = |arguments: &[&str]| {
        let output = output(home.path(), &[&["config"], arguments].concat(), &variables);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    // `serve` starts with it, and lets nobody in until it is there.
    let (status, shown, told) = run(&["--check", file]);
    assert_eq!((status, shown.as_str()), (Some(0), ""), "{told}");
    assert!(
        told.contains("c.yml:2: auth.htpasswd.path: ") && told.contains("users cannot be read: "),
        "{told}"
    );
    fs::write(&users, "").unwrap();
    let (status, shown, told) = run(&["--check", file]);
    assert_eq!((status, shown.as_str()), (Some(0), ""), "{told}");
    assert!(!told.contains("cannot be read"), "{told}");
    let (status, shown, told) = run(&[file]);
    assert_eq!(status, Some(0));
    assert!(
        told.contains("REGISTRY_HTP_ADDR: not a setting, ignored; REGISTRY_HTTP_ADDR is meant")
    );
    let lines: Vec<_> = shown
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for line in [
        "addr: \":5001\" # REGISTRY_HTTP_ADDR",
        "secret: \"***\" # REGISTRY_HTTP_SECRET",
        &format!("realm: \"r\" # {file}:2"),
        "draintimeout: \"5s\" # default",
    ] {
        assert!(lines.iter().any(|found| found == line), "{line}\n{shown}");
    }
    assert!(!format!("{shown}{told}").contains("hunter2"));
}

#[test]
fn a_configuration_can_come_through_a_pipe() {
    let home = TempDir::new().unwrap();
    let check = ["config", "--check", "/dev/stdin"];
    let (status, _, told) = fed(home.path(), &check, "version: 0.1\nstorage: inmemory\n");
    assert_eq!((status, told.as_str()), (0, ""));
    let (status, _, told) = fed(home.path(), &check, "version: 0.1\nstorage: ftp\n");
    assert_eq!(status, 78);
    assert!(
        told.starts_with("registry: /dev/stdin:2: storage.ftp"),
        "{told}"
    );
}

#[test]
fn what_is_shown_is_a_configuration() {
    let home = TempDir::new().unwrap();
    let again = home.path().join("again.yml");
    let stock = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stock");
    let mut seen = 0;
    for file in fs::read_dir(stock).unwrap() {
        let file = file.unwrap().path();
        let shown = output(home.path(), &["config", file.to_str().unwrap()], &[]);
        assert_eq!(shown.status.code(), Some(0), "{}", file.display());
        fs::write(&again, shown.stdout).unwrap();
        let checked = output(
            home.path(),
            &["config", "--check", again.to_str().unwrap()],
            &[],
        );
        let told = String::from_utf8(checked.stderr).unwrap();
        // (Their files of users are not here, which is a warning.)
        assert_eq!(checked.status.code(), Some(0), "{told}");
        seen += 1;
    }
    assert!(seen >= 5, "{seen}");
}
