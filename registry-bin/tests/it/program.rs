//! A running registry, and a client that says exactly what is sent.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

/// How long a program that is to end may take.
const PATIENCE: Duration = Duration::from_secs(60);

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
    log: Arc<Mutex<String>>,
    pub(crate) address: String,
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
        let log = Arc::new(Mutex::new(String::new()));
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let mut address = None;
        for line in lines.by_ref().map_while(Result::ok) {
            let found = line.split("listening on ").nth(1);
            address = found.map(|rest| rest.trim_end_matches('"').to_owned());
            append(&log, &line);
            if address.is_some() {
                break;
            }
        }
        let tail = Arc::clone(&log);
        thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .for_each(|line| append(&tail, &line))
        });
        let address = address.unwrap_or_else(|| panic!("it does not listen:\n{}", read(&log)));
        let address = address
            .trim_start_matches("https://")
            .trim_start_matches("http://");
        let address = address.to_owned();
        Self {
            child,
            log,
            address,
        }
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        read(&self.log)
    }

    /// Waits until it has logged something.
    pub(crate) fn wait_for(&self, said: &str) {
        let begun = Instant::now();
        while !self.log().contains(said) {
            assert!(
                begun.elapsed() < PATIENCE,
                "{said} is not in\n{}",
                self.log()
            );
            thread::yield_now();
        }
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
        let status = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(status.expect("kill is everywhere").success());
    }

    /// Waits for its end: the status, and what it printed.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let mut printed = String::new();
        let stdout = self.child.stdout.take();
        stdout
            .expect("it is piped")
            .read_to_string(&mut printed)
            .expect("it prints text");
        (self.child.wait().expect("it is our child"), printed)
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

fn append(log: &Mutex<String>, line: &str) {
    let mut log = log.lock().expect("no reader panicked");
    log.push_str(line);
    log.push('\n');
}

fn read(log: &Mutex<String>) -> String {
    log.lock().expect("no reader panicked").clone()
}
