//! Look-ups by time (ListOffsets) that take long. A few bytes of records unfold to much, headers may claim times that
//! no record has, and what is to be read may not be in memory yet.
//!
//! Little is looked through on the spot. Then somebody else looks, into a batch or a few at a time, and look-ups
//! take turns; between two turns one is what was asked, and how far that has come. Nothing depends on the order in
//! which they are served: the connection's next requests need not wait for them.

use std::collections::VecDeque;

use bytes::BytesMut;
use strom_storage::log::{BatchSearch, Searched, TimestampAndOffset};

use crate::Broker;
use crate::api::list_offsets::{self, LookedUp};
use crate::call::ReturnAddress;
use crate::effect::{ConnectionId, Examination, Turn};

/// Batches that somebody else looks into take so much at a time; a larger one goes alone.
const GATHERED_BYTES: usize = 1 << 20;
/// So many of them …
const GATHERED_BATCHES: usize = 64;
/// … and what they unfold to together, or the first does alone.
const UNFOLDED_BYTES: usize = 16 << 20;
/// Headers that are read in a turn where they lead to nothing.
const HEADERS: usize = 1024;

/// How far a partition's look-up has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// There is none before this offset.
    NotBefore(i64),
    /// There is none, or it is this.
    Found(Option<TimestampAndOffset>),
    /// The request names the partition twice.
    NamedTwice,
}

impl Reached {
    /// `None`: no further, for there is too much to look through.
    pub(crate) fn after(searched: Searched) -> Option<Self> {
        match searched {
            Searched::Found(found) => Some(Self::Found(found)),
            Searched::NotBefore(offset) => Some(Self::NotBefore(offset)),
            Searched::TooLong => None,
        }
    }
}

/// What was asked, and how far that has come.
#[derive(Debug)]
pub(crate) struct LookUp {
    pub(crate) address: ReturnAddress,
    pub(crate) frame: BytesMut,
    /// In the order of the request's partitions.
    pub(crate) reached: Vec<Reached>,
}

/// One turn of a look-up: what it may do, and what is left to do.
#[derive(Debug)]
pub(crate) struct LookUpTurn {
    /// Bytes that may be looked through on the spot.
    pub(crate) bytes_left: usize,
    pub(crate) headers_left: usize,
    /// Whether somebody else has time.
    may_gather: bool,
    gathered_bytes: usize,
    /// By the partition's place in the request.
    searches: Vec<(usize, BatchSearch)>,
    is_over: bool,
    /// What has to be read is not in memory.
    pub(crate) is_blocked: bool,
}

/// What a look-up needs that its turn has not brought to an end.
#[derive(Debug)]
pub(crate) enum Needed {
    /// Somebody else looks into these.
    Search(Vec<(usize, BatchSearch)>),
    /// Another turn, when something was brought into memory …
    Bytes,
    /// … or when others had theirs.
    Turn,
}

impl LookUpTurn {
    pub(crate) fn new(bytes_at_once: usize, may_gather: bool) -> Self {
        Self {
            bytes_left: bytes_at_once,
            headers_left: HEADERS,
            may_gather,
            gathered_bytes: 0,
            searches: Vec::new(),
            is_over: false,
            is_blocked: false,
        }
    }

    /// Nothing more is done in this turn.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Too many headers were read.
    pub(crate) fn end(&mut self) {
        self.is_over = true;
    }

    /// A batch is not looked into on the spot.
    pub(crate) fn leave(&mut self, place: usize, search: BatchSearch) {
        if self.may_gather {
            self.gathered_bytes += search.bytes();
            self.searches.push((place, search));
        }
        self.is_over = !self.may_gather
            || self.gathered_bytes >= GATHERED_BYTES
            || self.searches.len() >= GATHERED_BATCHES;
    }

    /// Bytes of the batches that were read for somebody else.
    pub(crate) fn gathered_bytes(&self) -> usize {
        self.gathered_bytes
    }

    /// `None`: there is nothing left to do.
    pub(crate) fn finish(self) -> Option<Needed> {
        match self.searches.is_empty() {
            false => Some(Needed::Search(self.searches)),
            true if self.is_over => Some(Needed::Turn),
            true => self.is_blocked.then_some(Needed::Bytes),
        }
    }
}

