//! Walks of the whole tree, for what asks for all of it. What is not of the tree is skipped.

use std::{
    fs::{self, DirEntry},
    io,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use registry_core::{
    Digest, RepositoryName,
    store::{OpenUpload, StoreError, StoredBlob, UploadId, UploadKey},
};

use super::{failed, small::is_absence, uploads};
use crate::layout::{self, Layout};

/// The entries of a directory whose names are text; none where there is no such directory. An entry
/// that cannot be read is left out with a warning.
pub(super) fn entries(path: &Path) -> io::Result<Vec<(String, DirEntry)>> {
    let entries = match fs::read_dir(path) {
        Err(error) if is_absence(&error) => return Ok(Vec::new()),
        result => result?,
    };
    let mut found = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => {
                if let Ok(name) = entry.file_name().into_string() {
                    found.push((name, entry));
                }
            }
            Err(error) => tracing::warn!(?path, %error, "an entry is skipped"),
        }
    }
    Ok(found)
}

/// As [`entries`], but a directory that cannot be read is left out, with a warning.
fn readable(path: &Path) -> Vec<(String, DirEntry)> {
    entries(path).unwrap_or_else(|error| {
        tracing::warn!(?path, %error, "a directory is skipped");
        Vec::new()
    })
}

fn directories(path: &Path) -> impl Iterator<Item = (String, DirEntry)> {
    let is_directory = |entry: &DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    readable(path)
        .into_iter()
        .filter(move |(_, entry)| is_directory(entry))
}

/// The digests of which `below/<algorithm>/<hex>` is a directory.
pub(super) fn digests(below: &Path) -> Vec<Digest> {
    directories(below)
        .flat_map(|(algorithm, entry)| {
            directories(&entry.path())
                .filter_map(|(hex, _)| layout::digest(&algorithm, &hex))
                .collect::<Vec<_>>()
        })
        .collect()
}

pub(super) fn blobs(layout: &Layout) -> Result<Vec<StoredBlob>, StoreError> {
    entries(&layout.blobs()).map_err(failed("the blobs cannot be listed"))?;
    let mut found = Vec::new();
    for (algorithm, entry) in directories(&layout.blobs()) {
        for (_, first) in directories(&entry.path()) {
            for (hex, blob) in directories(&first.path()) {
                let Some(digest) = layout::digest(&algorithm, &hex) else {
                    continue;
                };
                let Ok(metadata) = fs::metadata(blob.path().join("data")) else {
                    continue;
                };
                if metadata.is_file() && layout.blob(&digest).starts_with(blob.path()) {
                    let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
                    found.push(StoredBlob::new(digest, metadata.len(), modified));
                }
            }
        }
    }
    Ok(found)
}

/// Every repository that has one of these `_` directories.
pub(super) fn repositories(
    layout: &Layout,
    having: &[&str],
) -> Result<Vec<RepositoryName>, StoreError> {
    let top = layout.repositories();
    entries(&top).map_err(failed("the repositories cannot be listed"))?;
    let mut found = Vec::new();
    let mut left = vec![String::new()];
    while let Some(name) = left.pop() {
        let mut is_repository = false;
        for (part, _) in directories(&top.join(&name)) {
            if part.starts_with('_') {
                is_repository |= having.contains(&part.as_str());
            } else {
                left.push(if name.is_empty() {
                    part
                } else {
                    format!("{name}/{part}")
                });
            }
        }
        if is_repository && let Ok(name) = RepositoryName::parse(&name) {
            found.push(name);
        }
    }
    Ok(found)
}

pub(super) fn uploads(layout: &Layout) -> Result<Vec<OpenUpload>, StoreError> {
    let mut found = Vec::new();
    for repository in repositories(layout, &[layout::UPLOADS])? {
        for (id, entry) in directories(&layout.uploads(&repository)) {
            let Ok(id) = UploadId::parse(&id) else {
                continue;
            };
            let path = entry.path();
            let time = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
            let Some(made) = time(&path) else { continue };
            let text = fs::read_to_string(path.join(layout::STARTED_AT)).ok();
            let started = text.and_then(|text| uploads::parsed(&text)).unwrap_or(made);
            let written = time(&path.join("data")).into_iter().chain([started]);
            let modified = written.max().unwrap_or(SystemTime::UNIX_EPOCH);
            found.push(OpenUpload::new(
                UploadKey::new(repository.clone(), id),
                started,
                modified,
            ));
        }
    }
    Ok(found)
}
