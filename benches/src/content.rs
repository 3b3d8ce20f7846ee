//! Bytes that nobody has to keep: a seed and an offset give the same byte every time, at memory speed.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// How much is made, sent or hashed in one step.
pub(crate) const STEP: usize = 128 * 1024;

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// A seeded sequence of numbers (SplitMix64); the seed is all that a run needs to be repeated.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Independent sequences for each `index` under one `seed`.
    pub(crate) fn new(seed: u64, index: u64) -> Self {
        Self(mix(seed ^ mix(index.wrapping_add(GOLDEN))))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number in `low..=high`.
    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    /// A size whose logarithm is even between `1 << low` and `1 << high`.
    pub(crate) fn size(&mut self, low: u32, high: u32) -> u64 {
        let base = 1 << self.within(u64::from(low), u64::from(high - 1));
        self.within(base, base * 2)
    }
}

/// A blob's bytes, by formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) seed: u64,
    pub(crate) size: u64,
}

impl Content {
    /// Writes the bytes from `at` on into `out`.
    pub(crate) fn fill(&self, mut at: u64, out: &mut [u8]) {
        let skip = (at % 8) as usize;
        let mut out = out;
        if skip != 0 {
            let word = self.word(at / 8);
            let head = out.len().min(8 - skip);
            out[..head].copy_from_slice(&word[skip..skip + head]);
            out = &mut out[head..];
            at += head as u64;
        }
        for (index, piece) in (at / 8..).zip(out.chunks_mut(8)) {
            piece.copy_from_slice(&self.word(index)[..piece.len()]);
        }
    }

    /// Hands the bytes of `from..to` over in steps.
    pub(crate) fn steps<E>(
        &self,
        from: u64,
        to: u64,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut buffer = vec![0; STEP.min((to - from) as usize)];
        let mut at = from;
        while at < to {
            let length = buffer.len().min((to - at) as usize);
            self.fill(at, &mut buffer[..length]);
            each(&buffer[..length])?;
            at += length as u64;
        }
        Ok(())
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.size as usize];
        self.fill(0, &mut bytes);
        bytes
    }

    pub(crate) fn digest(&self) -> String {
        let mut hash = Hash::default();
        let done: Result<(), std::convert::Infallible> = self.steps(0, self.size, |bytes| {
            hash.add(bytes);
            Ok(())
        });
        match done {
            Ok(()) => hash.digest(),
        }
    }

    fn word(&self, index: u64) -> [u8; 8] {
        mix(self.seed ^ index.wrapping_add(1).wrapping_mul(GOLDEN)).to_le_bytes()
    }
}

/// SHA-256 as bytes arrive.
#[derive(Debug, Default)]
pub(crate) struct Hash(Sha256);

impl Hash {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn digest(self) -> String {
        let mut text = "sha256:".to_owned();
        for byte in self.0.finalize() {
            write!(text, "{byte:02x}").expect("a string takes what is written to it");
        }
        text
    }

    pub(crate) fn of(bytes: &[u8]) -> String {
        let mut hash = Self::default();
        hash.add(bytes);
        hash.digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_window_is_a_part_of_the_whole() {
        let content = Content {
            seed: 7,
            size: 1000,
        };
        let whole = content.bytes();
        for at in 0..40 {
            for length in 0..40 {
                let mut window = vec![0; length];
                content.fill(at as u64, &mut window);
                assert_eq!(window, whole[at..at + length], "{at}+{length}");
            }
        }
        assert_eq!(content.digest(), Hash::of(&whole));
    }
}
