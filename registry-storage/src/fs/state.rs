//! The state file of an upload: whose turn it is, and where hashing can go on after a restart.
//!
//! ```text
//! 00000000000000000007        the epoch, or `ended`
//! sha256                      the algorithm
//! {"algorithm":…}             a saved hasher, or nothing
//! ```
//!
//! Its lock is taken for each write to the upload, between processes too. Whoever takes an upload
//! over advances the epoch under the lock; whoever finds another epoch than its own under the lock
//! is superseded, and must not write: the bytes may be a published blob by then.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use registry_core::{Algorithm, HashState};
use rustix::fs::{FlockOperation, flock};

use super::{disk::Disk, small::is_absence};

const ENDED: &[u8; 21] = b"ended               \n";

/// An upload's state file, open.
#[derive(Debug)]
pub(super) struct StateFile {
    file: File,
    path: PathBuf,
}

/// What a state file says of an upload that has not ended.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) epoch: u64,
    pub(super) algorithm: Algorithm,
    pub(super) hash: Option<HashState>,
}

impl StateFile {
    pub(super) fn make(disk: &dyn Disk, path: PathBuf, algorithm: Algorithm) -> io::Result<()> {
        let state = Self {
            file: disk.create(&path)?,
            path,
        };
        state.write(disk, 0, algorithm, None)
    }

    /// Opens the state file; `None` where there is none.
    pub(super) fn open(path: PathBuf) -> io::Result<Option<Self>> {
        match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => Ok(Some(Self { file, path })),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits for the lock. It is held until the guard is dropped.
    pub(super) fn lock(&self) -> io::Result<Lock<'_>> {
        Lock::take(&self.file)
    }

    /// What it says; `None` when the upload has ended, or the file is not one of ours.
    pub(super) fn read(&self) -> io::Result<Option<Saved>> {
        let mut text = String::new();
        (&self.file).rewind()?;
        if (&self.file).take(4096).read_to_string(&mut text).is_err() {
            return Ok(None);
        }
        let mut lines = text.split('\n');
        let (epoch, algorithm) = (lines.next(), lines.next());
        let parsed = epoch.and_then(|epoch| epoch.parse().ok());
        let algorithm = algorithm.and_then(Algorithm::from_name);
        let hash = lines
            .next()
            .and_then(|json| serde_json::from_str(json).ok());
        Ok(parsed.zip(algorithm).map(|(epoch, algorithm)| Saved {
            epoch,
            algorithm,
            hash,
        }))
    }

    /// Whether the epoch is that one: what [`read`](Self::read) says, for less.
    pub(super) fn is_at(&self, epoch: u64) -> io::Result<bool> {
        let mut line = [0; 21];
        match self.file.read_exact_at(&mut line, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            result => result.map(|()| line == *line_of(epoch).as_bytes()),
        }
    }

    /// Writes everything, under the lock.
    pub(super) fn write(
        &self,
        disk: &dyn Disk,
        epoch: u64,
        algorithm: Algorithm,
        hash: Option<&HashState>,
    ) -> io::Result<()> {
        let json = hash
            .and_then(|hash| serde_json::to_string(hash).ok())
            .unwrap_or_default();
        let text = format!("{}{algorithm}\n{json}\n", line_of(epoch));
        disk.write(&self.file, &self.path, 0, text.as_bytes())?;
        disk.set_len(&self.file, &self.path, text.len() as u64)
    }

    /// Advances the epoch, under the lock.
    pub(super) fn advance(&self, disk: &dyn Disk, epoch: u64) -> io::Result<()> {
        disk.write(&self.file, &self.path, 0, line_of(epoch).as_bytes())
    }

    /// Says that the upload has ended, under the lock.
    pub(super) fn end(&self, disk: &dyn Disk) -> io::Result<()> {
        disk.write(&self.file, &self.path, 0, ENDED)
    }
}

fn line_of(epoch: u64) -> String {
    format!("{epoch:020}\n")
}

/// A lock between processes, and between whoever has opened the file on their own.
#[derive(Debug)]
pub(super) struct Lock<'a>(&'a File);

impl<'a> Lock<'a> {
    pub(super) fn take(file: &'a File) -> io::Result<Self> {
        loop {
            match flock(file, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(Self(file)),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        // Closing the file would do it too.
        let _ = flock(self.0, FlockOperation::Unlock);
    }
}

/// Opens a file to lock it; makes it, and its directory, where it is missing.
pub(super) fn lock_file(disk: &dyn Disk, path: &Path) -> io::Result<File> {
    match disk.create(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            disk.create(path)
        }
        result => result,
    }
}
