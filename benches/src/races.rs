//! Writers against each other on one upload or one tag, through one process and through two on one data
//! directory.
//!
//! Both requests of a race are written before either answer is read, in seeded order and with a seeded gap,
//! over connections that stay open: a race costs a millisecond, so thousands of interleavings are tried.

mod deletes;
mod patches;
mod tags;

use std::time::{Duration, Instant};

use serde_json::json;

use crate::Result;
use crate::args::Args;
use crate::content::{Content, Hash, Random};
use crate::http::{Framing, Reply};
use crate::report::Report;
use crate::scratch::Scratch;
use crate::server::{Server, Settings, Template};
use crate::wire::{MANIFEST, Wire, expect};

/// The longest gap between the two requests.
const GAP: u64 = 300_000;

/// Broken races of one kind that are told one by one.
const SHOWN: u64 = 3;

const KINDS: &[&str] = &["patches", "tags", "deletes"];

/// A client of each of two processes, or two clients of one.
#[derive(Debug)]
struct Pair {
    one: Wire,
    two: Wire,
}

/// One request of a race.
#[derive(Debug)]
struct Move<'a> {
    method: &'a str,
    target: String,
    headers: Vec<(&'a str, String)>,
    body: Vec<u8>,
}

pub(crate) fn run(args: &mut Args) -> Result<Report> {
    let template = Template::new(&args.text("server").ok_or("--server CMD is needed")?)?;
    let seeds: u64 = args.number("seeds", 1000)?;
    let seed: u64 = args.number("seed", 1)?;
    let processes = args.choice("processes", &["1", "2"])?;
    let kinds = args.choice("only", KINDS)?;
    let scratch = Scratch::new(args.work("races"), args.flag("keep"), 1 << 30)?;
    args.done()?;

    let root = scratch.path.join("data");
    let (first, second) = (scratch.path.join("first"), scratch.path.join("second"));
    let first = Server::start(&template, &first, &root, Settings::default())?;
    let second = Server::start(&template, &second, &root, Settings::default())?;
    let mut report = Report::new(
        "races",
        &["race", "processes", "seeds", "broken", "first won", "s"],
    );
    for processes in &processes {
        let other = if *processes == "1" {
            first.addr
        } else {
            second.addr
        };
        for kind in &kinds {
            let mut pair = Pair {
                one: Wire::new(first.addr),
                two: Wire::new(other),
            };
            let begun = Instant::now();
            let repository = format!("races/{kind}-{processes}");
            push_config(&mut pair.one, &repository)?;
            let (mut broken, mut first_won) = (0_u64, 0_u64);
            for index in 0..seeds {
                let mut random = Random::new(seed, index);
                let won = match *kind {
                    "patches" => patches::race(&mut pair, &repository, &mut random),
                    "tags" => tags::race(&mut pair, &repository, index, &mut random),
                    _ => deletes::race(&mut pair, &repository, index, &mut random),
                };
                match won {
                    Ok(one) => first_won += u64::from(one),
                    Err(error) => {
                        broken += 1;
                        pair.one.forget();
                        pair.two.forget();
                        if broken <= SHOWN {
                            let race = format!("{kind}, {processes} process(es), seed {index}");
                            report.violation(format!("{race}: {error}"));
                        }
                    }
                }
            }
            let seconds = begun.elapsed().as_secs_f64();
            let mut row = vec![(*kind).to_owned(), (*processes).to_owned()];
            row.extend([seeds, broken, first_won].map(|count| count.to_string()));
            row.push(format!("{seconds:.1}"));
            report.row(row);
            let figure = json!({ "seeds": seeds, "broken": broken, "first_won": first_won });
            report.figure(&format!("{kind}-{processes}"), figure);
        }
    }
    Ok(report)
}

impl Pair {
    /// Sends both, in either order, and only then reads what each was answered.
    fn race(&mut self, one: &Move<'_>, two: &Move<'_>, random: &mut Random) -> Result<[Reply; 2]> {
        let (mut first, mut second) = (self.one.connection()?, self.two.connection()?);
        let swapped = random.next().is_multiple_of(2);
        let gap = match random.next() % 4 {
            0 => Duration::ZERO,
            _ => Duration::from_nanos(random.within(0, GAP)),
        };
        if swapped {
            two.send(&mut second)?;
            spin(gap);
            one.send(&mut first)?;
        } else {
            one.send(&mut first)?;
            spin(gap);
            two.send(&mut second)?;
        }
        let replies = [first.reply(one.method)?, second.reply(two.method)?];
        self.one.keep(first, &replies[0].head);
        self.two.keep(second, &replies[1].head);
        Ok(replies)
    }
}

impl Move<'_> {
    fn send(&self, connection: &mut crate::http::Connection) -> std::io::Result<()> {
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let framing = Framing::Length(self.body.len() as u64);
        connection.send(self.method, &self.target, &headers, framing, &self.body)
    }
}

/// Sleeping is too coarse for gaps of microseconds.
fn spin(gap: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < gap {
        std::hint::spin_loop();
    }
}

/// The config that every manifest of the races names.
const CONFIG: Content = Content { seed: 3, size: 16 };

fn push_config(wire: &mut Wire, repository: &str) -> Result<()> {
    wire.push_blob(repository, &CONFIG, &CONFIG.digest())
}

/// A manifest that no other `mark` gives, and its digest.
fn manifest(mark: &str) -> (Vec<u8>, String) {
    let media_type = "application/vnd.oci.image.config.v1+json";
    let config = json!({ "mediaType": media_type, "digest": CONFIG.digest(), "size": CONFIG.size });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        "layers": [],
        "annotations": { "mark": mark },
    });
    let bytes = manifest.to_string().into_bytes();
    let digest = Hash::of(&bytes);
    (bytes, digest)
}

fn put_manifest<'a>(repository: &str, tag: &str, bytes: Vec<u8>) -> Move<'a> {
    let target = format!("/v2/{repository}/manifests/{tag}");
    Move {
        method: "PUT",
        target,
        headers: vec![("Content-Type", MANIFEST.to_owned())],
        body: bytes,
    }
}

/// The digest that `reference` reads as, or none where it answers 404; other bytes than its name's are an
/// error.
fn read_manifest(wire: &mut Wire, repository: &str, reference: &str) -> Result<Option<String>> {
    let reply = wire.get(&format!("/v2/{repository}/manifests/{reference}"))?;
    if reply.head.status == 404 {
        return Ok(None);
    }
    expect(&reply, 200, &format!("GET of manifest {reference}"))?;
    let digest = Hash::of(&reply.body);
    if reference.contains(':') && reference != digest {
        return Err(format!("{reference} reads as {digest}").into());
    }
    Ok(Some(digest))
}

/// Which of two answers is the one success; the other must be one of `losing`.
fn winner(replies: &[Reply; 2], winning: u16, losing: &[u16]) -> Result<usize> {
    let statuses = [replies[0].head.status, replies[1].head.status];
    match (statuses[0] == winning, statuses[1] == winning) {
        (true, false) if losing.contains(&statuses[1]) => Ok(0),
        (false, true) if losing.contains(&statuses[0]) => Ok(1),
        _ => Err(format!("answered {} and {}", statuses[0], statuses[1]).into()),
    }
}
