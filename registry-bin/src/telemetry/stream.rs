//! A log with a thread that writes it, so that nothing else ever waits for whoever reads it.

use std::{
    fmt, io, mem,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tracing_subscriber::fmt::MakeWriter;

use super::{
    queue::{Note, Queue},
    sink::{OpenError, Sink},
};

/// The most bytes of lines that wait for the reader of a log. What comes beyond is lost, and counted.
const WAITING: usize = 4 * 1024 * 1024;

/// How soon after the last line the next is awaited by a clock. To be woken for each costs as much
/// as to write it; when this long no line came, the next is written at once.
const PAUSE: Duration = Duration::from_millis(1);

/// One log. Clones are the same log; its thread lives as long as the process.
#[derive(Clone)]
pub(super) struct Stream(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// There is a line to write.
    pushed: Condvar,
    /// There is none left.
    written: Condvar,
    /// The file, if it is one that can be opened again.
    path: Option<PathBuf>,
}

struct State {
    queue: Queue,
    /// What is to be written to from the next block on.
    next: Option<Sink>,
    /// Whether the writer sleeps.
    idle: bool,
    /// Whether somebody waits until it does, or until it has written more.
    flushing: bool,
    /// How many blocks were written, or could not be.
    done: u64,
}

impl Stream {
    /// Starts a log: to the file at `path`, which can be opened again, or else to `sink`.
    pub(super) fn start(sink: Sink, path: Option<PathBuf>, note: Note) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                queue: Queue::new(WAITING, note),
                next: None,
                idle: false,
                flushing: false,
                done: 0,
            }),
            pushed: Condvar::new(),
            written: Condvar::new(),
            path,
        });
        let writer = Arc::clone(&shared);
        let thread = thread::Builder::new().name("log".to_owned());
        drop(thread.spawn(move || writer.write(sink))?);
        Ok(Self(shared))
    }

    /// Adds a line, which ends with a line break. It never waits for the reader.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.0.state();
        state.queue.push(line);
        // A writer that is awake looks for more by itself.
        if state.idle {
            state.idle = false;
            drop(state);
            self.0.pushed.notify_one();
        }
    }

    /// Opens the file again, if it is one. When that fails the old one stays.
    pub(super) fn reopen(&self) -> Result<(), OpenError> {
        if let Some(path) = &self.0.path {
            let sink = Sink::file(path)?;
            self.0.state().next = Some(sink);
        }
        Ok(())
    }

    /// Waits until everything is written: at most until `end`, and no longer than `patience` while
    /// nothing can be written.
    pub(super) fn flush(&self, patience: Duration, end: Instant) {
        let mut state = self.0.state();
        let (mut done, mut since) = (state.done, Instant::now());
        while !state.queue.is_empty() {
            if state.done != done {
                (done, since) = (state.done, Instant::now());
            }
            let until = end.min(since + patience);
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state.flushing = true;
            let waited = self.0.written.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what comes, for ever.
    fn write(&self, mut sink: Sink) {
        let mut state = self.state();
        let mut paused = true;
        loop {
            let block = state.queue.take();
            if mem::take(&mut state.flushing) {
                self.written.notify_all();
            }
            let Some(block) = block else {
                if !paused {
                    drop(state);
                    thread::sleep(PAUSE);
                    paused = true;
                    state = self.state();
                    continue;
                }
                state.idle = true;
                while state.idle {
                    let woken = self.pushed.wait(state);
                    state = woken.unwrap_or_else(PoisonError::into_inner);
                }
                continue;
            };
            paused = false;
            let next = state.next.take();
            drop(state);
            // Here alone somebody waits for the reader, or for the disk.
            sink = next.unwrap_or(sink);
            let written = sink.write(&block.bytes);
            state = self.state();
            state.done += 1;
            if let Err(written) = written {
                state.queue.failed(&block, written);
            }
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stream").field(&self.0.path).finish()
    }
}

/// An event of the application log is formatted first, and then written at once.
impl io::Write for &Stream {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Stream {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{PipeReader, Read as _},
        os::fd::AsFd as _,
    };

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn note() -> Note {
        Box::new(|lost| format!("lost {lost}"))
    }

    fn pipe() -> (PipeReader, Stream) {
        let (reader, writer) = io::pipe().expect("there are descriptors");
        let sink = Sink::stream(writer.as_fd()).expect("there are descriptors");
        let stream = Stream::start(sink, None, note()).expect("there are threads");
        (reader, stream)
    }

    #[test]
    fn a_line_is_there_at_once() {
        let (mut reader, stream) = pipe();
        for line in [b"one\n", b"two\n"] {
            stream.push(line);
            let mut read = [0; 4];
            reader.read_exact(&mut read).expect("it is written");
            assert_eq!(&read, line);
        }
    }

    #[test]
    fn a_reader_that_reads_nothing_holds_nobody_up_and_learns_what_it_missed() {
        let (mut reader, stream) = pipe();
        let line = [[b'x'; 1023].as_slice(), b"\n"].concat();
        let pushed = 2 * WAITING / line.len();
        for _ in 0..pushed {
            stream.push(&line);
        }
        stream.flush(PATIENCE, Instant::now());
        let (mut read, mut lines, mut lost) = (Vec::new(), 0, 0);
        let mut buffer = vec![0; 64 * 1024];
        while lines + lost < pushed {
            let length = reader.read(&mut buffer).expect("it is a pipe");
            assert_ne!(length, 0, "the stream is open");
            read.extend_from_slice(&buffer[..length]);
            let text = String::from_utf8_lossy(&read);
            lines = text.lines().filter(|line| line.len() == 1023).count();
            let notes = text.lines().filter_map(|line| line.strip_prefix("lost "));
            lost = notes.filter_map(|lost| lost.parse::<usize>().ok()).sum();
        }
        assert_eq!(lines + lost, pushed);
        assert!(lost > 0 && lines * line.len() >= WAITING - line.len());
    }

    #[test]
    fn who_reads_slowly_is_waited_for_and_who_does_not_read_is_not() {
        let (mut reader, stream) = pipe();
        let line = [[b'x'; 64 * 1024 - 1].as_slice(), b"\n"].concat();
        // Of what waits, a pipe holds one such line.
        (0..8).for_each(|_| stream.push(&line));
        let patience = Duration::from_millis(20);
        let begun = Instant::now();
        stream.flush(patience, begun + PATIENCE);
        assert!(begun.elapsed() < PATIENCE, "nobody reads");
        let flushing = thread::spawn(move || {
            stream.flush(PATIENCE, Instant::now() + PATIENCE);
            stream.0.state().queue.is_empty()
        });
        let mut read = vec![0; line.len()];
        for number in 0..8 {
            reader.read_exact(&mut read).expect("it is written");
            assert!(read == line, "{number}");
        }
        assert!(flushing.join().expect("it waits"));
    }

    #[test]
    fn a_file_that_is_opened_again_is_another() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let (path, old) = (directory.path().join("log"), directory.path().join("log.1"));
        let sink = Sink::file(&path).expect("the directory can be written");
        let stream = Stream::start(sink, Some(path.clone()), note()).expect("there are threads");
        let flush = || stream.flush(PATIENCE, Instant::now() + PATIENCE);
        stream.push(b"one\n");
        flush();
        fs::rename(&path, &old).expect("it is there");
        stream.push(b"two\n");
        flush();
        stream.reopen().expect("the directory can be written");
        stream.push(b"three\n");
        flush();
        drop(fs::remove_file(&path));
        fs::create_dir(&path).expect("the name is free");
        stream.reopen().expect_err("it is a directory");
        let text = fs::read_to_string(&old).expect("it was written");
        assert_eq!(text, "one\ntwo\n");
    }
}
