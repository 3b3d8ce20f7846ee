//! Looks at what a configuration names, without serving.

use std::{fs::File, io::Read as _, path::Path};

use registry_auth::htpasswd::HtpasswdFile;

use crate::config::{Certificate, Config, ConfigError, Driver};

/// Whether the files that the configuration names are there and can be read.
///
/// # Errors
///
/// [`ConfigError`] with everything that is wrong.
pub fn files(config: &Config) -> Result<(), ConfigError> {
    let mut problems = Vec::new();
    let mut wrong = |key: &str, message: String| {
        problems.push(ConfigError::new(config.resolved.origin(key), key, message));
    };
    if let Some(htpasswd) = &config.auth
        && let Err(error) = HtpasswdFile::read(&htpasswd.path)
    {
        let remedy =
            "write one with `registry htpasswd -Bc FILE USER`; until then nobody can log in";
        wrong(
            "auth.htpasswd.path",
            format!("cannot be read: {error}; {remedy}"),
        );
    }
    let mut readable = |key: &str, path: &Path| {
        let mut byte = [0];
        if let Err(error) = File::open(path).and_then(|mut file| file.read(&mut byte)) {
            let path = path.display();
            wrong(
                key,
                format!("{path} cannot be read: {error}; name a file that is there"),
            );
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
    }
    if let Driver::Filesystem { root, .. } = &config.storage.driver
        && root.exists()
        && !root.is_dir()
    {
        let message = "is no directory; name another, or move what is there".to_owned();
        wrong("storage.filesystem.rootdirectory", message);
    }
    ConfigError::all(problems)
}
