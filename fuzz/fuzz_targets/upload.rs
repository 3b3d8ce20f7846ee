//! However chunks come, an upload ends where the bytes that were kept end, inside its limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry_core::{
    Algorithm,
    upload::{ChunkHead, Open, Refusal},
};

type Step = (Option<u64>, Option<u64>, u64, bool);

fuzz_target!(|input: (Option<u64>, Vec<Step>)| {
    let (limit, steps) = input;
    let mut length = 0_u64;
    for (start, declared, body, cut) in steps {
        let head = ChunkHead::new(start, declared);
        let receiving = match Open::at(length).accept(head, limit) {
            Ok(receiving) => receiving,
            Err(Refusal::OutOfOrder { expected }) => {
                assert!(expected == length && start != Some(length));
                continue;
            }
            Err(Refusal::TooLarge { limit: said }) => {
                assert_eq!(Some(said), limit);
                continue;
            }
            Err(other) => panic!("{other} before a byte was read"),
        };
        let kept = receiving.at_most().map_or(body, |most| most.min(body));
        let Some(next) = length.checked_add(kept) else {
            return;
        };
        match receiving.end(next, kept < body, cut) {
            Ok(open) => {
                assert_eq!(open, Open::at(next));
                assert!(declared.is_none_or(|declared| declared == kept));
                assert!(!cut && kept == body);
            }
            Err(Refusal::Length { .. } | Refusal::TooLarge { .. } | Refusal::Cut { .. }) => {}
            Err(other) => panic!("{other} after the bytes were read"),
        }
        length = next;
        assert!(limit.is_none_or(|limit| length <= limit));
    }
    let digest = Algorithm::Sha256.digest(&length.to_be_bytes());
    let closing = Open::at(length).close(&digest).expect("sha256 is stored");
    assert_eq!(closing.verify(&digest), Ok(()));
});
