//! Which uploads this process has begun, and which it is writing to.
//!
//! The first bounds how many clients can open, the second keeps what is being written from being
//! purged. Between becoming a blob and being linked an upload is gone from the store; here it is
//! remembered, so that finishing it again can go on. An upload that was not touched for an hour counts as abandoned: it can go on, but makes
//! room for another.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use crate::{
    digest::Digest,
    error::{Error, ErrorCode, Result},
    store::UploadKey,
};

/// After how long without a request an upload counts as abandoned.
const ABANDONED: Duration = Duration::from_secs(3600);

/// The most uploads that are remembered between becoming a blob and being linked. Beyond them all
/// are forgotten, and those that stopped there have to be sent again.
const PROVEN: usize = 10_000;

/// When a client that was refused should try again.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// The uploads of this process.
#[derive(Debug)]
pub(crate) struct Sessions {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When each upload was last touched.
    open: HashMap<UploadKey, SystemTime>,
    /// The digest that the content of an upload was found to have, until it is linked.
    proven: HashMap<UploadKey, Digest>,
    /// How many requests write to an upload.
    writing: HashMap<UploadKey, usize>,
    /// No upload in `open` is abandoned before this.
    next_sweep: Option<SystemTime>,
}

impl Sessions {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::default(),
        }
    }

    /// Takes up a new upload, if there is room.
    pub(super) fn open(&self, key: &UploadKey, now: SystemTime) -> Result<()> {
        let mut state = self.state();
        if state.open.len() >= self.limit {
            state.sweep(now);
        }
        if state.open.len() >= self.limit {
            let message = "too many uploads are open";
            return Err(Error::new(ErrorCode::TooManyRequests, message).retry_after(RETRY_AFTER));
        }
        state.open.insert(key.clone(), now);
        Ok(())
    }

    /// Marks an upload as being written to, until the answer is dropped.
    pub(super) fn write<'a>(&'a self, key: &'a UploadKey, now: SystemTime) -> Writing<'a> {
        let mut state = self.state();
        if let Some(touched) = state.open.get_mut(key) {
            *touched = now;
        }
        *state.writing.entry(key.clone()).or_default() += 1;
        Writing {
            sessions: self,
            key,
        }
    }

    /// Whether an upload is being written to.
    pub(crate) fn is_writing(&self, key: &UploadKey) -> bool {
        self.state().writing.contains_key(key)
    }

    /// An upload has that digest, and is about to become its blob.
    pub(super) fn prove(&self, key: &UploadKey, digest: &Digest) {
        let mut state = self.state();
        if state.proven.len() >= PROVEN {
            state.proven.clear();
        }
        state.proven.insert(key.clone(), digest.clone());
    }

    /// Whether an upload was about to become that blob, and has not been linked since.
    pub(super) fn has_proven(&self, key: &UploadKey, digest: &Digest) -> bool {
        self.state().proven.get(key) == Some(digest)
    }

    /// An upload has ended.
    pub(crate) fn close(&self, key: &UploadKey) {
        let mut state = self.state();
        state.open.remove(key);
        state.proven.remove(key);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Drops what is abandoned. It looks at the uploads only when one can be, so that a client who
    /// is refused again and again does not make it look again and again.
    fn sweep(&mut self, now: SystemTime) {
        if self.next_sweep.is_some_and(|next| now < next) {
            return;
        }
        let writing = &self.writing;
        self.open
            .retain(|key, touched| now < *touched + ABANDONED || writing.contains_key(key));
        self.next_sweep = self.open.values().min().map(|oldest| *oldest + ABANDONED);
    }
}

/// An upload that is being written to.
#[derive(Debug)]
pub(super) struct Writing<'a> {
    sessions: &'a Sessions,
    key: &'a UploadKey,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let mut state = self.sessions.state();
        if let Some(writers) = state.writing.get_mut(self.key) {
            *writers -= 1;
            if *writers == 0 {
                state.writing.remove(self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{name::RepositoryName, store::UploadId};

    #[test]
    fn abandoned_uploads_make_room() {
        let key = |id| {
            let repository = RepositoryName::parse("a").unwrap();
            UploadKey::new(repository, UploadId::parse(id).unwrap())
        };
        let (sessions, start) = (Sessions::new(2), SystemTime::UNIX_EPOCH);
        sessions.open(&key("1"), start).unwrap();
        sessions.open(&key("2"), start).unwrap();
        let refused = sessions.open(&key("3"), start).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::TooManyRequests);
        assert_eq!(refused.retry_delay(), Some(RETRY_AFTER));
        drop(sessions.write(&key("1"), start + ABANDONED / 2));
        sessions.open(&key("3"), start + ABANDONED).unwrap();
        assert!(sessions.open(&key("4"), start + ABANDONED).is_err());
        sessions.close(&key("1"));
        sessions.open(&key("4"), start + ABANDONED).unwrap();
    }

    #[test]
    fn what_is_written_to_is_known() {
        let repository = RepositoryName::parse("a").unwrap();
        let key = UploadKey::new(repository, UploadId::parse("1").unwrap());
        let sessions = Sessions::new(1);
        let (first, second) = (
            sessions.write(&key, SystemTime::UNIX_EPOCH),
            sessions.write(&key, SystemTime::UNIX_EPOCH),
        );
        drop(first);
        assert!(sessions.is_writing(&key));
        drop(second);
        assert!(!sessions.is_writing(&key));
    }
}
