//! The entropy port: where identifiers that nobody may guess come from.

use std::{
    fmt,
    hash::{BuildHasher, Hasher as _, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::hash::Algorithm;

/// Gives random bytes.
pub trait Entropy: fmt::Debug + Send + Sync + 'static {
    /// 16 bytes that cannot be guessed.
    fn random(&self) -> [u8; 16];

    /// The same as 32 hexadecimal characters.
    fn random_hex(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.random()))
    }
}

/// Randomness of the operating system, through the seeds that the standard library draws from it.
///
/// Each value is the SHA-256 of eight keyed hashes: the keys of [`RandomState`] are 128 bits from
/// the operating system, and SHA-256 gives nothing of them away.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it holds nothing, and is made by naming it"
)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn random(&self) -> [u8; 16] {
        static DRAWN: AtomicU64 = AtomicU64::new(0);
        let mut seed = Vec::with_capacity(64);
        for _ in 0..8 {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u64(DRAWN.fetch_add(1, Ordering::Relaxed));
            seed.extend_from_slice(&hasher.finish().to_be_bytes());
        }
        let digest = Algorithm::Sha256.digest(&seed);
        let hex = digest.encoded().get(..32).unwrap_or_default();
        u128::from_str_radix(hex, 16)
            .expect("a digest is hexadecimal")
            .to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn never_twice() {
        let drawn: HashSet<_> = (0..10_000).map(|_| SystemEntropy.random()).collect();
        assert_eq!(drawn.len(), 10_000);
        assert_eq!(SystemEntropy.random_hex().len(), 32);
    }
}
