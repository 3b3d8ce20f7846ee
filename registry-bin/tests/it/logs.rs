//! The logs: a reader that stops holds nothing up, and files are opened again on SIGHUP.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, PipeReader, Read as _, Write as _, pipe},
    net::TcpStream,
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    path::Path,
    process::{Child, ExitStatus, Stdio},
    sync::mpsc,
    thread,
};

use tempfile::TempDir;

use crate::program::{PATIENCE, Program, command, end, exchange, output, signal, until};

/// So many requests, with so long a name of the client, are more than wait in a log.
const REQUESTS: usize = 1000;
const AGENT: usize = 7000;

/// A registry whose two logs are one pipe, as in `registry serve 2>&1 | reader`, and a reader that
/// stopped once it listened.
struct Stuck {
    child: Child,
    reader: BufReader<PipeReader>,
    address: String,
    debug: String,
}

impl Stuck {
    fn start(home: &Path, variables: &[(&str, &str)]) -> Self {
        let (reader, writer) = pipe().unwrap();
        let child = command(home)
            .arg("serve")
            .env("REGISTRY_STORAGE", "inmemory")
            .env("REGISTRY_HTTP_ADDR", "127.0.0.1:0")
            .env("REGISTRY_HTTP_DEBUG_ADDR", "127.0.0.1:0")
            .envs(variables.iter().copied())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(reader);
        let (mut address, mut debug) = (String::new(), String::new());
        while address.is_empty() {
            let mut line = String::new();
            assert_ne!(reader.read_line(&mut line).unwrap(), 0, "it ended");
            let host = |line: &str| {
                let url = line.split_once("http://")?.1;
                let host = url.split(['/', '"']).next()?;
                Some(host.to_owned())
            };
            if line.contains("listening on ") {
                address = host(&line).unwrap();
            } else if line.contains("health: at ") {
                debug = host(&line).unwrap();
            }
        }
        Self {
            child,
            reader,
            address,
            debug,
        }
    }

    /// Asks so often that the logs are full, each time with a client of another name.
    fn fill(&self) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answers = BufReader::new(stream.try_clone().unwrap());
        for number in 0..REQUESTS {
            let agent = format!("{number:0AGENT$}");
            let request =
                format!("GET /v2/ HTTP/1.1\r\nHost: registry\r\nUser-Agent: {agent}\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            let (mut status, mut length) = (String::new(), 0);
            answers.read_line(&mut status).unwrap();
            assert!(status.starts_with("HTTP/1.1 200"), "{number}: {status}");
            loop {
                let mut line = String::new();
                answers.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
            }
            answers.read_exact(&mut vec![0; length]).unwrap();
        }
    }

    fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits for its end, and reads nothing.
    fn wait(&mut self) -> ExitStatus {
        end(&mut self.child)
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_reader_that_stops_holds_nothing_up() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("notify");
    let told = manager(&path);
    let variables = [
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("WATCHDOG_USEC", "100000"),
    ];
    let mut program = Stuck::start(home.path(), &variables);
    program.fill();
    told.try_iter().for_each(drop);
    wait_for(&told, "WATCHDOG=1");
    let debug = TcpStream::connect(&program.debug).unwrap();
    debug.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(exchange(debug, "GET /debug/health", b"").status, 200);
    program.signal("HUP");
    wait_for(&told, "RELOADING=1");
    wait_for(&told, "READY=1");
    program.signal("TERM");
    wait_for(&told, "STOPPING=1");
    assert_eq!(program.wait().code(), Some(0));
}

/// A service manager, and what it is told.
fn manager(path: &Path) -> mpsc::Receiver<String> {
    let socket = UnixDatagram::bind(path).unwrap();
    let (hears, told) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 256];
        while let Ok(length) = socket.recv(&mut buffer) {
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if hears.send(message).is_err() {
                break;
            }
        }
    });
    told
}

fn wait_for(told: &mpsc::Receiver<String>, message: &str) {
    while !told.recv_timeout(PATIENCE).unwrap().starts_with(message) {}
}

#[test]
fn a_second_signal_ends_it_though_nobody_reads_why() {
    let home = TempDir::new().unwrap();
    let mut program = Stuck::start(home.path(), &[("REGISTRY_HTTP_DRAINTIMEOUT", "1h")]);
    program.fill();
    let mut under_way = TcpStream::connect(&program.address).unwrap();
    let begun = "POST /v2/a/blobs/uploads/?digest=sha256:\
         2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 HTTP/1.1\r\n\
         Host: registry\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    under_way.write_all(begun.as_bytes()).unwrap();
    under_way.read_exact(&mut [0; 12]).unwrap();
    program.signal("TERM");
    // The first was taken when nobody is let in any more. Two at once would be one.
    until("nobody is let in", || {
        TcpStream::connect(&program.address).is_err()
    });
    program.signal("TERM");
    assert_eq!(program.wait().code(), Some(143));
}

