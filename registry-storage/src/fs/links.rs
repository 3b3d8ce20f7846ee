//! Links: small files that say a digest.

use std::{path::Path, sync::Arc};

use registry_core::{Clock, Digest, store::StoreError};

use super::{
    failed,
    publish::{Publisher, Unsynced},
    small::SmallFiles,
};
use crate::layout;

#[derive(Debug)]
pub(super) struct Links {
    pub(super) publisher: Arc<Publisher>,
    files: SmallFiles,
}

impl Links {
    pub(super) fn new(publisher: Arc<Publisher>, clock: Arc<dyn Clock>) -> Self {
        Self {
            publisher,
            files: SmallFiles::new(clock),
        }
    }

    /// What a link says that was read before and has not changed, without waiting for the disk.
    pub(super) fn known(&self, path: &Path) -> Option<Digest> {
        layout::target(&self.files.known(path)?)
    }

    /// What a link says. One that says no digest is none.
    pub(super) fn read(&self, path: &Path) -> Result<Option<Digest>, StoreError> {
        let Some(text) = self
            .files
            .read(path)
            .map_err(failed("a link cannot be read"))?
        else {
            return Ok(None);
        };
        let target = layout::target(&text);
        if target.is_none() {
            tracing::warn!(?path, "a link that says no digest is skipped");
        }
        Ok(target)
    }

    /// Writes a link. Durable once `unsynced` is synced.
    pub(super) fn write(
        &self,
        path: &Path,
        target: &Digest,
        unsynced: &mut Unsynced,
    ) -> Result<(), StoreError> {
        let text = target.as_str().as_bytes();
        if self.publisher.is_published(path, text, unsynced)? {
            return Ok(());
        }
        let staged = self.publisher.stage(text)?;
        self.publisher.publish(staged, path, unsynced)
    }

    /// Removes a link; `false` where there is none. Durable on return.
    pub(super) fn remove(&self, path: &Path) -> Result<bool, StoreError> {
        let removed = match self.publisher.disk.remove_file(path) {
            Ok(()) => true,
            Err(error) if super::small::is_absence(&error) => false,
            Err(error) => return Err(failed("a link cannot be removed")(error)),
        };
        // Also where there was none: another may have removed it a moment ago and not synced yet.
        let mut unsynced = Unsynced::default();
        if let Some(parent) = path.parent().filter(|parent| parent.is_dir()) {
            unsynced.add(parent);
        }
        self.publisher.sync(&unsynced)?;
        Ok(removed)
    }
}
