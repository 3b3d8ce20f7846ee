//! The names of all repositories, in order.
//!
//! They are found by a walk when they are first asked for, and again when the last walk is a minute
//! old: that is how what other programs made comes in. A repository that a process of ours makes is
//! also appended to a file, whose new lines every process reads before it answers. The file may be
//! lost; the tree is what counts.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use registry_core::{Clock, RepositoryName, store::StoreError};
use rustix::fs::{Mode, OFlags};

use super::{failed, small::is_absence, walk};
use crate::layout::{self, Layout};

/// How old a walk may be. Other programs' repositories appear after this at the latest.
const FRESH: Duration = Duration::from_secs(50);

/// How many bytes the file may have before a walk begins it anew.
const LONGEST: u64 = 4 << 20;

#[derive(Debug)]
pub(super) struct Catalog {
    layout: Arc<Layout>,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    names: BTreeSet<RepositoryName>,
    walked: Option<SystemTime>,
    /// How much of the file was read, and what tells this file from the next.
    read: (u64, u64),
}

impl Catalog {
    pub(super) fn new(layout: Arc<Layout>, clock: Arc<dyn Clock>) -> Self {
        Self {
            layout,
            clock,
            inner: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of a repository that has a manifest now. Called after the manifest is there, so that
    /// no walk misses it for good.
    pub(super) fn add(&self, name: &RepositoryName) -> Result<(), StoreError> {
        if self.lock().names.contains(name) {
            return Ok(());
        }
        let append = || -> io::Result<()> {
            let flags = OFlags::APPEND | OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
            let file = rustix::fs::open(self.layout.catalog(), flags, Mode::from_raw_mode(0o666))?;
            // In one call, so that lines of several processes do not mix.
            rustix::io::write(&file, format!("{name}\n").as_bytes())?;
            Ok(())
        };
        append().map_err(failed("the catalog cannot be written"))?;
        self.lock().names.insert(name.clone());
        Ok(())
    }

    /// The names behind `after`, at most `limit`. Some may be of repositories without a manifest.
    pub(super) fn names(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<RepositoryName>, StoreError> {
        let mut inner = self.lock();
        let now = self.clock.now();
        let age = inner
            .walked
            .and_then(|walked| now.duration_since(walked).ok());
        self.read_file(&mut inner)
            .map_err(failed("the catalog cannot be read"))?;
        if age.is_none_or(|age| age > FRESH) {
            let read = inner.read.1;
            inner.names = walk::repositories(&self.layout, &[layout::MANIFESTS])?
                .into_iter()
                .collect();
            inner.walked = Some(now);
            // The walk may have missed what was made meanwhile, and replaced what was read before it.
            inner.read.1 = read;
            self.read_file(&mut inner)
                .map_err(failed("the catalog cannot be read"))?;
        }
        let found = match after.map(|after| (after, RepositoryName::parse(after))) {
            None => inner.names.iter().take(limit).cloned().collect(),
            Some((_, Ok(after))) => {
                let behind = (Bound::Excluded(after), Bound::Unbounded);
                inner.names.range(behind).take(limit).cloned().collect()
            }
            Some((after, Err(_))) => {
                let names = inner.names.iter().skip_while(|name| name.as_str() <= after);
                names.take(limit).cloned().collect()
            }
        };
        Ok(found)
    }

    /// Reads the lines that were appended since the last time.
    fn read_file(&self, inner: &mut Inner) -> io::Result<()> {
        use std::os::unix::fs::MetadataExt as _;
        let path = self.layout.catalog();
        let mut file = match File::open(&path) {
            Err(error) if is_absence(&error) => return Ok(()),
            result => result?,
        };
        let metadata = file.metadata()?;
        if inner.read.0 != metadata.ino() || inner.read.1 > metadata.len() {
            inner.read = (metadata.ino(), 0);
        }
        if inner.read.1 < metadata.len() {
            file.seek(SeekFrom::Start(inner.read.1))?;
            let mut lines = Vec::new();
            (&file).take(LONGEST * 2).read_to_end(&mut lines)?;
            // A last line without an end is still being written.
            let whole = lines
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |end| end + 1);
            let text = String::from_utf8_lossy(lines.get(..whole).unwrap_or_default());
            inner
                .names
                .extend(text.lines().filter_map(|line| line.parse().ok()));
            inner.read.1 += whole as u64;
        }
        if metadata.len() > LONGEST && inner.walked.is_some() {
            // Every process notices the new file by its inode and reads it from its beginning. A line
            // that is lost here is of a repository that the next walk finds.
            let _ = std::fs::remove_file(&path);
        }
        Ok(())
    }
}
