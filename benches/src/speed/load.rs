//! The pieces of work: reads by wrk, pushes by our own clients. Every figure is a rate, so more is better.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::Result;
use crate::content::{Content, Random};
use crate::image::Image;
use crate::server::Server;
use crate::wire::{ACCEPT, Wire};

use super::setup::Samples;

const REPOSITORY: &str = "speed/pushes";

/// How much of everything.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) wrk: String,
    pub(super) threads: u32,
    pub(super) seconds: u32,
    pub(super) push: u64,
    pub(super) images: u64,
    pub(super) clients: u64,
}

impl Load {
    pub(super) fn unit(what: &str) -> &'static str {
        match what {
            "big" | "push" => "MiB/s",
            "images" => "images/s",
            _ => "requests/s",
        }
    }

    /// What wrk says about one path: 32 connections, 4 for the big blob.
    pub(super) fn read(&self, addr: SocketAddr, samples: &Samples, what: &str) -> Result<f64> {
        let connections = if what == "big" { 4 } else { 32 };
        let output = Command::new(&self.wrk)
            .arg(format!("-t{}", self.threads))
            .arg(format!("-c{connections}"))
            .arg(format!("-d{}s", self.seconds))
            .args(["-H", &format!("Accept: {ACCEPT}")])
            .arg(format!("http://{addr}{}", samples.path(what)))
            .output()
            .map_err(|error| format!("{}: {error}", self.wrk))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() || text.contains("Non-2xx") || text.contains("Socket errors") {
            return Err(format!("wrk: {text}{}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("Requests/sec:"));
        let rate = line.and_then(|rate| rate.trim().parse::<f64>().ok());
        let rate = rate.ok_or_else(|| format!("wrk: {text}"))?;
        let mib = samples.blobs[1].0.size >> 20;
        Ok(if what == "big" {
            rate * mib as f64
        } else {
            rate
        })
    }

    /// One large blob, from the POST to the 201.
    pub(super) fn push(&self, server: &Server, random: &mut Random) -> Result<f64> {
        let content = Content {
            seed: random.next(),
            size: self.push,
        };
        let digest = content.digest();
        let begun = Instant::now();
        Wire::new(server.addr).push_blob(REPOSITORY, &content, &digest)?;
        let seconds = begun.elapsed().as_secs_f64();
        forget(server, &digest)?;
        Ok((self.push >> 20) as f64 / seconds)
    }

    /// Whole small images by all clients at once; the images are worked out before the clock starts.
    pub(super) fn images(&self, server: &Server, round: u64, random: &mut Random) -> Result<f64> {
        let images: Vec<Image> = (0..self.images)
            .map(|number| Image::new(format!("r{round}-n{number}"), random))
            .collect();
        let (next, addr) = (AtomicUsize::new(0), server.addr);
        let client = || -> Result<()> {
            let mut wire = Wire::new(addr);
            while let Some(image) = images.get(next.fetch_add(1, Ordering::Relaxed)) {
                image.push(&mut wire, REPOSITORY)?;
            }
            Ok(())
        };
        let begun = Instant::now();
        thread::scope(|scope| {
            let threads: Vec<_> = (0..self.clients).map(|_| scope.spawn(client)).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(|_| "a client panicked")?)
        })?;
        let seconds = begun.elapsed().as_secs_f64();
        for digest in images.iter().flat_map(Image::blobs) {
            forget(server, digest)?;
        }
        Ok(images.len() as f64 / seconds)
    }
}

/// Removes a blob's bytes behind the server's back, so that what it left to the kernel is never written.
fn forget(server: &Server, digest: &str) -> Result<()> {
    let Some(root) = server.root() else {
        return Ok(());
    };
    let hex = digest.trim_start_matches("sha256:");
    let blob = format!("docker/registry/v2/blobs/sha256/{}/{hex}", &hex[..2]);
    Ok(fs::remove_dir_all(root.join(blob))?)
}
