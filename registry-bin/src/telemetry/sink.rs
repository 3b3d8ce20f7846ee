//! Where a log is written to: a stream that the process was started with, or a file.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::fs::OpenOptionsExt as _,
    },
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::fs::OFlags;

/// What a new file may be used for: by its owner, and to read by its group.
const MODE: u32 = 0o640;

/// How long to wait for a pipe that was made non-blocking and has no room.
const PIPE_PAUSE: Duration = Duration::from_millis(10);

/// An open file, or what passes for one.
#[derive(Debug)]
pub(super) struct Sink {
    file: File,
    /// Whether what was written last ends in the middle of a line.
    torn: bool,
}

impl Sink {
    /// A stream of this process. The standard library's locks and buffers are passed by: whoever
    /// else writes to it waits for nothing here.
    pub(super) fn stream(stream: BorrowedFd<'_>) -> io::Result<Self> {
        let file = File::from(stream.try_clone_to_owned()?);
        Ok(Self { file, torn: false })
    }

    pub(super) fn stdout() -> io::Result<Self> {
        Self::stream(io::stdout().as_fd())
    }

    pub(super) fn stderr() -> io::Result<Self> {
        Self::stream(io::stderr().as_fd())
    }

    /// The file at `path`, made if it is not there, to write at its end.
    pub(super) fn file(path: &Path) -> Result<Self, OpenError> {
        // A named pipe that nobody reads is an error like this, instead of a start that waits.
        let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let opened = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(MODE)
            .custom_flags(nonblocking)
            .open(path);
        match opened {
            Ok(file) => Ok(Self { file, torn: false }),
            Err(error) => Err(OpenError {
                path: path.to_owned(),
                error,
            }),
        }
    }

    /// Writes all of it; or says how much was written before it failed.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), usize> {
        if self.torn {
            self.all(b"\n").map_err(|_| 0_usize)?;
        }
        let done = self.all(bytes);
        let end = match done {
            Ok(()) => bytes.last(),
            Err(0) => return done,
            Err(written) => bytes.get(written - 1),
        };
        self.torn = end.is_some_and(|byte| *byte != b'\n');
        done
    }

    fn all(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.file.write(rest) {
                Ok(0) => return Err(written),
                Ok(more) => written += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PIPE_PAUSE),
                Err(_) => return Err(written),
            }
        }
        Ok(())
    }
}

/// A file that the log cannot be written to.
#[derive(Debug)]
pub struct OpenError {
    path: PathBuf,
    error: io::Error,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, error } = self;
        write!(f, "{} cannot be written: {error}; ", path.display())?;
        f.write_str("name a file in a folder that is there and that the registry may write")
    }
}

impl std::error::Error for OpenError {}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_file_is_written_at_its_end_and_begun_for_its_group() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("log");
        for line in ["one\n", "two\n"] {
            let mut sink = Sink::file(&path).expect("the directory can be written");
            assert_eq!(sink.write(line.as_bytes()), Ok(()));
        }
        let text = fs::read_to_string(&path).expect("it was written");
        assert_eq!(text, "one\ntwo\n");
        let mode = fs::metadata(&path).expect("it is there").permissions();
        assert_eq!(mode.mode() & 0o137, 0, "{mode:?}");
    }

    #[test]
    fn a_torn_line_ends_before_the_next() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("log");
        let mut sink = Sink::file(&path).expect("the directory can be written");
        for (lines, torn) in [("one\ntw", true), ("three\n", false), ("four\n", false)] {
            assert_eq!(sink.write(lines.as_bytes()), Ok(()));
            assert_eq!(sink.torn, torn, "{lines}");
        }
        let text = fs::read_to_string(&path).expect("it was written");
        assert_eq!(text, "one\ntw\nthree\nfour\n");
    }

    #[test]
    fn what_cannot_be_written_is_an_error_and_nothing_waits() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let folder = directory.path().to_owned();
        let pipe = folder.join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo is everywhere").success());
        for path in [folder.clone(), folder.join("absent/log"), pipe] {
            let error = Sink::file(&path).expect_err("it cannot be").to_string();
            let begin = format!("{} cannot be written: ", path.display());
            assert!(error.starts_with(&begin), "{error}");
        }
        let full = Path::new("/dev/full");
        if full.exists() {
            let mut sink = Sink::file(full).expect("everybody may write it");
            assert_eq!(sink.write(b"one\n"), Err(0));
        }
    }
}
