//! Whether this registry is well: what is checked, and what follows when it is not.
//!
//! The storage is asked at intervals. When it failed several times in a row, requests are answered
//! 503 until it passes once, as Distribution does; so they are while somebody says by hand that the
//! registry is down.

mod endpoint;
mod poll;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use registry_core::{Error, ErrorCode};
use tracing::{debug, error, info, warn};

pub use self::{endpoint::HealthService, poll::poll};

/// What the check that is made by hand is called, as in Distribution.
const MANUAL: &str = "manual_http_status";

/// The state of health of a registry. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    storage: Option<Check>,
    down: bool,
}

#[derive(Debug)]
struct Check {
    name: String,
    threshold: usize,
    failures: usize,
    last: String,
}

impl Check {
    fn fails(&self) -> bool {
        self.failures > 0 && self.failures >= self.threshold
    }
}

impl Health {
    /// A registry that is well until somebody says otherwise.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the outcomes of checks of the storage. `driver` is its name in the configuration; at
    /// `threshold` failures in a row it fails, and at the first one if that is 0.
    pub fn with_storage(driver: &str, threshold: usize) -> Self {
        let storage = Some(Check {
            name: format!("storagedriver_{driver}"),
            threshold,
            failures: 0,
            last: String::new(),
        });
        Self(Arc::new(Mutex::new(State {
            storage,
            down: false,
        })))
    }

    /// Lets a request in.
    ///
    /// # Errors
    ///
    /// `Unavailable` while something fails.
    pub fn admit(&self) -> Result<(), Error> {
        let state = self.state();
        if !state.down && !state.storage.as_ref().is_some_and(Check::fails) {
            return Ok(());
        }
        let error = Error::new(ErrorCode::Unavailable, "this registry is not well");
        Err(error.detail("a health check failed: the debug address says which, at /debug/health"))
    }

    /// The checks that fail, each with what is wrong.
    pub fn failing(&self) -> BTreeMap<String, String> {
        let state = self.state();
        let storage = state.storage.iter().filter(|check| check.fails());
        let mut failing: BTreeMap<_, _> = storage
            .map(|check| (check.name.clone(), check.last.clone()))
            .collect();
        if state.down {
            failing.insert(MANUAL.to_owned(), "said to be down by hand".to_owned());
        }
        failing
    }

    /// Says by hand whether the registry is down.
    pub fn set_down(&self, down: bool) {
        let before = std::mem::replace(&mut self.state().down, down);
        match (before, down) {
            (false, true) => warn!("health: said to be down by hand, requests are answered 503"),
            (true, false) => info!("health: said to be up by hand"),
            (false, false) | (true, true) => {}
        }
    }

    /// Takes in the outcome of a check of the storage, and logs what it changes.
    fn record(&self, outcome: Result<(), String>) {
        let mut state = self.state();
        let Some(check) = &mut state.storage else {
            return;
        };
        let failed = check.fails();
        match outcome {
            Ok(()) => {
                if failed {
                    info!("health: the storage answers again, requests are served");
                }
                check.failures = 0;
            }
            Err(why) => {
                check.failures = check.failures.saturating_add(1);
                let (count, threshold) = (check.failures, check.threshold.max(1));
                match (failed, check.fails()) {
                    (false, true) => error!(
                        why,
                        "health: the storage failed {count} checks in a row, requests are answered \
                         503 until it passes one"
                    ),
                    (false, false) => warn!(
                        why,
                        "health: the storage failed a check, {count} of {threshold} in a row"
                    ),
                    (true, _) => debug!(why, "health: the storage still fails"),
                }
                check.last = why;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fails_at_the_threshold_and_is_well_after_one_success() {
        let bad = || Err("no disk".to_owned());
        for (threshold, outcomes, well) in [
            (3, vec![], true),
            (3, vec![bad(), bad()], true),
            (3, vec![bad(), bad(), bad()], false),
            (3, vec![bad(), bad(), Ok(()), bad(), bad()], true),
            (3, vec![bad(), bad(), bad(), bad(), Ok(())], true),
            (1, vec![bad()], false),
            (0, vec![bad()], false),
            (0, vec![], true),
        ] {
            let health = Health::with_storage("filesystem", threshold);
            let shown = format!("{threshold} {outcomes:?}");
            outcomes.into_iter().for_each(|o| health.record(o));
            assert_eq!(health.admit().is_ok(), well, "{shown}");
            let failing: Vec<_> = health.failing().into_iter().collect();
            let expected = ("storagedriver_filesystem".to_owned(), "no disk".to_owned());
            assert_eq!(
                failing,
                Vec::from_iter((!well).then_some(expected)),
                "{shown}"
            );
        }
    }

    #[test]
    fn it_is_down_while_somebody_says_so() {
        let health = Health::new();
        health.record(Err("of what is not checked".to_owned()));
        assert!(health.admit().is_ok());
        health.clone().set_down(true);
        let error = health.admit().expect_err("it is down");
        assert_eq!(error.code(), ErrorCode::Unavailable);
        assert_eq!(health.failing().into_keys().collect::<Vec<_>>(), [MANUAL]);
        health.set_down(false);
        assert!(health.admit().is_ok() && health.failing().is_empty());
    }
}
