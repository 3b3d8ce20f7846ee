//! Writing htpasswd files: what Apache's `htpasswd` does, for bcrypt.

mod entry;

use std::{
    fmt,
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, fchown},
    path::Path,
};

use registry_core::access::Secret;
use tempfile::NamedTempFile;

pub use self::entry::{EditError, Entry};
use super::{
    entries::Skipped,
    file::content,
    hash::BcryptHash,
    line::{BYTE_ORDER_MARK, Line, Why, lines},
};

/// An htpasswd file in memory, to change and write back. Comments, order and the lines of other users
/// stay as they are, to the byte; a byte order mark in front of them goes. `Debug` shows no line.
#[derive(Clone, Default)]
pub struct HtpasswdFile {
    /// Each with what ends it.
    lines: Vec<Vec<u8>>,
}

impl HtpasswdFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is no regular file, or has more than 64 MiB.
    pub fn read(path: &Path) -> Result<Self, EditError> {
        let bytes = content(path).map_err(|source| EditError::File {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self::parse(&bytes))
    }

    fn parse(file: &[u8]) -> Self {
        Self {
            lines: lines(file).map(<[u8]>::to_vec).collect(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let bytes = self.lines.concat();
        if bytes.starts_with(BYTE_ORDER_MARK) {
            // It is of a name that came to stand first, and must not be taken for the file's.
            return [BYTE_ORDER_MARK, &bytes].concat();
        }
        bytes
    }

    /// Sets a user: in the place of the line that there is, or at the end. Whether there was one.
    pub fn set(&mut self, entry: &Entry) -> bool {
        let line = format!("{}\n", entry.line()).into_bytes();
        let first = self.lines.iter().position(|line| is_of(line, entry.user()));
        self.remove(entry.user());
        if let Some(first) = first {
            self.lines.insert(first, line);
            return true;
        }
        if let Some(last) = self.lines.last_mut().filter(|last| !last.ends_with(b"\n")) {
            last.push(b'\n');
        }
        self.lines.push(line);
        false
    }

    /// Removes a user. Whether it was there.
    pub fn remove(&mut self, user: &str) -> bool {
        let before = self.lines.len();
        self.lines.retain(|line| !is_of(line, user));
        self.lines.len() < before
    }

    /// Whether the password is the user's; `None` when there is no such user, or no hash that lets
    /// anybody in.
    pub fn verify(&self, user: &str, password: &Secret) -> Option<bool> {
        let hash = self.hash_of(user)?;
        bcrypt::verify(password.expose(), hash.expose()).ok()
    }

    /// The line of a user who is there and cannot come in.
    pub fn skipped(&self, user: &str) -> Option<Skipped> {
        let (number, hash) = self.last_line_of(user)?;
        Some(Skipped::new(number, Some(user), hash.err()?))
    }

    /// The hash by which a user comes in.
    fn hash_of(&self, user: &str) -> Option<BcryptHash> {
        self.last_line_of(user)?.1.ok()
    }

    /// The last line of a user, which is the one that counts: its number, and what it says.
    fn last_line_of(&self, user: &str) -> Option<(usize, Result<BcryptHash, Why>)> {
        let numbered = (1..).zip(&self.lines);
        let (number, line) = numbered.filter(|(_, line)| is_of(line, user)).last()?;
        match Line::of(&String::from_utf8_lossy(line)) {
            Line::User(_, hash) => Some((number, hash)),
            Line::Nothing | Line::Odd(_) => None,
        }
    }

    /// Writes the file in one step: whoever reads meanwhile sees the old one or the new one. A new file
    /// is its owner's alone; one that is replaced keeps its owner and its permissions.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or something is there that is no regular file: it is still there then.
    pub fn write(&self, path: &Path) -> Result<(), EditError> {
        self.replace(path).map_err(|source| EditError::File {
            path: path.to_owned(),
            source,
        })
    }

    fn replace(&self, path: &Path) -> io::Result<()> {
        // A link is followed: what it points to is replaced, not the link.
        let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let parent = path.parent();
        let directory = parent.filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        let there = fs::metadata(path).ok();
        if there.as_ref().is_some_and(|there| !there.is_file()) {
            let message = "it is no file, and is left as it is; name one";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let mut file = NamedTempFile::new_in(directory).map_err(|error| {
            // Its own words name a file that nobody knows of.
            let (folder, kind) = (directory.display(), error.kind());
            io::Error::new(kind, format!("in its folder {folder}: {kind}"))
        })?;
        if let Some(there) = there {
            let new = file.as_file().metadata()?;
            if (there.uid(), there.gid()) != (new.uid(), new.gid()) {
                // Who reads it now must be able to read the new one.
                fchown(file.as_file(), Some(there.uid()), Some(there.gid()))?;
            }
            file.as_file().set_permissions(there.permissions())?;
        }
        file.write_all(&self.bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(directory)?.sync_all()
    }
}

impl fmt::Debug for HtpasswdFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HtpasswdFile")
            .field("lines", &self.lines.len())
            .finish()
    }
}

fn is_of(line: &[u8], user: &str) -> bool {
    let line = String::from_utf8_lossy(line);
    matches!(Line::of(&line), Line::User(name, _) if name == user)
}

#[cfg(test)]
mod tests;
