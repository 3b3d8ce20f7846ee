//! Logins, over files that change and clocks that stand still.

use std::{
    fs,
    net::IpAddr,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::{FutureExt as _, future::join_all};
use registry_core::{ManualClock, access::Secret};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use super::*;

/// `correct` for every user, at cost 4.
const CORRECT: &str = "$2y$04$Ec70Eapqhnj89kzthBmKLeyQLBFn9hj5iDh83R9vJY2/N3W2v8pS2";

struct Bench {
    folder: TempDir,
    clock: ManualClock,
    users: Htpasswd,
}

impl Bench {
    /// Over a file with `text`, where `says` decides what a password is.
    fn new(text: &str, says: fn(&str, &str) -> bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        fs::write(&path, text).unwrap();
        let clock = ManualClock::at(SystemClock.now() + Duration::from_secs(3600));
        let mut users = Htpasswd::new(path, "here").clock(Arc::new(clock.clone()));
        users.verified = Verified::new(&SystemEntropy, says);
        Self {
            folder,
            clock,
            users,
        }
    }

    fn write(&self, text: &str) {
        // As editors do: another file takes the name.
        let new = self.folder.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.users.path()).unwrap();
    }

    async fn from(&self, client: &str, user: &str, password: &str) -> &'static str {
        let mut request = AuthRequest::default();
        request.client = Some(client.parse::<IpAddr>().unwrap());
        request.credentials = Credentials::Basic {
            username: user.into(),
            password: Secret::new(password),
        };
        match self.users.authenticate(&request).await {
            Ok(principal) => {
                assert_eq!(principal.name.as_deref(), Some(user));
                "in"
            }
            Err(AuthError::Rejected(_)) => "rejected",
            Err(AuthError::Throttled { .. }) => "throttled",
            Err(_) => "unavailable",
        }
    }

    async fn login(&self, user: &str, password: &str) -> &'static str {
        self.from("192.0.2.1", user, password).await
    }
}

fn is_correct(password: &str, hash: &str) -> bool {
    hash == CORRECT && password == "correct"
}

#[tokio::test]
async fn real_hashes() {
    let text = include_str!("../../tests/fixtures/htpasswd");
    let bench = Bench::new(text, bcrypt_says);
    assert_eq!(bench.users.users().unwrap().count, 2);
    assert_eq!(bench.login("bcrypt", "correct").await, "in");
    assert_eq!(bench.login("other", "horse").await, "in");
    for user in ["other", "md5", "sha", "crypt", "sha256", "plain", "absent"] {
        assert_eq!(bench.login(user, "correct").await, "rejected", "{user}");
    }
    let long = "x".repeat(100);
    let entry = Entry::hash("long", &Secret::new(long.as_str()), 4).unwrap();
    let bench = Bench::new(&entry.line(), bcrypt_says);
    assert_eq!(bench.login("long", &long).await, "in");
    assert_eq!(bench.login("long", &"x".repeat(72)).await, "in");
    assert_eq!(bench.login("long", &"x".repeat(71)).await, "rejected");
}

#[tokio::test]
async fn what_is_no_login() {
    let bench = Bench::new(&format!("ada:{CORRECT}"), |_, _| panic!("it was verified"));
    for (user, password) in [("", "correct"), ("ada", ""), ("ada", "correct\0")] {
        assert_eq!(bench.login(user, password).await, "rejected");
    }
    for credentials in [Credentials::None, Credentials::Bearer(Secret::new("x"))] {
        let mut request = AuthRequest::default();
        request.credentials = credentials;
        let refused = bench.users.authenticate(&request).await;
        assert!(matches!(refused, Err(AuthError::Rejected(_))));
    }
    assert_eq!(bench.users.challenge(&[]).as_str(), "Basic realm=\"here\"");
}

