//! Files that are changed, and what comes of them for whoever lets users in.

use std::os::unix::fs::PermissionsExt as _;

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::htpasswd::{entries::Entries, line};

fn secret(text: &str) -> Secret {
    Secret::new(text)
}

fn entry(user: &str) -> Entry {
    Entry::hash(user, &secret("pässword"), 4).unwrap()
}

#[test]
fn lines_are_as_apaches() {
    let line = Entry::hash("testuser", &secret("testpassword"), 4);
    let line = line.unwrap().line();
    assert!(
        line.starts_with("testuser:$2y$04$") && line.len() == 69,
        "{line}"
    );
    for (user, password, cost) in [
        ("", "p", 4),
        ("a:b", "p", 4),
        ("#a", "p", 4),
        ("a\n", "p", 4),
        (" a", "p", 4),
        ("\u{feff}a", "p", 4),
        ("a", "", 4),
        ("a", "p\0", 4),
        ("a", "p", 3),
        ("a", "p", 18),
    ] {
        assert!(
            Entry::hash(user, &secret(password), cost).is_err(),
            "{user} {cost}"
        );
    }
}

#[test]
fn a_file_is_changed_and_the_rest_of_it_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    let text = b"\xef\xbb\xbfada:w\r\n# ours\r\n J\xf6rg:x\n\nbob:y\nada:z\nlast:v";
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let mut file = HtpasswdFile::read(&path).unwrap();
    let (ada, eve) = (entry("ada"), entry("eve"));
    assert!(file.set(&ada) && !file.set(&eve));
    assert!(file.remove("bob") && !file.remove("bob"));
    file.write(&path).unwrap();
    let (ada, eve) = (ada.line(), eve.line());
    let expected = [
        ada.as_bytes(),
        b"\n# ours\r\n J\xf6rg:x\n\nlast:v\n",
        eve.as_bytes(),
        b"\n",
    ];
    assert_eq!(fs::read(&path).unwrap(), expected.concat());
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o640
    );
    let new = folder.path().join("new");
    file.write(&new).unwrap();
    assert_eq!(
        fs::metadata(&new).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    let absent = folder.path().join("absent");
    let error = file.write(&absent.join("file")).unwrap_err().to_string();
    let end = format!("in its folder {}: entity not found", absent.display());
    assert!(error.ends_with(&end), "{error}");
}

#[test]
fn a_file_keeps_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    fs::write(&path, "").unwrap();
    // Only root can give files away; for others there is nothing to keep.
    let given = std::os::unix::fs::chown(&path, Some(12), Some(34)).is_ok();
    let owner = |path: &Path| fs::metadata(path).map(|file| (file.uid(), file.gid()));
    let before = owner(&path).unwrap();
    assert!(!given || before == (12, 34));
    let mut file = HtpasswdFile::read(&path).unwrap();
    file.set(&entry("ada"));
    file.write(&path).unwrap();
    assert_eq!(owner(&path).unwrap(), before);
}

#[test]
fn a_link_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("users"), folder.path().join("link"));
    fs::write(&path, "").unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let mut file = HtpasswdFile::read(&link).unwrap();
    let ada = entry("ada");
    file.set(&ada);
    file.write(&link).unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        format!("{}\n", ada.line())
    );
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn apaches_hashes_and_ours_are_verified() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/htpasswd");
    let mut file = HtpasswdFile::read(&path).unwrap();
    file.set(&entry("ours"));
    for (user, password, expected) in [
        ("bcrypt", "correct", Some(true)),
        ("bcrypt", "wrong", Some(false)),
        ("ours", "pässword", Some(true)),
        ("md5", "correct", None),
        ("absent", "correct", None),
    ] {
        assert_eq!(file.verify(user, &secret(password)), expected, "{user}");
        assert_eq!(file.skipped(user).is_some(), user == "md5", "{user}");
    }
}

