//! One at a time in a folder.

use std::{fs::File, path::Path};

/// Keeps others of these programs from changing what is in the folder of `file` until it is dropped,
/// and waits for them. Where folders cannot be locked, nobody is kept from anything.
pub(crate) fn lock_folder(file: &Path) -> Option<File> {
    let folder = file.parent().filter(|path| !path.as_os_str().is_empty());
    let folder = File::open(folder.unwrap_or(Path::new("."))).ok()?;
    folder.lock().ok()?;
    Some(folder)
}
