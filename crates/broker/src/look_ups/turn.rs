//! What a look-up may do in one turn, and what it needs to go on.

use strom_storage::disk::LogId;
use strom_storage::log::{BatchSearch, SearchLimits};

use super::LeftSearch;

/// Batches that somebody else looks into take so much at a time; a larger one goes alone.
const GATHERED_BYTES: usize = 1 << 20;
/// So many of them …
const GATHERED_BATCHES: usize = 64;
/// Headers that are read where they lead to nothing, and partitions that are come to.
const STEPS: usize = 1024;
/// What one of these costs, told in bytes that are looked through.
const STEP_BYTES: usize = 256;

/// What all look-ups that have their turn one behind the other may do together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// Bytes that may be looked through on the spot.
    pub(crate) bytes_left: usize,
    pub(crate) steps_left: usize,
}

impl Share {
    pub(crate) fn new(bytes_at_once: usize) -> Self {
        Self { bytes_left: bytes_at_once, steps_left: STEPS }
    }

    /// Without bytes somebody else looks into whatever is come to.
    pub(crate) fn is_used_up(self) -> bool {
        self.steps_left == 0
    }

    fn nothing() -> Self {
        Self { bytes_left: 0, steps_left: 0 }
    }
}

/// One turn of a look-up: what it may do, and what is left to do.
#[derive(Debug)]
pub(crate) struct LookUpTurn {
    pub(crate) share: Share,
    before: Share,
    /// Partitions that were come to beyond that.
    more_steps: usize,
    /// Whether somebody else has time.
    may_gather: bool,
    gathered_bytes: usize,
    searches: Vec<LeftSearch>,
    is_over: bool,
    /// What has to be read is not in memory.
    pub(crate) is_blocked: bool,
}

/// What a look-up needs that its turn has not brought to an end.
#[derive(Debug)]
pub(crate) enum Needed {
    /// Somebody else looks into these.
    Search(Vec<LeftSearch>),
    /// Another turn, when something was brought into memory …
    Bytes,
    /// … or when others had theirs.
    Turn,
}

impl LookUpTurn {
    pub(crate) fn new(share: Share, may_gather: bool) -> Self {
        Self {
            share,
            before: share,
            more_steps: 0,
            may_gather,
            gathered_bytes: 0,
            searches: Vec::new(),
            is_over: false,
            is_blocked: false,
        }
    }

    /// It only tells how far the look-up has come.
    pub(crate) fn empty() -> Self {
        Self::new(Share::nothing(), false)
    }

    /// So many partitions are come to, whatever is left.
    pub(crate) fn step(&mut self, partitions: usize) {
        let steps = partitions.min(self.share.steps_left);
        self.share.steps_left -= steps;
        self.more_steps += partitions - steps;
    }

    /// Nothing more is done in this turn.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over || self.share.is_used_up()
    }

    /// What may be read of a batch. When nobody else has time only what is looked into on the spot.
    pub(crate) fn limits(&self) -> SearchLimits {
        let batch_bytes_max = if self.may_gather { usize::MAX } else { self.share.bytes_left };
        SearchLimits { headers_left: self.share.steps_left, batch_bytes_max }
    }

    /// A batch that takes long to look into is left to somebody else. The turn is over when these are enough.
    pub(crate) fn leave(&mut self, (place, log): (usize, LogId), search: BatchSearch) {
        if !self.may_gather {
            return self.end();
        }
        self.gathered_bytes += search.bytes();
        self.searches.push(LeftSearch { place, log, search });
        self.is_over =
            self.gathered_bytes >= GATHERED_BYTES || self.searches.len() >= GATHERED_BATCHES;
    }

    /// There is more to do than may be done in this turn.
    pub(crate) fn end(&mut self) {
        self.is_over = true;
    }

    /// What the turn has cost, in bytes.
    pub(crate) fn work_bytes(&self) -> usize {
        let steps = self.before.steps_left - self.share.steps_left + self.more_steps;
        self.before.bytes_left - self.share.bytes_left + self.gathered_bytes + steps * STEP_BYTES
    }

    /// Of a look-up that has not come to its end.
    pub(crate) fn needed(self) -> Needed {
        match self.searches.is_empty() {
            false => Needed::Search(self.searches),
            true if self.is_blocked && !self.is_over() => Needed::Bytes,
            true => Needed::Turn,
        }
    }
}
