//! Looks at what a configuration names, without serving.

use std::path::Path;

use registry_auth::htpasswd::Htpasswd;

use crate::{
    config::{Certificate, Config, ConfigError, Driver},
    tls::{self, Acceptor},
};

/// What `serve` starts with all the same, and says at once.
pub fn warnings(config: &Config) -> Vec<String> {
    let Some(htpasswd) = &config.auth else {
        return Vec::new();
    };
    let key = "auth.htpasswd.path";
    let origin = config.resolved.origin(key);
    // What lets users in reads the file, so that nothing is said here that is not so there.
    match Htpasswd::new(&htpasswd.path, &htpasswd.realm).users() {
        Ok(users) => {
            let warning = |skipped| format!("{origin}: {key}: {skipped}");
            users.skipped.iter().map(warning).collect()
        }
        Err(error) => vec![format!(
            "{origin}: {key}: {} cannot be read: {error}; write one with `registry htpasswd -Bc FILE \
             USER`; until then nobody can log in",
            htpasswd.path.display()
        )],
    }
}

/// Whether the files that the configuration names are there, and hold what they should. Nothing is
/// written.
///
/// # Errors
///
/// [`ConfigError`] with everything that is wrong.
pub fn files(config: &Config) -> Result<(), ConfigError> {
    let mut problems = Vec::new();
    let wrong =
        |key: &str, message: String| ConfigError::new(config.resolved.origin(key), key, message);
    let mut all_readable = true;
    let mut readable = |key: &str, path: &Path| {
        if let Err(error) = tls::readable(path) {
            problems.push(wrong(key, error.to_string()));
            all_readable = false;
        }
    };
    if let Some(tls) = &config.http.tls {
        match &tls.certificate {
            Certificate::Files { certificate, key } => {
                readable("http.tls.certificate", certificate);
                readable("http.tls.key", key);
            }
            Certificate::Acme(acme) => {
                if let Some(authority) = &acme.directory_ca {
                    readable("http.tls.letsencrypt.directoryca", authority);
                }
            }
        }
        for authority in tls.clients.iter().flat_map(|clients| &clients.authorities) {
            readable("http.tls.clientcas", authority);
        }
        if all_readable && let Err(error) = Acceptor::look(tls, config.http.http2) {
            problems.push(error.in_configuration(tls, &config.resolved));
        }
    }
    let access_file = config.log.access.and(config.log.access_file.as_ref());
    for (key, file) in [
        ("log.file", config.log.file.as_ref()),
        ("log.accesslog.file", access_file),
    ] {
        let Some(file) = file else { continue };
        if file.is_dir() {
            let message = format!("{} is a folder; name a file", file.display());
            problems.push(wrong(key, message));
        } else if !folder(file).is_dir() {
            let message = "is no folder; make it, or name a file in another";
            let message = format!("{} {message}", folder(file).display());
            problems.push(wrong(key, message));
        }
    }
    if let Driver::Filesystem { root, .. } = &config.storage.driver
        && root.exists()
        && !root.is_dir()
    {
        let message = "is no directory; name another, or move what is there".to_owned();
        problems.push(wrong("storage.filesystem.rootdirectory", message));
    }
    ConfigError::all(problems)
}

/// The folder that a file is in.
fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}
