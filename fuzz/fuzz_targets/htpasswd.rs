//! Only the users of an htpasswd file whose last line has a bcrypt hash can come in, and nobody else.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../registry-auth/src/htpasswd/entries.rs"]
#[allow(dead_code, reason = "the skipped lines are shown by the library")]
mod entries;
#[path = "../../registry-auth/src/htpasswd/hash.rs"]
#[allow(dead_code, reason = "passwords are verified by the library")]
mod hash;
#[path = "../../registry-auth/src/htpasswd/line.rs"]
#[allow(dead_code, reason = "lines are written by the library")]
mod line;

use entries::Entries;

const BASE64: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// What one line says, read in another way: a user, and the hash if that is one of bcrypt.
fn said(line: &str) -> Option<(&str, Option<&str>)> {
    let line = line.trim();
    let colon = line.find(':').filter(|at| *at > 0 && !line.starts_with('#'))?;
    let hash = &line[colon + 1..];
    let b = hash.as_bytes();
    let bcrypt = b.len() == 60
        && b[..2] == *b"$2"
        && b"aby".contains(&b[2])
        && b[3] == b'$'
        && b[6] == b'$'
        && (b"04"..=b"17").contains(&&[b[4], b[5]])
        && b[4..6].iter().all(u8::is_ascii_digit)
        && b[7..].iter().all(|b| BASE64.contains(b))
        // The last digit of the salt and that of the hash have bits to spare, which are zero.
        && b".Oeu".contains(&b[28])
        && BASE64.iter().position(|digit| *digit == b[59]).is_some_and(|bits| bits % 4 == 0)
        && !line[..colon].contains('\u{fffd}');
    Some((&line[..colon], bcrypt.then_some(hash)))
}

fuzz_target!(|file: &[u8]| {
    let entries = Entries::parse(file);
    let text = String::from_utf8_lossy(file);
    let lines = || text.strip_prefix('\u{feff}').unwrap_or(&text).split('\n').filter_map(said);
    let mut users: Vec<&str> = lines().map(|(user, _)| user).collect();
    users.sort_unstable();
    users.dedup();
    let mut known = 0;
    for user in users {
        let last = lines().filter(|(name, _)| *name == user).last();
        let hash = last.and_then(|(_, hash)| hash);
        assert_eq!(entries.hash(user).map(|hash| hash.expose()), hash, "{user:?}");
        known += usize::from(hash.is_some());
    }
    assert_eq!(entries.len(), known);
    assert_eq!(entries.nobody().expose().len(), 60);
});
