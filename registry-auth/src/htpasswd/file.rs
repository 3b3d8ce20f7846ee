//! The file, read again when it has changed.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tracing::{error, info, warn};

use super::entries::Entries;

/// How old a change must be for the file's times to tell it from the next one.
const SETTLED: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Watched {
    path: PathBuf,
    read: Mutex<Option<Read>>,
}

/// What was read, and what the file looked like.
#[derive(Debug)]
struct Read {
    stamp: Option<Stamp>,
    entries: Result<Arc<Entries>, Arc<io::Error>>,
}

/// What a file looks like from outside. Another look is another content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// Whether it is so old that a later change cannot look like it.
    fn is_settled(&self, now: SystemTime) -> bool {
        let seconds = u64::try_from(self.changed.0).unwrap_or(0);
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        now.duration_since(changed).is_ok_and(|age| age > SETTLED)
    }
}

impl Watched {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            read: Mutex::default(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What is in the file now. It costs one look at the file; reading a small file is as quick as
    /// handing it to another thread.
    pub(super) fn entries(&self, now: SystemTime) -> Result<Arc<Entries>, Arc<io::Error>> {
        let stamp = Stamp::of(&self.path);
        let mut read = self.read();
        if let (Ok(stamp), Some(known)) = (&stamp, &*read)
            && known.stamp == Some(*stamp)
        {
            return known.entries.clone();
        }
        let entries = fs::read(&self.path).map(|bytes| {
            // What is not UTF-8 is no bcrypt hash: its line is skipped, the others count.
            Arc::new(Entries::parse(&String::from_utf8_lossy(&bytes)))
        });
        let entries = entries.map_err(Arc::new);
        self.tell(read.as_ref(), &entries);
        *read = Some(Read {
            // The look was taken before the content: a change in between is met by the next look.
            stamp: stamp.ok().filter(|stamp| stamp.is_settled(now)),
            entries: entries.clone(),
        });
        entries
    }

    /// Says what is new, and says it once.
    fn tell(&self, before: Option<&Read>, now: &Result<Arc<Entries>, Arc<io::Error>>) {
        let path = self.path.display();
        match (before.map(|read| &read.entries), now) {
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
                for skipped in &now.skipped {
                    let (line, why) = (skipped.line, skipped.why);
                    match &skipped.user {
                        Some(user) => warn!(
                            %path,
                            "line {line}: {user:?} cannot log in, since {why}; set the password anew with \
                             `registry htpasswd -B FILE USER`"
                        ),
                        None => warn!(%path, "line {line} is skipped, since {why}"),
                    }
                }
            }
        }
    }

    fn read(&self) -> MutexGuard<'_, Option<Read>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
