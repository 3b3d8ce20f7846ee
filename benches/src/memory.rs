//! The most memory a server ever has resident while many clients push and pull large blobs at once.
//!
//! The client keeps none of the content either: it makes each byte when it sends it, hashes what it reads.

use std::thread;
use std::time::Instant;

use crate::Result;
use crate::args::Args;
use crate::content::{Content, Random};
use crate::report::Report;
use crate::scratch::Scratch;
use crate::server::{Server, Settings, Template};
use crate::wire::Wire;

const REPOSITORY: &str = "memory/blobs";

/// Blobs that are there before the clocks start, pulled while the others are pushed.
const SOURCES: u64 = 4;

/// What one client does.
#[derive(Clone, Copy, Debug)]
enum Act<'a> {
    Pull(&'a str),
    Push(&'a Content, &'a str),
}

pub(crate) fn run(args: &mut Args) -> Result<Report> {
    let template = Template::new(&args.text("server").ok_or("--server CMD is needed")?)?;
    let clients: u64 = args.number("clients", 64)?;
    let size = args.size("size", 256 << 20)?;
    let limit = args.size("limit", 64 << 20)?;
    let seed: u64 = args.number("seed", 1)?;
    let bytes = (clients + SOURCES) * size;
    let scratch = Scratch::new(args.work("memory"), args.flag("keep"), bytes)?;
    args.done()?;

    let mut random = Random::new(seed, 0);
    let mut blobs = |count: u64| -> Vec<(Content, String)> {
        let contents = (0..count).map(|_| Content {
            seed: random.next(),
            size,
        });
        contents
            .map(|content| (content, content.digest()))
            .collect()
    };
    let sources = blobs(SOURCES);
    let pushed = blobs(clients);

    let root = scratch.path.join("data");
    let mut server = Server::start(&template, &scratch.path, &root, Settings::default())?;
    let mut report = Report::new("memory", &["", "clients", "s", "MiB/s", "peak RSS MiB"]);
    let idle = server.peak_resident()?;
    report.row(vec![
        "idle".into(),
        "0".into(),
        "0".into(),
        "0".into(),
        mib(idle),
    ]);
    at_once(&server, &pushes(&sources), "sources", size, &mut report)?;
    server.restart()?;

    let mut both = pushes(&pushed);
    let pulls = (0..clients as usize).map(|index| &sources[index % sources.len()].1);
    both.extend(pulls.map(|digest| Act::Pull(digest)));
    at_once(&server, &both, "pushes and pulls", size, &mut report)?;
    let pulls: Vec<Act<'_>> = pushed.iter().map(|(_, digest)| Act::Pull(digest)).collect();
    at_once(&server, &pulls, "pulls", size, &mut report)?;

    let peak = server.peak_resident()?;
    report.figure("clients", clients);
    report.figure("size", size);
    report.figure("idle_bytes", idle);
    report.figure("peak_bytes", peak);
    report.require(peak < limit, || {
        format!("peak RSS {} MiB, allowed {}", mib(peak), mib(limit))
    });
    Ok(report)
}

fn pushes(blobs: &[(Content, String)]) -> Vec<Act<'_>> {
    blobs
        .iter()
        .map(|(content, digest)| Act::Push(content, digest))
        .collect()
}

fn at_once(
    server: &Server,
    acts: &[Act<'_>],
    what: &str,
    size: u64,
    report: &mut Report,
) -> Result<()> {
    let begun = Instant::now();
    let failures: Vec<String> = thread::scope(|scope| {
        let start = |act| {
            let mut wire = Wire::new(server.addr);
            scope.spawn(move || match act {
                Act::Pull(digest) => wire.check_blob(REPOSITORY, digest),
                Act::Push(content, digest) => wire.push_blob(REPOSITORY, content, digest),
            })
        };
        let threads: Vec<_> = acts.iter().copied().map(start).collect();
        threads
            .into_iter()
            .filter_map(|thread| match thread.join() {
                Ok(done) => done.err().map(|error| error.to_string()),
                Err(_) => Some("a client panicked".to_owned()),
            })
            .collect()
    });
    let seconds = begun.elapsed().as_secs_f64();
    let rate = ((acts.len() as u64 * size) >> 20) as f64 / seconds;
    let peak = server.peak_resident()?;
    let cells = [
        acts.len().to_string(),
        format!("{seconds:.1}"),
        format!("{rate:.0}"),
        mib(peak),
    ];
    report.row([what.to_owned()].into_iter().chain(cells).collect());
    report.figure(
        what,
        serde_json::json!({ "seconds": seconds, "peak_bytes": peak }),
    );
    for failure in failures {
        report.violation(format!("{what}: {failure}"));
    }
    Ok(())
}

fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}
