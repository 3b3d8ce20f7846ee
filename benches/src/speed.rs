//! The same work against several servers in turn, on one machine, in one run.
//!
//! All servers run from the start; each round gives every piece of work to one server after another and
//! begins with another server each time, so that what the machine does besides falls on all alike. What
//! pushes leave is removed outside the clock, before it is written back: a server that leaves its writes to
//! the kernel must not have them charged to the next one.

mod files;
mod load;
mod setup;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::json;

use crate::Result;
use crate::args::Args;
use crate::content::Random;
use crate::report::{Report, median};
use crate::scratch::Scratch;
use crate::server::{Server, Settings, Template};

use files::Files;
use load::Load;
use setup::Samples;

const WORK: &[&str] = &["manifest", "small", "big", "push", "images"];

/// One of the servers compared.
#[derive(Debug)]
struct Entry {
    name: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Files(Files),
    Registry(Server),
}

impl Entry {
    fn addr(&self) -> SocketAddr {
        match &self.kind {
            Kind::Files(files) => files.addr,
            Kind::Registry(server) => server.addr,
        }
    }
}

pub(crate) fn run(args: &mut Args) -> Result<Report> {
    let commands = args.all("server");
    let nginx = args.text("nginx");
    let rounds: u64 = args.number("rounds", 5)?;
    let seed: u64 = args.number("seed", 1)?;
    let work = args.choice("only", WORK)?;
    let load = Load {
        wrk: args.text("wrk").unwrap_or_else(|| "wrk".to_owned()),
        threads: args.number("wrk-threads", 1)?,
        seconds: args.number("seconds", 3)?,
        push: args.size("push-size", 1 << 30)?,
        images: args.number("images", 320)?,
        clients: args.number("clients", 16)?,
    };
    let needed = (load.push * 2) * commands.len() as u64 + (1 << 30);
    let scratch = Scratch::new(args.work("speed"), args.flag("keep"), needed)?;
    args.done()?;

    let samples = Samples::new(seed);
    let mut entries = Vec::new();
    for command in &commands {
        let (name, command) = command.split_once('=').ok_or("--server NAME=CMD")?;
        let server = if command.starts_with("http://") {
            Server::at(command)?
        } else {
            let place = scratch.path.join(name);
            let (template, root) = (Template::new(command)?, place.join("data"));
            Server::start(&template, &place, &root, Settings::default())?
        };
        samples
            .push(server.addr)
            .map_err(|error| format!("{name}: {error}"))?;
        entries.push(Entry {
            name: name.to_owned(),
            kind: Kind::Registry(server),
        });
    }
    if let Some(nginx) = nginx {
        let files = Files::start(&nginx, &scratch.path.join("nginx"), &samples)?;
        entries.push(Entry {
            name: "nginx".to_owned(),
            kind: Kind::Files(files),
        });
    }

    let mut measured: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
    for round in 0..rounds {
        for (position, what) in work.iter().enumerate() {
            for turn in 0..entries.len() {
                let index = (turn + round as usize) % entries.len();
                let entry = &entries[index];
                let mut random = Random::new(seed, round * 16 + position as u64);
                let figure = match &entry.kind {
                    Kind::Files(_) if matches!(*what, "push" | "images") => continue,
                    Kind::Registry(server) if *what == "push" => load.push(server, &mut random),
                    Kind::Registry(server) if *what == "images" => {
                        load.images(server, round, &mut random)
                    }
                    _ => load.read(entry.addr(), &samples, what),
                };
                let figure = figure.map_err(|error| format!("{what}, {}: {error}", entry.name))?;
                eprintln!("round {round}: {what:8} {:10} {figure:.1}", entry.name);
                measured.entry((position, index)).or_default().push(figure);
            }
        }
    }
    Ok(tell(&entries, &work, &measured))
}

/// Medians, and how many times better the first server is than each of the others.
fn tell(entries: &[Entry], work: &[&str], measured: &BTreeMap<(usize, usize), Vec<f64>>) -> Report {
    let mut columns = vec!["work".to_owned(), "unit".to_owned()];
    for (index, entry) in entries.iter().enumerate() {
        columns.push(entry.name.clone());
        if index > 0 {
            columns.push(format!("{} / {}", entries[0].name, entry.name));
        }
    }
    let mut report = Report::new(
        "speed",
        &columns.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    for (position, what) in work.iter().enumerate() {
        let values = |index| {
            measured
                .get(&(position, index))
                .map(Vec::as_slice)
                .unwrap_or_default()
        };
        let first = median(values(0));
        let mut row = vec![(*what).to_owned(), Load::unit(what).to_owned()];
        let mut figures = serde_json::Map::new();
        for (index, entry) in entries.iter().enumerate() {
            let middle = median(values(index));
            if values(index).is_empty() {
                row.extend(["-".to_owned(), "-".to_owned()]);
                continue;
            }
            row.push(format!("{middle:.1}"));
            let ratio = first / middle;
            if index > 0 {
                row.push(format!("{ratio:.2}"));
            }
            let figure = json!({ "median": middle, "all": values(index), "ratio": ratio });
            figures.insert(entry.name.clone(), figure);
            // Files are for orientation here; registries are to be beaten.
            let rival = index > 0 && matches!(entry.kind, Kind::Registry(_));
            report.require(!rival || ratio > 1.0, || {
                format!("{what}: {ratio:.2} times {}", entry.name)
            });
        }
        report.row(row);
        report.figure(what, figures);
    }
    report
}
