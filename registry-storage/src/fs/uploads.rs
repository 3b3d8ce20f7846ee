//! Uploads on disk: `_uploads/<id>/{startedat,data,state}`.
//!
//! All bytes in `data` count: they were written in order, under the lock of `state`. How far they are
//! hashed is known in this process, or saved in `state`; what lies beyond is hashed again.
//!
//! The file is long because what may happen to an upload, and under which lock and epoch, is only
//! seen to be right side by side.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use registry_core::{
    Algorithm, Clock, Digest, Hasher,
    store::{StoreError, StoreErrorKind, UploadKey, UploadState},
};

use super::{
    failed,
    publish::{Publisher, Unsynced},
    small::is_absence,
    state::{Saved, StateFile},
};
use crate::layout::{self, Layout};

/// How many bytes may be written before the disk is asked to begin with them.
const WRITE_BACK: u64 = 32 << 20;

/// How many bytes may be hashed before the hasher is saved.
const SAVE: u64 = 128 << 20;

/// How many bytes a cut upload must have behind its saved hasher for saving it to be worth a sync.
const SAVE_CUT: u64 = 8 << 20;

/// How many uploads are remembered; of more, the hashers are found again by reading.
const REMEMBERED: usize = 65_536;

#[derive(Debug)]
pub(super) struct Uploads {
    pub(super) layout: Arc<Layout>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) clock: Arc<dyn Clock>,
    /// How far this process has hashed the uploads that it wrote to.
    live: Mutex<HashMap<UploadKey, Hasher>>,
}

/// Whoever has taken an upload over.
#[derive(Debug)]
pub(super) struct Writer {
    key: UploadKey,
    epoch: u64,
    state: StateFile,
    data: Arc<File>,
    hasher: Hasher,
    saved: u64,
    begun: u64,
    writing_back: Arc<AtomicBool>,
}

fn superseded() -> StoreError {
    StoreError::conflict("another request took this upload over, or ended it")
}

fn unstorable() -> StoreError {
    let message = "content is stored under sha256 and sha512 only";
    StoreError::new(StoreErrorKind::Other, message)
}

fn state_of(epoch: u64, length: u64, hasher: &Hasher) -> UploadState {
    UploadState::new(length, hasher.save(), epoch.to_be_bytes())
}

