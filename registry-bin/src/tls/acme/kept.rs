//! What is kept of an authority: the key of the account, and the certificate with its key.

use std::{
    fmt,
    fs::{self, DirBuilder, File},
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use registry_core::{Algorithm, Clock as _, SystemClock};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use rustls_acme::{AccountCache, CertCache};
use tempfile::NamedTempFile;

use crate::tls::{facts::Facts, settings::TlsError};

/// A directory, with the newest certificate in memory as well: one that cannot be written is not asked
/// for again while this runs. Clones are one.
///
/// Files are replaced as a whole, and only their owner may read them: there are private keys in them.
#[derive(Clone)]
pub(super) struct Kept(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    newest: RwLock<Option<Newest>>,
}

struct Newest {
    pem: Vec<u8>,
    facts: Option<Facts>,
}

impl Kept {
    /// What is kept in `folder`. Nothing is written.
    pub(super) fn at(folder: &Path) -> Result<Self, TlsError> {
        if folder.is_file() {
            let message = "is a file, as Distribution keeps it; here certificates are kept in a directory: \
                           name another in http.tls.letsencrypt.cachefile, they are had anew";
            return Err(TlsError::file(folder, message));
        }
        Ok(Self(Arc::new(Inner {
            folder: folder.to_owned(),
            newest: RwLock::new(None),
        })))
    }

    /// Makes the directory, where it is not there, and sees whether it can be written.
    pub(super) fn prepare(&self) -> Result<(), TlsError> {
        let folder = &self.0.folder;
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(folder);
        let written = made.and_then(|()| NamedTempFile::new_in(folder));
        written.map(drop).map_err(|error| {
            let message = format!(
                "cannot be written: {error}; name a directory that the user of the registry may write"
            );
            TlsError::file(folder, message)
        })
    }

    /// What the newest certificate says of itself, if there is one.
    pub(super) fn facts(&self) -> Option<Facts> {
        let newest = self.0.newest.read().unwrap_or_else(PoisonError::into_inner);
        newest.as_ref()?.facts.clone()
    }

    /// When the newest certificate ends, for people.
    pub(super) fn until(&self) -> String {
        let facts = self.facts().map(|facts| facts.until_text);
        facts.unwrap_or_else(|| "who knows when".to_owned())
    }

    fn newest(&self) -> Option<Vec<u8>> {
        let newest = self.0.newest.read().unwrap_or_else(PoisonError::into_inner);
        newest.as_ref().map(|newest| newest.pem.clone())
    }

    fn remember(&self, pem: &[u8]) {
        let certificate = CertificateDer::from_pem_slice(pem).ok();
        let newest = Newest {
            pem: pem.to_owned(),
            facts: certificate.and_then(|der| Facts::read(&der, SystemClock.now())),
        };
        let mut slot = self
            .0
            .newest
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *slot = Some(newest);
    }

    async fn read(&self, name: String) -> io::Result<Option<Vec<u8>>> {
        let path = self.0.folder.join(name);
        let read = tokio::task::spawn_blocking(move || fs::read(path));
        match read.await? {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn write(&self, name: String, bytes: &[u8]) -> io::Result<()> {
        let (folder, bytes) = (self.0.folder.clone(), bytes.to_owned());
        let written = tokio::task::spawn_blocking(move || {
            let mut file = NamedTempFile::new_in(&folder)?;
            file.write_all(&bytes)?;
            file.as_file().sync_all()?;
            file.persist(folder.join(name))?;
            File::open(&folder)?.sync_all()
        });
        written.await?
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kept").field(&self.0.folder).finish()
    }
}

#[async_trait]
impl AccountCache for Kept {
    type EA = io::Error;

    async fn load_account(
        &self,
        contact: &[String],
        directory_url: &str,
    ) -> io::Result<Option<Vec<u8>>> {
        self.read(file_name("account", contact, directory_url))
            .await
    }

    async fn store_account(
        &self,
        contact: &[String],
        directory_url: &str,
        account: &[u8],
    ) -> io::Result<()> {
        let name = file_name("account", contact, directory_url);
        self.write(name, account).await
    }
}

#[async_trait]
impl CertCache for Kept {
    type EC = io::Error;

    async fn load_cert(
        &self,
        domains: &[String],
        directory_url: &str,
    ) -> io::Result<Option<Vec<u8>>> {
        if let Some(newest) = self.newest() {
            return Ok(Some(newest));
        }
        let name = file_name("certificate", domains, directory_url);
        let found = self.read(name).await?;
        if let Some(pem) = &found {
            self.remember(pem);
        }
        Ok(found)
    }

    async fn store_cert(
        &self,
        domains: &[String],
        directory_url: &str,
        cert: &[u8],
    ) -> io::Result<()> {
        self.remember(cert);
        let name = file_name("certificate", domains, directory_url);
        self.write(name, cert).await
    }
}

/// A name for what belongs to these names, in whatever order, and that authority.
fn file_name(what: &str, names: &[String], directory_url: &str) -> String {
    let mut names: Vec<_> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.push(directory_url);
    let digest = Algorithm::Sha256.digest(names.join("\n").as_bytes());
    format!("{what}-{}.pem", digest.encoded())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const URL: &str = "https://authority.example/directory";
    const CERTIFICATE: &[u8] = include_bytes!("../../../tests/pem/ec.crt");

    fn open(folder: &Path) -> Result<Kept, TlsError> {
        let kept = Kept::at(folder)?;
        kept.prepare()?;
        Ok(kept)
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn what_is_written_is_read_again_by_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a/b");
        let hosts = names(&["a.example", "b.example"]);
        let kept = open(&folder).unwrap();
        assert!(kept.load_cert(&hosts, URL).await.unwrap().is_none());
        assert!(kept.facts().is_none());
        kept.store_cert(&hosts, URL, b"old").await.unwrap();
        kept.store_cert(&hosts, URL, CERTIFICATE).await.unwrap();
        kept.store_account(&[], URL, b"key").await.unwrap();

        let kept = open(&folder).unwrap();
        let other_order = names(&["b.example", "a.example"]);
        let found = kept.load_cert(&other_order, URL).await.unwrap();
        assert_eq!(found.as_deref(), Some(CERTIFICATE));
        assert_eq!(
            kept.facts().unwrap().names,
            ["registry.example", "127.0.0.1"]
        );
        let account = kept.load_account(&[], URL).await.unwrap();
        assert_eq!(account.as_deref(), Some(&b"key"[..]));
        let elsewhere = kept.load_account(&[], "https://other.example/").await;
        assert!(elsewhere.unwrap().is_none());

        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(Result::unwrap).collect();
        assert_eq!(files.len(), 2, "{files:?}");
        assert!(files.iter().all(|file| mode(&file.path()) == 0o600));
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_had_from_memory() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("gone");
        let hosts = names(&["a.example"]);
        let kept = open(&folder).unwrap();
        fs::remove_dir(&folder).unwrap();
        kept.store_cert(&hosts, URL, CERTIFICATE).await.unwrap_err();
        let found = kept.load_cert(&hosts, URL).await.unwrap();
        assert_eq!(found.as_deref(), Some(CERTIFICATE));
    }

    #[test]
    fn what_is_no_directory_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("cache");
        fs::write(&file, "").unwrap();
        for (path, said) in [
            (file.clone(), "is a file, as Distribution keeps it"),
            (file.join("below"), "cannot be written: "),
        ] {
            let error = open(&path).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
