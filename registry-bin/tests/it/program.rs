//! A running registry, and a client that says exactly what is sent.

use std::{
    io::{BufRead as _, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

/// How long anything may take that is to happen. It is long, since many tests run at once on few
/// cores: it ends what hangs, and measures nothing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long to rest before something is looked at again of which nobody tells.
const REST: Duration = Duration::from_millis(5);

/// Waits until something is so of which nobody tells, and leaves the processor to the others.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}: never");
        thread::park_timeout(REST);
    }
}

/// Waits for the end of a process.
pub(crate) fn end(child: &mut Child) -> ExitStatus {
    let mut status = None;
    until("its end", || {
        status = child.try_wait().expect("it is our child");
        status.is_some()
    });
    status.expect("it has ended")
}

/// The program, with nothing of this process's environment and a home of its own.
pub(crate) fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    command.env_clear().env("HOME", home).stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(crate) fn output(home: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = command(home);
    command.args(arguments).envs(variables.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the program was built");
    let id = child.id().to_string();
    let (done, ended) = mpsc::channel();
    thread::spawn(move || done.send(child.wait_with_output()));
    match ended.recv_timeout(PATIENCE) {
        Ok(output) => output.expect("it is our child"),
        Err(_) => {
            drop(Command::new("kill").args(["-s", "KILL", &id]).status());
            panic!("it goes on: {arguments:?} {variables:?}");
        }
    }
}

/// A registry that serves.
pub(crate) struct Program {
    child: Child,
    log: Arc<Stream>,
    printed: Arc<Stream>,
    pub(crate) address: String,
}

/// How a registry ended, and all that it said.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) printed: String,
    pub(crate) log: String,
}

impl Program {
    /// Starts a registry in memory on a free port, and waits until it listens.
    pub(crate) fn in_memory(home: &Path, variables: &[(&str, &str)]) -> Self {
        let own = [("REGISTRY_STORAGE", "inmemory")];
        Self::start(home, &[], &[&own, variables].concat())
    }

    /// Starts a registry on a free port, and waits until it listens.
    pub(crate) fn start(home: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = command(home)
            .arg("serve")
            .args(arguments)
            .env("REGISTRY_HTTP_ADDR", "127.0.0.1:0")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built");
        let log = Stream::read(child.stderr.take().expect("it is piped"));
        let printed = Stream::read(child.stdout.take().expect("it is piped"));
        let mut program = Self {
            child,
            log,
            printed,
            address: String::new(),
        };
        program.wait_for("listening on ");
        let log = program.log();
        let address = log.split("listening on ").nth(1).unwrap_or_default();
        let address = address.lines().next().unwrap_or_default();
        let address = address
            .trim_end_matches('"')
            .trim_start_matches("https://")
            .trim_start_matches("http://");
        program.address = address.to_owned();
        program
    }

    /// What it logged so far. Lines may be on their way: what it has not said is known of
    /// [`end`](Self::end) alone.
    pub(crate) fn log(&self) -> String {
        self.log.state().text.clone()
    }

    /// Waits until it has logged something.
    pub(crate) fn wait_for(&self, said: &str) {
        self.wait_until(said, |log| log.contains(said));
    }

    /// Waits until it has logged something so often.
    pub(crate) fn wait_for_times(&self, said: &str, times: usize) {
        self.wait_until(said, |log| log.matches(said).count() >= times);
    }

    /// Waits until its log is so.
    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        // A line is looked at when it is whole.
        let whole = |text: &str| is_so(text.rsplit_once('\n').map_or("", |(lines, _)| lines));
        self.log.wait_until(what, |state| whole(&state.text));
    }

    /// Opens a connection.
    pub(crate) fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).expect("it listens")
    }

    /// Sends a request and reads the whole answer.
    pub(crate) fn request(&self, head: &str, body: &[u8]) -> Answer {
        exchange(self.connect(), head, body)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits for its end: the status, and what it printed.
    pub(crate) fn wait(self) -> (ExitStatus, String) {
        let ended = self.end();
        (ended.status, ended.printed)
    }

    /// Waits for its end, and reads all that it said.
    pub(crate) fn end(mut self) -> Ended {
        Ended {
            status: end(&mut self.child),
            printed: self.printed.whole(),
            log: self.log.whole(),
        }
    }
}

/// Sends a process a signal.
pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status();
    assert!(status.expect("kill is everywhere").success());
}

/// What a program says on one of its streams, which a thread reads.
struct Stream {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    text: String,
    ended: bool,
}

impl Stream {
    fn read(stream: impl Read + Send + 'static) -> Arc<Self> {
        let said = Arc::new(Self {
            state: Mutex::default(),
            more: Condvar::new(),
        });
        let reader = Arc::clone(&said);
        thread::spawn(move || {
            let (mut stream, mut line) = (BufReader::new(stream), Vec::new());
            while stream
                .read_until(b'\n', &mut line)
                .is_ok_and(|read| read > 0)
            {
                reader.state().text += &String::from_utf8_lossy(&line);
                reader.more.notify_all();
                line.clear();
            }
            reader.state().ended = true;
            reader.more.notify_all();
        });
        said
    }

    fn wait_until(&self, what: &str, is_so: impl Fn(&State) -> bool) {
        let wait = |state: &mut State| !is_so(state) && !state.ended;
        let waited = self.more.wait_timeout_while(self.state(), PATIENCE, wait);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(is_so(&state), "{what} is not in\n{}", state.text);
    }

    /// All of it, once it has ended.
    fn whole(&self) -> String {
        self.wait_until("the end", |state| state.ended);
        self.state().text.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An answer: its status, its headers in lower case, its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Sends `head` (the request line, and headers each behind a line break) with `body`, and reads to
/// the end of the connection.
pub(crate) fn exchange(mut stream: impl Read + Write, head: &str, body: &[u8]) -> Answer {
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let mut request = format!("{line} HTTP/1.1\r\nHost: registry\r\nConnection: close\r\n");
    for header in headers.lines() {
        request.push_str(&format!("{header}\r\n"));
    }
    if !line.starts_with("GET") {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    stream.write_all(body).expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let answer = String::from_utf8(answer).expect("it answers with text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("it answers with HTTP");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let headers = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "));
    Answer {
        status: status.expect("it answers with a status"),
        headers: headers
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect(),
        body: body.to_owned(),
    }
}