impl Uploads {
    pub(super) fn new(
        layout: Arc<Layout>,
        publisher: Arc<Publisher>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            layout,
            publisher,
            clock,
            live: Mutex::default(),
        }
    }

    fn live(&self) -> MutexGuard<'_, HashMap<UploadKey, Hasher>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, key: &UploadKey, hasher: Hasher) {
        let mut live = self.live();
        if live.len() >= REMEMBERED && !live.contains_key(key) {
            live.clear();
        }
        live.insert(key.clone(), hasher);
    }

    pub(super) fn begin(
        &self,
        key: &UploadKey,
        algorithm: Algorithm,
    ) -> Result<UploadState, StoreError> {
        let path = self.layout.upload(key);
        let disk = &*self.publisher.disk;
        let begin = || -> io::Result<()> {
            // Not durable, as nothing of it need be before there is a blob.
            fs::create_dir_all(&path)?;
            let started = path.join(layout::STARTED_AT);
            let file = disk.create(&started)?;
            disk.write(&file, &started, 0, rfc3339(self.clock.now()).as_bytes())?;
            StateFile::make(disk, path.join("state"), algorithm)
        };
        if let Err(error) = begin() {
            let _ = fs::remove_dir_all(&path);
            return Err(failed("an upload cannot be begun")(error));
        }
        let hasher = Hasher::new(algorithm);
        let state = state_of(0, 0, &hasher);
        self.remember(key, hasher);
        Ok(state)
    }

    pub(super) fn state(&self, key: &UploadKey) -> Result<Option<UploadState>, StoreError> {
        let look = || -> io::Result<Option<UploadState>> {
            let path = self.layout.upload(key);
            let Some(state) = StateFile::open(path.join("state"))? else {
                return Ok(None);
            };
            let _lock = state.lock()?;
            let Some(saved) = state.read()? else {
                return Ok(None);
            };
            let length = length(&path.join("data"))?;
            Ok(Some(state_of(
                saved.epoch,
                length,
                &self.hasher(key, &saved, length),
            )))
        };
        look().map_err(failed("the state of an upload cannot be read"))
    }

    /// The hasher that has come furthest, but not beyond `length`.
    fn hasher(&self, key: &UploadKey, saved: &Saved, length: u64) -> Hasher {
        let fits =
            |hasher: &Hasher| hasher.covered() <= length && hasher.algorithm() == saved.algorithm;
        // A hasher of an earlier epoch is right too: no byte that was ever written changes.
        let live = self.live().get(key).cloned().filter(&fits);
        let kept = saved.hash.as_ref().and_then(Hasher::restore).filter(&fits);
        let further = live.into_iter().chain(kept).max_by_key(Hasher::covered);
        further.unwrap_or_else(|| Hasher::new(saved.algorithm))
    }

    /// Makes the caller the one writer, if `from` is the newest state.
    pub(super) fn take_over(
        &self,
        key: &UploadKey,
        from: &UploadState,
    ) -> Result<Writer, StoreError> {
        let path = self.layout.upload(key);
        let disk = &*self.publisher.disk;
        let take = || -> io::Result<Option<Writer>> {
            let Some(state) = StateFile::open(path.join("state"))? else {
                return Ok(None);
            };
            let lock = state.lock()?;
            let Some(saved) = state.read()? else {
                return Ok(None);
            };
            let data = path.join("data");
            if saved.epoch.to_be_bytes()[..] != from.private || length(&data)? != from.length {
                return Ok(None);
            }
            let epoch = saved.epoch + 1;
            let data = match disk.create(&data) {
                // Ended in between, and its directory removed.
                Err(error) if is_absence(&error) => return Ok(None),
                result => Arc::new(result?),
            };
            state.advance(disk, epoch)?;
            drop(lock);
            let mut hasher = self.hasher(key, &saved, from.length);
            catch_up(&mut hasher, &data, from.length)?;
            self.remember(key, hasher.clone());
            Ok(Some(Writer {
                key: key.clone(),
                epoch,
                state,
                data,
                saved: saved
                    .hash
                    .as_ref()
                    .map_or(0, registry_core::HashState::covered),
                begun: from.length,
                hasher,
                writing_back: Arc::default(),
            }))
        };
        take()
            .map_err(failed("an upload cannot be taken over"))?
            .ok_or_else(superseded)
    }

    /// Writes the next bytes, if the writer still is the one writer.
    pub(super) fn write(&self, writer: &mut Writer, batch: &[Bytes]) -> Result<(), StoreError> {
        let disk = &*self.publisher.disk;
        let path = self.layout.upload(&writer.key).join("data");
        {
            let lock = writer.state.lock();
            let _lock = lock.map_err(failed("an upload cannot be locked"))?;
            let ours = writer.state.is_at(writer.epoch);
            if !ours.map_err(failed("an upload cannot be read"))? {
                return Err(superseded());
            }
            for piece in batch {
                let at = writer.hasher.covered();
                if let Err(error) = disk.write(&writer.data, &path, at, piece) {
                    // Half a piece is there, maybe: what is in the file is what counts.
                    let _ = disk.set_len(&writer.data, &path, at);
                    self.remember(&writer.key, writer.hasher.clone());
                    return Err(failed("an upload cannot be written")(error));
                }
                writer.hasher.update(piece);
            }
            self.remember(&writer.key, writer.hasher.clone());
        }
        Ok(())
    }

    /// Has the disk begin with what was written, so that the sync at the end has less to do. When it
    /// is time, the hasher is saved behind a sync of what it covers.
    pub(super) fn write_back(self: &Arc<Self>, writer: &mut Writer) {
        let covered = writer.hasher.covered();
        if covered - writer.begun < WRITE_BACK || writer.writing_back.swap(true, Ordering::AcqRel) {
            return;
        }
        writer.begun = covered;
        let save = covered - writer.saved >= SAVE;
        if save {
            writer.saved = covered;
        }
        let (uploads, key, epoch) = (Arc::clone(self), writer.key.clone(), writer.epoch);
        let (data, hasher) = (Arc::clone(&writer.data), writer.hasher.clone());
        let running = Arc::clone(&writer.writing_back);
        drop(tokio::task::spawn_blocking(move || {
            // Only to be early: a failure here is met again by the sync that counts.
            let _ = uploads.sync(&key, epoch, &data, save.then_some(&hasher));
            running.store(false, Ordering::Release);
        }));
    }

    fn sync(
        &self,
        key: &UploadKey,
        epoch: u64,
        data: &File,
        hasher: Option<&Hasher>,
    ) -> io::Result<()> {
        let disk = &*self.publisher.disk;
        let path = self.layout.upload(key);
        disk.sync_file(data, &path.join("data"))?;
        let Some(hasher) = hasher else { return Ok(()) };
        let Some(state) = StateFile::open(path.join("state"))? else {
            return Ok(());
        };
        let _lock = state.lock()?;
        if state.read()?.is_some_and(|saved| saved.epoch == epoch) {
            state.write(disk, epoch, hasher.algorithm(), Some(&hasher.save()))?;
        }
        Ok(())
    }

    /// Leaves an upload to whoever goes on with it.
    pub(super) fn leave(&self, writer: &Writer, cut: bool) -> UploadState {
        let Writer {
            key,
            epoch,
            data,
            hasher,
            saved,
            ..
        } = writer;
        if cut && hasher.covered() - saved >= SAVE_CUT {
            // Only to spare a later process the reading.
            let _ = self.sync(key, *epoch, data, Some(hasher));
        }
        state_of(*epoch, hasher.covered(), hasher)
    }

    pub(super) fn digest(
        &self,
        key: &UploadKey,
        state: &UploadState,
        algorithm: Algorithm,
    ) -> Result<Digest, StoreError> {
        if self.state(key)?.is_none() {
            return Err(superseded());
        }
        let known = self.live().get(key).cloned();
        let kept = Hasher::restore(&state.hash);
        let fits =
            |hasher: &Hasher| hasher.covered() <= state.length && hasher.algorithm() == algorithm;
        let further = known
            .into_iter()
            .chain(kept)
            .filter(fits)
            .max_by_key(Hasher::covered);
        let mut hasher = further.unwrap_or_else(|| Hasher::new(algorithm));
        if hasher.covered() < state.length {
            let data = match File::open(self.layout.upload(key).join("data")) {
                Err(error) if is_absence(&error) => return Err(superseded()),
                result => result.map_err(failed("an upload cannot be read"))?,
            };
            catch_up(&mut hasher, &data, state.length)
                .map_err(failed("an upload cannot be read"))?;
        }
        Ok(hasher.finish())
    }

    pub(super) fn commit(
        &self,
        key: &UploadKey,
        state: &UploadState,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        if digest.content_algorithm().is_none() {
            return Err(unstorable());
        }
        let path = self.layout.upload(key);
        let disk = &*self.publisher.disk;
        let cannot = "an upload cannot be finished";
        let file = StateFile::open(path.join("state")).map_err(failed(cannot))?;
        let file = file.ok_or_else(superseded)?;
        let lock = file.lock().map_err(failed(cannot))?;
        let saved = file
            .read()
            .map_err(failed(cannot))?
            .ok_or_else(superseded)?;
        let data = path.join("data");
        let arrived = length(&data).map_err(failed(cannot))?;
        if saved.epoch.to_be_bytes()[..] != state.private || arrived != state.length {
            return Err(superseded());
        }
        let name = self.layout.blob(digest);
        let mut unsynced = Unsynced::default();
        if fs::metadata(&name).is_ok_and(|there| there.is_file() && there.len() >= arrived) {
            self.publisher.adopt(&name, &mut unsynced)?;
        } else {
            let content = disk.create(&data).map_err(failed(cannot))?;
            disk.sync_file(&content, &data).map_err(failed(cannot))?;
            self.publisher.publish_file(&data, &name, &mut unsynced)?;
        }
        // The bytes are the blob's from here on; a writer that waits for the lock must find this.
        file.end(disk).map_err(failed(cannot))?;
        drop(lock);
        self.publisher.sync(&unsynced)?;
        self.live().remove(key);
        self.remove(key);
        Ok(())
    }

    pub(super) fn abort(&self, key: &UploadKey) -> Result<(), StoreError> {
        let path = self.layout.upload(key);
        let end = || -> io::Result<()> {
            if let Some(state) = StateFile::open(path.join("state"))? {
                let _lock = state.lock()?;
                state.end(&*self.publisher.disk)?;
            }
            match fs::remove_dir_all(&path) {
                Err(error) if is_absence(&error) => Ok(()),
                result => result,
            }
        };
        self.live().remove(key);
        end().map_err(failed("an upload cannot be removed"))
    }

    /// Removes what is left of an upload that became a blob. What cannot be removed is purged later.
    fn remove(&self, key: &UploadKey) {
        let path = self.layout.upload(key);
        for name in ["data", layout::STARTED_AT, "state"] {
            let _ = self.publisher.disk.remove_file(&path.join(name));
        }
        let _ = self.publisher.disk.remove_directory(&path);
    }
}