#[test]
fn what_is_no_file_is_neither_read_nor_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for path in [pipe.as_path(), folder.path()] {
        let errors = [
            HtpasswdFile::read(path).unwrap_err(),
            HtpasswdFile::default().write(path).unwrap_err(),
        ];
        for error in errors {
            assert!(error.to_string().contains("it is no file"), "{error}");
        }
        assert!(!fs::metadata(path).unwrap().is_file());
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn hashes_are_not_shown() {
    let mut file = HtpasswdFile::default();
    file.set(&entry("ada"));
    let shown = format!("{file:?} {:?}", entry("ada"));
    assert_eq!(
        shown,
        "HtpasswdFile { lines: 1 } Entry { user: \"ada\", .. }"
    );
}

/// Lines of all kinds, so that those of one user often meet.
fn files() -> impl Strategy<Value = Vec<u8>> {
    let good = BcryptHash::of_nobody(4).expose().to_owned();
    let dear = BcryptHash::of_nobody(18).expose().to_owned();
    let hashes = [
        format!(":{good}"),
        format!(": {good}"),
        format!(":{dear}"),
        ":{SHA}x".to_owned(),
        ":".to_owned(),
        String::new(),
    ];
    let users: [&[u8]; 8] = [
        b"ada",
        b"bob",
        b"ada ",
        b"#ada",
        b"",
        b"J\xf6rg",
        "J\u{fffd}rg".as_bytes(),
        "\u{feff}ada".as_bytes(),
    ];
    let around = || select(["", "", "", " ", "\t", "\u{a0}"].as_slice());
    let end = select(["\n", "\n", "\n", "\r\n", "\r", ""].as_slice());
    let hash = prop_oneof![Just(format!(":{good}")), select(hashes.to_vec())];
    let line = (around(), select(users.to_vec()), hash, around(), end);
    let line = line.prop_map(|(before, user, hash, after, end)| {
        let [before, after, end] = [before, after, end].map(str::as_bytes);
        [before, user, hash.as_bytes(), after, end].concat()
    });
    let mark = select(std::vec![&b""[..], b"\xef\xbb\xbf"]);
    (mark, vec(line, 0..8)).prop_map(|(mark, lines)| [mark, &lines.concat()].concat())
}

const USERS: [&str; 8] = [
    "ada",
    "bob",
    "ada ",
    "#ada",
    "",
    "J\u{fffd}rg",
    "\u{feff}ada",
    "Jörg",
];

proptest! {
    #[test]
    fn a_user_is_the_same_to_whoever_writes_and_to_whoever_lets_in(bytes in files()) {
        let (entries, file) = (Entries::parse(&bytes), HtpasswdFile::parse(&bytes));
        let written = Entry::of_nobody("ada");
        for user in USERS {
            let hash = file.hash_of(user);
            prop_assert_eq!(hash.as_ref(), entries.hash(user), "{:?}", user);
            let skipped = file.skipped(user);
            let told = entries.skipped().iter().rfind(|line| line.user() == Some(user));
            let told = told.filter(|_| hash.is_none());
            prop_assert_eq!(skipped.as_ref(), told, "{:?}", user);
            // Whoever is removed does not come in, and everybody else as before.
            let mut less = file.clone();
            let named = entries.skipped().iter().any(|line| line.user() == Some(user));
            prop_assert_eq!(less.remove(user), named || entries.hash(user).is_some());
            let now = Entries::parse(&less.bytes());
            let mut more = file.clone();
            more.set(&written);
            let then = Entries::parse(&more.bytes());
            for other in USERS {
                let before = entries.hash(other).filter(|_| other != user);
                prop_assert_eq!(now.hash(other), before, "{:?} without {:?}", other, user);
                if other != "ada" {
                    prop_assert_eq!(then.hash(other), entries.hash(other), "{:?}", other);
                }
            }
            let hash = then.hash("ada").map(BcryptHash::expose);
            let line = written.line();
            prop_assert_eq!(hash, line.strip_prefix("ada:"));
        }
    }

    #[test]
    fn whatever_the_name_an_entry_is_one_line_of_that_user(user in "[ #:a\u{feff}\u{a0}\n\r]{1,4}|\\PC{1,4}") {
        prop_assume!(line::can_be_written(&user));
        let mut file = HtpasswdFile::default();
        file.set(&Entry::of_nobody(&user));
        file.set(&Entry::of_nobody("root"));
        let entries = Entries::parse(&file.bytes());
        prop_assert!(entries.hash(&user).is_some() && entries.skipped().is_empty());
        prop_assert_eq!(entries.len(), if user == "root" { 1 } else { 2 });
    }
}
