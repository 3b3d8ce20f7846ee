//! What runs beside the requests is kept running.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_core::future::BoxFuture;
use futures_util::FutureExt as _;
use registry_core::runtime::Runtime;
use tracing::error;

/// How long to wait before something begins again. What fails each time at once then says so no more
/// often than this.
const PAUSE: Duration = Duration::from_secs(5);

/// Runs `task`, which is not to end, over `state`. When it does end, by a panic as well, that is logged
/// as of `what`, and it begins again after a pause. It never returns.
///
/// The state outlives a panic, so no step of the task may leave it half-way.
pub async fn keep_running<S: Send>(
    what: &str,
    runtime: Arc<dyn Runtime>,
    mut state: S,
    mut task: impl for<'a> FnMut(&'a mut S) -> BoxFuture<'a, ()> + Send,
) {
    loop {
        let run = async { task(&mut state).await };
        let why = match AssertUnwindSafe(run).catch_unwind().await {
            Ok(()) => "it returned".to_owned(),
            Err(panicked) => format!("it panicked: {}", words(&*panicked)),
        };
        error!(
            why,
            "{what} ended, which it never should; it begins again in {PAUSE:?}"
        );
        runtime.sleep(PAUSE).await;
    }
}

/// What a panic said.
fn words(panicked: &(dyn Any + Send)) -> &str {
    match (
        panicked.downcast_ref::<&str>(),
        panicked.downcast_ref::<String>(),
    ) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "nothing",
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Mutex, PoisonError},
    };

    use registry_core::runtime::TokioRuntime;
    use tokio::time::{Instant, timeout};

    use super::*;

    /// A log that is kept.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_panics_is_told_of_and_begins_again() {
        let kept = Kept::default();
        let log = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || log.clone())
            .with_ansi(false)
            .finish();
        let _log = tracing::subscriber::set_default(subscriber);
        let begun = Instant::now();
        let runs = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&runs);
        let runtime = Arc::new(TokioRuntime);
        let kept_running = keep_running("the test", runtime, 0, |count| {
            noted.lock().expect("no note panics").push(begun.elapsed());
            Box::pin(async move {
                *count += 1;
                match count {
                    1 => panic!("the first"),
                    2 => panic!("number {count}"),
                    3 => {}
                    _ => std::future::pending().await,
                }
            })
        });
        let never = timeout(PAUSE * 10, kept_running).await;
        never.expect_err("it never ends");
        let runs = runs.lock().expect("no note panics").clone();
        assert_eq!(runs, [Duration::ZERO, PAUSE, PAUSE * 2, PAUSE * 3]);
        let said = kept.0.lock().expect("no line panics").clone();
        let said = String::from_utf8(said).expect("it is text");
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines.len(), 3, "{said}");
        for (line, why) in
            lines
                .iter()
                .zip(["panicked: the first", "panicked: number 2", "returned"])
        {
            assert!(
                line.contains("ERROR") && line.contains("the test ended"),
                "{line}"
            );
            assert!(line.contains(why), "{line}");
        }
    }
}