#[tokio::test]
async fn a_change_of_the_file_counts_from_the_next_request_on() {
    let line = |user: &str| format!("{user}:{CORRECT}\n");
    let bench = Bench::new(&line("ada"), is_correct);
    assert_eq!(bench.login("ada", "correct").await, "in");
    bench.write(&[line("ada"), line("bob")].concat());
    assert_eq!(bench.login("bob", "correct").await, "in");
    assert_eq!(bench.login("ada", "correct").await, "in");
    bench.write(&line("bob"));
    assert_eq!(bench.login("ada", "correct").await, "rejected");
    let other = CORRECT.replace("04$Ec", "04$Ed");
    bench.write(&format!("bob:{other}\n"));
    assert_eq!(bench.login("bob", "correct").await, "rejected");
    fs::remove_file(bench.users.path()).unwrap();
    assert_eq!(bench.login("bob", "correct").await, "unavailable");
    bench.write(&line("bob"));
    assert_eq!(bench.login("bob", "correct").await, "in");
}

#[tokio::test]
async fn a_change_within_one_tick_of_the_clock_is_seen() {
    let bench = Bench::new(&format!("ada:{CORRECT}\n"), is_correct);
    // Now, not an hour later: the file's times may still stand for its next content.
    let users = Htpasswd::new(bench.users.path(), "here");
    for round in 0..10 {
        let user = if round % 2 == 0 { "eve" } else { "ada" };
        // From before the change, so that it is new however slow the machine is.
        let now = SystemClock.now();
        fs::write(users.path(), format!("{user}:{CORRECT}\n")).unwrap();
        let entries = users.file.entries(now).await.unwrap();
        assert!(entries.hash(user).is_some(), "{round}");
    }
}

#[tokio::test]
async fn a_folder_lets_nobody_in() {
    let folder = tempfile::tempdir().unwrap();
    let users = Htpasswd::new(folder.path(), "here");
    assert!(users.users().is_err());
}

static VERIFIED: AtomicUsize = AtomicUsize::new(0);

fn counted(password: &str, hash: &str) -> bool {
    VERIFIED.fetch_add(1, Ordering::Relaxed);
    is_correct(password, hash)
}

#[tokio::test]
async fn a_credential_is_verified_once() {
    let bench = Bench::new(&format!("ada:{CORRECT}"), counted);
    let verified = async |logins: &[(&str, &str)]| {
        let before = VERIFIED.load(Ordering::Relaxed);
        for (user, password) in logins {
            bench.login(user, password).await;
        }
        VERIFIED.load(Ordering::Relaxed) - before
    };
    assert_eq!(verified(&[("ada", "correct"); 3]).await, 1);
    // Not even when it is the other half that is longer.
    assert_eq!(verified(&[("ad", "acorrect")]).await, 1);
    // A wrong one, and an unknown user, cost as much as each other.
    assert_eq!(verified(&[("ada", "wrong")]).await, 1);
    assert_eq!(verified(&[("absent", "correct")]).await, 1);
    // That it was wrong is remembered as well.
    assert_eq!(
        verified(&[("ada", "wrong"), ("absent", "correct")]).await,
        0
    );
    // As long as it is shown.
    for _ in 0..3 {
        bench.clock.advance(REMEMBERED / 2);
        assert_eq!(verified(&[("ada", "correct")]).await, 0);
    }
    bench.clock.advance(REMEMBERED);
    assert_eq!(verified(&[("ada", "correct"); 2]).await, 1);
    assert_eq!(verified(&[("ada", "wrong"); 2]).await, 1);
}

#[tokio::test]
async fn a_wrong_password_of_a_new_hash_may_be_right() {
    let other = CORRECT.replace("04$Ec", "04$Ed");
    let bench = Bench::new(&format!("ada:{other}"), is_correct);
    assert_eq!(bench.login("ada", "correct").await, "rejected");
    bench.write(&format!("ada:{CORRECT}"));
    assert_eq!(bench.login("ada", "correct").await, "in");
    let bench = Bench::new("", is_correct);
    assert_eq!(bench.login("ada", "correct").await, "rejected");
    bench.write(&format!("ada:{CORRECT}"));
    assert_eq!(bench.login("ada", "correct").await, "in");
}

