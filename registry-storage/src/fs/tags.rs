//! Tags: the lock under which they change, and their names in order.

use std::{
    collections::HashMap,
    fs::{self, File},
    hash::{BuildHasher as _, RandomState},
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use registry_core::{Clock, RepositoryName, Tag, store::StoreError};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::{
    disk::Disk,
    failed,
    publish::{Publisher, Unsynced},
    small::{Stamp, is_absence},
    state::{Lock, lock_file},
    walk,
};
use crate::layout::Layout;

/// How many repositories may be written to at the same time by one process.
const QUEUES: usize = 64;

/// How many repositories' tags are remembered.
const REMEMBERED: usize = 1024;

#[derive(Debug)]
pub(super) struct Tags {
    layout: Arc<Layout>,
    publisher: Arc<Publisher>,
    clock: Arc<dyn Clock>,
    /// Writers of one process wait here, where waiting costs no thread.
    queues: Vec<Arc<AsyncMutex<()>>>,
    hasher: RandomState,
    names: Mutex<HashMap<RepositoryName, Names>>,
}

/// The names of a directory's tags, and what tells whether they still are.
#[derive(Debug)]
struct Names {
    stamp: Stamp,
    tags: Arc<[Tag]>,
}

impl Tags {
    pub(super) fn new(
        layout: Arc<Layout>,
        publisher: Arc<Publisher>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let queues = (0..QUEUES).map(|_| Arc::default()).collect();
        let (hasher, names) = (RandomState::new(), Mutex::default());
        Self {
            layout,
            publisher,
            clock,
            queues,
            hasher,
            names,
        }
    }

    /// Waits until no other writer of this process is at this repository.
    pub(super) async fn turn(&self, repository: &RepositoryName) -> Option<OwnedMutexGuard<()>> {
        let hash = usize::try_from(self.hasher.hash_one(repository)).unwrap_or(0);
        let queue = self.queues.get(hash % QUEUES)?;
        Some(Arc::clone(queue).lock_owned().await)
    }

    /// The file whose lock excludes the writers of other processes.
    pub(super) fn lock_file(&self, repository: &RepositoryName) -> Result<File, StoreError> {
        let file = lock_file(&*self.publisher.disk, &self.layout.lock(repository));
        file.map_err(failed("a repository cannot be locked"))
    }

    pub(super) fn lock(file: &File) -> Result<Lock<'_>, StoreError> {
        Lock::take(file).map_err(failed("a repository cannot be locked"))
    }

    /// Removes a tag with its history, under the lock. Durable once `unsynced` is synced.
    pub(super) fn remove(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        unsynced: &mut Unsynced,
    ) -> Result<(), StoreError> {
        let disk = &*self.publisher.disk;
        let remove = || -> io::Result<()> {
            // The link first: without it there is no tag, whatever becomes of the rest.
            match disk.remove_file(&self.layout.tag_current(repository, tag)) {
                Err(error) if is_absence(&error) => {}
                result => result?,
            }
            remove_tree(disk, &self.layout.tag(repository, tag))
        };
        remove().map_err(failed("a tag cannot be removed"))?;
        unsynced.add(&self.layout.tags(repository));
        Ok(())
    }

    /// The names of all tags, in order; some may be left of tags that are gone.
    pub(super) fn names(&self, repository: &RepositoryName) -> Result<Arc<[Tag]>, StoreError> {
        let path = self.layout.tags(repository);
        let read_at = self.clock.now();
        let Some(stamp) = stamp(&path).map_err(failed("tags cannot be listed"))? else {
            return Ok(Arc::new([]));
        };
        let known = {
            let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            names
                .get(repository)
                .filter(|known| known.stamp == stamp)
                .map(|known| Arc::clone(&known.tags))
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let entries = walk::entries(&path).map_err(failed("tags cannot be listed"))?;
        let mut tags: Vec<Tag> = entries
            .into_iter()
            .filter_map(|(name, _)| Tag::parse(&name).ok())
            .collect();
        tags.sort_unstable();
        let tags: Arc<[Tag]> = tags.into();
        if stamp.tells(read_at) {
            let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            if names.len() >= REMEMBERED {
                names.clear();
            }
            let known = Names {
                stamp,
                tags: Arc::clone(&tags),
            };
            names.insert(repository.clone(), known);
        }
        Ok(tags)
    }
}

/// Removes a directory with everything in it; fine where there is none.
fn remove_tree(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    for (_, entry) in walk::entries(path)? {
        if entry.file_type()?.is_dir() {
            remove_tree(disk, &entry.path())?;
        } else {
            match disk.remove_file(&entry.path()) {
                Err(error) if is_absence(&error) => {}
                result => result?,
            }
        }
    }
    match disk.remove_directory(path) {
        Err(error) if is_absence(&error) => Ok(()),
        result => result,
    }
}

/// The stamp of a directory; `None` where there is none.
pub(super) fn stamp(path: &Path) -> io::Result<Option<Stamp>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(Stamp::of(&metadata))),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
