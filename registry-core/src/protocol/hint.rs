//! The state of an upload, carried by its client.
//!
//! A store for which looking a state up would cost a call hands it out; it rides in the upload's
//! Location as `base64url(hmac ‖ json)`. The HMAC (RFC 2104, with SHA-256) is over the repository,
//! the upload and the state, so that a hint is worth nothing for another upload. One that is missing
//! or does not verify is no hint, and never by itself an error.

use sha2::{Digest as _, Sha256};

use super::headers::base64;
use crate::store::{UploadKey, UploadState};

/// Signs and verifies hints. `Debug` does not show the key.
#[derive(Clone)]
pub struct Signer {
    key: [u8; 64],
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(…)")
    }
}

impl Signer {
    /// A signer with that secret: every process that serves the same uploads needs the same.
    pub fn new(secret: &[u8]) -> Self {
        let mut key = [0; 64];
        if secret.len() > 64 {
            let hashed = Sha256::digest(secret);
            key.iter_mut()
                .zip(hashed)
                .for_each(|(key, byte)| *key = byte);
        } else {
            key.iter_mut()
                .zip(secret)
                .for_each(|(key, byte)| *key = *byte);
        }
        Self { key }
    }

    /// The hint for a state.
    pub fn sign(&self, key: &UploadKey, state: &UploadState) -> Option<String> {
        let json = serde_json::to_vec(state).ok()?;
        let mut bytes = self.mac(key, &json).to_vec();
        bytes.extend_from_slice(&json);
        Some(encoded(&bytes))
    }

    /// The state in a hint, if this signer made it for this upload.
    pub fn verify(&self, key: &UploadKey, hint: &str) -> Option<UploadState> {
        let bytes = base64(hint)?;
        let (mac, json) = bytes.split_at_checked(32)?;
        let expected = self.mac(key, json);
        // Without leaving early: the time taken says nothing about where they differ.
        let differing = mac
            .iter()
            .zip(expected)
            .fold(0, |sum, (a, b)| sum | (a ^ b));
        if differing != 0 {
            return None;
        }
        serde_json::from_slice(json).ok()
    }

    fn mac(&self, key: &UploadKey, json: &[u8]) -> [u8; 32] {
        let pad = |byte: u8| self.key.map(|key| key ^ byte);
        let mut inner = Sha256::new();
        inner.update(pad(0x36));
        for part in [
            key.repository.as_str().as_bytes(),
            key.id.as_str().as_bytes(),
            json,
        ] {
            inner.update((part.len() as u64).to_be_bytes());
            inner.update(part);
        }
        let mut outer = Sha256::new();
        outer.update(pad(0x5c));
        outer.update(inner.finalize());
        outer.finalize().into()
    }
}

fn encoded(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .fold(0_u32, |group, byte| group << 8 | u32::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for index in 0..=chunk.len() {
            let letter = (group >> (18 - 6 * index) & 63) as usize;
            text.push(char::from(LETTERS.get(letter).copied().unwrap_or(b'A')));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        hash::{Algorithm, Hasher},
        store::UploadId,
    };

    fn key(repository: &str) -> UploadKey {
        UploadKey::new(repository.parse().unwrap(), UploadId::parse("u").unwrap())
    }

    #[test]
    fn a_hint_is_worth_nothing_elsewhere() {
        let signer = Signer::new(b"secret");
        let state = UploadState::new(7, Hasher::new(Algorithm::Sha512).save(), [1, 2]);
        let hint = signer.sign(&key("a"), &state).unwrap();
        assert_eq!(signer.verify(&key("a"), &hint), Some(state));
        assert_eq!(signer.verify(&key("b"), &hint), None);
        assert_eq!(Signer::new(b"other").verify(&key("a"), &hint), None);
        assert_eq!(signer.verify(&key("a"), &hint[1..]), None);
        assert_eq!(signer.verify(&key("a"), ""), None);
        assert!(
            hint.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
        assert!(!format!("{signer:?}").contains('1'));
    }

    proptest! {
        #[test]
        fn base64_round_trips(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            prop_assert_eq!(base64(&encoded(&bytes)), Some(bytes));
        }

        #[test]
        fn junk_is_no_hint(hint in "\\PC{0,200}") {
            prop_assert_eq!(Signer::new(b"s").verify(&key("a"), &hint), None);
        }
    }
}
