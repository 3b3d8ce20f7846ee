//! What runs beside requests: from time to time, uploads that nobody finishes are purged.

use std::{sync::Arc, time::Duration};

use registry_core::{Entropy, runtime::Runtime};

/// The first run comes within this time, so that registries that start together do not purge
/// together.
const FIRST_RUN_WITHIN: Duration = Duration::from_secs(3600);

/// Runs `work` again and again: at some point of the first hour, or of the first interval if that
/// is shorter, then after each interval. It never returns.
pub async fn every<F>(
    interval: Duration,
    runtime: Arc<dyn Runtime>,
    entropy: &dyn Entropy,
    mut work: impl FnMut() -> F,
) where
    F: Future<Output = ()>,
{
    let mut wait = jitter(entropy, interval.min(FIRST_RUN_WITHIN));
    loop {
        runtime.sleep(wait).await;
        work().await;
        wait = interval;
    }
}

/// Some part of `bound`.
fn jitter(entropy: &dyn Entropy, bound: Duration) -> Duration {
    let hex = entropy.random_hex();
    let number = hex
        .get(..8)
        .and_then(|hex| u32::from_str_radix(hex, 16).ok());
    bound.mul_f64(f64::from(number.unwrap_or(0)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::{future, sync::Mutex};

    use futures_core::future::BoxFuture;
    use registry_core::SystemEntropy;

    use super::*;

    /// Sleeps three times without waiting, then for ever.
    #[derive(Debug, Default)]
    struct Instant(Mutex<Vec<Duration>>);

    impl Runtime for Instant {
        fn spawn(&self, _: BoxFuture<'static, ()>) {}

        fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
            let mut sleeps = self.0.lock().expect("no thread panicked");
            sleeps.push(duration);
            if sleeps.len() > 3 {
                Box::pin(future::pending())
            } else {
                Box::pin(future::ready(()))
            }
        }
    }

    #[tokio::test]
    async fn first_soon_then_regularly() {
        for hours in [1, 24] {
            let interval = Duration::from_secs(hours * 3600);
            let runtime = Arc::new(Instant::default());
            let mut runs = 0;
            let work = || {
                runs += 1;
                future::ready(())
            };
            let port: Arc<dyn Runtime> = Arc::<Instant>::clone(&runtime);
            let endless = every(interval, port, &SystemEntropy, work);
            tokio::select! {
                biased;
                () = endless => panic!("it ended"),
                () = future::ready(()) => {}
            }
            assert_eq!(runs, 3);
            let sleeps = runtime.0.lock().expect("no thread panicked");
            assert!(sleeps[0] <= FIRST_RUN_WITHIN);
            assert_eq!(sleeps[1..], [interval; 3]);
        }
    }
}
