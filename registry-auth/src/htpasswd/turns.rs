//! Turns to verify, shared out fairly among the addresses that ask.
//!
//! There are as many at a time as there are processors, less one for those who do not log in. Addresses
//! take turns: whoever asks for many waits for them behind its own, and somebody else waits for one of
//! each address at most. Whoever leaves gives up its place.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use registry_core::access::ClientNetwork;
use tokio::sync::oneshot;

/// How many of one address may wait.
const WAITING_OF_ONE: usize = 256;

/// How many of all may wait.
const WAITING: usize = 4096;

/// Who asks: what counts as one address, or nobody that is known.
pub(super) type Who = Option<ClientNetwork>;

#[derive(Clone, Debug)]
pub(super) struct Turns(Arc<Mutex<Line>>);

/// Leave to verify, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn(Turns);

/// Too many wait already.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Busy;

#[derive(Debug)]
struct Line {
    free: usize,
    waiting: HashMap<Who, VecDeque<oneshot::Sender<Turn>>>,
    /// Those of `waiting`, the next one first.
    order: VecDeque<Who>,
    count: usize,
    bounds: (usize, usize),
}

impl Turns {
    /// As many as this machine bears.
    pub(super) fn of_this_machine() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let turns = processors.saturating_sub(1).max(1);
        Self::new(turns, (WAITING_OF_ONE, WAITING))
    }

    fn new(free: usize, bounds: (usize, usize)) -> Self {
        Self(Arc::new(Mutex::new(Line {
            free,
            waiting: HashMap::new(),
            order: VecDeque::new(),
            count: 0,
            bounds,
        })))
    }

    /// Waits for a turn.
    pub(super) async fn take(&self, who: Who) -> Result<Turn, Busy> {
        let turn = {
            let mut line = self.line();
            if line.free > 0 {
                line.free -= 1;
                drop(line);
                return Ok(Turn(self.clone()));
            }
            line.join(who)?
        };
        turn.await.map_err(|_| Busy)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = self.0.line().next();
        if let Some(next) = next {
            // Where somebody left at this moment the turn comes back, is dropped, and so passed on.
            drop(next.send(Self(self.0.clone())));
        }
    }
}

impl Line {
    fn join(&mut self, who: Who) -> Result<oneshot::Receiver<Turn>, Busy> {
        let (of_one, of_all) = self.bounds;
        if self.of(who) >= of_one || self.count >= of_all {
            self.forget_who_left();
        }
        if self.of(who) >= of_one {
            return Err(Busy);
        }
        if self.count >= of_all {
            self.turn_away(self.of(who))?;
        }
        let (turn, receiver) = oneshot::channel();
        let line = self.waiting.entry(who).or_default();
        if line.is_empty() {
            self.order.push_back(who);
        }
        line.push_back(turn);
        self.count += 1;
        Ok(receiver)
    }

    /// How many of an address wait.
    fn of(&self, who: Who) -> usize {
        self.waiting.get(&who).map_or(0, VecDeque::len)
    }

    /// Makes room at the cost of the address that has most waiting; not for one that has as many.
    fn turn_away(&mut self, own: usize) -> Result<(), Busy> {
        let longest = self.waiting.values_mut().max_by_key(|line| line.len());
        let longest = longest.filter(|line| line.len() > own + 1).ok_or(Busy)?;
        longest.pop_back();
        self.count -= 1;
        Ok(())
    }

    fn forget_who_left(&mut self) {
        for line in self.waiting.values_mut() {
            line.retain(|turn| !turn.is_closed());
        }
        self.waiting.retain(|_, line| !line.is_empty());
        let waiting = &self.waiting;
        self.order.retain(|who| waiting.contains_key(who));
        self.count = self.waiting.values().map(VecDeque::len).sum();
    }

