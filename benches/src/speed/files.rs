//! nginx over the same bytes as plain files under the same paths: what a registry could be at best.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Result;
use crate::server::free_port;
use crate::wire::{MANIFEST, Wire};

use super::setup::Samples;

/// A running nginx with two workers.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) addr: SocketAddr,
    program: String,
    place: PathBuf,
    master: Child,
}

impl Files {
    pub(super) fn start(program: &str, place: &Path, samples: &Samples) -> Result<Self> {
        let root = place.join("files");
        for what in ["manifest", "small", "big"] {
            let path = root.join(samples.path(what).trim_start_matches('/'));
            fs::create_dir_all(path.parent().ok_or("no folder for a sample")?)?;
            let bytes = match what {
                "manifest" => samples.image.manifest().to_vec(),
                "small" => samples.blobs[0].0.bytes(),
                _ => samples.blobs[1].0.bytes(),
            };
            fs::write(path, bytes)?;
        }
        let addr = free_port()?;
        let config = place.join("nginx.conf");
        fs::write(&config, nginx_conf(addr, place, &root)?)?;
        let master = invocation(program, place, &config)
            .stdin(Stdio::null())
            .spawn()?;
        let files = Self {
            addr,
            program: program.to_owned(),
            place: place.to_owned(),
            master,
        };
        for _ in 0..1000 {
            let reply = Wire::new(addr).get(&samples.path("manifest"));
            if matches!(reply, Ok(reply) if reply.head.status == 200) {
                return Ok(files);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err("nginx does not answer".into())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // Killed, the master would leave its workers behind.
        let config = self.place.join("nginx.conf");
        let stop = invocation(&self.program, &self.place, &config)
            .args(["-s", "stop"])
            .status();
        if !stop.is_ok_and(|status| status.success()) {
            eprintln!("nginx (process {}) may still be running", self.master.id());
            return;
        }
        if let Err(error) = self.master.wait() {
            eprintln!("nginx: {error}");
        }
    }
}

fn invocation(program: &str, place: &Path, config: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .arg("-p")
        .arg(place)
        .arg("-c")
        .arg(config)
        .arg("-e")
        .arg(place.join("error.log"));
    command
}

fn nginx_conf(addr: SocketAddr, place: &Path, root: &Path) -> Result<String> {
    // Workers of a root's nginx become somebody who may not read a private folder.
    let user = if fs::metadata("/proc/self")?.uid() == 0 {
        "user root;"
    } else {
        ""
    };
    let place = place.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {place}/{kind};\n"))
        .concat();
    Ok(format!(
        "daemon off;
{user}
worker_processes 2;
pid {place}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
{temporary}  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
  default_type {MANIFEST};
  server {{
    listen {addr};
    root {root};
  }}
}}
",
        root = root.display(),
    ))
}
