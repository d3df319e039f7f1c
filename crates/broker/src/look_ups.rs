//! Look-ups by time (ListOffsets) that take long. A few bytes of records unfold to much, headers may claim times that
//! no record has, and what is to be read may not be in memory yet.
//!
//! Little is looked through on the spot. Then somebody else looks, into a batch or a few at a time, and look-ups
//! take turns; between two turns one is what was asked, and how far that has come. Nothing depends on the order in
//! which they are served: the connection's next requests need not wait for them.

mod line;
mod turn;

use bytes::BytesMut;
use strom_storage::disk::LogId;
use strom_storage::log::{BatchSearch, SearchFrom, Searched, TimestampAndOffset};

use self::line::Line;
pub(crate) use self::turn::{LookUpTurn, Needed, Share};
use crate::Broker;
use crate::api::list_offsets::{self, LookedUp};
use crate::call::ReturnAddress;
use crate::effect::{ConnectionId, Examination, Turn};

/// What batches that somebody else looks into unfold to together, or the first does alone.
const UNFOLDED_BYTES: usize = 16 << 20;

/// How far a partition's look-up has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    Nothing,
    /// There is none before this.
    NotBefore(LogId, SearchFrom),
    /// There is none, or it is this.
    Found(LogId, Option<TimestampAndOffset>),
    /// The request names the partition twice.
    NamedTwice,
}

impl Reached {
    /// `None`: no further, for there is too much to look through.
    pub(crate) fn after(log: LogId, searched: Searched) -> Option<Self> {
        match searched {
            Searched::Found(found) => Some(Self::Found(log, found)),
            Searched::NotBefore(from) => Some(Self::NotBefore(log, from)),
            Searched::TooLong => None,
        }
    }

    /// Where to search in that log; `None` when it is found. What was reached in another one, of a topic that was made
    /// anew, is worth nothing, nor is a record that was deleted meanwhile.
    pub(crate) fn search_from(self, log: LogId, log_start_offset: i64) -> Option<SearchFrom> {
        match self {
            Self::NotBefore(of, from) if of == log => Some(from),
            Self::NamedTwice => None,
            Self::Found(of, None) if of == log => None,
            Self::Found(of, Some(it)) if of == log && it.offset >= log_start_offset => None,
            _ => Some(SearchFrom::offset(log_start_offset)),
        }
    }
}

/// A partition in which a time is looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    /// In the request.
    pub(crate) place: usize,
    pub(crate) log: LogId,
    pub(crate) timestamp: i64,
}

/// A batch that somebody else looks into.
#[derive(Debug)]
pub(crate) struct LeftSearch {
    /// The partition's, in the request.
    place: usize,
    log: LogId,
    search: BatchSearch,
}

/// What was asked, and how far that has come.
#[derive(Debug)]
pub(crate) struct LookUp {
    pub(crate) address: ReturnAddress,
    pub(crate) frame: BytesMut,
    /// In the order of the request's partitions.
    pub(crate) reached: Vec<Reached>,
    /// Those of them that are not found yet. Only these are come to in a turn: a request names any number that are
    /// not there.
    pub(crate) open: Vec<Open>,
}

impl LookUp {
    fn connection(&self) -> ConnectionId {
        self.address.to.connection
    }

    /// Memory that it takes.
    fn bytes(&self) -> usize {
        self.frame.len()
            + self.reached.capacity() * size_of::<Reached>()
            + self.open.capacity() * size_of::<Open>()
    }
}

/// Batches to look into for a look-up. None, if it only comes back when others were served.
#[derive(Debug)]
pub struct SearchExamination {
    pub(crate) look_up: LookUp,
    pub(crate) searches: Vec<LeftSearch>,
}

/// A look-up that has come further.
#[derive(Debug)]
pub struct ExaminedSearch {
    pub(crate) look_up: LookUp,
}

impl SearchExamination {
    pub(crate) fn connection(&self) -> ConnectionId {
        self.look_up.connection()
    }

