//! A Unix socket that clients connect to, and its file.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _},
        net::UnixListener as StdUnixListener,
    },
    path::{Path, PathBuf},
};

use bytes::Bytes;
use registry_core::server::hyper::Listener;
use tokio::{
    net::{UnixListener, UnixSocket, UnixStream},
    task::spawn_blocking,
};

use super::BACKLOG;
use crate::locked::lock_folder;

/// A Unix socket. When it is dropped its file goes with it, if it was made here: from then on another
/// registry can have the path, also while this one still answers what was asked.
#[derive(Debug)]
pub struct SocketListener {
    // Fields are dropped in this order. While the socket listens, no other registry takes the path, so
    // that the file which is looked at is the one which is removed.
    file: SocketFile,
    listener: UnixListener,
}

impl SocketListener {
    /// Makes the socket at `path`. One that nobody answers, as a killed registry leaves it, is replaced.
    pub(super) async fn bind(path: &Path) -> io::Result<Self> {
        // Of two that start at once, the second must not take the first for dead.
        let locked = path.to_owned();
        let _lock = spawn_blocking(move || lock_folder(&locked)).await;
        remove_dead(path).await?;
        let socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
        let file = SocketFile::made(path);
        let listener = socket.listen(BACKLOG)?;
        Ok(Self { file, listener })
    }

    /// Takes over one that a service manager made. Its file is the manager's.
    pub(super) fn take(listener: StdUnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let path = address.as_pathname().unwrap_or(Path::new("(unnamed)"));
        let file = SocketFile {
            path: path.to_owned(),
            made: None,
        };
        let listener = UnixListener::from_std(listener)?;
        Ok(Self { file, listener })
    }

    pub(super) fn path(&self) -> &Path {
        &self.file.path
    }
}

impl Listener for SocketListener {
    type Connection = UnixStream;

    async fn accept(&mut self) -> io::Result<(Self::Connection, Option<SocketAddr>)> {
        Listener::accept(&mut self.listener).await
    }

    fn client_certificate(&self, connection: &Self::Connection) -> Option<Bytes> {
        self.listener.client_certificate(connection)
    }

    fn is_encrypted(&self) -> bool {
        self.listener.is_encrypted()
    }
}

/// The file of a socket: removed when this is dropped, if it is still the one that was made here.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    made: Option<(u64, u64)>,
}

impl SocketFile {
    fn made(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            made: identity(path),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.made.is_some() && identity(&self.path) == self.made {
            // Where that fails, whoever binds next finds that nobody answers.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Device and inode: no other file has them while the socket is bound.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let there = fs::symlink_metadata(path).ok()?;
    Some((there.dev(), there.ino()))
}

/// Removes a socket that nobody listens on. One that is alive, however busy, stays: to bind then fails.
async fn remove_dead(path: &Path) -> io::Result<()> {
    let is_socket = |there: fs::Metadata| there.file_type().is_socket();
    if !fs::symlink_metadata(path).is_ok_and(is_socket) {
        return Ok(());
    }
    let Err(error) = UnixStream::connect(path).await else {
        return Ok(());
    };
    match error.kind() {
        io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        // It went away meanwhile; or so many wait for it that one more is not let in.
        io::ErrorKind::NotFound | io::ErrorKind::WouldBlock => Ok(()),
        _ => Err(io::Error::other(format!(
            "a socket is there, and whether anything listens on it cannot be found out: {error}; remove \
             it if nothing does"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixDatagram, sync::Barrier, thread};

    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn of_those_that_start_at_once_one_listens() {
        const ROUNDS: usize = 100;
        let home = tempfile::tempdir().expect("a temporary directory can be made");
        let paths: Vec<_> = (0..ROUNDS)
            .map(|n| home.path().join(n.to_string()))
            .collect();
        for path in &paths {
            drop(StdUnixListener::bind(path).expect("the directory can be written"));
        }
        let together = Barrier::new(4);
        let start = || {
            let runtime = Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("the machine has room");
            let bind = |path: &PathBuf| {
                together.wait();
                runtime.block_on(SocketListener::bind(path)).ok()
            };
            // None ends before all have tried all.
            let bound: Vec<_> = paths.iter().map(bind).collect();
            together.wait();
            bound.iter().map(Option::is_some).collect::<Vec<_>>()
        };
        let started: Vec<_> = thread::scope(|all| {
            let running: Vec<_> = (0..4).map(|_| all.spawn(start)).collect();
            let ended = running.into_iter().map(|one| one.join());
            ended.map(|one| one.expect("it does not panic")).collect()
        });
        for round in 0..ROUNDS {
            let listening = started.iter().filter(|one| one[round]).count();
            assert_eq!(listening, 1, "round {round}");
        }
    }

    #[tokio::test]
    async fn a_socket_that_nobody_answers_is_replaced() {
        let home = tempfile::tempdir().expect("a temporary directory can be made");
        let path = home.path().join("socket");
        drop(StdUnixListener::bind(&path).expect("the directory can be written"));
        let listener = SocketListener::bind(&path).await.expect("it is dead");
        UnixStream::connect(&path).await.expect("it is alive");
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_that_is_too_busy_for_one_more_stays() {
        let home = tempfile::tempdir().expect("a temporary directory can be made");
        let path = home.path().join("socket");
        let socket = UnixSocket::new_stream().expect("there are descriptors");
        socket.bind(&path).expect("the directory can be written");
        let _busy = socket.listen(1).expect("it is bound");
        let mut waiting = Vec::new();
        let full = loop {
            match UnixStream::connect(&path).await {
                Ok(stream) => waiting.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        let error = SocketListener::bind(&path).await.expect_err("it is alive");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn what_cannot_be_asked_stays_and_is_told() {
        let home = tempfile::tempdir().expect("a temporary directory can be made");
        let path = home.path().join("socket");
        let _other = UnixDatagram::bind(&path).expect("the directory can be written");
        let error = SocketListener::bind(&path).await.expect_err("it is taken");
        let said = "whether anything listens on it cannot be found out: ";
        assert!(error.to_string().contains(said), "{error}");
        assert!(path.exists());
    }

    #[tokio::test]
    async fn the_file_of_another_stays() {
        let home = tempfile::tempdir().expect("a temporary directory can be made");
        let path = home.path().join("socket");
        let first = SocketListener::bind(&path).await.expect("it is free");
        fs::remove_file(&path).expect("it is there");
        let second = SocketListener::bind(&path).await.expect("it is free again");
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
        let made = StdUnixListener::bind(&path).expect("it is free");
        drop(SocketListener::take(made).expect("it listens"));
        assert!(path.exists(), "it is the manager's");
    }
}