static SPENT: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn spends(password: &str, hash: &str) -> bool {
    SPENT.lock().unwrap().push(hash[..6].to_owned());
    is_correct(password, hash)
}

#[tokio::test]
async fn every_wrong_password_takes_as_long_as_the_dearest() {
    let dear = CORRECT.replace("$04$", "$07$");
    let bench = Bench::new(&format!("ada:{CORRECT}\neve:{dear}"), spends);
    for (user, spent) in [
        ("ada", &["$2y$04", "$2y$04", "$2y$05", "$2y$06"][..]),
        ("eve", &["$2y$07"]),
        ("absent", &["$2y$07"]),
    ] {
        assert_eq!(bench.login(user, "wrong").await, "rejected");
        assert_eq!(std::mem::take(&mut *SPENT.lock().unwrap()), spent, "{user}");
    }
    assert_eq!(bench.login("ada", "correct").await, "in");
    assert_eq!(*SPENT.lock().unwrap(), ["$2y$04"]);
}

static LOOKED_AT: AtomicUsize = AtomicUsize::new(0);

fn looked_at(password: &str, hash: &str) -> bool {
    LOOKED_AT.fetch_add(1, Ordering::Relaxed);
    is_correct(password, hash)
}

#[tokio::test]
async fn guesses_at_once_are_no_more_than_guesses_one_by_one() {
    let bench = Bench::new(&format!("ada:{CORRECT}"), looked_at);
    // Those that have their turn already are looked at.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let guesses = |what: fn(usize) -> (String, String)| {
        let bench = &bench;
        async move {
            let before = LOOKED_AT.load(Ordering::Relaxed);
            let guess = |number| {
                let (user, password) = what(number);
                async move { bench.login(&user, &password).await }
            };
            let answers = join_all((0..200).map(guess)).await;
            assert!(answers.contains(&"throttled"));
            LOOKED_AT.load(Ordering::Relaxed) - before
        }
    };
    let of_one = guesses(|number| ("ada".to_owned(), format!("guess{number}"))).await;
    assert!((5..5 + processors).contains(&of_one), "{of_one}");
    let of_many = guesses(|number| (format!("user{number}"), "guess".to_owned())).await;
    let of_address = of_one + of_many;
    assert!((20..20 + processors).contains(&of_address), "{of_address}");
    // Somebody else, from elsewhere, is not held up.
    assert_eq!(bench.from("192.0.2.7", "ada", "correct").await, "in");
}

#[tokio::test]
async fn what_others_showed_tells_a_guesser_nothing() {
    let bench = Bench::new(&format!("ada:{CORRECT}"), is_correct);
    assert_eq!(bench.login("ada", "correct").await, "in");
    // One by one, and all at once from an address that did not fail yet.
    for guess in 0..8 {
        bench
            .from("192.0.2.6", "ada", &format!("guess{guess}"))
            .await;
    }
    assert_eq!(bench.from("192.0.2.6", "ada", "correct").await, "throttled");
    let guesses: Vec<_> = (0..100).map(|guess| format!("guess{guess}")).collect();
    let guesses = guesses.iter().map(String::as_str).chain(["correct"]);
    let tried = guesses.map(|guess| bench.from("192.0.2.7", "ada", guess));
    assert_eq!(join_all(tried).await.last(), Some(&"throttled"));
    // Who does not guess comes in, and is remembered there as well.
    assert_eq!(bench.from("192.0.2.8", "ada", "correct").await, "in");
    for guess in 0..8 {
        bench
            .from("192.0.2.8", "ada", &format!("guess{guess}"))
            .await;
    }
    assert_eq!(bench.from("192.0.2.8", "ada", "correct").await, "in");
}

static REACHED: AtomicUsize = AtomicUsize::new(0);

