//! What of a configuration is unusual or dangerous: said at the start, each with what to do.

use std::{
    net::IpAddr,
    path::{self, Path, PathBuf},
};

/// What the warnings are drawn from.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Exposure {
    /// The address that is listened on; `None` for a Unix socket.
    pub address: Option<IpAddr>,
    /// The address that health is told at, if it is; `None` for a Unix socket.
    pub debug: Option<IpAddr>,
    /// Whether who asks must say who they are.
    pub authenticated: bool,
    /// Whether the connection is encrypted here.
    pub encrypted: bool,
    /// Whether content can be deleted.
    pub deletes: bool,
    /// Whether nothing can be written.
    pub read_only: bool,
    /// The directory that content is in, if it is in one.
    pub directory: Option<PathBuf>,
    /// The folder of temporary files, as `TMPDIR` says, beside `/tmp` and `/var/tmp`.
    pub temporary: Option<PathBuf>,
    /// Whether everybody's forwarded headers count.
    pub trusts_everybody: bool,
}

/// The warnings, one a line.
pub fn find(exposure: &Exposure) -> Vec<String> {
    // An address of the wildcard is that of every interface.
    let reached = |address: IpAddr| !address.to_canonical().is_loopback();
    let public = exposure.address.is_some_and(reached);
    let open = public && !exposure.authenticated;
    let writes = !exposure.read_only;
    let mut warnings = Vec::new();
    if open && writes {
        warnings.push(
            "anybody who reaches this address may pull and push: set auth.htpasswd, or listen on \
             127.0.0.1 behind a proxy that asks for a password (http.addr)",
        );
    } else if open {
        warnings.push(
            "anybody who reaches this address may pull: set auth.htpasswd, or listen on 127.0.0.1 \
             behind a proxy that asks for a password (http.addr)",
        );
    }
    if open && writes && exposure.deletes {
        warnings.push(
            "anybody who reaches this address may delete: set storage.delete.enabled to false, or \
             auth.htpasswd",
        );
    }
    if public && !exposure.encrypted {
        warnings.push(
            "plain HTTP on an address that others reach: passwords and content can be read on the \
             way, and docker refuses it but for insecure-registries; set http.tls, or listen on \
             127.0.0.1 behind a proxy with TLS (http.addr)",
        );
    }
    if exposure.debug.is_some_and(reached) {
        warnings.push(
            "whoever reaches the debug address can take the registry out of service (POST \
             /debug/health/down), without a password: let http.debug.addr be 127.0.0.1 and a port",
        );
    }
    if exposure.trusts_everybody {
        warnings.push(
            "everybody's forwarded headers are believed, so a client can say that it is any other: \
             name only the addresses of your proxies in http.trustedproxies",
        );
    }
    let mut warnings: Vec<_> = warnings.into_iter().map(str::to_owned).collect();
    warnings.extend(below_temporary(exposure));
    warnings
}

fn below_temporary(exposure: &Exposure) -> Option<String> {
    let directory = exposure.directory.as_deref()?;
    let folders = [Path::new("/tmp"), Path::new("/var/tmp")];
    let own = exposure.temporary.as_deref();
    let own = own.filter(|folder| folder.is_absolute() && folder.parent().is_some());
    let place = real(directory);
    let mut found = own.into_iter().chain(folders);
    let folder = found.find(|folder| place.starts_with(real(folder)))?;
    let written = directory.display();
    let place = if place == directory {
        written.to_string()
    } else {
        format!("{written}, which is {}", place.display())
    };
    Some(format!(
        "content is in {place}, below {}, which is emptied from time to time: choose another \
         storage.filesystem.rootdirectory, such as /var/lib/registry",
        folder.display()
    ))
}

