//! Uploads, from the first byte to the blob.
//!
//! Every decision is [`crate::upload`]'s; here they are carried out. A body is not polled before the
//! checks have passed, and never further than they allow.

use futures_util::StreamExt;

use super::{Inner, capped::Capped};
use crate::{
    content::ByteStream,
    descriptor::Descriptor,
    digest::Digest,
    error::{Error, ErrorCode, Result},
    hash::Hasher,
    name::RepositoryName,
    registry::{Chunk, Finish, StartUpload, UploadSession, UploadStart, cut},
    store::{
        BlobLink, BodyEnd, StoreError, StoreErrorKind, UploadId, UploadKey, UploadState, Written,
    },
    upload::{self, ChunkHead, Open, Receiving},
};

impl Inner {
    pub(super) async fn start_upload(
        &self,
        repository: &RepositoryName,
        request: StartUpload,
    ) -> Result<UploadStart> {
        if let Some(mount) = &request.mount
            && let Some(mounted) = self.mount(repository, mount, &request.visible).await?
        {
            return Ok(mounted);
        }
        let key = UploadKey::new(repository.clone(), UploadId::random(&*self.entropy));
        self.sessions.open(&key, self.clock.now())?;
        let algorithm = request.algorithm.unwrap_or_default();
        match self.blobs.begin_upload(&key, algorithm).await {
            Ok(state) => Ok(UploadStart::Started(session(key.id, state))),
            Err(error) => {
                self.sessions.close(&key);
                Err(error.into())
            }
        }
    }

    pub(super) async fn upload_session(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
        hint: Option<UploadState>,
    ) -> Result<UploadSession> {
        let key = UploadKey::new(repository.clone(), id.clone());
        let state = self.blobs.upload(&key, hint).await?;
        Ok(session(key.id, state.ok_or_else(upload::unknown)?))
    }

    pub(super) async fn append_upload(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
        chunk: Chunk,
    ) -> Result<UploadSession> {
        let key = UploadKey::new(repository.clone(), id.clone());
        let state = self.blobs.upload(&key, chunk.hint.clone()).await?;
        let state = state.ok_or_else(upload::unknown)?;
        let state = self.receive(&key, state, chunk).await?;
        Ok(session(key.id, state))
    }

    pub(super) async fn finish_upload(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
        finish: Finish,
    ) -> Result<Descriptor> {
        let Finish { digest, chunk } = finish;
        let key = UploadKey::new(repository.clone(), id.clone());
        let Some(state) = self.blobs.upload(&key, chunk.hint.clone()).await? else {
            return self.finished_before(&key, &digest, chunk).await;
        };
        let closing = Open::at(state.length).close(&digest)?;
        let state = self.receive(&key, state, chunk).await?;
        let found = self
            .blobs
            .digest_upload(&key, &state, closing.algorithm())
            .await;
        let found = match found {
            Ok(found) => found,
            Err(error) => return Err(self.superseded(&key, error).await),
        };
        closing.verify(&found)?;
        let size = state.length;
        self.sessions.prove(&key, &digest);
        if let Err(error) = self.blobs.commit_upload(&key, state, &digest).await {
            return Err(self.superseded(&key, error).await);
        }
        self.link(&key, digest, size).await
    }

    pub(super) async fn cancel_upload(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
        hint: Option<UploadState>,
    ) -> Result<()> {
        let key = UploadKey::new(repository.clone(), id.clone());
        let state = self.blobs.upload(&key, hint.clone()).await?;
        if state.is_none() {
            return Err(upload::unknown());
        }
        self.blobs.abort_upload(&key, hint).await?;
        self.sessions.close(&key);
        Ok(())
    }

    /// Links the blob that an upload has become, and so ends it.
    async fn link(&self, key: &UploadKey, digest: Digest, size: u64) -> Result<Descriptor> {
        let link = BlobLink::new(digest.clone(), Some(size));
        self.metadata
            .link_blob(&key.repository, &digest, link)
            .await?;
        self.sessions.close(key);
        self.sightings.note(&digest, &key.repository);
        Ok(Descriptor::blob(digest, size))
    }

