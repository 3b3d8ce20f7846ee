//! Two pushers that both want to be the first on one tag: one is answered 201, the other 412.

use crate::Result;
use crate::content::Random;

use super::{Pair, manifest, put_manifest, read_manifest, winner};

pub(super) fn race(
    pair: &mut Pair,
    repository: &str,
    index: u64,
    random: &mut Random,
) -> Result<bool> {
    let tag = format!("t{index}");
    let manifests = ["one", "two"].map(|who| manifest(&format!("{who} {index}")));
    let put = |(bytes, _): &(Vec<u8>, String)| {
        let mut put = put_manifest(repository, &tag, bytes.clone());
        put.headers.push(("If-None-Match", "*".to_owned()));
        put
    };
    let replies = pair.race(&put(&manifests[0]), &put(&manifests[1]), random)?;
    let won = winner(&replies, 201, &[412])?;
    for wire in [&mut pair.one, &mut pair.two] {
        let found = read_manifest(wire, repository, &tag)?;
        if found.as_ref() != Some(&manifests[won].1) {
            return Err(format!("won by {}, reads as {found:?}", manifests[won].1).into());
        }
    }
    Ok(won == 0)
}