/// What a path leads to, without links and detours: as far as there is something, and the rest as written.
fn real(path: &Path) -> PathBuf {
    let path = path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = path
        .ancestors()
        .find_map(|ancestor| Some((ancestor, ancestor.canonicalize().ok()?)));
    match there
        .as_ref()
        .map(|(ancestor, real)| (path.strip_prefix(ancestor), real))
    {
        Some((Ok(rest), real)) if rest != Path::new("") => real.join(rest),
        Some((_, real)) => real.clone(),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, os::unix::fs::symlink};

    use super::*;

    const PULL_AND_PUSH: &str = "anybody who reaches this address may pull and push:";
    const PULL: &str = "anybody who reaches this address may pull:";
    const DELETE: &str = "anybody who reaches this address may delete:";
    const PLAIN: &str = "plain HTTP on an address that others reach:";
    const DEBUG: &str = "whoever reaches the debug address can take the registry out of service";
    const EVERYBODY: &str = "everybody's forwarded headers are believed";

    fn on(address: &str) -> Exposure {
        Exposure {
            address: Some(address.parse().expect("it is an address")),
            ..Exposure::default()
        }
    }

    #[test]
    fn each_danger_has_its_line() {
        let safe = Exposure {
            authenticated: true,
            encrypted: true,
            deletes: true,
            ..on("0.0.0.0")
        };
        let rows: [(Exposure, &[&str]); 14] = [
            (Exposure::default(), &[]),
            (on("127.0.0.1"), &[]),
            (on("::1"), &[]),
            (on("::ffff:127.0.0.1"), &[]),
            (on("0.0.0.0"), &[PULL_AND_PUSH, PLAIN]),
            (on("::"), &[PULL_AND_PUSH, PLAIN]),
            (on("10.0.0.1"), &[PULL_AND_PUSH, PLAIN]),
            (safe.clone(), &[]),
            (
                Exposure {
                    authenticated: false,
                    ..safe.clone()
                },
                &[PULL_AND_PUSH, DELETE],
            ),
            (
                Exposure {
                    authenticated: false,
                    read_only: true,
                    ..safe.clone()
                },
                &[PULL],
            ),
            (
                Exposure {
                    encrypted: false,
                    ..safe
                },
                &[PLAIN],
            ),
            (
                Exposure {
                    debug: on("0.0.0.0").address,
                    ..on("127.0.0.1")
                },
                &[DEBUG],
            ),
            (
                Exposure {
                    debug: on("::1").address,
                    ..Exposure::default()
                },
                &[],
            ),
            (
                Exposure {
                    trusts_everybody: true,
                    ..Exposure::default()
                },
                &[EVERYBODY],
            ),
        ];
        for (exposure, expected) in rows {
            let said = find(&exposure);
            assert_eq!(said.len(), expected.len(), "{exposure:?}: {said:#?}");
            for (line, begin) in said.iter().zip(expected) {
                assert!(line.starts_with(begin), "{exposure:?}: {line}");
            }
        }
    }

    #[test]
    fn content_below_a_temporary_folder() {
        for (directory, temporary, below) in [
            ("/tmp/registry", None, Some("/tmp")),
            ("/var/tmp/registry", None, Some("/var/tmp")),
            ("/tmp", None, Some("/tmp")),
            ("/tmpfoo/registry", None, None),
            ("/var/lib/registry", None, None),
            ("/scratch/registry", Some("/scratch"), Some("/scratch")),
            ("/var/lib/registry", Some("/"), None),
            ("/var/lib/registry", Some(""), None),
        ] {
            let exposure = Exposure {
                directory: Some(directory.into()),
                temporary: temporary.map(Into::into),
                ..Exposure::default()
            };
            let said = find(&exposure);
            let expected = below.map(|folder| format!("below {folder}, "));
            assert_eq!(said.len(), usize::from(below.is_some()), "{directory}");
            let found = said.first().zip(expected);
            assert!(
                found.is_none_or(|(line, part)| line.contains(&part)),
                "{said:?}"
            );
        }
    }

    /// What counts is where the content really is, and not how that was written.
    #[test]
    fn content_below_a_temporary_folder_by_another_name() {
        let top = tempfile::tempdir().expect("a temporary directory can be made");
        let scratch = top.path().join("scratch");
        fs::create_dir_all(scratch.join("data")).expect("it can be made");
        fs::create_dir(top.path().join("lib")).expect("it can be made");
        let link = top.path().join("link");
        symlink(&scratch, &link).expect("it can be made");
        let said = |directory: PathBuf, temporary: &Path| {
            let exposure = Exposure {
                directory: Some(directory),
                temporary: Some(temporary.to_owned()),
                ..Exposure::default()
            };
            let below = format!("below {}, ", temporary.display());
            find(&exposure).iter().any(|line| line.contains(&below))
        };
        for (directory, below) in [
            ("scratch/data", true),
            ("scratch/not/there/yet", true),
            ("lib/../scratch/data", true),
            ("lib/../scratch/not/there/yet", true),
            ("link/data", true),
            ("link/not/there/yet", true),
            ("lib/data", false),
            ("scratch/../lib", false),
        ] {
            assert_eq!(
                said(top.path().join(directory), &scratch),
                below,
                "{directory}"
            );
        }
        // The folder itself by another name, and a path that begins at the working directory.
        assert!(said(scratch.join("data"), &link));
        let working = env::current_dir().expect("there is one");
        assert!(said("data".into(), &working));
        assert!(!said("../data".into(), &working));
    }
}