    /// Takes in a chunk, and gives the state behind it.
    async fn receive(
        &self,
        key: &UploadKey,
        state: UploadState,
        chunk: Chunk,
    ) -> Result<UploadState> {
        let head = ChunkHead::new(chunk.start, chunk.length);
        let receiving = Open::at(state.length).accept(head, self.limits.blob_bytes)?;
        let _writing = self.sessions.write(key, self.clock.now());
        let (mut body, excess) = Capped::new(chunk.body, receiving.at_most());
        if head.empty {
            // Nothing to write: the store need not be asked, but the promise is still held to.
            let end = body.next().await.and_then(Result::err);
            let end = end.map_or(BodyEnd::Complete, BodyEnd::Cut);
            return received(receiving, Written::new(state, end), excess.found());
        }
        let body = ByteStream::new(body);
        let hint = state.hint.then(|| state.clone());
        match self.blobs.write_upload(key, state, body).await {
            Ok(written) => received(receiving, written, excess.found()),
            Err(error) if error.kind() == StoreErrorKind::Full => {
                // Its bytes are what fills the storage, and nothing says that its client comes back.
                self.blobs.abort_upload(key, hint).await?;
                self.sessions.close(key);
                Err(error.into())
            }
            Err(error) => Err(self.superseded(key, error).await),
        }
    }

    /// A finish of an upload that is gone. It is one that stopped short of the link, or when this
    /// repository links the blob one whose answer was lost, unless what it brings says otherwise.
    async fn finished_before(
        &self,
        key: &UploadKey,
        digest: &Digest,
        chunk: Chunk,
    ) -> Result<Descriptor> {
        if self.sessions.has_proven(key, digest)
            && let Some(size) = self.blobs.stat(digest).await?
        {
            return self.link(key, digest.clone(), size).await;
        }
        let Some((_, size)) = self.linked(&key.repository, digest).await? else {
            return Err(upload::unknown());
        };
        let Some(algorithm) = digest.content_algorithm() else {
            return Err(upload::unknown());
        };
        if chunk.length.is_some_and(|length| length > size) {
            return Err(upload::unknown());
        }
        if chunk.length != Some(0) {
            let (mut body, excess) = Capped::new(chunk.body, Some(size));
            let mut hasher = Hasher::new(algorithm);
            while let Some(piece) = body.next().await {
                hasher.update(&piece.map_err(cut)?);
            }
            let brought = hasher.covered();
            let misplaced = brought > 0
                && chunk
                    .start
                    .is_some_and(|start| start.checked_add(brought) != Some(size));
            let other = brought == size && hasher.finish() != *digest;
            if excess.found() || misplaced || other {
                return Err(upload::unknown());
            }
        }
        Ok(Descriptor::blob(digest.clone(), size))
    }

    /// What to say when a store refused to go on with an upload: that it is gone, or that somebody
    /// else went on with it.
    async fn superseded(&self, key: &UploadKey, error: StoreError) -> Error {
        if error.kind() != StoreErrorKind::Conflict {
            return error.into();
        }
        match self.blobs.upload(key, None).await {
            Ok(None) => upload::unknown().caused_by(error),
            Ok(Some(_)) => Error::new(
                ErrorCode::RangeInvalid,
                "another request went on with this upload",
            )
            .caused_by(error),
            Err(error) => error.into(),
        }
    }
}

fn received(receiving: Receiving, written: Written, excess: bool) -> Result<UploadState> {
    let Written { state, end } = written;
    let cut_by = match end {
        BodyEnd::Complete => None,
        BodyEnd::Cut(error) => Some(error),
    };
    match receiving.end(state.length, excess, cut_by.is_some()) {
        Ok(_) => Ok(state),
        Err(refusal) => Err(match cut_by {
            Some(error) if error.kind() == std::io::ErrorKind::TimedOut => cut(error),
            Some(error) => Error::from(refusal).caused_by(error),
            None => refusal.into(),
        }),
    }
}

fn session(id: UploadId, state: UploadState) -> UploadSession {
    let (offset, hint) = (state.length, state.hint.then_some(state));
    UploadSession::new(id, offset, hint)
}
