//! Blobs, and the pieces of uploads that become them.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use registry_core::{
    Algorithm, Blob, ByteStream, Clock as _, Digest, HashState, Hasher, Location, SystemClock,
    store::{
        BlobStore, BodyEnd, OpenUpload, StoreError, StoredBlob, UploadId, UploadKey, UploadState,
        Written,
    },
};
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{Database, Failure, millis, storable, streamed, time};

/// An upload's row.
struct Upload {
    number: i64,
    epoch: i64,
    length: u64,
    hash: HashState,
}

impl Upload {
    fn find(transaction: &Transaction<'_>, key: &UploadKey) -> Result<Option<Self>, Failure> {
        let sql = "SELECT number, epoch, length, hash FROM uploads WHERE repository = ? AND id = ?";
        let row = transaction
            .prepare_cached(sql)?
            .query_row([key.repository.as_str(), key.id.as_str()], |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get::<_, String>(3)?,
                ))
            })
            .optional()?;
        let Some((number, epoch, length, hash)) = row else {
            return Ok(None);
        };
        Ok(Some(Self {
            number,
            epoch,
            length,
            hash: serde_json::from_str(&hash)?,
        }))
    }

    /// The upload, if `state` is its newest.
    fn at(
        transaction: &Transaction<'_>,
        key: &UploadKey,
        state: &UploadState,
    ) -> Result<Self, Failure> {
        Self::find(transaction, key)?
            .filter(|upload| upload.length == state.length)
            .filter(|upload| state.private == upload.epoch.to_be_bytes())
            .ok_or_else(superseded)
    }

    /// The upload, if the writer of that epoch was not superseded.
    fn of_writer(
        transaction: &Transaction<'_>,
        key: &UploadKey,
        epoch: i64,
    ) -> Result<Self, Failure> {
        Self::find(transaction, key)?
            .filter(|upload| upload.epoch == epoch)
            .ok_or_else(superseded)
    }

    fn state(self) -> UploadState {
        UploadState::new(self.length, self.hash, self.epoch.to_be_bytes())
    }

    /// Hands out the bytes in `from..to`, in their pieces.
    fn read(
        &self,
        transaction: &Transaction<'_>,
        from: u64,
        to: u64,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), Failure> {
        let sql = "SELECT start, bytes FROM pieces WHERE upload = ? AND start < ? ORDER BY start";
        let mut statement = transaction.prepare_cached(sql)?;
        let mut rows = statement.query(params![self.number, to])?;
        while let Some(row) = rows.next()? {
            let start: u64 = row.get(0)?;
            let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            let offset = |at: u64| {
                let offset = usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX);
                offset.min(bytes.len())
            };
            each(bytes.get(offset(from)..offset(to)).unwrap_or_default());
        }
        Ok(())
    }

    fn end(&self, transaction: &Transaction<'_>) -> Result<(), Failure> {
        transaction.execute("DELETE FROM uploads WHERE number = ?", [self.number])?;
        Ok(())
    }
}

fn superseded() -> Failure {
    StoreError::conflict("another request took this upload over, or ended it").into()
}

impl Database {
    /// Makes the caller the one writer, if `from` is the newest state: its epoch, and a hasher that
    /// stands behind the bytes.
    fn take_over(&self, key: &UploadKey, from: &UploadState) -> Result<(i64, Hasher), StoreError> {
        self.write(|transaction| {
            let upload = Upload::at(transaction, key, from)?;
            let sql = "UPDATE uploads SET epoch = epoch + 1 WHERE number = ?";
            transaction.execute(sql, [upload.number])?;
            let hasher = hashed(transaction, &upload, &upload.hash, upload.length)?;
            Ok((upload.epoch + 1, hasher))
        })
    }

    /// Keeps a piece, if its writer was not superseded.
    fn append(
        &self,
        key: &UploadKey,
        epoch: i64,
        hasher: &mut Hasher,
        piece: &[u8],
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let upload = Upload::of_writer(transaction, key, epoch)?;
            let sql = "INSERT INTO pieces (upload, start, bytes) VALUES (?, ?, ?)";
            transaction.prepare_cached(sql)?.execute(params![
                upload.number,
                upload.length,
                piece
            ])?;
            hasher.update(piece);
            let hash = serde_json::to_string(&hasher.save())?;
            let now = millis(SystemClock.now());
            let sql = "UPDATE uploads SET length = ?, hash = ?, modified = ? WHERE number = ?";
            transaction.prepare_cached(sql)?.execute(params![
                hasher.covered(),
                hash,
                now,
                upload.number
            ])?;
            Ok(())
        })
    }
}

/// A hasher that has seen the first `length` bytes, from where `state` left off.
fn hashed(
    transaction: &Transaction<'_>,
    upload: &Upload,
    state: &HashState,
    length: u64,
) -> Result<Hasher, Failure> {
    let mut hasher = Some(state)
        .filter(|state| state.covered() <= length)
        .and_then(Hasher::restore)
        .unwrap_or_else(|| Hasher::new(state.algorithm()));
    let covered = hasher.covered();
    if covered < length {
        upload.read(transaction, covered, length, |bytes| hasher.update(bytes))?;
    }
    Ok(hasher)
}

#[async_trait]
impl BlobStore for Database {
    async fn check(&self) -> Result<(), StoreError> {
        self.read(|transaction| Ok(transaction.query_row("SELECT 1", [], |_| Ok(()))?))
    }

    async fn stat(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT length(bytes) FROM blobs WHERE digest = ?";
        self.read(|transaction| {
            let size = transaction.query_row(sql, [digest.as_str()], |row| row.get(0));
            Ok(size.optional()?)
        })
    }

