//! What is there to be read before the clocks start: the same bytes on every server.

use std::net::SocketAddr;

use crate::Result;
use crate::content::{Content, Random};
use crate::image::Image;
use crate::wire::Wire;

pub(super) const REPOSITORY: &str = "speed/samples";

/// One image to ask for by its tag, one small and one big blob.
#[derive(Debug)]
pub(super) struct Samples {
    pub(super) image: Image,
    pub(super) blobs: [(Content, String); 2],
}

impl Samples {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, u64::MAX);
        let image = Image::new("latest".to_owned(), &mut random);
        let blobs = [1843, 64 << 20].map(|size| {
            let content = Content {
                seed: random.next(),
                size,
            };
            (content, content.digest())
        });
        Self { image, blobs }
    }

    pub(super) fn push(&self, addr: SocketAddr) -> Result<()> {
        let mut wire = Wire::new(addr);
        for (content, digest) in &self.blobs {
            wire.push_blob(REPOSITORY, content, digest)?;
        }
        self.image.push(&mut wire, REPOSITORY)?;
        self.image.check(&mut wire, REPOSITORY)
    }

    /// The path that a kind of read asks for.
    pub(super) fn path(&self, what: &str) -> String {
        match what {
            "manifest" => format!("/v2/{REPOSITORY}/manifests/{}", self.image.tag),
            "small" => format!("/v2/{REPOSITORY}/blobs/{}", self.blobs[0].1),
            _ => format!("/v2/{REPOSITORY}/blobs/{}", self.blobs[1].1),
        }
    }
}
