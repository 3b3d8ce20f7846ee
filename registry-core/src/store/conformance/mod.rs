//! The suite that every store passes: one rule for each sentence of the contracts in
//! [`store`](super) that can be seen from outside.
//!
//! Each rule runs twice: with everything on one instance, and with one instance that writes and
//! another, on the same data, that reads or competes. What a rule cannot see from outside is not in
//! it: that `Ok` survives the loss of power, and what happens to damaged records. Test those with
//! your store.
//!
//! The suite needs no runtime of its own: rules run on whichever executor calls them. Concurrency is
//! futures that are joined, so a store that works on threads gets real races, and one that does not
//! gets every interleaving that its awaits allow; wrap it in [`faulty`](super::faulty) delays for
//! more of them.
//!
//! # Example
//!
//! ```
//! use async_trait::async_trait;
//! use registry_core::store::conformance::{self, Stores, Subject};
//! # use registry_core::store::{BlobStore, MetadataStore};
//! # use std::sync::Arc;
//! # struct MyStore;
//! # impl MyStore {
//! #     fn empty() -> Self { Self }
//! #     fn blobs(&self) -> Arc<dyn BlobStore> { unimplemented!() }
//! #     fn metadata(&self) -> Arc<dyn MetadataStore> { unimplemented!() }
//! # }
//!
//! struct MySubject;
//!
//! #[async_trait]
//! impl Subject for MySubject {
//!     async fn fresh(&self) -> (Stores, Stores) {
//!         let store = MyStore::empty();
//!         let stores = Stores::new(store.blobs(), store.metadata());
//!         (stores.clone(), stores)
//!     }
//! }
//!
//! # #[expect(dead_code, reason = "a test is not run here")]
//! async fn my_store_keeps_the_contracts() {
//!     conformance::run(&MySubject).await.assert();
//! }
//! ```

mod bench;
mod blobs;
mod bodies;
mod catalog;
mod dropped;
mod manifests;
mod races;
mod referrers;
mod tags;
mod uploads;
mod writers;

use std::{any::Any, fmt, sync::Arc};

use async_trait::async_trait;
use futures_core::future::BoxFuture;

use self::bench::{Bench, Fault};
use super::{BlobStore, MetadataStore};

/// Both halves of an instance.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stores {
    /// The half that keeps blobs.
    pub blobs: Arc<dyn BlobStore>,
    /// The half that keeps manifests, tags and links.
    pub metadata: Arc<dyn MetadataStore>,
    _guard: Option<Arc<dyn Any + Send + Sync>>,
}

impl Stores {
    /// An instance.
    pub fn new(blobs: Arc<dyn BlobStore>, metadata: Arc<dyn MetadataStore>) -> Self {
        Self {
            blobs,
            metadata,
            _guard: None,
        }
    }

    /// Keeps `guard`, such as a temporary directory, as long as the instance.
    #[must_use]
    pub fn keeping(self, guard: Arc<dyn Any + Send + Sync>) -> Self {
        Self {
            _guard: Some(guard),
            ..self
        }
    }
}

/// What is tested.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Two instances on the same, empty data; the same one twice where a store has only one. Called
    /// for each rule, so that rules do not see each other.
    async fn fresh(&self) -> (Stores, Stores);
}

/// A sentence of the contracts, and how it is checked.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Rule {
    /// A short name, fit for a test.
    pub name: &'static str,
    /// The sentence.
    pub sentence: &'static str,
    run: for<'a> fn(&'a Bench) -> BoxFuture<'a, Result<(), Fault>>,
}

/// How many instances a rule runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a third instance shows nothing new"
)]
pub enum Instances {
    /// All on one.
    One,
    /// One writes, another on the same data reads or competes.
    Two,
}

impl Rule {
    /// Checks whether the subject keeps this rule.
    ///
    /// # Errors
    ///
    /// [`Broken`] says what was seen instead.
    pub async fn check(&self, subject: &dyn Subject, instances: Instances) -> Result<(), Broken> {
        let (here, there) = subject.fresh().await;
        let there = match instances {
            Instances::One => here.clone(),
            Instances::Two => there,
        };
        let fault = (self.run)(&Bench { here, there }).await;
        fault.map_err(|fault| Broken {
            rule: *self,
            instances,
            seen: fault.0,
        })
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({})", self.name)
    }
}

/// A rule that the subject does not keep.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Broken {
    /// The rule.
    pub rule: Rule,
    /// Over how many instances.
    pub instances: Instances,
    /// What was seen.
    pub seen: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instances = match self.instances {
            Instances::One => "one instance",
            Instances::Two => "two instances",
        };
        let Rule { name, sentence, .. } = self.rule;
        write!(
            f,
            "{name} ({instances}): {}\n    rule: {sentence}",
            self.seen
        )
    }
}

impl std::error::Error for Broken {}

/// What became of a run.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// How many checks were made.
    pub checks: usize,
    /// Those that failed.
    pub broken: Vec<Broken>,
}

impl Report {
    /// Panics with every broken rule, if there is one: the last line of a test.
    ///
    /// # Panics
    ///
    /// When a rule is broken.
    #[track_caller]
    pub fn assert(&self) {
        assert!(self.broken.is_empty(), "{self}");
    }

    /// Whether the rule of that name was broken.
    pub fn broke(&self, name: &str) -> bool {
        self.broken.iter().any(|broken| broken.rule.name == name)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} checks failed", self.broken.len(), self.checks)?;
        self.broken
            .iter()
            .try_for_each(|broken| write!(f, "\n{broken}"))
    }
}

/// Every rule.
pub fn rules() -> impl Iterator<Item = Rule> {
    [
        blobs::RULES,
        uploads::RULES,
        writers::RULES,
        dropped::RULES,
        manifests::RULES,
        tags::RULES,
        catalog::RULES,
        referrers::RULES,
        races::RULES,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// Checks every rule, over one instance and over two.
pub async fn run(subject: &dyn Subject) -> Report {
    let mut report = Report::default();
    for rule in rules() {
        for instances in [Instances::One, Instances::Two] {
            report.checks += 1;
            report
                .broken
                .extend(rule.check(subject, instances).await.err());
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let names: Vec<_> = rules().map(|rule| rule.name).collect();
        let unique: BTreeSet<_> = names.iter().collect();
        assert_eq!(names.len(), unique.len());
    }
}
