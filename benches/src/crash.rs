//! `kill -9` of the server under pushing clients: whatever was answered 201 is there whole afterwards.
//!
//! A killed process leaves the page cache behind, so this says nothing about missing syncs; a file system
//! that drops what was not synced is the storage crate's own test.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::args::Args;
use crate::content::Random;
use crate::image::Image;
use crate::report::Report;
use crate::scratch::Scratch;
use crate::server::{Server, Settings, Template};
use crate::wire::Wire;

const REPOSITORY: &str = "crash/images";

/// What one client has to show for one round.
#[derive(Debug, Default)]
struct Pushed {
    whole: Vec<Image>,
    /// Answers that no kill explains.
    refused: Vec<String>,
}

pub(crate) fn run(args: &mut Args) -> Result<Report> {
    let template = Template::new(&args.text("server").ok_or("--server CMD is needed")?)?;
    let rounds: u64 = args.number("rounds", 100)?;
    let clients: u64 = args.number("clients", 16)?;
    let seed: u64 = args.number("seed", 1)?;
    let scratch = Scratch::new(args.work("crash"), args.flag("keep"), rounds * (32 << 20))?;
    args.done()?;

    let root = scratch.path.join("data");
    let mut server = Server::start(&template, &scratch.path, &root, Settings::default())?;
    let mut report = Report::new("crash", &["", "rounds", "images", "MiB", "whole", "broken"]);
    let begun = Instant::now();
    let (mut images, mut bytes, mut broken, mut empty_rounds) = (Vec::new(), 0, 0, 0);
    for round in 0..rounds {
        let mut random = Random::new(seed, round);
        let wait = Duration::from_millis(random.within(20, 800));
        let pushed = round_of_pushes(&mut server, clients, &random, round, wait)?;
        server.restart()?;
        for refusal in pushed.refused {
            report.violation(format!("round {round}: {refusal}"));
        }
        for failure in check(&server, &pushed.whole, clients) {
            broken += 1;
            report.violation(format!("round {round}, after {wait:?}: {failure}"));
        }
        empty_rounds += u64::from(pushed.whole.is_empty());
        bytes += pushed.whole.iter().map(Image::size).sum::<u64>();
        images.extend(pushed.whole);
    }
    // The later rounds must not have harmed what the earlier ones left.
    for failure in check(&server, &images, clients) {
        broken += 1;
        report.violation(format!("at the end: {failure}"));
    }
    report.require(!images.is_empty(), || {
        "no image was ever answered 201".to_owned()
    });
    let whole = images.len().saturating_sub(broken);
    report.row(
        [
            "crash".to_owned(),
            rounds.to_string(),
            images.len().to_string(),
        ]
        .into_iter()
        .chain([
            (bytes >> 20).to_string(),
            whole.to_string(),
            broken.to_string(),
        ])
        .collect(),
    );
    report.figure("rounds", rounds);
    report.figure("clients", clients);
    report.figure("seed", seed);
    report.figure("images_answered_201", images.len());
    report.figure("images_broken", broken);
    report.figure("rounds_without_an_image", empty_rounds);
    report.figure("seconds", begun.elapsed().as_secs());
    Ok(report)
}

/// All clients push until the server is killed, `wait` after they began.
fn round_of_pushes(
    server: &mut Server,
    clients: u64,
    random: &Random,
    round: u64,
    wait: Duration,
) -> Result<Pushed> {
    let addr = server.addr;
    let killed = AtomicBool::new(false);
    thread::scope(|scope| {
        let client = |client: u64| {
            let (killed, mut seeds) = (&killed, random.clone());
            let base = seeds.next();
            scope.spawn(move || {
                let mut random = Random::new(base, client);
                let mut wire = Wire::new(addr);
                let mut pushed = Pushed::default();
                for number in 0.. {
                    let image = Image::new(format!("r{round}-c{client}-n{number}"), &mut random);
                    match image.push(&mut wire, REPOSITORY) {
                        Ok(()) => pushed.whole.push(image),
                        Err(_) if killed.load(Ordering::SeqCst) => break,
                        Err(error) => {
                            // The kill may have been seen here before it was noted there.
                            thread::sleep(Duration::from_millis(200));
                            if !killed.load(Ordering::SeqCst) || !error.is::<std::io::Error>() {
                                pushed.refused.push(format!("client {client}: {error}"));
                            }
                            break;
                        }
                    }
                }
                pushed
            })
        };
        let threads: Vec<_> = (0..clients).map(client).collect();
        thread::sleep(wait);
        let done = server.kill();
        killed.store(true, Ordering::SeqCst);
        let mut all = Pushed::default();
        for thread in threads {
            let pushed = thread.join().map_err(|_| "a client panicked")?;
            all.whole.extend(pushed.whole);
            all.refused.extend(pushed.refused);
        }
        done.map(|()| all)
    })
}

/// Pulls all `images` and says what is wrong with them.
fn check(server: &Server, images: &[Image], clients: u64) -> Vec<String> {
    let share = images.len().div_ceil(clients as usize).max(1);
    thread::scope(|scope| {
        let check_share = |share: &'_ [Image]| {
            let mut wire = Wire::new(server.addr);
            let failure = |image: &Image| {
                let failed = image.check(&mut wire, REPOSITORY).err();
                failed.map(|error| format!("{}: {error}", image.tag))
            };
            share.iter().filter_map(failure).collect::<Vec<_>>()
        };
        let threads: Vec<_> = images
            .chunks(share)
            .map(|share| scope.spawn(move || check_share(share)))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| vec!["a check panicked".to_owned()])
            })
            .collect()
    })
}
