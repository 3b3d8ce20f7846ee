//! Purging uploads that nobody goes on with.

use std::time::Duration;

use futures_util::TryStreamExt;

use crate::{
    engine::Engine,
    error::{Error, Result},
    store::UploadKey,
};

/// What a purge of uploads did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct PurgeReport {
    /// The uploads that were ended, or would have been in a dry run.
    pub purged: Vec<UploadKey>,
    /// How many uploads are too young, or being written to.
    pub kept: usize,
    /// The uploads of which something may still be there, and why.
    pub failed: Vec<(UploadKey, Error)>,
}

impl Engine {
    /// Ends every upload to which no byte was written for `older_than`, and drops its bytes. With
    /// `dry_run` it only says which.
    ///
    /// What another program left behind in the store is purged too. An upload that this process is
    /// writing to is not, whatever its age. Dropping the future leaves some of them purged.
    ///
    /// # Errors
    ///
    /// When the uploads cannot be listed. One that cannot be ended is in the report, and does not
    /// keep the others.
    pub async fn purge_uploads(&self, older_than: Duration, dry_run: bool) -> Result<PurgeReport> {
        let engine = self.inner();
        let now = engine.clock.now();
        let mut report = PurgeReport::default();
        let mut uploads = engine.blobs.list_uploads();
        while let Some(upload) = uploads.try_next().await? {
            let touched = upload.modified.max(upload.started);
            // An upload from the future is young: clocks differ between machines.
            let age = now.duration_since(touched).unwrap_or_default();
            if age < older_than || engine.sessions.is_writing(&upload.key) {
                report.kept += 1;
                continue;
            }
            if !dry_run {
                if let Err(error) = engine.blobs.abort_upload(&upload.key, None).await {
                    report.failed.push((upload.key, error.into()));
                    continue;
                }
                engine.sessions.close(&upload.key);
            }
            report.purged.push(upload.key);
        }
        Ok(report)
    }
}
