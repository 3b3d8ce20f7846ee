//! One upload's life: begun, cut at a byte, found again, gone on with, closed, read back.

use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::content::{Content, Random};
use crate::http::{Framing, Reply};
use crate::server::Server;
use crate::wire::{Wire, expect, location, with_query};

use super::{Cut, REPOSITORY};

/// Between two looks at an upload that may still grow.
const LOOK: Duration = Duration::from_millis(40);

/// An offset that stayed for so many looks has settled.
const STABLE: u32 = 4;

/// How long a server may take to settle.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often a 416 may send us back to ask for the offset.
const ATTEMPTS: u64 = 5;

/// What was learnt on the way, also when it ends in an error.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Bytes that the client wrote before the cut.
    pub(super) written: u64,
    /// Where the server said to go on.
    pub(super) offset: u64,
    /// Whether the client went on at once, at the first offset it was told, while the server may still have
    /// been taking in what was sent before the cut.
    pub(super) eager: bool,
    /// 416 answers while going on.
    pub(super) refused: u64,
}

/// Where an upload stands. `Range: 0-0` is what both no byte and one byte look like.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Status {
    at: String,
    offset: u64,
    ambiguous: bool,
}

pub(super) fn cut_and_resume(
    server: &mut Server,
    content: &Content,
    cut: Cut,
    random: &mut Random,
    settled: &mut Settled,
) -> Result<()> {
    let digest = content.digest();
    let at = cut_once(server, content, cut, random, settled)?;
    // Another connection, as after a real cut.
    let mut wire = Wire::new(server.addr);
    let mut status = settle(
        &mut wire,
        &at,
        if settled.eager { 0 } else { settled.written },
    )?;
    settled.offset = status.offset;
    let how = random.next() % 5;
    if how == 4 {
        // Some clients keep the Location they began with; a stated range says enough.
        status.at = at;
    }
    loop {
        let reply = match go_on(&mut wire, content, &digest, &status, how) {
            Ok(reply) if reply.head.status == 201 => break,
            Ok(reply) => reply,
            Err(error) => return Err(format!("going on at {}: {error}", status.offset).into()),
        };
        if reply.head.status != 416 || settled.refused == ATTEMPTS {
            expect(
                &reply,
                201,
                &format!("going on at {} in way {how}", status.offset),
            )?;
        }
        settled.refused += 1;
        let tried = status.offset;
        status = settle(&mut wire, &status.at, content.size)?;
        if status.ambiguous {
            // `0-0` again: what was refused at one of the two offsets fits the other.
            status.offset = 1 - tried.min(1);
        }
    }
    wire.check_blob(REPOSITORY, &digest)
}

/// Sends a part of the content and cuts; answers where the upload was last said to be.
fn cut_once(
    server: &mut Server,
    content: &Content,
    cut: Cut,
    random: &mut Random,
    settled: &mut Settled,
) -> Result<String> {
    let mut wire = Wire::new(server.addr);
    let mut at = wire.start_upload(REPOSITORY)?;
    let mut from = 0;
    if random.next().is_multiple_of(4) {
        from = random.within(1, content.size / 4);
        let reply = wire.send("PATCH", &at, &[], (content, 0, from), false)?;
        expect(&reply, 202, "the chunk before the cut")?;
        at = location(&reply.head).unwrap_or(at);
        settled.written = from;
    }
    let until = random.within(from + 1, content.size - 1);
    let framing = match random.next() % 2 {
        0 => Framing::Chunked,
        _ => Framing::Length(content.size - from),
    };
    let range = format!("{from}-{}", content.size - 1);
    let headers = [
        ("Content-Type", "application/octet-stream"),
        ("Content-Range", &range),
    ];
    let headers = if random.next().is_multiple_of(2) {
        &headers[..1]
    } else {
        &headers
    };
    let mut connection = wire.connection()?;
    connection.send("PATCH", &at, headers, framing, &[])?;
    connection.send_part(content, from, until, framing)?;
    settled.written = until;
    match cut {
        Cut::Close if !settled.eager && random.next().is_multiple_of(2) => connection.half_close(),
        Cut::Close => drop(connection),
        Cut::Kill => {
            server.kill()?;
            server.restart()?;
        }
        Cut::Reset => connection.reset()?,
    }
    Ok(at)
}

/// Asks until the upload no longer grows, or holds at least `enough`.
fn settle(wire: &mut Wire, at: &str, enough: u64) -> Result<Status> {
    let begun = Instant::now();
    let mut seen: Option<(Status, u32)> = None;
    loop {
        let late = begun.elapsed() > PATIENCE;
        match status(wire, at) {
            Ok(status) if status.offset >= enough => return Ok(status),
            Ok(status) => {
                let looks = match &seen {
                    Some((last, looks)) if last.offset == status.offset => looks + 1,
                    _ => 1,
                };
                if looks >= STABLE || late {
                    return Ok(status);
                }
                seen = Some((status, looks));
            }
            Err(error) if late || error.is::<Gone>() => return Err(error),
            Err(_) => {}
        }
        thread::sleep(LOOK);
    }
}

/// The upload is unknown to the server.
#[derive(Debug)]
struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GET of the upload answers 404")
    }
}

impl std::error::Error for Gone {}

fn status(wire: &mut Wire, at: &str) -> Result<Status> {
    let reply = wire.get(at)?;
    if reply.head.status == 404 {
        return Err(Gone.into());
    }
    expect(&reply, 204, "GET of an upload")?;
    let range = reply
        .head
        .header("Range")
        .ok_or("no Range")?
        .trim_start_matches("bytes=");
    let last = range
        .strip_prefix("0-")
        .and_then(|last| last.parse::<u64>().ok());
    let last = last.ok_or_else(|| format!("Range: {range}"))?;
    let at = location(&reply.head).unwrap_or_else(|| at.to_owned());
    let ambiguous = last == 0;
    Ok(Status {
        at,
        offset: if ambiguous { 0 } else { last + 1 },
        ambiguous,
    })
}

/// Sends what is missing in one of five ways; the last answer, or the first that is not as hoped.
fn go_on(
    wire: &mut Wire,
    content: &Content,
    digest: &str,
    status: &Status,
    how: u64,
) -> Result<Reply> {
    let (mut from, size, mut at) = (status.offset, content.size, status.at.clone());
    // Only a stated range tells a server with one byte from one with none.
    let how = if status.ambiguous { 0 } else { how };
    let steps: &[(u64, bool, bool)] = match how {
        0 | 4 => &[(2, false, true)],
        1 => &[(2, true, false)],
        2 => &[(1, false, true), (2, true, true)],
        _ => &[],
    };
    for (half, chunked, ranged) in steps {
        let to = if *half == 1 {
            from + (size - from) / 2
        } else {
            size
        };
        if to == from {
            continue;
        }
        let range = format!("{from}-{}", to - 1);
        let headers = [
            ("Content-Type", "application/octet-stream"),
            ("Content-Range", &range),
        ];
        let headers = if *ranged { &headers } else { &headers[..1] };
        let reply = wire.send("PATCH", &at, headers, (content, from, to), *chunked)?;
        if reply.head.status != 202 {
            return Ok(reply);
        }
        at = location(&reply.head).unwrap_or(at);
        from = to;
    }
    let target = with_query(&at, "digest", digest);
    let range = format!("{from}-{}", size.max(1) - 1);
    let headers = [
        ("Content-Type", "application/octet-stream"),
        ("Content-Range", &range),
    ];
    let headers = if from < size { &headers } else { &headers[..0] };
    Ok(wire.send("PUT", &target, headers, (content, from, size), false)?)
}
