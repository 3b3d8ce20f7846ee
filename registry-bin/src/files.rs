//! How many files and connections this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many are kept for what is not a connection: files of content, the log, sockets that listen.
const RESERVED: u64 = 64;

/// Raises the limit to what the process may have, as Go's programs do: shells start programs with
/// 1024. Returns how many connections may be open, since each may need a file of content beside it.
pub fn raise_limit() -> usize {
    let now = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: now.maximum,
        maximum: now.maximum,
    };
    // Where that is refused, what there is must do.
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => now.maximum,
        Err(_) => now.current,
    };
    connections(limit)
}

fn connections(limit: Option<u64>) -> usize {
    let Some(limit) = limit else {
        return MOST;
    };
    let each = limit.saturating_sub(RESERVED) / 2;
    usize::try_from(each).unwrap_or(MOST).clamp(1, MOST)
}

/// More connections than this are never open.
const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_files() {
        for (limit, expected) in [
            (None, 10_000),
            (Some(1_000_000), 10_000),
            (Some(4096), 2016),
            (Some(64), 1),
            (Some(0), 1),
        ] {
            assert_eq!(connections(limit), expected, "{limit:?}");
        }
    }
}
