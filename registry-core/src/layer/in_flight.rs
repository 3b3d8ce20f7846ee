//! Which manifests are being tagged immutably, and which deleted, right now.
//!
//! The two exclude each other. Nobody waits: whoever comes second is told to come again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{
    digest::Digest,
    error::{Error, ErrorCode, Result},
    name::RepositoryName,
};

/// When it is worth trying again: both take no longer than a store's few steps.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is under way: how many pushes (above 0) or deletes (below 0) of each manifest.
#[derive(Debug, Default)]
pub(super) struct InFlight(Mutex<HashMap<(RepositoryName, Digest), isize>>);

impl InFlight {
    /// A push begins; it ends when the answer is dropped.
    pub(super) fn push(&self, repository: &RepositoryName, digest: &Digest) -> Result<Guard<'_>> {
        self.begin(repository, digest, 1)
    }

    /// A delete begins; it ends when the answer is dropped.
    pub(super) fn delete(&self, repository: &RepositoryName, digest: &Digest) -> Result<Guard<'_>> {
        self.begin(repository, digest, -1)
    }

    fn begin(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        step: isize,
    ) -> Result<Guard<'_>> {
        let key = (repository.clone(), digest.clone());
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&key).copied().unwrap_or(0);
        if count * step < 0 {
            let message = "the manifest is being pushed and deleted at the same time";
            return Err(Error::new(ErrorCode::Unavailable, message).retry_after(RETRY_AFTER));
        }
        counts.insert(key.clone(), count + step);
        drop(counts);
        Ok(Guard {
            in_flight: self,
            key,
            step,
        })
    }
}

/// A push or a delete under way.
#[derive(Debug)]
pub(super) struct Guard<'a> {
    in_flight: &'a InFlight,
    key: (RepositoryName, Digest),
    step: isize,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let counts = self.in_flight.0.lock();
        let mut counts = counts.unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= self.step;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_and_deletes_exclude_each_other() {
        let repository = RepositoryName::parse("a").unwrap();
        let digest = crate::Algorithm::Sha256.digest(b"x");
        let in_flight = InFlight::default();
        let first = in_flight.push(&repository, &digest).unwrap();
        let second = in_flight.push(&repository, &digest).unwrap();
        drop(first);
        assert!(in_flight.delete(&repository, &digest).is_err());
        drop(second);
        let deleting = in_flight.delete(&repository, &digest).unwrap();
        assert!(in_flight.push(&repository, &digest).is_err());
        drop(deleting);
        assert!(in_flight.0.lock().unwrap().is_empty());
    }
}
