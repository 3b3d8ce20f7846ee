//! Two PATCHes of different bytes at one offset of one upload: one wins, and the blob is the winner's.

use crate::Result;
use crate::content::{Content, Random};
use crate::wire::{expect, location, with_query};

use super::{Move, Pair, winner};

pub(super) fn race(pair: &mut Pair, repository: &str, random: &mut Random) -> Result<bool> {
    let begun = pair.one.start_upload(repository)?;
    let contents = [0, 1].map(|_| Content {
        seed: random.next(),
        size: random.within(1, 8192),
    });
    let patch = |content: &Content| Move {
        method: "PATCH",
        target: begun.clone(),
        headers: vec![
            ("Content-Type", "application/octet-stream".to_owned()),
            ("Content-Range", format!("0-{}", content.size - 1)),
        ],
        body: content.bytes(),
    };
    let replies = pair.race(&patch(&contents[0]), &patch(&contents[1]), random)?;
    let won = winner(&replies, 202, &[404, 416])?;
    let content = contents[won];
    let digest = content.digest();
    let at = location(&replies[won].head).unwrap_or(begun);
    // The loser's process closes as well as the winner's.
    let wires = if random.next().is_multiple_of(2) {
        (&mut pair.one, &mut pair.two)
    } else {
        (&mut pair.two, &mut pair.one)
    };
    let closed = wires
        .0
        .exchange("PUT", &with_query(&at, "digest", &digest), &[], &[])?;
    expect(&closed, 201, "the closing PUT")?;
    wires.1.check_blob(repository, &digest)?;
    Ok(won == 0)
}
