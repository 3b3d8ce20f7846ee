//! Reading, unlinking and mounting blobs.
//!
//! A blob is in a repository when the repository links it and the bytes are there. A link may point
//! to bytes under another digest; what is answered is always the digest that was asked for.

use super::Inner;
use crate::{
    access::Visible,
    content::BlobReply,
    descriptor::Descriptor,
    digest::Digest,
    error::{Error, ErrorCode, Result},
    name::RepositoryName,
    registry::{GetBlob, Mount, UploadStart},
    store::BlobLink,
};

impl Inner {
    pub(super) async fn stat_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Descriptor> {
        let (_, size) = self
            .linked(repository, digest)
            .await?
            .ok_or_else(|| unknown(digest))?;
        self.sightings.note(digest, repository);
        Ok(Descriptor::blob(digest.clone(), size))
    }

    pub(super) async fn read_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        options: GetBlob,
    ) -> Result<BlobReply> {
        let link = self.metadata.blob_link(repository, digest).await?;
        let link = link.ok_or_else(|| unknown(digest))?;
        if let Some(lifetime) = self.redirects
            && !options.direct
            && let Some(location) = self.blobs.location(&link.target, lifetime).await?
        {
            self.sightings.note(digest, repository);
            return Ok(BlobReply::Redirect(location));
        }
        let blob = self.blobs.open(&link.target).await?;
        let blob = blob
            .filter(|blob| is_whole(&link, blob.size))
            .ok_or_else(|| unknown(digest))?;
        self.sightings.note(digest, repository);
        Ok(BlobReply::Blob(blob))
    }

    pub(super) async fn delete_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<()> {
        self.deletes_are_on()?;
        self.sightings.forget(digest, repository);
        if self.metadata.unlink_blob(repository, digest).await? {
            Ok(())
        } else {
            Err(unknown(digest))
        }
    }

    /// Mounts a blob from a repository that links it and that the caller may see; `None` when there
    /// is no such.
    pub(super) async fn mount(
        &self,
        repository: &RepositoryName,
        mount: &Mount,
        visible: &Visible,
    ) -> Result<Option<UploadStart>> {
        let sources = match &mount.from {
            Some(from) => vec![from.clone()],
            None => self.sightings.of(&mount.digest),
        };
        for from in sources.into_iter().filter(|from| visible.contains(from)) {
            let Some((link, size)) = self.linked(&from, &mount.digest).await? else {
                self.sightings.forget(&mount.digest, &from);
                continue;
            };
            let link = BlobLink::new(link.target, Some(size));
            self.metadata
                .link_blob(repository, &mount.digest, link)
                .await?;
            self.sightings.note(&mount.digest, &from);
            self.sightings.note(&mount.digest, repository);
            return Ok(Some(UploadStart::Mounted {
                descriptor: Descriptor::blob(mount.digest.clone(), size),
                from,
            }));
        }
        Ok(None)
    }

    /// The link of a blob whose bytes are there, and how many they are.
    pub(super) async fn linked(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<(BlobLink, u64)>> {
        let Some(link) = self.metadata.blob_link(repository, digest).await? else {
            return Ok(None);
        };
        let size = self.blobs.stat(&link.target).await?;
        let size = size.filter(|size| is_whole(&link, *size));
        Ok(size.map(|size| (link, size)))
    }

    pub(super) fn deletes_are_on(&self) -> Result<()> {
        if self.deletes {
            Ok(())
        } else {
            let message = "this registry does not delete";
            Err(Error::new(ErrorCode::Unsupported, message))
        }
    }
}

/// Bytes that are not as many as were linked are damaged. Who asks is told that the blob is not
/// there, and pushes it again: that repairs it.
fn is_whole(link: &BlobLink, size: u64) -> bool {
    link.size.is_none_or(|linked| linked == size)
}

fn unknown(digest: &Digest) -> Error {
    Error::new(ErrorCode::BlobUnknown, "the blob is not in this repository").detail(digest.as_str())
}
