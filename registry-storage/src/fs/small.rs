//! Small files that are read again and again: links.
//!
//! A file that was read before is only asked whether it is still the same, which needs no thread of
//! its own. Whether it is, the kernel's times tell; they are coarse, so an entry that was read soon
//! after its file changed is not believed.

use std::{
    collections::HashMap,
    fs::{self, File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use registry_core::Clock;

/// How old a change must be when it is read for the times to tell the next one apart.
const COARSE: Duration = Duration::from_secs(2);

/// The most files that are remembered, some 200 bytes each.
const REMEMBERED: usize = 32_768;

/// No link is longer; a file that is, is none.
const LONGEST: u64 = 4096;

/// What tells one version of a file or directory from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether what was read at `read` under this stamp can be told from every later version.
    pub(super) fn tells(&self, read: SystemTime) -> bool {
        let seconds = u64::try_from(self.modified.0.max(self.changed.0)).unwrap_or(u64::MAX);
        let changed = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        let age = changed.and_then(|changed| read.duration_since(changed).ok());
        age.is_some_and(|age| age > COARSE)
    }
}

#[derive(Debug)]
pub(super) struct SmallFiles {
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<PathBuf, (Stamp, Bytes)>>,
}

impl SmallFiles {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            known: Mutex::default(),
        }
    }

    /// The content of a file that was read before and has not changed. `None` says nothing.
    pub(super) fn known(&self, path: &Path) -> Option<Bytes> {
        let (stamp, bytes) = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(path)?.clone()
        };
        let metadata = fs::metadata(path).ok()?;
        (Stamp::of(&metadata) == stamp).then_some(bytes)
    }

    /// The content of a file, or `None` where there is none. It may wait for the disk.
    pub(super) fn read(&self, path: &Path) -> io::Result<Option<Bytes>> {
        if let Some(bytes) = self.known(path) {
            return Ok(Some(bytes));
        }
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let read_at = self.clock.now();
        let stamp = Stamp::of(&file.metadata()?);
        let mut content = Vec::with_capacity(128);
        match file.take(LONGEST).read_to_end(&mut content) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => return Ok(None),
            Err(error) => return Err(error),
        }
        let bytes = Bytes::from(content);
        if stamp.tells(read_at) {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= REMEMBERED {
                known.clear();
            }
            known.insert(path.to_owned(), (stamp, bytes.clone()));
        }
        Ok(Some(bytes))
    }
}

/// Whether an error says that there is nothing of that name.
pub(super) fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