fn reached(password: &str, hash: &str) -> bool {
    REACHED.fetch_add(1, Ordering::Relaxed);
    is_correct(password, hash)
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_looked_at() {
    let bench = Bench::new(&format!("ada:{CORRECT}"), reached);
    // All turns are taken.
    let turns = bench.users.verified.every_turn();
    for number in 0..300 {
        let guess = format!("guess{number}");
        let mut left = Box::pin(bench.login("ada", &guess));
        while !bench.users.verified.is_waiting() {
            assert_eq!((&mut left).now_or_never(), None);
            tokio::task::yield_now().await;
        }
        drop(left);
        assert!(!bench.users.verified.is_waiting());
    }
    drop(turns);
    assert_eq!(bench.login("ada", "correct").await, "in");
    assert_eq!(REACHED.load(Ordering::Relaxed), 1);
}

static HERD: AtomicUsize = AtomicUsize::new(0);
static GATE: Mutex<()> = Mutex::new(());

fn behind_the_gate(password: &str, hash: &str) -> bool {
    HERD.fetch_add(1, Ordering::Relaxed);
    drop(GATE.lock());
    is_correct(password, hash)
}

#[tokio::test]
async fn a_herd_shares_one_verification_and_holds_nobody_up() {
    let bench = Bench::new(&format!("ada:{CORRECT}"), behind_the_gate);
    let gate = GATE.lock().unwrap();
    let reached = Semaphore::new(0);
    let herd = join_all((0..50).map(|_| bench.login("ada", "correct")));
    let other = async {
        while HERD.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        // The one thread of this runtime is free while the verification hangs.
        reached.add_permits(1);
        drop(gate);
    };
    let (answers, ()) = tokio::join!(herd, other);
    assert!(answers.iter().all(|answer| *answer == "in"));
    assert_eq!(HERD.load(Ordering::Relaxed), 1);
    assert_eq!(reached.available_permits(), 1);
}

#[tokio::test]
async fn whoever_leaves_does_not_stop_the_others() {
    let bench = Bench::new(&format!("ada:{CORRECT}"), is_correct);
    {
        let left = bench.login("ada", "correct");
        assert_eq!(left.now_or_never(), None);
    }
    assert_eq!(bench.login("ada", "correct").await, "in");
    assert_eq!(
        format!("{:?}", bench.users.verified),
        "Verified { remembered: 1, .. }"
    );
}

#[tokio::test]
async fn guessing_is_slowed_and_what_is_known_is_not() {
    let bench = Bench::new(&format!("ada:{CORRECT}"), is_correct);
    assert_eq!(bench.login("ada", "correct").await, "in");
    for guess in 0..5 {
        assert_eq!(
            bench.login("ada", &format!("guess{guess}")).await,
            "rejected"
        );
    }
    assert_eq!(bench.login("ada", "guess").await, "throttled");
    // Remembered, so not attempts.
    assert_eq!(bench.login("ada", "correct").await, "in");
    for _ in 0..20 {
        assert_eq!(bench.login("ada", "guess0").await, "rejected");
    }
    assert_eq!(bench.login("bob", "guess").await, "rejected");
    assert_eq!(bench.from("192.0.2.7", "ada", "guess").await, "rejected");
    bench.clock.advance(Duration::from_secs(61));
    assert_eq!(bench.login("ada", "guess").await, "rejected");
}

#[tokio::test]
async fn neither_hashes_nor_passwords_are_shown() {
    let bench = Bench::new(&format!("ada:{CORRECT}\nmd5:$apr1$x"), is_correct);
    assert_eq!(bench.login("ada", "correct").await, "in");
    assert_eq!(bench.login("ada", "wrong").await, "rejected");
    let users = bench.users.users().unwrap();
    let shown = format!("{:?} {users:?} {users:#?}", bench.users);
    assert!(shown.contains("Entries { users: 1, skipped: 1"), "{shown}");
    for secret in ["correct", "wrong", "$2y", "$apr1", "Ec70E"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
}
