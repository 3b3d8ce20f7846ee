//! Asking the storage again and again.

use std::{pin::pin, sync::Arc, time::Duration};

use registry_core::{runtime::Runtime, store::StoreError};

use super::Health;
use crate::causes;

/// Asks the storage by `check` after each `interval`, and records in `health` what it says. It never
/// returns.
///
/// A check that takes longer than an interval counts as failed, once for each interval; no other one
/// is begun meanwhile, so a disk that hangs holds one thread and not all of them.
pub async fn poll<F>(
    health: Health,
    interval: Duration,
    runtime: Arc<dyn Runtime>,
    mut check: impl FnMut() -> F,
) where
    F: Future<Output = Result<(), StoreError>>,
{
    loop {
        runtime.sleep(interval).await;
        let mut asked = pin!(check());
        loop {
            tokio::select! {
                biased;
                outcome = &mut asked => {
                    health.record(outcome.map_err(|error| causes::on_a_line(&error)));
                    break;
                }
                () = runtime.sleep(interval) => {
                    health.record(Err(format!("no answer within {interval:?}")));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, future, sync::Mutex};

    use futures_core::future::BoxFuture;
    use registry_core::runtime::TokioRuntime;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    type Outcome = BoxFuture<'static, Result<(), StoreError>>;

    fn ends(outcome: Result<(), StoreError>) -> Outcome {
        Box::pin(future::ready(outcome))
    }

    /// Runs through the outcomes, one for each check, and tells after each interval whether all is
    /// well.
    async fn course(threshold: usize, outcomes: Vec<Outcome>, intervals: u32) -> Vec<bool> {
        let health = Health::with_storage("test", threshold);
        let outcomes = Mutex::new(VecDeque::from(outcomes));
        let next = || outcomes.lock().expect("no thread panicked").pop_front();
        let check = || next().unwrap_or_else(|| Box::pin(future::pending()));
        let polling = poll(health.clone(), INTERVAL, Arc::new(TokioRuntime), check);
        let watching = async {
            let mut well = Vec::new();
            tokio::time::sleep(INTERVAL / 2).await;
            for _ in 0..intervals {
                tokio::time::sleep(INTERVAL).await;
                well.push(health.admit().is_ok());
            }
            well
        };
        tokio::select! {
            () = polling => panic!("it ended"),
            well = watching => well,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_interval_is_one_check() {
        let bad = || ends(Err(StoreError::unavailable("away")));
        let good = || ends(Ok(()));
        let outcomes = vec![bad(), bad(), bad(), good(), bad()];
        let well = course(3, outcomes, 5).await;
        assert_eq!(well, [true, true, false, true, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_fails_until_it_ends() {
        let slow = Box::pin(async {
            tokio::time::sleep(INTERVAL * 4).await;
            Ok(())
        });
        // The first interval has no check yet; the second and the third find it hanging.
        let well = course(2, vec![slow, ends(Ok(()))], 6).await;
        assert_eq!(well, [true, true, false, false, true, true]);
    }
}
