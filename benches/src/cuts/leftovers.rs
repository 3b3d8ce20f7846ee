//! What uploads may leave behind in a Distribution tree.

use std::fs;
use std::io;
use std::path::Path;

/// A file outside `blobs/` larger than this can only be an upload's bytes.
const LARGEST_RECORD: u64 = 64 * 1024;

/// Entries of any `_uploads`, temporary files, and large files that are no blob.
pub(super) fn find(root: &Path) -> io::Result<Vec<String>> {
    let mut left = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            // The server may be removing it at this moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let in_uploads = directory.ends_with("_uploads");
        for entry in entries {
            let path = entry?.path();
            let Ok(metadata) = path.symlink_metadata() else {
                continue;
            };
            let is_blob =
                path.ends_with("data") && path.components().any(|c| c.as_os_str() == "blobs");
            let is_temporary = path.extension().is_some_and(|extension| extension == "tmp");
            let is_large = metadata.is_file() && metadata.len() > LARGEST_RECORD && !is_blob;
            if in_uploads || is_temporary || is_large {
                let inside = path.strip_prefix(root).unwrap_or(&path);
                left.push(inside.display().to_string());
            } else if metadata.is_dir() {
                open.push(path);
            }
        }
    }
    left.sort();
    Ok(left)
}
