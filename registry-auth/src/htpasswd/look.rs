//! What a file looks like from outside, which tells one content from another.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::{Duration, SystemTime},
};

/// How old a change must be for the file's times to tell it from the next one, and for whoever made it
/// to have ended.
const SETTLED: Duration = Duration::from_secs(1);

/// How coarse times are where they have no fraction of a second: there are file systems that know every
/// other second alone.
const COARSE: Duration = Duration::from_secs(2);

/// The outside of a file. Another look is another content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Cannot(io::ErrorKind),
    File {
        device: u64,
        inode: u64,
        size: u64,
        modified: (i64, i64),
        changed: (i64, i64),
    },
}

impl Look {
    /// Looks at a file, which may wait where the file system does.
    pub(super) fn at(path: &Path) -> Self {
        match fs::metadata(path) {
            Err(error) => Self::Cannot(error.kind()),
            // Opening a pipe could wait without end.
            Ok(metadata) if !metadata.is_file() => Self::Cannot(io::ErrorKind::InvalidInput),
            Ok(metadata) => Self::File {
                device: metadata.dev(),
                inode: metadata.ino(),
                size: metadata.size(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
            },
        }
    }

    /// Whether it was changed so long before `now` that a later change looks otherwise.
    pub(super) fn is_settled(&self, now: SystemTime) -> bool {
        let Self::File { changed, .. } = self else {
            return false;
        };
        let (seconds, nanoseconds) = (u64::try_from(changed.0), u32::try_from(changed.1));
        let since = Duration::new(seconds.unwrap_or(0), nanoseconds.unwrap_or(0));
        let coarse = if since.subsec_nanos() == 0 {
            COARSE
        } else {
            Duration::ZERO
        };
        let age = SystemTime::UNIX_EPOCH
            .checked_add(since)
            .and_then(|changed| now.duration_since(changed).ok());
        age.is_some_and(|age| age > SETTLED + coarse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_settles_in_a_second_whenever_it_was_made() {
        let settled = |changed, now_milliseconds| {
            let look = Look::File {
                device: 0,
                inode: 0,
                size: 0,
                modified: (0, 0),
                changed,
            };
            look.is_settled(SystemTime::UNIX_EPOCH + Duration::from_millis(now_milliseconds))
        };
        for (changed, last_unsettled) in [
            ((100, 1), 101_000),
            ((100, 500_000_000), 101_500),
            ((100, 999_000_000), 101_999),
            // It may have been changed just before the time goes on.
            ((100, 0), 103_000),
            ((-1, 5), 1_000),
        ] {
            assert!(!settled(changed, last_unsettled), "{changed:?}");
            assert!(settled(changed, last_unsettled + 1), "{changed:?}");
        }
        // Just behind the turn of a second, and a clock that is behind the file's.
        assert!(!settled((100, 999_000_000), 101_001));
        assert!(!settled((100, 999_000_000), 90_000));
        assert!(!settled((i64::MAX, 999_999_999), 90_000));
        assert!(!Look::Cannot(io::ErrorKind::NotFound).is_settled(SystemTime::UNIX_EPOCH));
    }
}