/// Batches to look into for a look-up. None, if it is to wait for its next turn.
#[derive(Debug)]
pub struct SearchExamination {
    pub(crate) look_up: LookUp,
    pub(crate) searches: Vec<(usize, BatchSearch)>,
}

/// A look-up that has come further.
#[derive(Debug)]
pub struct ExaminedSearch {
    pub(crate) look_up: LookUp,
}

impl SearchExamination {
    pub(crate) fn connection(&self) -> ConnectionId {
        self.look_up.address.to.connection
    }

    /// Looks into the batches, the first one at the least.
    pub(crate) fn perform(self) -> ExaminedSearch {
        let Self { mut look_up, searches } = self;
        let mut bytes_left =
            searches.first().map_or(0, |(_, it)| it.most_bytes()).max(UNFOLDED_BYTES);
        for (place, search) in searches {
            let Some(reached) = Reached::after(search.perform(&mut bytes_left)) else { break };
            if let Some(it) = look_up.reached.get_mut(place) {
                *it = reached;
            }
        }
        ExaminedSearch { look_up }
    }
}

/// Those that are not answered.
#[derive(Debug, Default)]
pub(crate) struct LookUps {
    waiting: VecDeque<LookUp>,
    /// For what is not in memory.
    blocked: Vec<LookUp>,
    under_way: usize,
}

impl LookUps {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.blocked.len() + self.under_way
    }

    /// Nobody is there any more to be told.
    pub(crate) fn drop_of(&mut self, id: ConnectionId) {
        self.waiting.retain(|it| it.address.to.connection != id);
        self.blocked.retain(|it| it.address.to.connection != id);
    }
}

impl Broker {
    /// What a look-up may do in one turn.
    pub(crate) fn look_up_turn(&self) -> LookUpTurn {
        let limits = self.examinations.limits();
        LookUpTurn::new(limits.at_once_bytes, self.look_ups.under_way < limits.under_way)
    }

    /// A look-up goes on later.
    pub(crate) fn put_off(&mut self, turn: &mut Turn<'_>, look_up: LookUp, needed: Needed) {
        let is_room = self.look_ups.under_way < self.examinations.limits().under_way;
        let searches = match needed {
            Needed::Bytes => return self.look_ups.blocked.push(look_up),
            Needed::Turn if is_room => Vec::new(),
            Needed::Turn => return self.look_ups.waiting.push_back(look_up),
            Needed::Search(searches) => searches,
        };
        self.look_ups.under_way += 1;
        turn.out.examinations.push(Examination::Search(SearchExamination { look_up, searches }));
    }

    /// A look-up has come further, and waits for its next turn behind the others.
    pub(crate) fn on_searched(
        &mut self,
        turn: &mut Turn<'_>,
        ExaminedSearch { look_up }: ExaminedSearch,
    ) {
        self.look_ups.under_way -= 1;
        if self.connections.awaits(look_up.address.to) {
            self.look_ups.waiting.push_back(look_up);
        }
        self.take_up_look_ups(turn);
    }

    /// Look-ups that wait for what is in memory now wait for their turn.
    pub(crate) fn retry_blocked_look_ups(&mut self, turn: &mut Turn<'_>) {
        self.look_ups.waiting.extend(self.look_ups.blocked.drain(..));
        self.take_up_look_ups(turn);
    }

    /// Those that wait take their turns as long as somebody has time.
    fn take_up_look_ups(&mut self, turn: &mut Turn<'_>) {
        while self.look_ups.under_way < self.examinations.limits().under_way
            && let Some(mut look_up) = self.look_ups.waiting.pop_front()
        {
            let to = look_up.address.to;
            match list_offsets::go_on(self, turn, &mut look_up) {
                Ok(LookedUp::Outcome(outcome)) => self.conclude(turn, to, Ok(outcome)),
                Ok(LookedUp::Unfinished(needed)) => self.put_off(turn, look_up, needed),
                Err(error) => self.conclude(turn, to, Err(error)),
            }
        }
    }
}
