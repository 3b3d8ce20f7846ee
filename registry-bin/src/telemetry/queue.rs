//! Lines that wait to be written: bounded in bytes, and what finds no room is counted.

use std::{collections::VecDeque, mem};

/// How much is written at once when lines wait: room comes back in pieces of this size.
const BLOCK: usize = 64 * 1024;

/// Says how many lines were lost, as a line of the same log.
pub(super) type Note = Box<dyn Fn(u64) -> String + Send>;

/// The queue of one log.
///
/// Once a line was lost all are, until there is room to say so: what is missing is missing at the
/// place where the note stands.
pub(super) struct Queue {
    limit: usize,
    note: Note,
    blocks: VecDeque<Block>,
    waiting: usize,
    writing: usize,
    lost: u64,
    /// Whether the last block could not be written. To say so at once would fail, too, and again.
    failing: bool,
}

/// Whole lines, written at once.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    /// How many lost lines its first line tells of, and how long that line is.
    said: Option<(u64, usize)>,
}

impl Queue {
    /// A queue for at most `limit` bytes, with those that are being written.
    pub(super) fn new(limit: usize, note: Note) -> Self {
        Self {
            limit,
            note,
            blocks: VecDeque::new(),
            waiting: 0,
            writing: 0,
            lost: 0,
            failing: false,
        }
    }

    /// Adds a line, which ends with a line break, or counts it as lost.
    pub(super) fn push(&mut self, line: &[u8]) {
        self.settle();
        if self.lost > 0 || !self.has_room(line.len()) {
            self.lost += 1;
            return;
        }
        self.waiting += line.len();
        match self.blocks.back_mut() {
            Some(block) if block.bytes.len() + line.len() <= BLOCK => {
                block.bytes.extend_from_slice(line);
            }
            _ => self.blocks.push_back(Block {
                bytes: line.to_vec(),
                said: None,
            }),
        }
    }

    /// What is to be written next. What was taken before is written by now, if it has not
    /// [`failed`](Self::failed).
    pub(super) fn take(&mut self) -> Option<Block> {
        self.failing &= self.writing == 0;
        self.writing = 0;
        if !self.failing {
            self.settle();
        }
        let block = self.blocks.pop_front()?;
        self.waiting -= block.bytes.len();
        self.writing = block.bytes.len();
        Some(block)
    }

    /// Only the first `written` bytes of a block that was taken could be written. It is said with
    /// the next line.
    pub(super) fn failed(&mut self, block: &Block, written: usize) {
        let rest = block.bytes.get(written..).unwrap_or_default();
        let lines = rest.iter().filter(|byte| **byte == b'\n').count();
        self.lost += u64::try_from(lines).unwrap_or(u64::MAX);
        if let Some((said, _)) = block.said.filter(|(_, length)| written < *length) {
            // Instead of the line that would have said it.
            self.lost += said - 1;
        }
        self.writing = 0;
        self.failing = true;
    }

    /// Whether everything is written.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.writing == 0
    }

    fn has_room(&self, length: usize) -> bool {
        self.waiting + self.writing + length <= self.limit
    }

    /// Says how many lines were lost, if some were and there is room.
    fn settle(&mut self) {
        if self.lost == 0 {
            return;
        }
        let mut line = (self.note)(self.lost).into_bytes();
        line.push(b'\n');
        if !self.has_room(line.len()) {
            return;
        }
        self.waiting += line.len();
        let said = Some((mem::take(&mut self.lost), line.len()));
        self.blocks.push_back(Block { bytes: line, said });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(limit: usize) -> Queue {
        Queue::new(limit, Box::new(|lost| format!("lost {lost}")))
    }

    fn taken(queue: &mut Queue) -> Option<String> {
        let block = queue.take()?;
        Some(String::from_utf8(block.bytes).expect("it is text"))
    }

    #[test]
    fn many_lines_are_one_block_and_a_block_has_an_end() {
        let mut queue = queue(10 * BLOCK);
        let line = [b'x'; 999];
        let line = [&line[..], b"\n"].concat();
        for _ in 0..100 {
            queue.push(&line);
        }
        assert_eq!(taken(&mut queue).map(|lines| lines.len()), Some(65_000));
        assert_eq!(taken(&mut queue).map(|lines| lines.len()), Some(35_000));
        assert!(!queue.is_empty(), "the last is still being written");
        assert_eq!(taken(&mut queue), None);
        assert!(queue.is_empty());
    }

    #[test]
    fn what_finds_no_room_is_counted_and_said_where_it_is_missing() {
        let mut queue = queue(20);
        for line in ["one56789\n", "two56789\n"] {
            queue.push(line.as_bytes());
        }
        // 18 of 20: these do not fit, and then the one that would is lost as well.
        for line in ["three\n", "four\n", "5\n"] {
            queue.push(line.as_bytes());
        }
        assert_eq!(taken(&mut queue).as_deref(), Some("one56789\ntwo56789\n"));
        // What is being written takes room, too.
        queue.push(b"six\n");
        assert_eq!(taken(&mut queue).as_deref(), Some("lost 4\n"));
        queue.push(b"seven\n");
        assert_eq!(taken(&mut queue).as_deref(), Some("seven\n"));
        assert_eq!(taken(&mut queue), None);
    }

    #[test]
    fn a_line_that_is_longer_than_the_queue_is_lost_alone() {
        let mut queue = queue(20);
        queue.push(&[b'x'; 21]);
        assert_eq!(taken(&mut queue).as_deref(), Some("lost 1\n"));
        queue.push(b"two\n");
        assert_eq!(taken(&mut queue).as_deref(), Some("two\n"));
        queue.push(&[b'x'; 21]);
        queue.push(b"four\n");
        assert_eq!(taken(&mut queue).as_deref(), Some("lost 1\nfour\n"));
    }

    #[test]
    fn what_could_not_be_written_is_lost_and_so_is_what_was_said_of_it() {
        let mut queue = queue(100);
        queue.push(b"one\n");
        queue.push(b"two\n");
        let block = queue.take().expect("something was pushed");
        queue.failed(&block, 5);
        assert_eq!(taken(&mut queue), None, "saying so would fail, too");
        assert!(queue.is_empty());
        queue.push(b"three\n");
        let block = queue.take().expect("something was pushed");
        assert_eq!(block.bytes, b"lost 1\nthree\n");
        queue.failed(&block, 0);
        queue.push(b"four\n");
        let block = queue.take().expect("something was pushed");
        assert_eq!(block.bytes, b"lost 2\nfour\n");
        // This time the first of the two came through.
        queue.failed(&block, 7);
        queue.push(b"five\n");
        assert_eq!(taken(&mut queue).as_deref(), Some("lost 1\nfive\n"));
    }
}
