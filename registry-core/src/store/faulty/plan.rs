//! What goes wrong, and when.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::StoreErrorKind;
use crate::store::pace::Chance;

/// A method of either half of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Op {
    /// [`BlobStore::abort_upload`](crate::store::BlobStore::abort_upload)
    AbortUpload,
    /// [`BlobStore::begin_upload`](crate::store::BlobStore::begin_upload)
    BeginUpload,
    /// [`MetadataStore::blob_link`](crate::store::MetadataStore::blob_link)
    BlobLink,
    /// [`BlobStore::check`](crate::store::BlobStore::check)
    CheckBlobs,
    /// [`MetadataStore::check`](crate::store::MetadataStore::check)
    CheckRecords,
    /// [`BlobStore::commit_upload`](crate::store::BlobStore::commit_upload)
    CommitUpload,
    /// [`BlobStore::delete`](crate::store::BlobStore::delete)
    DeleteBlob,
    /// [`MetadataStore::delete_manifest`](crate::store::MetadataStore::delete_manifest)
    DeleteManifest,
    /// [`MetadataStore::delete_tag`](crate::store::MetadataStore::delete_tag)
    DeleteTag,
    /// [`BlobStore::digest_upload`](crate::store::BlobStore::digest_upload)
    DigestUpload,
    /// [`MetadataStore::link_blob`](crate::store::MetadataStore::link_blob)
    LinkBlob,
    /// [`BlobStore::list`](crate::store::BlobStore::list)
    ListBlobs,
    /// [`BlobStore::list_uploads`](crate::store::BlobStore::list_uploads)
    ListUploads,
    /// [`MetadataStore::live_digests`](crate::store::MetadataStore::live_digests)
    LiveDigests,
    /// [`BlobStore::location`](crate::store::BlobStore::location)
    Location,
    /// [`MetadataStore::manifest`](crate::store::MetadataStore::manifest)
    Manifest,
    /// [`BlobStore::open`](crate::store::BlobStore::open); a cut one is a source that ends early.
    OpenBlob,
    /// [`MetadataStore::put_manifest`](crate::store::MetadataStore::put_manifest)
    PutManifest,
    /// [`MetadataStore::referrers`](crate::store::MetadataStore::referrers)
    Referrers,
    /// [`MetadataStore::repositories`](crate::store::MetadataStore::repositories)
    Repositories,
    /// [`MetadataStore::repository_exists`](crate::store::MetadataStore::repository_exists)
    RepositoryExists,
    /// [`BlobStore::stat`](crate::store::BlobStore::stat)
    StatBlob,
    /// [`MetadataStore::tag`](crate::store::MetadataStore::tag)
    Tag,
    /// [`MetadataStore::tags`](crate::store::MetadataStore::tags)
    Tags,
    /// [`MetadataStore::unlink_blob`](crate::store::MetadataStore::unlink_blob)
    UnlinkBlob,
    /// [`BlobStore::upload`](crate::store::BlobStore::upload)
    Upload,
    /// [`BlobStore::write_upload`](crate::store::BlobStore::write_upload); a cut one is a body that
    /// ends early, as by a client that goes away.
    WriteUpload,
}

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The body, the source or the listing ends by an error after that many bytes or entries. Calls
    /// that have none of them go right.
    Cut(u64),
    /// The call is dropped after that many polls, and answers
    /// [`Unavailable`](StoreErrorKind::Unavailable); one that is done by then goes right.
    Drop(usize),
    /// The call is not made, and answers such an error.
    Fail(StoreErrorKind),
    /// The call is made, its answer is lost, and such an error comes instead.
    Lose(StoreErrorKind),
}

/// How likely each fault is, in calls of a thousand, where chance decides.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Odds {
    /// [`Fault::Cut`].
    pub cut: u64,
    /// [`Fault::Drop`].
    pub drop: u64,
    /// [`Fault::Fail`].
    pub fail: u64,
    /// [`Fault::Lose`].
    pub lose: u64,
    /// A call that is late.
    pub late: u64,
    /// The most times that a late call gives way.
    pub delay: u64,
    /// The calls that this is about. None is all of them.
    pub ops: BTreeSet<Op>,
}

impl Odds {
    /// Every call goes right.
    pub fn never() -> Self {
        Self {
            cut: 0,
            drop: 0,
            fail: 0,
            lose: 0,
            late: 0,
            delay: 0,
            ops: BTreeSet::new(),
        }
    }

    /// Every call goes right, but half of them give way up to `delay` times before.
    pub fn late(delay: u64) -> Self {
        Self {
            late: 500,
            delay,
            ..Self::never()
        }
    }

    /// Of a thousand calls so many go wrong in each way, and half give way up to four times.
    pub fn each(permille: u64) -> Self {
        Self {
            cut: permille,
            drop: permille,
            fail: permille,
            lose: permille,
            ..Self::late(4)
        }
    }

