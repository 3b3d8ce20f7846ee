//! Uploads cut once each, by the client's closing, by a reset or by `kill -9` of the server, then resumed.
//!
//! The bar: the right digest every time; what the server says it kept is most of what was sent, where the
//! connection was closed in good order; and nothing is left behind once the uploads are over. Half of the
//! clients go on at once, the others wait until the server's offset no longer grows; only these count for
//! what was kept.

mod leftovers;
mod upload;

use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::args::Args;
use crate::content::{Content, Random};
use crate::report::Report;
use crate::scratch::Scratch;
use crate::server::{Server, Settings, Template};
use crate::wire::Wire;

use upload::Settled;

const REPOSITORY: &str = "cuts/blobs";

/// Uploads that nobody resumes, for the purge to find.
const ABANDONED: u64 = 6;

/// How long the purge, due every second, may take.
const PURGE: Duration = Duration::from_secs(30);

/// How an upload is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Close,
    Kill,
    Reset,
}

impl Cut {
    fn name(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Kill => "kill -9",
            Self::Reset => "reset",
        }
    }
}

/// What is counted for each way of cutting.
#[derive(Debug)]
struct Count {
    cut: Cut,
    right: u64,
    wrong: u64,
    refused: u64,
    written: u64,
    settled: u64,
}

pub(crate) fn run(args: &mut Args) -> Result<Report> {
    let url = args.text("url");
    let command = args.text("server");
    let count: u64 = args.number("count", 200)?;
    let size = args.size("size", 64 << 20)?;
    let seed: u64 = args.number("seed", 1)?;
    let purge = !args.flag("no-purge");
    let scratch = Scratch::new(args.work("cuts"), args.flag("keep"), count * size)?;
    args.done()?;

    let mut server = match (url, command) {
        (Some(url), None) => Server::at(&url)?,
        (None, Some(command)) => {
            let (template, root) = (Template::new(&command)?, scratch.path.join("data"));
            Server::start(&template, &scratch.path, &root, Settings::default())?
        }
        _ => return Err("either --server CMD or --url URL".into()),
    };
    let cuts: &[Cut] = match server.pid() {
        Some(_) => &[Cut::Close, Cut::Reset, Cut::Kill],
        None => &[Cut::Close, Cut::Reset],
    };
    let mut report = Report::new(
        "cuts",
        &[
            "cut by",
            "uploads",
            "right",
            "wrong",
            "416 on the way",
            "kept",
        ],
    );
    let begun = Instant::now();
    let mut counts: Vec<Count> = cuts.iter().map(|cut| Count::new(*cut)).collect();
    for index in 0..count {
        let counted = &mut counts[(index % cuts.len() as u64) as usize];
        let mut random = Random::new(seed, index);
        let content = Content {
            seed: random.next(),
            size,
        };
        // Every other one of each kind does not wait until the server has settled.
        let eager = (index / cuts.len() as u64) % 2 == 1;
        let mut settled = Settled {
            eager,
            ..Settled::default()
        };
        let done = upload::cut_and_resume(
            &mut server,
            &content,
            counted.cut,
            &mut random,
            &mut settled,
        );
        counted.add(&settled, done.is_ok());
        if let Err(error) = done {
            let cut = counted.cut.name();
            report.violation(format!(
                "upload {index} ({cut} at {}): {error}",
                settled.written
            ));
        }
    }
    for counted in &counts {
        counted.tell(&mut report);
    }
    if let Some(root) = server.root() {
        let left = leftovers::find(root)?;
        report.figure("left_before_purge", left.len());
    }
    if purge && server.pid().is_some() {
        check_purge(&mut server, &mut report)?;
    }
    report.figure("count", count);
    report.figure("size", size);
    report.figure("seed", seed);
    report.figure("seconds", begun.elapsed().as_secs());
    Ok(report)
}

/// Leaves some uploads open, lets the server purge them, and looks for what is left.
fn check_purge(server: &mut Server, report: &mut Report) -> Result<()> {
    for index in 0..ABANDONED {
        let mut wire = Wire::new(server.addr);
        let at = wire.start_upload(REPOSITORY)?;
        let content = Content {
            seed: index,
            size: 300_000,
        };
        let body = (&content, 0, content.size);
        wire.send("PATCH", &at, &[], body, index % 2 == 0)?;
    }
    server.reconfigure(Settings { purge: true })?;
    let begun = Instant::now();
    loop {
        let left = leftovers::find(server.root().ok_or("no data directory")?)?;
        if left.is_empty() || begun.elapsed() > PURGE {
            report.figure("left_after_purge", left.len());
            for path in left {
                report.violation(format!("left behind after the purge: {path}"));
            }
            return Ok(());
        }
        thread::sleep(Duration::from_millis(200));
    }
}

impl Count {
    fn new(cut: Cut) -> Self {
        Self {
            cut,
            right: 0,
            wrong: 0,
            refused: 0,
            written: 0,
            settled: 0,
        }
    }

    fn add(&mut self, settled: &Settled, right: bool) {
        if right {
            self.right += 1;
        } else {
            self.wrong += 1;
        }
        self.refused += settled.refused;
        if !settled.eager {
            self.written += settled.written;
            self.settled += settled.offset;
        }
    }

    fn tell(&self, report: &mut Report) {
        let kept = self.settled as f64 / self.written.max(1) as f64;
        let (name, uploads) = (self.cut.name(), self.right + self.wrong);
        let mut row = vec![name.to_owned()];
        row.extend([uploads, self.right, self.wrong, self.refused].map(|count| count.to_string()));
        row.push(format!("{:.1} %", kept * 100.0));
        report.row(row);
        let figure = serde_json::json!({
            "uploads": uploads,
            "right": self.right,
            "wrong": self.wrong,
            "refused_416": self.refused,
            "written": self.written,
            "settled": self.settled,
        });
        report.figure(name, figure);
        if self.cut == Cut::Close {
            report.require(kept > 0.95, || {
                format!("only {kept:.3} of what was sent was kept")
            });
        }
    }
}
