//! Which repositories were lately seen linking a digest: what a mount without a source can try.
//!
//! A bounded memory of two generations: when the young one is full it becomes the old one, and what
//! was old is forgotten. Nothing in it is believed: a link is looked up again before it is used.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, PoisonError},
};

use crate::{digest::Digest, name::RepositoryName};

/// The most digests in a generation. With names of 255 bytes both hold 4 MiB.
const GENERATION: usize = 2048;

/// The most repositories that are kept for a digest.
const REPOSITORIES: usize = 4;

/// What was lately seen, newest first.
#[derive(Debug, Default)]
pub(super) struct Sightings(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Digest, Vec<RepositoryName>>,
    old: HashMap<Digest, Vec<RepositoryName>>,
}

impl Sightings {
    /// Notes that `repository` links `digest`.
    pub(super) fn note(&self, digest: &Digest, repository: &RepositoryName) {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = generations.young.get_mut(digest) {
            return remember(seen, repository);
        }
        let mut seen = generations.old.remove(digest).unwrap_or_default();
        remember(&mut seen, repository);
        if generations.young.len() >= GENERATION {
            generations.old = mem::take(&mut generations.young);
        }
        generations.young.insert(digest.clone(), seen);
    }

    /// Forgets that `repository` links `digest`.
    pub(super) fn forget(&self, digest: &Digest, repository: &RepositoryName) {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Generations { young, old } = &mut *generations;
        for generation in [young, old] {
            if let Some(seen) = generation.get_mut(digest) {
                seen.retain(|name| name != repository);
            }
        }
    }

    /// The repositories lately seen linking `digest`.
    pub(super) fn of(&self, digest: &Digest) -> Vec<RepositoryName> {
        let generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = generations.young.get(digest);
        let found = found.or_else(|| generations.old.get(digest));
        found.cloned().unwrap_or_default()
    }
}

fn remember(seen: &mut Vec<RepositoryName>, repository: &RepositoryName) {
    if seen.first() == Some(repository) {
        return;
    }
    seen.retain(|name| name != repository);
    seen.insert(0, repository.clone());
    seen.truncate(REPOSITORIES);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Algorithm;

    fn name(text: &str) -> RepositoryName {
        RepositoryName::parse(text).unwrap()
    }

    #[test]
    fn the_newest_come_first_and_few_are_kept() {
        let (sightings, digest) = (Sightings::default(), Algorithm::Sha256.digest(b"x"));
        for repository in ["a", "b", "c", "d", "e", "b"] {
            sightings.note(&digest, &name(repository));
        }
        assert_eq!(sightings.of(&digest), ["b", "e", "d", "c"].map(name));
        sightings.forget(&digest, &name("e"));
        assert_eq!(sightings.of(&digest), ["b", "d", "c"].map(name));
    }

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let (sightings, used) = (Sightings::default(), Algorithm::Sha256.digest(b"used"));
        for i in 0..3 * GENERATION {
            if i % 1000 == 0 {
                sightings.note(&used, &name("a"));
            }
            sightings.note(&Algorithm::Sha256.digest(&i.to_be_bytes()), &name("a"));
        }
        let generations = sightings.0.lock().unwrap();
        assert!(generations.young.len() <= GENERATION && generations.old.len() <= GENERATION);
        drop(generations);
        assert_eq!(sightings.of(&used), [name("a")]);
        assert!(
            sightings
                .of(&Algorithm::Sha256.digest(&0_usize.to_be_bytes()))
                .is_empty()
        );
    }
}
