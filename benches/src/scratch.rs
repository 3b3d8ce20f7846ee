//! Where a run keeps its data: looked at beforehand for room, removed afterwards.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::Result;

/// The scratch directory of a run, removed with all that is in it when the run ends.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) path: PathBuf,
    keep: bool,
}

impl Scratch {
    /// Makes the directory, after a look at whether `bytes` will fit.
    pub(crate) fn new(path: PathBuf, keep: bool, bytes: u64) -> Result<Self> {
        fs::create_dir_all(&path)?;
        let scratch = Self { path, keep };
        let output = Command::new("df")
            .args(["--output=avail", "-B1"])
            .arg(&scratch.path)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let free: Option<u64> = text
            .lines()
            .nth(1)
            .and_then(|line| line.trim().parse().ok());
        if let Some(free) = free
            && free < bytes + (bytes >> 3)
        {
            let (needed, free) = (bytes >> 20, free >> 20);
            return Err(format!("{needed} MiB needed, {free} MiB free; --work or --size?").into());
        }
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.keep {
            eprintln!("kept: {}", self.path.display());
        } else if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("{}: {error}", self.path.display());
        }
    }
}