fn length(path: &Path) -> io::Result<u64> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if is_absence(&error) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Hashes what lies between the hasher and `length`.
fn catch_up(hasher: &mut Hasher, mut data: &File, length: u64) -> io::Result<()> {
    if hasher.covered() >= length {
        return Ok(());
    }
    data.seek(SeekFrom::Start(hasher.covered()))?;
    let mut buffer = vec![0; 1 << 18];
    while hasher.covered() < length {
        let left = usize::try_from(length - hasher.covered()).unwrap_or(buffer.len());
        let part = left.min(buffer.len());
        let read = data.read(buffer.get_mut(..part).unwrap_or_default())?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
    }
    Ok(())
}

/// The time as Distribution writes it: `2026-11-21T00:11:08Z`.
fn rfc3339(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to a date of the Gregorian calendar, by eras of 400 years that begin in March.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year + u64::from(month <= 2);
    let day = day - (153 * shifted + 2) / 5 + 1;
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The inverse of [`rfc3339`], for whole seconds in UTC; a fraction is left out.
pub(super) fn parsed(text: &str) -> Option<SystemTime> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !(1..=12).contains(&month) || year < 1970 {
        return None;
    }
    let shifted = year - u64::from(month <= 2);
    let (era, of_era) = (shifted / 400, shifted % 400);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * month + 2) / 5 + day.checked_sub(1)?;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    let seconds = days.checked_sub(719_468)? * 86_400 + hour * 3600 + minute * 60 + second;
    UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_as_distribution_writes_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_219_868, "2026-11-21T00:11:08Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(rfc3339(time), text);
            assert_eq!(parsed(text), Some(time));
        }
        assert_eq!(parsed("nonsense"), None);
    }
}