    /// Whose turn it is; when it is nobody's, it is free.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        while let Some(who) = self.order.pop_front() {
            let Some(line) = self.waiting.get_mut(&who) else {
                continue;
            };
            let next = line.pop_front();
            if line.is_empty() {
                self.waiting.remove(&who);
            } else {
                self.order.push_back(who);
            }
            if let Some(next) = next {
                self.count -= 1;
                if !next.is_closed() {
                    return Some(next);
                }
            }
        }
        self.free += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use futures_util::FutureExt as _;

    use super::*;

    type Waiting = Pin<Box<dyn Future<Output = Result<Turn, Busy>>>>;

    fn who(number: u8) -> Who {
        Some(ClientNetwork::of([192, 0, 2, number].into()))
    }

    /// Somebody who stands in line, or was turned away at once.
    fn ask(turns: &Turns, number: u8) -> Option<Waiting> {
        let turns = turns.clone();
        let mut waiting: Waiting = Box::pin(async move { turns.take(who(number)).await });
        match (&mut waiting).now_or_never() {
            None => Some(waiting),
            Some(Err(Busy)) => None,
            Some(Ok(_)) => panic!("there was no turn"),
        }
    }

    fn first(turns: &Turns) -> Turn {
        let turn = turns.take(who(0)).now_or_never();
        turn.expect("it is free").expect("nobody waits")
    }

    #[test]
    fn addresses_take_turns() {
        let turns = Turns::new(1, (8, 16));
        let mut turn = first(&turns);
        let order = [1, 1, 1, 1, 2, 2, 3];
        let mut waiting: Vec<_> = order
            .iter()
            .map(|number| (*number, ask(&turns, *number).unwrap()))
            .collect();
        let mut served = Vec::new();
        while !waiting.is_empty() {
            drop(turn);
            let mut next = None;
            waiting.retain_mut(|(number, asking)| match asking.now_or_never() {
                None => true,
                Some(given) => {
                    assert!(next.is_none(), "one at a time");
                    served.push(*number);
                    next = Some(given.unwrap());
                    false
                }
            });
            turn = next.expect("somebody's turn");
        }
        assert_eq!(served, [1, 2, 3, 1, 2, 1, 1]);
        drop(turn);
        assert_eq!(turns.line().free, 1);
        assert_eq!(turns.line().count, 0);
    }

    #[test]
    fn who_left_is_passed_over() {
        let turns = Turns::new(1, (8, 16));
        let turn = first(&turns);
        let left: Vec<_> = (0..8).map(|_| ask(&turns, 1).unwrap()).collect();
        assert!(ask(&turns, 1).is_none(), "too many of one");
        drop(left);
        let mut stays = ask(&turns, 1).expect("those who left do not count");
        let leaves = ask(&turns, 2).unwrap();
        drop(leaves);
        drop(turn);
        let turn = (&mut stays).now_or_never().expect("its turn").unwrap();
        drop(turn);
        assert_eq!(turns.line().free, 1);
        // Given, and not taken.
        let turn = first(&turns);
        let given = ask(&turns, 1).unwrap();
        drop(turn);
        drop(given);
        assert_eq!(turns.line().free, 1);
    }

    #[test]
    fn who_asks_for_much_makes_room() {
        let turns = Turns::new(1, (8, 10));
        let _turn = first(&turns);
        let mut much: Vec<_> = (0..8).map(|_| ask(&turns, 1).unwrap()).collect();
        let _some: Vec<_> = (2..4).map(|number| ask(&turns, number).unwrap()).collect();
        let _another = ask(&turns, 4).unwrap();
        let turned_away = much.pop().unwrap().now_or_never();
        assert_eq!(turned_away.expect("at once").unwrap_err(), Busy);
        assert!(ask(&turns, 1).is_none());
        assert!(turns.line().count <= 10);
    }

    #[test]
    fn a_full_line_of_ones_turns_away_the_next() {
        let turns = Turns::new(1, (8, 10));
        let _turn = first(&turns);
        let _ones: Vec<_> = (1..=10)
            .map(|number| ask(&turns, number).unwrap())
            .collect();
        assert!(ask(&turns, 11).is_none());
    }
}