#[test]
fn a_reader_that_comes_back_learns_how_much_it_missed() {
    let home = TempDir::new().unwrap();
    for format in ["combined", "json"] {
        let variables = [("REGISTRY_LOG_ACCESSLOG_FORMAT", format)];
        let mut program = Stuck::start(home.path(), &variables);
        program.fill();
        let (mut lines, mut lost) = (BTreeSet::new(), 0);
        while lines.len() + lost < REQUESTS {
            let mut line = String::new();
            assert_ne!(program.reader.read_line(&mut line).unwrap(), 0, "it ended");
            let (words, line) = (line.split('"'), line.trim_end());
            let agent = words.clone().find(|word| word.len() == AGENT);
            if let Some(agent) = agent {
                assert!(lines.insert(agent.parse::<usize>().unwrap()), "{line}");
            } else if format == "json" {
                let note = line.strip_prefix(r#"{"lost":"#).expect(line);
                let (count, _) = note.split_once(r#","time":""#).expect(line);
                lost += count.parse::<usize>().expect(line);
            } else {
                let note = words.clone().nth(5).expect(line);
                let count = note.strip_suffix(" lines of the access log were lost");
                lost += count.expect(line).parse::<usize>().expect(line);
            }
        }
        assert_eq!(lines.len() + lost, REQUESTS, "{format}");
        assert!(lost > 0, "the logs were not full");
        // What waited was written, from the first on.
        let waited = 4 * 1024 * 1024 / (AGENT + 300);
        assert!(
            (0..waited).all(|number| lines.contains(&number)),
            "{format}"
        );
        // And now that there is room, nothing is lost.
        let stream = TcpStream::connect(&program.address).unwrap();
        let answer = exchange(stream, "GET /v2/\nUser-Agent: afterwards", b"");
        assert_eq!(answer.status, 200);
        let mut line = String::new();
        program.reader.read_line(&mut line).unwrap();
        assert!(line.contains("afterwards"), "{line}");
        program.signal("TERM");
        assert_eq!(program.wait().code(), Some(0));
        let mut rest = String::new();
        program.reader.read_to_string(&mut rest).unwrap();
        assert!(
            rest.contains("stopped, every request was answered"),
            "{rest}"
        );
    }
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let home = TempDir::new().unwrap();
    let full = fs::File::options().write(true).open("/dev/full");
    let full = || Stdio::from(full.as_ref().unwrap().try_clone().unwrap());
    let gone = || Stdio::from(pipe().unwrap().1);
    for (stdout, stderr) in [(full(), full()), (gone(), gone())] {
        let socket = home.path().join("socket");
        let mut child = command(home.path())
            .arg("serve")
            .env("REGISTRY_STORAGE", "inmemory")
            .env("REGISTRY_HTTP_NET", "unix")
            .env("REGISTRY_HTTP_ADDR", &socket)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap();
        let connect = || std::os::unix::net::UnixStream::connect(&socket);
        until("it listens", || connect().is_ok());
        for _ in 0..10 {
            let answer = exchange(connect().unwrap(), "GET /v2/", b"");
            assert_eq!(answer.status, 200);
        }
        signal(&child, "TERM");
        assert_eq!(end(&mut child).code(), Some(0));
    }
}

#[test]
fn files_that_are_moved_away_lose_and_tear_no_line() {
    let home = TempDir::new().unwrap();
    for format in ["combined", "json"] {
        let folder = home.path().join(format);
        fs::create_dir(&folder).unwrap();
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let (access, file) = (path("access.log"), path("registry.log"));
        let formatter = if format == "json" { "json" } else { "text" };
        let mut child = command(home.path())
            .arg("serve")
            .env("REGISTRY_STORAGE", "inmemory")
            .env("REGISTRY_HTTP_ADDR", "127.0.0.1:0")
            .env("REGISTRY_LOG_FILE", &file)
            .env("REGISTRY_LOG_FORMATTER", formatter)
            .env("REGISTRY_LOG_ACCESSLOG_FILE", &access)
            .env("REGISTRY_LOG_ACCESSLOG_FORMAT", format)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let says = |file: &str, text: &str| {
            let mut said = String::new();
            until(&format!("{text} in {file}"), || {
                said = fs::read_to_string(file).unwrap_or_default();
                said.contains(text)
            });
            said
        };
        let said = says(&file, "listening on http://");
        let address = said.split("listening on http://").nth(1).unwrap();
        let address = address.split('"').next().unwrap().to_owned();

        // Requests all the time, while the files are moved away three times.
        let (stop, stopped) = mpsc::channel::<()>();
        let (asked, begun) = mpsc::channel();
        let client = thread::spawn(move || {
            let mut asked_for = 0;
            while stopped.try_recv() != Err(mpsc::TryRecvError::Disconnected) {
                let head = format!("GET /v2/\nUser-Agent: client-{asked_for:06}");
                let answer = exchange(TcpStream::connect(&address).unwrap(), &head, b"");
                assert_eq!(answer.status, 200);
                asked_for += 1;
                let _ = asked.send(());
            }
            asked_for
        });
        for round in 0..3 {
            (0..20).for_each(|_| begun.recv_timeout(PATIENCE).unwrap());
            // Lines are written some time after their answers: how many there are is not known.
            says(&access, "\"client-");
            for name in [&access, &file] {
                fs::rename(name, format!("{name}.{round}")).unwrap();
            }
            signal(&child, "HUP");
            // The first line that is sure to be in the new file.
            says(&file, "log files: read again");
            assert!(Path::new(&access).exists());
            let mode = fs::metadata(&access).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o640);
            begun.try_iter().for_each(drop);
        }
        (0..20).for_each(|_| begun.recv_timeout(PATIENCE).unwrap());
        drop(stop);
        let asked_for = client.join().unwrap();
        signal(&child, "TERM");
        assert_eq!(end(&mut child).code(), Some(0));

        let rounds = ["access.log.0", "access.log.1", "access.log.2", "access.log"];
        let mut next = 0;
        for name in rounds {
            let text = fs::read_to_string(path(name)).unwrap();
            assert!(text.ends_with('\n'), "{name}");
            for line in text.lines() {
                assert!(line.contains(&format!("\"client-{next:06}\"")), "{line}");
                if format == "json" {
                    serde_json::from_str::<serde_json::Value>(line).expect(line);
                } else {
                    assert!(line.starts_with("127.0.0.1 - - [") && line.ends_with('"'));
                }
                next += 1;
            }
        }
        assert_eq!(next, asked_for);
        says(&file, "stopped, every request was answered");
        for (stream, name) in [
            (
                &mut child.stdout.take().unwrap() as &mut dyn std::io::Read,
                "stdout",
            ),
            (&mut child.stderr.take().unwrap(), "stderr"),
        ] {
            let mut said = String::new();
            stream.read_to_string(&mut said).unwrap();
            assert_eq!(said, "", "{name}");
        }
    }
}

#[test]
fn files_that_cannot_be_opened() {
    let home = TempDir::new().unwrap();
    let config = home.path().join("c.yml");
    let name = config.to_str().unwrap();
    let absent = home.path().join("absent");
    let (absent, folder) = (absent.to_str().unwrap(), home.path().to_str().unwrap());
    for (log, key, started, checked) in [
        (
            format!("{{file: {absent}/log}}"),
            "log.file",
            format!("{absent}/log cannot be written: "),
            format!("{absent} is no folder; make it"),
        ),
        (
            format!("{{accesslog: {{file: {absent}/log}}}}"),
            "log.accesslog.file",
            format!("{absent}/log cannot be written: "),
            format!("{absent} is no folder; make it"),
        ),
        (
            format!("{{file: {folder}}}"),
            "log.file",
            format!("{folder} cannot be written: "),
            format!("{folder} is a folder; name a file"),
        ),
    ] {
        let text = format!("version: 0.1\nlog: {log}\nstorage: inmemory\n");
        fs::write(&config, text).unwrap();
        let commands: [(&[_], _); 2] = [
            (&["serve", name], started),
            (&["config", "--check", name], checked),
        ];
        for (arguments, said) in commands {
            let ended = output(home.path(), arguments, &[]);
            let told = String::from_utf8(ended.stderr).unwrap();
            assert_eq!(ended.status.code(), Some(78), "{told}");
            let expected = format!("registry: {name}:2: {key}: {said}");
            assert!(
                told.starts_with(&expected),
                "{expected} does not begin\n{told}"
            );
        }
        assert!(!Path::new(absent).exists());
    }
    // What is fine is not made by a check; and an access log that is off needs no folder.
    for log in [
        format!("{{file: {folder}/log}}"),
        format!("{{accesslog: {{disabled: true, file: {absent}/log}}}}"),
        "{file: log}".to_owned(),
    ] {
        let text = format!("version: 0.1\nlog: {log}\nstorage: inmemory\n");
        fs::write(&config, text).unwrap();
        let ended = output(home.path(), &["config", "--check", name], &[]);
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(0), "{told}");
    }
    assert!(!home.path().join("log").exists());
}

#[test]
fn a_file_that_cannot_be_opened_again_leaves_the_old_one() {
    let home = TempDir::new().unwrap();
    let (path, moved) = (home.path().join("log"), home.path().join("log.1"));
    let variables = [("REGISTRY_LOG_ACCESSLOG_FILE", path.to_str().unwrap())];
    let program = Program::in_memory(home.path(), &variables);
    assert_eq!(program.request("GET /v2/", b"").status, 200);
    fs::rename(&path, &moved).unwrap();
    fs::create_dir(&path).unwrap();
    program.signal("HUP");
    program.wait_for("log files: could not be read again, what held before goes on to hold: ");
    assert_eq!(program.request("GET /v2/", b"").status, 200);
    program.signal("TERM");
    let (status, printed) = program.wait();
    assert_eq!((status.code(), printed.as_str()), (Some(0), ""));
    assert_eq!(fs::read_to_string(&moved).unwrap().lines().count(), 2);
}