    /// Looks into the batches, the first one at the least.
    pub(crate) fn perform(self) -> ExaminedSearch {
        let Self { mut look_up, searches } = self;
        let mut bytes_left =
            searches.first().map_or(0, |it| it.search.most_bytes()).max(UNFOLDED_BYTES);
        for LeftSearch { place, log, search } in searches {
            let Some(reached) = Reached::after(log, search.perform(&mut bytes_left)) else { break };
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
    waiting: Line,
    /// For what is not in memory.
    blocked: Vec<LookUp>,
    under_way: usize,
    /// Of all of them.
    bytes: usize,
}

impl LookUps {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.blocked.len() + self.under_way
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Nobody is there any more to be told.
    pub(crate) fn drop_of(&mut self, id: ConnectionId) {
        let blocked = self.blocked.extract_if(.., |it| it.connection() == id);
        let dropped = self.waiting.take_of(id).into_iter().chain(blocked);
        self.bytes -= dropped.map(|it| it.bytes()).sum::<usize>();
    }
}

impl Broker {
    /// A look-up's first turn.
    pub(crate) fn look_up_turn(&self) -> LookUpTurn {
        self.look_up_turn_of(Share::new(self.examinations.limits().at_once_bytes))
    }

    fn look_up_turn_of(&self, share: Share) -> LookUpTurn {
        LookUpTurn::new(share, self.has_time_for_look_ups())
    }

    fn has_time_for_look_ups(&self) -> bool {
        self.look_ups.under_way < self.examinations.limits().under_way
    }

    /// A look-up goes on later. It is given back where those that wait take too much memory.
    pub(crate) fn put_off(
        &mut self,
        turn: &mut Turn<'_>,
        look_up: LookUp,
        needed: Needed,
    ) -> Option<LookUp> {
        if self.look_ups.bytes >= self.examinations.limits().waiting_bytes {
            return Some(look_up);
        }
        self.look_ups.bytes += look_up.bytes();
        self.let_wait(turn, look_up, needed);
        None
    }

    fn let_wait(&mut self, turn: &mut Turn<'_>, look_up: LookUp, needed: Needed) {
        let searches = match needed {
            Needed::Bytes => return self.look_ups.blocked.push(look_up),
            Needed::Turn if self.has_time_for_look_ups() => Vec::new(),
            Needed::Turn => return self.look_ups.waiting.push(look_up),
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
            self.look_ups.waiting.push(look_up);
        } else {
            self.look_ups.bytes -= look_up.bytes();
        }
        self.take_up_look_ups(turn);
    }

    /// Look-ups that wait for what is in memory now wait for their turn.
    pub(crate) fn retry_blocked_look_ups(&mut self, turn: &mut Turn<'_>) {
        for look_up in std::mem::take(&mut self.look_ups.blocked) {
            self.look_ups.waiting.push(look_up);
        }
        self.take_up_look_ups(turn);
    }

    /// Those that wait take their turns as long as somebody has time, and what they do here takes not long.
    fn take_up_look_ups(&mut self, turn: &mut Turn<'_>) {
        let mut share = Share::new(self.examinations.limits().at_once_bytes);
        while self.has_time_for_look_ups()
            && let Some(mut look_up) = self.look_ups.waiting.pop()
        {
            if share.is_used_up() {
                // It comes back when others were served.
                return self.let_wait(turn, look_up, Needed::Turn);
            }
            let (to, bytes) = (look_up.address.to, look_up.bytes());
            let mut this = self.look_up_turn_of(share);
            let gone_on = list_offsets::go_on(self, turn, &mut look_up, &mut this);
            share = this.share;
            turn.out.count_work(this.work_bytes());
            // What is left open may be more than before: a partition is there again.
            self.look_ups.bytes = self.look_ups.bytes + look_up.bytes() - bytes;
            match gone_on {
                Ok(LookedUp::Unfinished) => self.let_wait(turn, look_up, this.needed()),
                Ok(LookedUp::Outcome(outcome)) => {
                    self.look_ups.bytes -= look_up.bytes();
                    self.conclude(turn, to, Ok(outcome));
                }
                Err(error) => {
                    self.look_ups.bytes -= look_up.bytes();
                    self.conclude(turn, to, Err(error));
                }
            }
        }
    }
}
