//! Publishing: how a file comes to its name. The only place that renames.
//!
//! A file is written under a temporary name in the same file system, synced, renamed into place, and
//! then the directories that changed are synced. A file that has its name is whole.

use std::{
    collections::{BTreeSet, HashSet},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use registry_core::{Clock, store::StoreError};

use super::{disk::Disk, failed};
use crate::layout::{self, Layout};

/// How old a temporary file is when nobody writes to it any more.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// How many directories are remembered as durable.
const REMEMBERED: usize = 100_000;

#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) disk: Arc<dyn Disk>,
    top: PathBuf,
    temporary: PathBuf,
    /// Distinguishes this instance's temporary files from those of others in this process.
    instance: u64,
    counter: AtomicU64,
    /// Directories whose names were made durable by this process. Only such as nobody removes.
    durable: Mutex<HashSet<PathBuf>>,
}

/// A file that is durable, but has no name yet that anybody looks for. Dropped, it is removed.
#[derive(Debug)]
pub(super) struct Staged {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    published: bool,
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.published {
            // A failure leaves a file that is cleared away at a later start.
            let _ = self.disk.remove_file(&self.path);
        }
    }
}

/// The directories that have to be synced before anything is answered.
#[derive(Debug, Default)]
pub(super) struct Unsynced(BTreeSet<PathBuf>);

impl Unsynced {
    pub(super) fn add(&mut self, directory: &Path) {
        self.0.insert(directory.to_owned());
    }
}

impl Publisher {
    pub(super) fn open(
        layout: &Layout,
        disk: Arc<dyn Disk>,
        clock: &dyn Clock,
    ) -> Result<Self, StoreError> {
        static INSTANCES: AtomicU64 = AtomicU64::new(0);
        let publisher = Self {
            disk,
            top: layout.top().to_owned(),
            temporary: layout.temporary(),
            instance: INSTANCES.fetch_add(1, Ordering::Relaxed),
            counter: AtomicU64::new(0),
            durable: Mutex::default(),
        };
        // What is above our tree is the operator's.
        if let Some(above) = publisher.top.ancestors().nth(3) {
            fs::create_dir_all(above).map_err(failed("the root directory cannot be made"))?;
        }
        let mut unsynced = Unsynced::default();
        let cannot = "the root directory cannot be written to";
        publisher
            .directory(&publisher.temporary, &mut unsynced)
            .map_err(failed(cannot))?;
        publisher
            .directory(&layout.blobs(), &mut unsynced)
            .map_err(failed(cannot))?;
        publisher
            .directory(&layout.repositories(), &mut unsynced)
            .map_err(failed(cannot))?;
        publisher.sync(&unsynced)?;
        publisher.clear(clock);
        Ok(publisher)
    }

