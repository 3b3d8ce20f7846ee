//! `registry-bench`: drives any registry from outside, over plain HTTP, and says what held.
//!
//! Each subcommand prints a table and one line of JSON, and exits with 1 when something that must hold
//! did not. Servers come as command lines (`{addr}`, `{root}` and `{config}` are filled in), so the same
//! work runs against ours and against its peers; nothing here links the registry itself.

#![allow(
    clippy::indexing_slicing,
    reason = "what is sliced was made here; a panic ends the measurement"
)]

mod args;
mod content;
mod crash;
mod cuts;
mod http;
mod image;
mod memory;
mod races;
mod report;
mod scratch;
mod server;
mod speed;
mod wire;

use std::error::Error;
use std::process::ExitCode;

use args::Args;
use report::Report;

/// What every fallible step here returns: errors are only ever printed.
type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

const USAGE: &str = "\
usage: registry-bench <what> [options]

  cuts    uploads cut once each (close, reset, kill -9), resumed where the server says
            --server CMD | --url URL  --count 200  --size 64MiB  --seed 1  --no-purge
  crash   kill -9 under pushing clients; what was answered 201 is pulled whole
            --server CMD  --rounds 100  --clients 16  --seed 1
  races   writers against each other, over one and over two processes on one data directory
            --server CMD  --seeds 1000  --processes 1,2  --only patches,tags,deletes
  memory  peak RSS under pushes and pulls at once
            --server CMD  --clients 64  --size 256MiB  --limit 64MiB
  speed   the same work against several servers, in turn; the first is the one compared
            --server NAME=CMD|URL ...  --nginx PATH  --wrk PATH  --rounds 5  --seconds 3
            --push-size 1GiB  --images 320  --only manifest,small,big,push,images

common: --work DIR (a scratch directory, default under the temporary one)  --json FILE  --seed N
CMD is a command line, not a shell's: leading NAME=VALUE words become variables, and {addr}, {root},
{config} (a Distribution config.yml written for the run) and {peer-config} (the same with the
in-memory descriptor cache on) are filled in.";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let what = words.next().unwrap_or_default();
    match run(&what, words.collect()) {
        Ok(report) => report.finish(),
        Err(error) => {
            eprintln!("registry-bench {what}: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(what: &str, words: Vec<String>) -> Result<Report> {
    let mut args = Args::parse(words)?;
    let json = args.text("json");
    let report = match what {
        "crash" => crash::run(&mut args),
        "cuts" => cuts::run(&mut args),
        "memory" => memory::run(&mut args),
        "races" => races::run(&mut args),
        "speed" => speed::run(&mut args),
        _ => Err(USAGE.into()),
    }?;
    Ok(report.saved_to(json))
}
