//! Events of deletes that were done and not yet published.
//!
//! A push can be done again and is published again. A delete cannot: the second finds nothing. So
//! its event waits here for the retry.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use crate::event::Event;

/// The most events that are kept. Beyond them the oldest is given up: whoever deletes this much
/// while the sink is down has been told of each that it was not recorded.
const KEPT: usize = 4096;

/// Events that are owed to the sink, oldest first.
#[derive(Debug, Default)]
pub(super) struct Owed(Mutex<VecDeque<Event>>);

impl Owed {
    pub(super) fn add(&self, event: Event) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() >= KEPT {
            events.pop_front();
        }
        events.push_back(event);
    }

    /// Takes out the event of the same delete as `event`.
    pub(super) fn take(&self, event: &Event) -> Option<Event> {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = events.iter().position(|owed| {
            owed.repository == event.repository
                && owed.target == event.target
                && owed.tags == event.tags
        })?;
        events.remove(place)
    }
}
