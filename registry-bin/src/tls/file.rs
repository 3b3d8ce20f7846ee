//! Files that the configuration names, read to a bound and without waiting for anybody.

use std::{
    fs::{self, FileType, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;

use super::settings::TlsError;

/// The most bytes that a file may have. A certificate has two thousand, and whoever trusts every
/// authority of the web has two hundred thousand.
const MOST: u64 = 1024 * 1024;

/// Whether a file can be read, and is one.
pub(crate) fn readable(path: &Path) -> Result<(), TlsError> {
    read(path).map(drop)
}

/// What a file holds, or the file that a link leads to.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    bytes(path).map_err(|error| TlsError::file(path, error.to_string()))
}

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("cannot be read: {0}; name a file that is there")]
    Io(#[from] io::Error),
    #[error("is {0}, and no file; name the file that holds the PEM")]
    NoFile(&'static str),
    #[error("is larger than 1 MiB, which no file of certificates or keys is; name another")]
    TooLarge,
}

fn bytes(path: &Path) -> Result<Vec<u8>, Unreadable> {
    // Opening a device may do something to it, so it is looked at before.
    file(fs::metadata(path)?.file_type())?;
    // A pipe that came meanwhile is opened without waiting for somebody who writes to it.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    let there = opened.metadata()?;
    file(there.file_type())?;
    if there.len() > MOST {
        return Err(Unreadable::TooLarge);
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    opened.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(Unreadable::TooLarge);
    }
    Ok(bytes)
}

fn file(kind: FileType) -> Result<(), Unreadable> {
    if kind.is_file() {
        return Ok(());
    }
    Err(Unreadable::NoFile(if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }))
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::net::UnixListener};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn what_is_no_file_is_told_and_not_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let pipe = home.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let link = home.path().join("link");
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        let socket = home.path().join("socket");
        let _bound = UnixListener::bind(&socket).unwrap();
        let absent = home.path().join("absent");
        for (path, said) in [
            (home.path(), "is a directory, and no file"),
            (&pipe, "is a named pipe, and no file; name the file"),
            (&link, "is a named pipe, and no file"),
            (&socket, "is a socket, and no file"),
            (Path::new("/dev/zero"), "is a device, and no file"),
            (&absent, "cannot be read: No such file"),
        ] {
            let told = read(path).unwrap_err().to_string();
            assert!(
                told.starts_with(&format!("{}: ", path.display())) && told.contains(said),
                "{told}"
            );
        }
    }

    #[test]
    fn what_is_huge_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        let file = File::create(&path).unwrap();
        file.set_len(MOST).unwrap();
        assert_eq!(read(&path).unwrap().len() as u64, MOST);
        for size in [MOST + 1, 1 << 40] {
            file.set_len(size).unwrap();
            let told = read(&path).unwrap_err().to_string();
            assert!(told.contains("is larger than 1 MiB"), "{told}");
        }
    }

    #[test]
    fn what_links_lead_to_is_read() {
        let home = tempfile::tempdir().unwrap();
        let (path, link) = (home.path().join("file"), home.path().join("link"));
        fs::write(&path, "text").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(read(&link).unwrap(), b"text");
        readable(&link).unwrap();
    }
}