    /// Writes a file, durable, without a name that anybody looks for.
    pub(super) fn stage(&self, content: &[u8]) -> Result<Staged, StoreError> {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{}-{number}.tmp", process::id(), self.instance);
        let path = self.temporary.join(name);
        let write = || -> io::Result<()> {
            let file = match self.disk.create(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // Somebody removed the directory, as those who clean up empty ones do. It need not
                    // be durable: nothing in it is looked for after a crash.
                    fs::create_dir_all(&self.temporary)?;
                    self.disk.create(&path)
                }
                made => made,
            }?;
            // A leftover of another process with this one's number may be longer.
            self.disk.set_len(&file, &path, 0)?;
            self.disk.write(&file, &path, 0, content)?;
            self.disk.sync_file(&file, &path)
        };
        let staged = Staged {
            path: path.clone(),
            disk: Arc::clone(&self.disk),
            published: false,
        };
        write().map_err(failed("a file cannot be written"))?;
        Ok(staged)
    }

    /// Gives a staged file its name. Durable once `unsynced` is synced.
    pub(super) fn publish(
        &self,
        mut staged: Staged,
        name: &Path,
        unsynced: &mut Unsynced,
    ) -> Result<(), StoreError> {
        self.publish_file(&staged.path, name, unsynced)?;
        staged.published = true;
        Ok(())
    }

    /// Gives a file that is synced its name. Durable once `unsynced` is synced.
    pub(super) fn publish_file(
        &self,
        file: &Path,
        name: &Path,
        unsynced: &mut Unsynced,
    ) -> Result<(), StoreError> {
        let mut rename = || -> io::Result<()> {
            let parent = name.parent().unwrap_or(&self.top);
            // Somebody may remove an empty directory between the two steps.
            for _ in 0..8 {
                self.directory(parent, unsynced)?;
                match self.disk.rename(file, name) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound && file.exists() => {}
                    result => return result.inspect(|()| unsynced.add(parent)),
                }
            }
            Err(io::ErrorKind::NotFound.into())
        };
        rename().map_err(failed("a file cannot be moved into place"))
    }

    /// Whether the file `name` has exactly this content. It is as durable then as one just published,
    /// once `unsynced` is synced.
    pub(super) fn is_published(
        &self,
        name: &Path,
        content: &[u8],
        unsynced: &mut Unsynced,
    ) -> Result<bool, StoreError> {
        if !fs::read(name).is_ok_and(|found| found == content) {
            return Ok(false);
        }
        self.adopt(name, unsynced)?;
        Ok(true)
    }

    /// Makes a file durable that somebody else may have published without it.
    pub(super) fn adopt(&self, name: &Path, unsynced: &mut Unsynced) -> Result<(), StoreError> {
        let mut adopt = || -> io::Result<()> {
            self.disk.sync_file(&File::open(name)?, name)?;
            let parent = name.parent().unwrap_or(&self.top);
            self.directory(parent, unsynced)?;
            unsynced.add(parent);
            Ok(())
        };
        adopt().map_err(failed("a file cannot be made durable"))
    }

    /// Makes a directory and those above it. Durable once `unsynced` is synced.
    pub(super) fn directory(&self, path: &Path, unsynced: &mut Unsynced) -> io::Result<()> {
        let stop = self.top.ancestors().nth(3).unwrap_or(&self.top);
        if path == stop || self.is_durable(path) && path.is_dir() {
            return Ok(());
        }
        let parent = path.parent().unwrap_or(stop);
        match self.disk.make_directory(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.directory(parent, unsynced)?;
                match self.disk.make_directory(path) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    result => result?,
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.directory(parent, unsynced)?;
            }
            result => {
                result?;
                self.directory(parent, unsynced)?;
            }
        }
        unsynced.add(parent);
        Ok(())
    }

    /// Syncs what changed, deepest first, so that nothing durable is without content.
    pub(super) fn sync(&self, unsynced: &Unsynced) -> Result<(), StoreError> {
        for directory in unsynced.0.iter().rev() {
            match self.disk.sync_directory(directory) {
                // Removed again meanwhile, and what it held with it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => result.map_err(failed("a directory cannot be made durable"))?,
            }
        }
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if durable.len() > REMEMBERED {
            durable.clear();
        }
        // A directory's own name is durable when its parent was synced with it.
        for directory in &unsynced.0 {
            let parent = directory.parent();
            if is_kept(directory)
                && parent.is_some_and(|p| unsynced.0.contains(p) || durable.contains(p))
            {
                durable.insert(directory.clone());
            }
        }
        Ok(())
    }

    fn is_durable(&self, path: &Path) -> bool {
        self.durable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(path)
    }

    /// Removes what processes left that ended in the middle.
    fn clear(&self, clock: &dyn Clock) {
        let Ok(entries) = fs::read_dir(&self.temporary) else {
            return;
        };
        for entry in entries.flatten() {
            let modified = entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .ok();
            let age = modified.and_then(|modified| clock.now().duration_since(modified).ok());
            if age.is_some_and(|age| age > STALE) {
                let _ = self.disk.remove_file(&entry.path());
            }
        }
    }
}

/// Whether nobody removes that directory: those of a tag go with it.
fn is_kept(directory: &Path) -> bool {
    !directory
        .components()
        .any(|part| part.as_os_str() == layout::TAGS || part.as_os_str() == layout::UPLOADS)
}
