//! Reading blobs: from the page cache without waiting, else on the blocking pool.

use std::{
    fs::File,
    io::{self, IoSliceMut},
    os::unix::fs::FileExt as _,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures_util::stream;
use registry_core::{BlobSource, ByteRange, ByteStream};
use rustix::io::ReadWriteFlags;

/// How many bytes are read at a time.
pub(super) const STEP: usize = 256 * 1024;

/// How many buffers are kept for the next read.
const KEPT: usize = 32;

/// A file that holds a blob.
#[derive(Clone, Debug)]
pub(super) struct Source(pub(super) Arc<File>);

impl BlobSource for Source {
    fn read(&self, range: ByteRange) -> ByteStream {
        let source = self.clone();
        ByteStream::new(stream::try_unfold(range, move |mut left| {
            let source = source.clone();
            async move {
                if left.is_empty() {
                    return Ok(None);
                }
                let want = usize::try_from(left.len()).unwrap_or(STEP).min(STEP);
                let bytes = match source.read_now(left.start, want)? {
                    Some(bytes) => bytes,
                    None => {
                        let at = left.start;
                        let read = move || buffered(want, |buffer| source.0.read_at(buffer, at));
                        tokio::task::spawn_blocking(read)
                            .await
                            .map_err(io::Error::other)??
                    }
                };
                if bytes.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                left.start += bytes.len() as u64;
                Ok(Some((bytes, left)))
            }
        }))
    }

    fn read_now(&self, at: u64, max: usize) -> io::Result<Option<Bytes>> {
        let read = |buffer: &mut [u8]| {
            let mut buffers = [IoSliceMut::new(buffer)];
            Ok(rustix::io::preadv2(
                &*self.0,
                &mut buffers,
                at,
                ReadWriteFlags::NOWAIT,
            )?)
        };
        match buffered(max.min(STEP), read) {
            Ok(bytes) => Ok(Some(bytes)),
            // Not in the page cache, or a file system that cannot say.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Unsupported
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn file(&self) -> Option<(&File, u64)> {
        Some((&self.0, 0))
    }
}

/// Reads into a buffer that is used again.
fn buffered(max: usize, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<Bytes> {
    if max < STEP / 4 {
        let mut buffer = vec![0; max];
        let length = read(&mut buffer)?;
        buffer.truncate(length);
        return Ok(buffer.into());
    }
    let mut buffer = Buffer::taken();
    let part = buffer.bytes.get_mut(buffer.start..).unwrap_or_default();
    let part = part.get_mut(..max).unwrap_or_default();
    buffer.length = read(part)?;
    Ok(Bytes::from_owner(buffer))
}

static POOL: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());

/// Where a buffer begins: on a page. Copying from the page cache to just behind the begin of a page,
/// where allocators place what is large, takes three times as long on some processors.
const ALIGNMENT: usize = 4096;

/// A buffer that goes back to the pool when the last of its bytes was sent.
struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    length: usize,
}

impl Buffer {
    fn taken() -> Self {
        let kept = POOL.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = kept.unwrap_or_else(|| vec![0; STEP + ALIGNMENT].into_boxed_slice());
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self {
            bytes,
            start,
            length: 0,
        }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        let sent = self.bytes.get(self.start..).unwrap_or_default();
        sent.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < KEPT {
            pool.push(std::mem::take(&mut self.bytes));
        }
    }
}
