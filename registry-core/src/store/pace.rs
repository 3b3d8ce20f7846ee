//! What the test tools share: giving way without a runtime, and chance that repeats itself.

use std::task::Poll;

use futures_util::future;

/// Gives every other future of the same task, and the executor, a turn.
pub(super) async fn give_way() {
    let mut asked = false;
    future::poll_fn(move |cx| {
        if asked {
            return Poll::Ready(());
        }
        asked = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Chance from a seed: xorshift64*, the same numbers on every machine.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    /// The numbers of that seed.
    pub(super) fn new(seed: u64) -> Self {
        // A zero would stay zero, and close seeds should not begin alike.
        Self((seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1)
    }

    /// Any number below `bound`; 0 when that is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
        number.checked_rem(bound).unwrap_or(0)
    }
}