    async fn open(&self, digest: &Digest) -> Result<Option<Blob>, StoreError> {
        let sql = "SELECT bytes FROM blobs WHERE digest = ?";
        let bytes = self.read(|transaction| {
            let bytes =
                transaction.query_row(sql, [digest.as_str()], |row| row.get::<_, Vec<u8>>(0));
            Ok(bytes.optional()?)
        })?;
        Ok(bytes.map(|bytes| Blob::new(bytes.len() as u64, Bytes::from(bytes))))
    }

    async fn location(&self, _: &Digest, _: Duration) -> Result<Option<Location>, StoreError> {
        Ok(None)
    }

    async fn delete(&self, digest: &Digest) -> Result<bool, StoreError> {
        let sql = "DELETE FROM blobs WHERE digest = ?";
        self.write(|transaction| Ok(transaction.execute(sql, [digest.as_str()])? > 0))
    }

    fn list(&self) -> BoxStream<'_, Result<StoredBlob, StoreError>> {
        let sql = "SELECT digest, length(bytes), modified FROM blobs";
        streamed(self.read(|transaction| {
            let mut statement = transaction.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| {
                let digest = row.get::<_, String>(0)?.parse().ok();
                let (size, modified) = (row.get(1)?, time(row.get(2)?));
                Ok(digest.map(|digest| StoredBlob::new(digest, size, modified)))
            })?;
            Ok(rows
                .filter_map(Result::transpose)
                .collect::<Result<_, _>>()?)
        }))
    }

    async fn begin_upload(
        &self,
        key: &UploadKey,
        algorithm: Algorithm,
    ) -> Result<UploadState, StoreError> {
        let hash = Hasher::new(algorithm).save();
        let json = serde_json::to_string(&hash).map_err(Failure::from)?;
        let now = millis(SystemClock.now());
        self.write(|transaction| {
            let sql = "INSERT INTO uploads (repository, id, epoch, length, hash, started, modified)
                VALUES (?1, ?2, 0, 0, ?3, ?4, ?4)";
            let (repository, id) = (key.repository.as_str(), key.id.as_str());
            transaction.execute(sql, params![repository, id, json, now])?;
            Ok(())
        })?;
        Ok(UploadState::new(0, hash, 0_i64.to_be_bytes()))
    }

    async fn upload(
        &self,
        key: &UploadKey,
        _: Option<UploadState>,
    ) -> Result<Option<UploadState>, StoreError> {
        self.read(|transaction| Ok(Upload::find(transaction, key)?.map(Upload::state)))
    }

    async fn write_upload(
        &self,
        key: &UploadKey,
        from: UploadState,
        mut body: ByteStream,
    ) -> Result<Written, StoreError> {
        let (epoch, mut hasher) = self.take_over(key, &from)?;
        let end = loop {
            match body.next().await {
                Some(Ok(piece)) if piece.is_empty() => {}
                Some(Ok(piece)) => self.append(key, epoch, &mut hasher, &piece)?,
                Some(Err(error)) => break BodyEnd::Cut(error),
                None => break BodyEnd::Complete,
            }
        };
        let upload = self.read(|transaction| Upload::of_writer(transaction, key, epoch))?;
        Ok(Written::new(upload.state(), end))
    }

    async fn digest_upload(
        &self,
        key: &UploadKey,
        state: &UploadState,
        algorithm: Algorithm,
    ) -> Result<Digest, StoreError> {
        self.read(|transaction| {
            let upload = Upload::find(transaction, key)?
                .filter(|upload| upload.length >= state.length)
                .ok_or_else(superseded)?;
            let from = if state.algorithm() == algorithm {
                state.hash.clone()
            } else {
                Hasher::new(algorithm).save()
            };
            Ok(hashed(transaction, &upload, &from, state.length)?.finish())
        })
    }

    async fn commit_upload(
        &self,
        key: &UploadKey,
        state: UploadState,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        storable(digest)?;
        self.write(|transaction| {
            let upload = Upload::at(transaction, key, &state)?;
            let mut bytes = Vec::new();
            upload.read(transaction, 0, upload.length, |piece| {
                bytes.extend_from_slice(piece);
            })?;
            let sql = "INSERT INTO blobs (digest, bytes, modified) VALUES (?, ?, ?)
                ON CONFLICT DO UPDATE SET bytes = excluded.bytes, modified = excluded.modified
                WHERE length(blobs.bytes) < length(excluded.bytes)";
            let now = millis(SystemClock.now());
            transaction.execute(sql, params![digest.as_str(), bytes, now])?;
            upload.end(transaction)
        })
    }

    async fn abort_upload(
        &self,
        key: &UploadKey,
        _: Option<UploadState>,
    ) -> Result<(), StoreError> {
        self.write(|transaction| match Upload::find(transaction, key)? {
            Some(upload) => upload.end(transaction),
            None => Ok(()),
        })
    }

    fn list_uploads(&self) -> BoxStream<'_, Result<OpenUpload, StoreError>> {
        let sql = "SELECT repository, id, started, modified FROM uploads";
        streamed(self.read(|transaction| {
            let mut statement = transaction.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| {
                let repository = row.get::<_, String>(0)?.parse().ok();
                let id = UploadId::parse(&row.get::<_, String>(1)?).ok();
                let (started, modified) = (time(row.get(2)?), time(row.get(3)?));
                let key = repository
                    .zip(id)
                    .map(|(name, id)| UploadKey::new(name, id));
                Ok(key.map(|key| OpenUpload::new(key, started, modified)))
            })?;
            Ok(rows
                .filter_map(Result::transpose)
                .collect::<Result<_, _>>()?)
        }))
    }
}
