//! Writing htpasswd files: what Apache's `htpasswd` does, for bcrypt.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, fchown},
    path::{Path, PathBuf},
};

use registry_core::access::Secret;
use tempfile::NamedTempFile;

/// What a hash costs where nothing else is said: two to this power rounds.
pub const DEFAULT_COST: u32 = 10;

/// The costs that can be chosen, as in Apache's `htpasswd`.
const COSTS: std::ops::RangeInclusive<u32> = 4..=17;

/// The most bytes of a user's name, as in Apache's `htpasswd`.
const LONGEST_NAME: usize = 255;

/// Why a user cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The cost is out of bounds.
    #[error("a cost is a number from 4 to 17; {0} is not")]
    Cost(u32),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// The operating system gives no randomness for a salt.
    #[error("no salt can be made")]
    Salt,
    /// The password is empty, or has a byte that bcrypt does not take.
    #[error("a password is not empty and has no NUL byte")]
    Password,
    /// The user's name is empty, too long, or would be read as something else.
    #[error("the name of a user has 1 to 255 bytes, no colon and no control characters")]
    User,
}

/// The line of a user in an htpasswd file: the name, and the bcrypt hash of the password.
///
/// # Errors
///
/// [`EditError`] says what is wrong with the name, the password or the cost.
pub fn hash(user: &str, password: &Secret, cost: u32) -> Result<String, EditError> {
    check_user(user)?;
    if !COSTS.contains(&cost) {
        return Err(EditError::Cost(cost));
    }
    let password = password.expose();
    if password.is_empty() || password.contains('\0') {
        return Err(EditError::Password);
    }
    let hash = bcrypt::hash_with_result(password, cost).map_err(|_| EditError::Salt)?;
    Ok(format!(
        "{user}:{}",
        hash.format_for_version(bcrypt::Version::TwoY)
    ))
}

fn check_user(user: &str) -> Result<(), EditError> {
    let odd = |c: char| c == ':' || c.is_control();
    // A line that begins with `#` is a comment.
    if user.is_empty() || user.len() > LONGEST_NAME || user.contains(odd) || user.starts_with('#') {
        return Err(EditError::User);
    }
    Ok(())
}

/// An htpasswd file in memory, to change and write back. Comments, order and the lines of other users
/// stay as they are.
#[derive(Clone, Debug, Default)]
pub struct HtpasswdFile {
    lines: Vec<String>,
}

impl HtpasswdFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is not text.
    pub fn read(path: &Path) -> Result<Self, EditError> {
        let text = fs::read_to_string(path).map_err(|source| EditError::File {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            lines: text.lines().map(str::to_owned).collect(),
        })
    }

    /// Sets the line of a user, as [`hash`] makes it: in the place of the line that there is, or at the
    /// end. Whether there was one.
    pub fn set(&mut self, line: String) -> bool {
        let user = line.split(':').next().unwrap_or_default().to_owned();
        let first = self.lines.iter().position(|line| is_of(line, &user));
        self.lines.retain({
            let mut number = 0;
            move |line| {
                number += 1;
                !is_of(line, &user) || Some(number - 1) == first
            }
        });
        match first.and_then(|first| self.lines.get_mut(first)) {
            Some(there) => *there = line,
            None => self.lines.push(line),
        }
        first.is_some()
    }

    /// Removes a user. Whether it was there.
    pub fn remove(&mut self, user: &str) -> bool {
        let before = self.lines.len();
        self.lines.retain(|line| !is_of(line, user));
        self.lines.len() < before
    }

    /// Whether the password is the user's; `None` when there is no such user, or no bcrypt hash.
    pub fn verify(&self, user: &str, password: &Secret) -> Option<bool> {
        let line = self.lines.iter().rfind(|line| is_of(line, user))?;
        let (_, hash) = line.trim().split_once(':')?;
        bcrypt::verify(password.expose(), hash).ok()
    }

    /// Writes the file in one step: whoever reads meanwhile sees the old one or the new one. A new file
    /// is its owner's alone; one that is replaced keeps its owner and its permissions.
    ///
    /// # Errors
    ///
    /// When it cannot be written: the old one is still there then.
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
        let mut file = NamedTempFile::new_in(directory)?;
        if let Ok(there) = fs::metadata(path) {
            let new = file.as_file().metadata()?;
            if (there.uid(), there.gid()) != (new.uid(), new.gid()) {
                // Who reads it now must be able to read the new one.
                fchown(file.as_file(), Some(there.uid()), Some(there.gid()))?;
            }
            file.as_file().set_permissions(there.permissions())?;
        }
        for line in &self.lines {
            writeln!(file, "{line}")?;
        }
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(directory)?.sync_all()
    }
}

fn is_of(line: &str, user: &str) -> bool {
    let line = line.trim();
    !line.starts_with('#') && line.split_once(':').is_some_and(|(name, _)| name == user)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text)
    }

    #[test]
    fn lines_are_as_apaches() {
        let line = hash("testuser", &secret("testpassword"), 4).unwrap();
        assert!(
            line.starts_with("testuser:$2y$04$") && line.len() == 69,
            "{line}"
        );
        for (user, password, cost) in [
            ("", "p", 4),
            ("a:b", "p", 4),
            ("#a", "p", 4),
            ("a\n", "p", 4),
            ("a", "", 4),
            ("a", "p\0", 4),
            ("a", "p", 3),
            ("a", "p", 18),
        ] {
            assert!(
                hash(user, &secret(password), cost).is_err(),
                "{user} {cost}"
            );
        }
    }

    #[test]
    fn a_file_is_changed_and_the_rest_of_it_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let text = "# ours\nada:x\n\nbob:y\nada:z\n";
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let mut file = HtpasswdFile::read(&path).unwrap();
        assert!(file.set("ada:new".to_owned()));
        assert!(!file.set("eve:e".to_owned()));
        assert!(file.remove("bob") && !file.remove("bob"));
        file.write(&path).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "# ours\nada:new\n\neve:e\n"
        );
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o640
        );
        let new = folder.path().join("new");
        file.write(&new).unwrap();
        assert_eq!(
            fs::metadata(&new).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        assert!(file.write(&folder.path().join("absent/file")).is_err());
    }

    #[test]
    fn a_file_keeps_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        fs::write(&path, "").unwrap();
        // Only root can give files away; for others there is nothing to keep.
        let given = std::os::unix::fs::chown(&path, Some(12), Some(34)).is_ok();
        let owner = |path: &Path| fs::metadata(path).map(|file| (file.uid(), file.gid()));
        let before = owner(&path).unwrap();
        assert!(!given || before == (12, 34));
        let mut file = HtpasswdFile::read(&path).unwrap();
        file.set("ada:x".to_owned());
        file.write(&path).unwrap();
        assert_eq!(owner(&path).unwrap(), before);
    }

    #[test]
    fn a_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("users"), folder.path().join("link"));
        fs::write(&path, "").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut file = HtpasswdFile::read(&link).unwrap();
        file.set("a:b".to_owned());
        file.write(&link).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a:b\n");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn apaches_hashes_and_ours_are_verified() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/htpasswd");
        let mut file = HtpasswdFile::read(&path).unwrap();
        file.set(hash("ours", &secret("pässword"), 4).unwrap());
        for (user, password, expected) in [
            ("bcrypt", "correct", Some(true)),
            ("bcrypt", "wrong", Some(false)),
            ("ours", "pässword", Some(true)),
            ("md5", "correct", None),
            ("absent", "correct", None),
        ] {
            assert_eq!(file.verify(user, &secret(password)), expected, "{user}");
        }
    }
}
