//! A delete by digest against a push of the tag: afterwards there is no tag without its manifest, through
//! whichever process one looks.

use crate::Result;
use crate::content::Random;
use crate::wire::expect;

use super::{Move, Pair, manifest, put_manifest, read_manifest};

pub(super) fn race(
    pair: &mut Pair,
    repository: &str,
    index: u64,
    random: &mut Random,
) -> Result<bool> {
    let tag = format!("t{index}");
    let old = manifest(&format!("old {index}"));
    let new = manifest(&format!("new {index}"));
    // The same manifest again, or the tag moved to another one.
    let again = random.next().is_multiple_of(2);
    let pushed = if again { &old } else { &new };

    let before = put_manifest(repository, &tag, old.0.clone());
    let headers: Vec<(&str, &str)> = before
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let reply = pair
        .one
        .exchange("PUT", &before.target, &headers, &before.body)?;
    expect(&reply, 201, "the push before the race")?;

    let target = format!("/v2/{repository}/manifests/{}", old.1);
    let delete = Move {
        method: "DELETE",
        target,
        headers: Vec::new(),
        body: Vec::new(),
    };
    let push = put_manifest(repository, &tag, pushed.0.clone());
    let [deleted, put] = pair.race(&delete, &push, random)?;
    expect(&deleted, 202, "the delete")?;
    expect(&put, 201, "the push")?;

    let mut survived = false;
    for wire in [&mut pair.one, &mut pair.two] {
        let by_tag = read_manifest(wire, repository, &tag)?;
        let by_old = read_manifest(wire, repository, &old.1)?;
        let by_new = read_manifest(wire, repository, &new.1)?;
        let whole = match (again, &by_tag) {
            (true, Some(found)) => *found == old.1 && by_old.as_ref() == Some(found),
            (true, None) => by_old.is_none(),
            // The push of another manifest has nothing to lose against the delete.
            (false, found) => {
                found.as_ref() == Some(&new.1) && by_new == *found && by_old.is_none()
            }
        };
        if !whole {
            let found = format!("tag {by_tag:?}, old {by_old:?}, new {by_new:?}");
            return Err(format!("again: {again}; {found}").into());
        }
        survived = by_tag.is_some();
    }
    Ok(!survived)
}
