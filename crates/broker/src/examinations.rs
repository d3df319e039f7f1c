//! Produces whose records take long to look at: somebody else looks, while the node serves others.
//!
//! Until that is done the connection's other requests wait, for they are served in their order. What is short
//! is done on the spot, and so is what comes while much waits already.
//!
//! A node does all of it on the spot so far ([`Broker::look_at_once_at`]; the simulator does not): what is
//! missing stands in ROADMAP.md.

use std::ops::Range;

use bytes::BytesMut;
use strom_coordinator::AnswerRoom;
use strom_storage::disk::LogId;
use strom_storage::log::{Examination, Examined};

use crate::Broker;
use crate::api::produce;
use crate::call::{RequestError, ReturnAddress};
use crate::effect::{ConnectionId, NetworkEffect, Turn};

/// Requests that wait take no more than this.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// What all batches of a request may unfold to together: as many times the request's bytes, or the least. Each
/// could be a bomb, of a few hundred bytes.
const UNFOLDED_RATIO: usize = 16;
const UNFOLDED_BYTES: usize = 16 << 20;

/// A batch whose records are to be looked at.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Its place among the partitions of its request.
    pub(crate) part: usize,
    pub(crate) log: LogId,
    /// Where in the frame it is.
    pub(crate) records: Range<usize>,
    pub(crate) examination: Examination,
}

impl Batch {
    /// Looks at it now, and counts what that costs.
    pub(crate) fn look(&self, turn: &mut Turn<'_>, bytes: &[u8], left: &mut usize) -> Examined {
        let before = *left;
        let examined = self.examination.perform(bytes, left);
        turn.out.count_work(self.examination.least_bytes() + before - *left);
        examined
    }
}

/// What was found out about one.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) part: usize,
    pub(crate) log: LogId,
    pub(crate) examined: Examined,
}

/// A produce whose records are to be looked at.
#[derive(Debug)]
pub struct ProduceExamination {
    address: ReturnAddress,
    frame: BytesMut,
    batches: Vec<Batch>,
}

/// One whose records were.
#[derive(Debug)]
pub struct ExaminedProduce {
    pub(crate) address: ReturnAddress,
    pub(crate) frame: BytesMut,
    /// The last part first.
    pub(crate) findings: Vec<Finding>,
}

impl ProduceExamination {
    /// Looks at all of them: a matter of milliseconds, up to some hundred.
    #[must_use]
    pub fn perform(self) -> ExaminedProduce {
        let Self { address, frame, batches } = self;
        let mut left = may_unfold(&frame);
        let findings = look_at_all(&frame, &batches, &mut left);
        ExaminedProduce { address, frame, findings }
    }
}

/// Bytes that all batches of a request may unfold to.
pub(crate) fn may_unfold(frame: &[u8]) -> usize {
    frame.len().saturating_mul(UNFOLDED_RATIO).max(UNFOLDED_BYTES)
}

/// Findings, the last part first: who appends takes the first off the end.
fn look_at_all(frame: &[u8], batches: &[Batch], unfolding_left: &mut usize) -> Vec<Finding> {
    let mut room = AnswerRoom::default();
    let look = |it: &Batch| {
        let bytes = frame.get(it.records.clone()).unwrap_or_default();
        let examined = it.examination.perform(bytes, unfolding_left);
        // A batch of some bytes names a thousand records.
        let examined = examined.map_err(|error| match room.take(error.records_bytes()) {
            true => error,
            false => error.without_records(),
        });
        Finding { part: it.part, log: it.log, examined }
    };
    let mut findings: Vec<_> = batches.iter().map(look).collect();
    findings.reverse();
    findings
}

/// Those that are under way.
#[derive(Debug)]
pub(crate) struct Examinations {
    waiting: usize,
    waiting_bytes: usize,
    at_once_bytes: usize,
}

impl Default for Examinations {
    fn default() -> Self {
        Self { waiting: 0, waiting_bytes: 0, at_once_bytes: usize::MAX }
    }
}

impl Examinations {
    pub(crate) fn len(&self) -> usize {
        self.waiting
    }
}

/// What becomes of a request.
pub(crate) enum Looked {
    /// It goes on with what was found, or its batches are looked at as they are appended.
    AtOnce(BytesMut, Vec<Batch>, Vec<Finding>),
    /// Somebody else looks.
    Elsewhere,
}

impl Broker {
    /// No more bytes of records than this are looked at on the spot from now on, of all batches of a request.
    pub fn look_at_once_at(&mut self, bytes: usize) {
        self.examinations.at_once_bytes = bytes;
    }

    /// Whether the connection's requests wait for one before them whose records somebody looks at. What is
    /// brought of them meanwhile is kept.
    #[must_use]
    #[inline]
    pub fn is_held(&self, connection: ConnectionId) -> bool {
        self.examinations.waiting > 0 && self.connections.is_held(connection)
    }

    /// Lets a request wait, if the connection's requests do; else it is given back.
    #[inline]
    pub(crate) fn keep_behind(&mut self, id: ConnectionId, frame: BytesMut) -> Option<BytesMut> {
        if self.examinations.waiting == 0 {
            return Some(frame);
        }
        self.connections.keep_behind(id, frame)
    }

    /// Looks at the records of a request, or has somebody else look.
    pub(crate) fn look_at_records(
        &mut self,
        turn: &mut Turn<'_>,
        address: ReturnAddress,
        frame: BytesMut,
        batches: Vec<Batch>,
    ) -> Looked {
        let at_once = self.examinations.at_once_bytes;
        if at_once == usize::MAX {
            return Looked::AtOnce(frame, batches, Vec::new());
        }
        let least = batches.iter().map(|it| it.examination.least_bytes()).sum::<usize>();
        if least <= at_once {
            let mut left = at_once;
            let findings = look_at_all(&frame, &batches, &mut left);
            turn.out.count_work(least + at_once - left);
            // With nothing left it is not known what is behind that.
            if left > 0 {
                return Looked::AtOnce(frame, Vec::new(), findings);
            }
        }
        let bytes = self.examinations.waiting_bytes.saturating_add(frame.len());
        if bytes > WAITING_BYTES_MAX {
            return Looked::AtOnce(frame, batches, Vec::new());
        }
        self.examinations.waiting += 1;
        self.examinations.waiting_bytes = bytes;
        self.connections.hold(address.to.connection);
        turn.out.examinations.push(ProduceExamination { address, frame, batches });
        Looked::Elsewhere
    }

    /// The request goes on, and then those behind it.
    pub fn on_examined(&mut self, turn: &mut Turn<'_>, examined: ExaminedProduce) {
        let to = examined.address.to;
        let connection = to.connection;
        self.examinations.waiting -= 1;
        self.examinations.waiting_bytes -= examined.frame.len();
        // Who was refused meanwhile may be back, and has sent other records since.
        if !self.connections.is_refused(connection) {
            let result = match self.is_running() {
                true => produce::handle_examined(self, turn, examined),
                false => Err(RequestError::Refused("the node is stopping".to_owned())),
            };
            self.conclude(turn, to, result);
        }
        for frame in self.connections.release(connection) {
            self.on_frame(turn, connection, frame);
        }
        if self.connections.forget_gone(connection) {
            self.drop_fetches_of(connection);
        } else if !self.is_held(connection) {
            turn.out.network.push(NetworkEffect::GoOn { connection });
        }
        self.partitions.note_deadlines();
    }
}
