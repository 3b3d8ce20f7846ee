//! The certificate from files, read again when they change.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use registry_core::{Clock, SystemClock};
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tracing::{info, warn};

use super::{facts::Facts, pem, settings::TlsError};

/// A certificate with its key, from two files. Whoever holds it sees the newest pair that was whole.
#[derive(Debug)]
pub struct Identity {
    certificate: PathBuf,
    key: PathBuf,
    pair: RwLock<Arc<CertifiedKey>>,
    /// What the files looked like when they were a pair, and what was wrong with them since.
    read: Mutex<(Stamp, Option<String>)>,
}

/// What two files look like from outside.
type Stamp = [Option<(u64, u64, u64, i64, i64)>; 2];

impl Identity {
    /// Reads the pair.
    ///
    /// # Errors
    ///
    /// [`TlsError`] says which file, what is wrong with it, and what to do.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let stamp = [look(certificate), look(key)];
        let (pair, notices) = pem::pair(certificate, key)?;
        let identity = Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            pair: RwLock::new(Arc::new(pair)),
            read: Mutex::new((stamp, None)),
        };
        identity.tell(notices);
        Ok(identity)
    }

    /// What the certificate says of itself.
    pub fn facts(&self) -> Option<Facts> {
        let pair = self.pair();
        Facts::read(pair.cert.first()?, SystemClock.now())
    }

    /// Reads the files again.
    ///
    /// # Errors
    ///
    /// [`TlsError`] when they are no pair; the old one stays then.
    pub fn reload(&self) -> Result<(), TlsError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.look();
        let outcome = self.replace();
        match &outcome {
            Ok(()) => *read = (stamp, None),
            // Who asked is told, so it is not said another time.
            Err(error) => read.1 = Some(error.to_string()),
        }
        outcome
    }

    /// Reads the files again if they are others than before. A pair that is not whole, since one of
    /// them was not written yet, is left alone, and is tried again the next time.
    pub fn watch(&self) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.look();
        if read.0 == stamp {
            read.1 = None;
            return;
        }
        match self.replace() {
            Ok(()) => *read = (stamp, None),
            Err(error) => {
                let error = error.to_string();
                if read.1.as_ref() != Some(&error) {
                    warn!(
                        error,
                        "TLS: the files changed and are no pair; the old one stays"
                    );
                    read.1 = Some(error);
                }
            }
        }
    }

    fn replace(&self) -> Result<(), TlsError> {
        let (pair, notices) = pem::pair(&self.certificate, &self.key)?;
        let changed = pair.cert != self.pair().cert;
        *self.pair.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
        if changed {
            info!("TLS: the certificate was replaced, new connections have the new one");
            self.tell(notices);
        }
        Ok(())
    }

    fn look(&self) -> Stamp {
        [look(&self.certificate), look(&self.key)]
    }

    fn pair(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.pair.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says what the certificate is, and what is unusual.
    fn tell(&self, notices: Vec<String>) {
        let mut notices = notices;
        if let Some(facts) = self.facts() {
            let names = if facts.names.is_empty() {
                "no name".to_owned()
            } else {
                facts.names.join(", ")
            };
            info!("TLS: certificate until {}, for {names}", facts.until_text);
            notices.extend(facts.notices);
        }
        let mode = fs::metadata(&self.key).map(|key| key.permissions().mode());
        if mode.is_ok_and(|mode| mode & 0o004 != 0) {
            let key = self.key.display();
            notices.push(format!("everybody may read the key in {key}; chmod 600 it"));
        }
        for notice in notices {
            warn!("TLS: {notice}");
        }
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.pair())
    }
}

/// What a file, or what a link leads to, looks like.
fn look(path: &Path) -> Option<(u64, u64, u64, i64, i64)> {
    let there = fs::metadata(path).ok()?;
    let changed = (there.ctime(), there.ctime_nsec());
    Some((there.dev(), there.ino(), there.size(), changed.0, changed.1))
}
