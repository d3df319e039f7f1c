//! What the broker's thread keeps of a connection that lives elsewhere.

use std::collections::VecDeque;

use strom_broker::effect::Response;

use super::messages::Asked;
use crate::serves::PIECES_MAX;
use strom_intake::Ending;
use strom_intake::turns::SHARE_BYTES;

#[derive(Debug, Default)]
pub(super) struct Remote {
    /// Messages of it that wait until others have gone first.
    pub(super) waiting: usize,
    /// What its requests have cost lately; the less the longer ago: see [`Remote::charge`].
    taken: usize,
    /// The turn in which that was counted.
    counted_in: u64,
    /// Its next requests are not served: somebody looks at the records of the one before them.
    pub(super) is_held: bool,
    /// It was once; since then its thread brings one request at a time.
    pub(super) is_wary: bool,
    /// What its thread had brought before it heard of that. Older than what waits.
    pub(super) behind: VecDeque<Behind>,
    /// Parts of its answers that lie in the arena or in files, and are kept there for it.
    parts: usize,
    /// Answers that are given when some of those are out.
    pub(super) held: VecDeque<Response>,
    /// To be closed behind what is held.
    closing: Option<Ending>,
    /// An answer could not be made: nothing follows.
    pub(super) is_broken: bool,
}

/// A message behind a request whose records somebody looks at.
#[derive(Debug)]
pub(super) struct Behind {
    pub(super) asked: Asked,
    /// Its thread was told already that it is taken up.
    pub(super) is_told: bool,
}

/// Who has taken so much lets others go first …
const MUCH_BYTES: usize = SHARE_BYTES / 2;
/// … until it is forgotten, so much with each turn.
const FORGOTTEN_BYTES: usize = SHARE_BYTES / 16;

impl Remote {
    /// Whether its next message has to let others go first: one before it does, or it has had its share.
    pub(super) fn has_to_wait(&self, turn: u64) -> bool {
        self.waiting > 0 || self.taken_until(turn) >= MUCH_BYTES
    }

    /// Whether its next message is kept behind others.
    pub(super) fn keeps_behind(&self) -> bool {
        self.is_held || !self.behind.is_empty()
    }

    /// The next of those that were kept, if they may go on.
    pub(super) fn next_behind(&mut self) -> Option<Behind> {
        if self.is_held { None } else { self.behind.pop_front() }
    }

    /// Counts what a request has cost, in bytes.
    pub(super) fn charge(&mut self, turn: u64, bytes: usize) {
        self.taken = self.taken_until(turn).saturating_add(bytes);
        self.counted_in = turn;
    }

    fn taken_until(&self, turn: u64) -> usize {
        let turns = usize::try_from(turn.saturating_sub(self.counted_in)).unwrap_or(usize::MAX);
        self.taken.saturating_sub(turns.saturating_mul(FORGOTTEN_BYTES))
    }

    /// Whether an answer has to wait for others.
    pub(super) fn holds_back(&self, response: &Response) -> bool {
        !self.held.is_empty() || !self.has_room_for(response)
    }

    fn has_room_for(&self, response: &Response) -> bool {
        response.ranges.is_empty() || self.parts < PIECES_MAX
    }

    /// The next held answer that may be given.
    pub(super) fn next_held(&mut self) -> Option<Response> {
        let front = self.held.front()?;
        if self.has_room_for(front) { self.held.pop_front() } else { None }
    }

    /// An answer with so many parts is given.
    pub(super) fn on_given(&mut self, parts: usize) {
        self.parts += parts;
    }

    pub(super) fn on_collected(&mut self, parts: usize) {
        self.parts = self.parts.saturating_sub(parts);
    }

    /// Why to close now: gives `ending` back unless answers come before.
    pub(super) fn end(&mut self, ending: Ending) -> Option<Ending> {
        if self.held.is_empty() {
            return Some(ending);
        }
        self.closing.get_or_insert(ending);
        None
    }

    /// Why to close, when nothing is held any more.
    pub(super) fn take_closing(&mut self) -> Option<Ending> {
        if self.held.is_empty() { self.closing.take() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use strom_broker::effect::FileRange;
    use strom_storage::disk::{FileId, FileKind, LogId};

    use super::*;

    fn answer(ranges: usize) -> Response {
        let file = FileId { log: LogId(1), segment: 0, kind: FileKind::Records };
        let range = FileRange { at: 0, file, position: 0, length: 1 };
        Response { bytes: vec![0], ranges: vec![range; ranges] }
    }

    #[test]
    fn answers_that_keep_much_in_place_wait_for_the_first_of_them() {
        let mut remote = Remote::default();
        assert!(!remote.holds_back(&answer(1)));
        remote.on_given(PIECES_MAX);
        assert!(remote.holds_back(&answer(1)) && !remote.holds_back(&answer(0)));
        remote.held.push_back(answer(1));
        remote.held.push_back(answer(0));
        assert!(remote.holds_back(&answer(0)), "answers keep their order");
        assert_eq!(remote.end(Ending::ByPeer), None);
        assert!(remote.next_held().is_none());
        remote.on_collected(1);
        assert_eq!(remote.next_held(), Some(answer(1)));
        assert_eq!(remote.take_closing(), None);
        assert_eq!(remote.next_held(), Some(answer(0)));
        assert_eq!(remote.take_closing(), Some(Ending::ByPeer));
    }
}
