//! The disk port: every call that changes something on disk, so that a test can lose what was not
//! synced.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::Path,
};

/// Changes a file system. Paths are given with every call, for whoever records them.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Opens a file for reading and writing; makes it where it is missing.
    ///
    /// # Errors
    ///
    /// The file system's.
    fn create(&self, path: &Path) -> io::Result<File>;

    /// Writes all of `bytes` at the offset `at`.
    ///
    /// # Errors
    ///
    /// The file system's.
    fn write(&self, file: &File, path: &Path, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts a file, or makes it longer.
    ///
    /// # Errors
    ///
    /// The file system's.
    fn set_len(&self, file: &File, path: &Path, length: u64) -> io::Result<()>;

    /// Makes the content of a file durable, not its name.
    ///
    /// # Errors
    ///
    /// The file system's.
    fn sync_file(&self, file: &File, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    ///
    /// The file system's.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Moves a file over whatever has that name.
    ///
    /// # Errors
    ///
    /// The file system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes a directory, whose parent is there. `AlreadyExists` when it is there.
    ///
    /// # Errors
    ///
    /// The file system's.
    fn make_directory(&self, path: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// The file system's.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    ///
    /// The file system's.
    fn remove_directory(&self, path: &Path) -> io::Result<()>;
}

/// The file system itself.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it holds nothing, and is made by naming it"
)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
    }

    fn write(&self, file: &File, _: &Path, at: u64, bytes: &[u8]) -> io::Result<()> {
        file.write_all_at(bytes, at)
    }

    fn set_len(&self, file: &File, _: &Path, length: u64) -> io::Result<()> {
        file.set_len(length)
    }

    fn sync_file(&self, file: &File, _: &Path) -> io::Result<()> {
        file.sync_data()
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }
}
