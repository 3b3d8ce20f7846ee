//! The file, read again when it has changed.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::SystemTime,
};

use tracing::{error, info, warn};

use super::{SETTLING, entries::Entries, look::Look};

/// How often a file that goes on changing is waited for: a second in all.
const PATIENCE: u32 = 50;

/// How often a file that lacks a user must look the same: a quarter of a second in all. Apache's
/// `htpasswd` empties a file before it writes it again.
const CERTAIN: u32 = 12;

/// The largest file that is read: half a million users.
const LARGEST: u64 = 64 * 1024 * 1024;

type Found = Result<Arc<Entries>, Arc<io::Error>>;

/// A file that is looked at often. Clones are one.
#[derive(Clone, Debug)]
pub(super) struct Watched(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    last: Mutex<Option<Last>>,
    /// Whose turn it is to read.
    reading: tokio::sync::Mutex<()>,
}

/// What was read last, and what the file looked like.
#[derive(Clone, Debug)]
struct Last {
    look: Look,
    /// Whether a later change cannot look like it.
    settled: bool,
    found: Found,
}

impl Watched {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(Arc::new(Inner {
            path,
            last: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
        }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0.path
    }

    /// What is in the file now. It costs one look at the file, on the thread of whoever asks; it is read
    /// on a thread of Tokio's for what blocks, by one request for all.
    pub(super) async fn entries(&self, now: SystemTime) -> Found {
        if let Some(found) = self.known() {
            return found;
        }
        let _reading = self.0.reading.lock().await;
        if let Some(found) = self.known() {
            return found;
        }
        let this = self.clone();
        let read = tokio::task::spawn_blocking(move || this.read(now)).await;
        read.unwrap_or_else(|error| Err(Arc::new(io::Error::other(error))))
    }

    /// What was read last, if the file still looks like that.
    fn known(&self) -> Option<Found> {
        let look = Look::at(&self.0.path);
        let last = self.last();
        let last = last.as_ref()?;
        (last.settled && last.look == look).then(|| last.found.clone())
    }

    /// Reads the file once it is whole, which may take a second.
    pub(super) fn read(&self, now: SystemTime) -> Found {
        self.read_between(now, || thread::sleep(SETTLING))
    }

    fn read_between(&self, now: SystemTime, mut pause: impl FnMut()) -> Found {
        let before = self.last().clone();
        let known = before.as_ref().map(|last| &last.found);
        let mut look = Look::at(&self.0.path);
        let was_so = before.as_ref().is_some_and(|last| last.look == look);
        let never_there = before.is_none() && matches!(look, Look::Cannot(_));
        let whole = was_so || never_there || look.is_settled(now);
        // Whether nobody is missing, or certainly so, and the file is still what it was looked at for.
        let holds = |found: &Found, look: Look, same: u32| {
            (same >= CERTAIN || !is_less(known, found)) && Look::at(&self.0.path) == look
        };
        let found = whole.then(|| self.parsed());
        let mut found = found.filter(|found| holds(found, look, 0));
        let (mut pauses, mut same) = (PATIENCE, 0);
        let found = loop {
            if let Some(found) = found {
                break found;
            }
            if pauses == 0 {
                break self.parsed();
            }
            // Whoever writes it may not have ended. (For a moment a file that was emptied has the times
            // that it had when it was full.)
            pauses -= 1;
            pause();
            let again = Look::at(&self.0.path);
            same = if again == look { same + 1 } else { 0 };
            look = again;
            if same > 0 {
                found = Some(self.parsed()).filter(|found| holds(found, look, same));
            }
        };
        self.tell(before.as_ref().map(|last| &last.found), &found);
        *self.last() = Some(Last {
            settled: look.is_settled(now),
            look,
            found: found.clone(),
        });
        found
    }

    fn parsed(&self) -> Found {
        let bytes = content(&self.0.path).map_err(Arc::new)?;
        Ok(Arc::new(Entries::parse(&bytes)))
    }

    /// Says what is new, and says it once.
    fn tell(&self, before: Option<&Found>, now: &Found) {
        let path = self.0.path.display();
        match (before, now) {
            (Some(Err(before)), Err(error)) if before.kind() == error.kind() => {}
            (_, Err(error)) => error!(
                %path,
                %error,
                "the users cannot be read: nobody can log in; let the registry read the file, or write \
                 one with `registry htpasswd -Bc FILE USER`"
            ),
            (Some(Ok(before)), Ok(now)) if before == now => {}
            (_, Ok(now)) => {
                info!(%path, "users: {} can log in", now.len());
                for skipped in now.skipped() {
                    warn!(%path, "{skipped}");
                }
            }
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<Last>> {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether somebody is missing who was there before: taken out, or not written yet.
fn is_less(before: Option<&Found>, now: &Found) -> bool {
    match (before, now) {
        (Some(Ok(before)), Ok(now)) => now.lacks_one_of(before),
        (Some(Ok(_)), Err(_)) => true,
        (None | Some(Err(_)), _) => false,
    }
}

/// What a file holds, if it is one.
pub(super) fn content(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe could wait without end.
    if !fs::metadata(path)?.is_file() {
        let message = "it is no file; name one that can be read more than once";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        let message = "it has more than 64 MiB";
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use registry_core::{Clock as _, SystemClock};
    use tempfile::TempDir;

    use super::*;

    const ADA: &str = "ada:$2y$04$Ec70Eapqhnj89kzthBmKLeyQLBFn9hj5iDh83R9vJY2/N3W2v8pS2\n";

    /// A file, and a time before it was written: whatever is measured by it is new, however slow the
    /// machine is.
    fn file(text: &str) -> (TempDir, Watched, SystemTime) {
        let now = SystemClock.now();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        fs::write(&path, text).unwrap();
        (folder, Watched::new(path), now)
    }

    #[test]
    fn a_file_that_is_being_written_is_waited_for() {
        let (_folder, watched, now) = file("");
        let mut pauses = 0;
        let found = watched.read_between(now, || {
            pauses += 1;
            if pauses < 3 {
                // Byte by byte, as it were.
                fs::write(watched.path(), &ADA[..ADA.len() * pauses / 2]).unwrap();
            }
        });
        assert_eq!(found.unwrap().len(), 1);
        assert_eq!(pauses, 3);
        // It is looked at no more, once it is old.
        let later = SystemClock.now() + Duration::from_secs(60);
        for pauses in [0, 0] {
            let mut count = 0;
            watched.read_between(later, || count += 1).unwrap();
            assert_eq!(count, pauses);
        }
        assert!(watched.known().is_some());
    }

    #[test]
    fn whoever_is_missing_is_waited_for_longer() {
        let (_folder, watched, now) = file(ADA);
        watched.read_between(now, || {}).unwrap();
        // Also where it looks as if it were old, as one that was just emptied can for a moment.
        let later = SystemClock.now() + Duration::from_secs(60);
        for (now, rest, users) in [(now, 3, 1), (later, 3, 1), (later, u32::MAX, 0)] {
            fs::write(watched.path(), "").unwrap();
            let mut pauses = 0;
            let found = watched.read_between(now, || {
                pauses += 1;
                if pauses == rest {
                    fs::write(watched.path(), ADA.repeat(2 + users)).unwrap();
                }
            });
            assert_eq!(found.unwrap().len(), users);
            assert_eq!(pauses, rest.min(CERTAIN - 1) + 1);
        }
    }

    #[test]
    fn a_file_that_is_written_for_ever_is_read_all_the_same() {
        let (_folder, watched, now) = file(ADA);
        let mut text = ADA.to_owned();
        let found = watched.read_between(now, || {
            text.push_str("#\n");
            fs::write(watched.path(), &text).unwrap();
        });
        assert_eq!(found.unwrap().len(), 1);
        assert_eq!(text.len(), ADA.len() + 2 * PATIENCE as usize);
    }

    #[test]
    fn what_is_not_there_at_the_start_is_not_waited_for() {
        let (folder, watched, now) = file(ADA);
        fs::remove_file(watched.path()).unwrap();
        let never = || panic!("it was waited for");
        watched.read_between(now, never).unwrap_err();
        let folder = Watched::new(folder.path().to_owned());
        folder.read_between(now, never).unwrap_err();
    }

    #[test]
    fn what_is_no_file_or_too_much_of_one_is_not_read() {
        let (folder, watched, now) = file("");
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        for path in [pipe, "/dev/zero".into(), folder.path().to_owned()] {
            let error = Watched::new(path).read(now).unwrap_err();
            assert!(error.to_string().contains("it is no file"), "{error}");
        }
        File::options()
            .write(true)
            .open(watched.path())
            .unwrap()
            .set_len(LARGEST + 1)
            .unwrap();
        let error = watched.read(now).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
