//! Servers as processes of ours: started from a command line, killed by their own id, watched through `/proc`.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::wire::Wire;

/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(30);

/// What a server's config.yml says beyond where it listens and where its data is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settings {
    /// Purge uploads a second after they were begun, every second; otherwise purging is off.
    pub(crate) purge: bool,
}

/// A command line with `{addr}`, `{root}`, `{config}` and `{peer-config}` in it.
#[derive(Clone, Debug)]
pub(crate) struct Template(Vec<String>);

impl Template {
    pub(crate) fn new(text: &str) -> Result<Self> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            return Err("an empty command line for a server".into());
        }
        Ok(Self(words))
    }

    fn command(&self, fill: impl Fn(&str) -> String) -> Command {
        let is_variable = |word: &&String| {
            let name = word.split_once('=').map(|(name, _)| name);
            name.is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        };
        let variables = self.0.iter().take_while(is_variable).count();
        let mut words = self.0[variables..].iter().map(|word| fill(word));
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        for variable in &self.0[..variables] {
            if let Some((name, value)) = variable.split_once('=') {
                command.env(name, fill(value));
            }
        }
        command
    }
}

/// A registry that answers, ours to kill or somebody else's.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    owned: Option<Owned>,
}

#[derive(Debug)]
struct Owned {
    template: Template,
    settings: Settings,
    work: PathBuf,
    root: PathBuf,
    child: Option<Child>,
}

impl Server {
    /// A server that runs already; it can be neither killed nor looked into.
    pub(crate) fn at(url: &str) -> Result<Self> {
        let authority = url.strip_prefix("http://").ok_or("only http:// URLs")?;
        let authority = authority.trim_end_matches('/');
        let addr = authority.to_socket_addrs()?.next().ok_or("no such host")?;
        Ok(Self { addr, owned: None })
    }

    /// Starts a server on a port of its own; `work` takes its configuration and its log, `root` its data.
    pub(crate) fn start(
        template: &Template,
        work: &Path,
        root: &Path,
        settings: Settings,
    ) -> Result<Self> {
        fs::create_dir_all(work)?;
        fs::create_dir_all(root)?;
        let owned = Owned {
            template: template.clone(),
            settings,
            work: work.to_owned(),
            root: root.to_owned(),
            child: None,
        };
        let mut server = Self {
            addr: free_port()?,
            owned: Some(owned),
        };
        server.restart()?;
        Ok(server)
    }

    pub(crate) fn root(&self) -> Option<&Path> {
        self.owned.as_ref().map(|owned| owned.root.as_path())
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.owned.as_ref()?.child.as_ref().map(Child::id)
    }

    /// `kill -9`, and waits until the process is gone.
    pub(crate) fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.owned.as_mut().and_then(|owned| owned.child.take()) {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    pub(crate) fn reconfigure(&mut self, settings: Settings) -> Result<()> {
        self.kill()?;
        if let Some(owned) = &mut self.owned {
            owned.settings = settings;
        }
        self.restart()
    }

    /// Starts the killed server again on the same port and the same data, and waits until it answers.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.kill()?;
        let addr = self.addr;
        let owned = self
            .owned
            .as_mut()
            .ok_or("a server given by its URL cannot be restarted")?;
        let config = owned.work.join("config.yml");
        let peer_config = owned.work.join("peer-config.yml");
        fs::write(&config, config_yml(addr, &owned.root, owned.settings, ""))?;
        fs::write(
            &peer_config,
            config_yml(addr, &owned.root, owned.settings, DESCRIPTOR_CACHE),
        )?;
        let fill = |word: &str| {
            word.replace("{addr}", &addr.to_string())
                .replace("{root}", &owned.root.to_string_lossy())
                .replace("{config}", &config.to_string_lossy())
                .replace("{peer-config}", &peer_config.to_string_lossy())
        };
        let path = owned.work.join("server.log");
        let log = File::options().create(true).append(true).open(&path)?;
        let mut command = owned.template.command(fill);
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = command
            .spawn()
            .map_err(|error| format!("{command:?}: {error}"))?;
        let child = owned.child.insert(child);
        let begun = Instant::now();
        while !matches!(Wire::new(addr).get("/v2/"), Ok(reply) if reply.head.status == 200) {
            let log = || fs::read_to_string(&path).unwrap_or_default();
            if let Some(status) = child.try_wait()? {
                return Err(format!("the server ended at once ({status}): {}", log()).into());
            }
            if begun.elapsed() > START {
                return Err(format!("the server does not answer: {}", log()).into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The most memory the process ever had resident, in bytes.
    pub(crate) fn peak_resident(&self) -> Result<u64> {
        let pid = self.pid().ok_or("not a server of ours")?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kib.ok_or("no VmHWM in /proc")? * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("the server at {} could not be killed: {error}", self.addr);
        }
    }
}

pub(crate) fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

const DESCRIPTOR_CACHE: &str = "\n  cache:\n    blobdescriptor: inmemory";

fn config_yml(addr: SocketAddr, root: &Path, settings: Settings, more_storage: &str) -> String {
    let purge = settings.purge;
    format!(
        "version: 0.1
log:
  level: error
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: {root}
  delete:
    enabled: true
  maintenance:
    uploadpurging:
      enabled: {purge}
      age: 1s
      interval: 1s
      dryrun: false{more_storage}
http:
  addr: {addr}
  secret: one-for-all-processes
",
        root = root.display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_words_with_an_equals_sign_are_variables() {
        let template = Template::new("A=1 B={root} prog --x=y {addr}").unwrap();
        let fill = |word: &str| word.replace("{root}", "R").replace("{addr}", "H:1");
        let command = template.command(fill);
        assert_eq!(command.get_program(), "prog");
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["--x=y", "H:1"]);
        let variables: Vec<_> = command.get_envs().collect();
        assert_eq!(variables[1], ("B".as_ref(), Some("R".as_ref())));
    }
}