    /// Only these calls.
    #[must_use]
    pub fn only(self, ops: impl IntoIterator<Item = Op>) -> Self {
        Self {
            ops: ops.into_iter().collect(),
            ..self
        }
    }
}

/// What goes wrong. Clones share it, and the halves of one store may, too.
#[derive(Clone)]
pub struct Faults(Arc<Mutex<Plan>>);

struct Plan {
    chance: Chance,
    odds: Odds,
    /// How often each call was made.
    counts: BTreeMap<Op, u64>,
    /// What was said about the call of that number.
    said: BTreeMap<(Op, u64), Fault>,
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decision {
    /// How often it gives way first.
    pub(super) delay: u64,
    /// What goes wrong.
    pub(super) fault: Option<Fault>,
}

impl Faults {
    /// Nothing goes wrong until something is said.
    pub fn none() -> Self {
        Self::seeded(0, Odds::never())
    }

    /// What goes wrong is chance, from a seed.
    pub fn seeded(seed: u64, odds: Odds) -> Self {
        Self(Arc::new(Mutex::new(Plan {
            chance: Chance::new(seed),
            odds,
            counts: BTreeMap::new(),
            said: BTreeMap::new(),
        })))
    }

    /// The next `times` calls of `op` go wrong so.
    pub fn next(&self, op: Op, times: u64, fault: Fault) {
        let mut plan = self.plan();
        let made = plan.counts.get(&op).copied().unwrap_or(0);
        let calls = made + 1..=made + times;
        plan.said.extend(calls.map(|call| ((op, call), fault)));
    }

    /// The `n`th call of `op` goes wrong so, counted from 1 and from the beginning.
    pub fn nth(&self, op: Op, n: u64, fault: Fault) {
        self.plan().said.insert((op, n), fault);
    }

    /// From here on everything goes right. The calls go on being counted.
    pub fn heal(&self) {
        let mut plan = self.plan();
        plan.odds = Odds::never();
        plan.said.clear();
    }

    /// How often `op` was called.
    pub fn count(&self, op: Op) -> u64 {
        self.plan().counts.get(&op).copied().unwrap_or(0)
    }

    /// Counts a call and decides on it.
    pub(super) fn decide(&self, op: Op) -> Decision {
        let mut plan = self.plan();
        let count = plan.counts.entry(op).or_default();
        *count += 1;
        let said = (op, *count);
        let fault = plan.said.remove(&said);
        let (delay, chance) = plan.draw(op);
        Decision {
            delay,
            fault: fault.or(chance),
        }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plan {
    /// What chance says. It is asked the same number of times whatever the answer.
    fn draw(&mut self, op: Op) -> (u64, Option<Fault>) {
        let [late, delay, which, kind, amount] =
            [1_000, self.odds.delay + 1, 1_000, 3, 1 << 17].map(|bound| self.chance.below(bound));
        let odds = &self.odds;
        if !odds.ops.is_empty() && !odds.ops.contains(&op) {
            return (0, None);
        }
        let kind = match kind {
            0 => StoreErrorKind::Unavailable,
            1 => StoreErrorKind::Full,
            _ => StoreErrorKind::Other,
        };
        let polls = usize::try_from(amount % 8).unwrap_or(0);
        let faults = [
            (odds.cut, Fault::Cut(amount)),
            (odds.drop, Fault::Drop(polls)),
            (odds.fail, Fault::Fail(kind)),
            (odds.lose, Fault::Lose(kind)),
        ];
        let mut before = 0;
        let fault = faults.into_iter().find_map(|(permille, fault)| {
            before += permille;
            (which < before).then_some(fault)
        });
        (if late < odds.late { delay } else { 0 }, fault)
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.plan();
        f.debug_struct("Faults")
            .field("odds", &plan.odds)
            .field("said", &plan.said)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_decides_the_same() {
        let run = |seed| {
            let faults = Faults::seeded(seed, Odds::each(100));
            let decide = |_| {
                let decision = faults.decide(Op::Tag);
                (decision.delay, decision.fault)
            };
            (0..200).map(decide).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let wrong = run(7).iter().filter(|(_, fault)| fault.is_some()).count();
        assert!(
            (50..110).contains(&wrong),
            "{wrong} of 200 at four times 10 %"
        );
    }

    #[test]
    fn what_was_said_happens_once() {
        let faults = Faults::none();
        let fail = Fault::Fail(StoreErrorKind::Full);
        faults.next(Op::Tag, 2, fail);
        faults.nth(Op::Tags, 2, Fault::Cut(1));
        let decide = |op| faults.decide(op).fault;
        assert_eq!([Op::Tag; 3].map(decide), [Some(fail), Some(fail), None]);
        assert_eq!([Op::Tags; 3].map(decide), [None, Some(Fault::Cut(1)), None]);
        faults.next(Op::Tag, 1, fail);
        faults.heal();
        assert_eq!((decide(Op::Tag), faults.count(Op::Tag)), (None, 4));
    }
}
