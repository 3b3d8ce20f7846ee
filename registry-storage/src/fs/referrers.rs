//! Referrers: which manifests of a repository are about which.
//!
//! There is no index on disk that could disagree with the manifests. The revisions of a repository
//! are read when its referrers are first asked for, and afterwards only those that are new: the times
//! of the directories say whether there are any.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::{Arc, Mutex, PoisonError},
};

use registry_core::{Clock, Descriptor, Digest, RepositoryName, store::StoreError};

use super::{
    failed,
    links::Links,
    manifests::{self, Manifests},
    small::Stamp,
    tags::stamp,
    walk,
};
use crate::layout::Layout;

/// How many repositories are remembered.
const REMEMBERED: usize = 256;

#[derive(Debug)]
pub(super) struct Referrers {
    layout: Arc<Layout>,
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<RepositoryName, Arc<Mutex<Index>>>>,
}

#[derive(Debug, Default)]
struct Index {
    /// The directories of revisions when they were last read; `None` when that says nothing.
    seen: Option<Vec<Stamp>>,
    /// Every revision that was read, with the subject it is about.
    read: HashMap<Digest, Option<Digest>>,
    referrers: HashMap<Digest, BTreeMap<Digest, Descriptor>>,
    /// Directories that had no manifest in them: deleted, or about to be written.
    without: Vec<Digest>,
}

impl Referrers {
    pub(super) fn new(layout: Arc<Layout>, clock: Arc<dyn Clock>) -> Self {
        Self {
            layout,
            clock,
            known: Mutex::default(),
        }
    }

    /// The referrers of `subject` behind `after`, in order. Some may be gone.
    pub(super) fn of(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        after: Option<&str>,
        links: &Links,
        manifests: &Manifests,
    ) -> Result<Vec<Descriptor>, StoreError> {
        let index = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= REMEMBERED && !known.contains_key(repository) {
                known.clear();
            }
            Arc::clone(known.entry(repository.clone()).or_default())
        };
        let mut index = index.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut index, repository, links, manifests)?;
        let Some(referrers) = index.referrers.get(subject) else {
            return Ok(Vec::new());
        };
        let after = after.map(|after| (after, Digest::parse(after)));
        Ok(match after {
            None => referrers.values().cloned().collect(),
            Some((_, Ok(after))) => {
                let behind = referrers.range((Bound::Excluded(after), Bound::Unbounded));
                behind.map(|(_, descriptor)| descriptor.clone()).collect()
            }
            Some((after, Err(_))) => {
                let behind = referrers
                    .iter()
                    .filter(|(digest, _)| digest.as_str() > after);
                behind.map(|(_, descriptor)| descriptor.clone()).collect()
            }
        })
    }

    fn refresh(
        &self,
        index: &mut Index,
        repository: &RepositoryName,
        links: &Links,
        manifests: &Manifests,
    ) -> Result<(), StoreError> {
        let below = self.layout.revisions(repository);
        let read_at = self.clock.now();
        let cannot = "the manifests of a repository cannot be listed";
        let mut stamps = Vec::new();
        let algorithms =
            registry_core::Algorithm::ALL.map(|algorithm| below.join(algorithm.as_str()));
        for path in algorithms.iter().chain([&below]) {
            stamps.extend(stamp(path).map_err(failed(cannot))?);
        }
        let mut unread = std::mem::take(&mut index.without);
        if index.seen.as_ref() != Some(&stamps) {
            walk::entries(&below).map_err(failed(cannot))?;
            unread = walk::digests(&below);
            unread.retain(|digest| !index.read.contains_key(digest));
            let tells = stamps.iter().all(|stamp| stamp.tells(read_at));
            index.seen = tells.then_some(stamps);
        }
        for digest in unread {
            let manifest = match links.read(&self.layout.revision(repository, &digest)) {
                Ok(Some(target)) => manifests.read(&digest, &target),
                Ok(None) => Ok(None),
                Err(error) => Err(error),
            };
            match manifest {
                Ok(Some(manifest)) => {
                    let referrer = manifests::referrer(&manifest);
                    let subject = referrer.as_ref().map(|(subject, _)| subject.clone());
                    index.read.insert(digest.clone(), subject);
                    if let Some((subject, descriptor)) = referrer {
                        let referrers = index.referrers.entry(subject).or_default();
                        referrers.insert(digest, descriptor);
                    }
                }
                Ok(None) => index.without.push(digest),
                Err(error) => {
                    tracing::warn!(%repository, %digest, %error, "a manifest is skipped");
                    index.without.push(digest);
                }
            }
        }
        Ok(())
    }
}
