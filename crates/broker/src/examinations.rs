//! Produces whose records take long to look at: somebody else looks, while the node serves others. What is short
//! is done on the spot.
//!
//! Until that is done the connection's next requests are not brought ([`Broker::is_held`]), for they are served in
//! their order. So each connection has one here at the most, and they take turns.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::BytesMut;
use strom_base::IdMap;
use strom_coordinator::AnswerRoom;
use strom_storage::disk::LogId;
use strom_storage::log::{Examination, Examined};

use crate::Broker;
use crate::call::{ReturnAddress, of_its_own};
use crate::effect::{ConnectionId, Turn};

/// What all batches of a request may unfold to together: as many times the request's bytes, or the least. Each
/// could be a bomb, of a few hundred bytes.
const UNFOLDED_RATIO: usize = 16;
const UNFOLDED_BYTES: usize = 16 << 20;
/// Batches in their topic's codec are kept until they are appended: who looks makes no more of them once they
/// take so much, and what the request itself takes.
const CONVERTED_BYTES: usize = 16 << 20;

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

/// What was found out about one.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) batch: Batch,
    pub(crate) examined: Examined,
}

impl Finding {
    /// Whether it is what would be found out now: topics come and go, and are configured anew.
    pub(crate) fn answers(&self, batch: &Batch) -> bool {
        let asked = &self.batch;
        asked.part == batch.part
            && asked.log == batch.log
            && asked.examination.has_terms_of(&batch.examination)
    }
}

/// A produce whose records are to be looked at.
#[derive(Debug)]
pub struct ProduceExamination {
    address: ReturnAddress,
    frame: BytesMut,
    batches: Vec<Batch>,
    /// Nobody waits for an answer: acks=0.
    is_silent: bool,
}

/// One whose records were.
#[derive(Debug)]
pub struct ExaminedProduce {
    pub(crate) address: ReturnAddress,
    pub(crate) frame: BytesMut,
    /// The last part first.
    pub(crate) findings: Vec<Finding>,
    /// Nothing was left out because what was found takes too much.
    pub(crate) is_complete: bool,
}

impl ProduceExamination {
    /// Whose requests wait for it.
    pub(crate) fn connection(&self) -> ConnectionId {
        self.address.to.connection
    }

    /// Looks at all of them.
    pub(crate) fn perform(self) -> ExaminedProduce {
        let Self { address, frame, batches, .. } = self;
        let mut left = frame.len().saturating_mul(UNFOLDED_RATIO).max(UNFOLDED_BYTES);
        let (findings, rest) = look_at_all(&frame, batches, &mut left);
        ExaminedProduce { address, frame, findings, is_complete: rest.is_empty() }
    }
}

/// Findings, the last part first, for who appends takes the first off the end; and those not come to.
fn look_at_all(
    frame: &[u8],
    batches: Vec<Batch>,
    unfolding_left: &mut usize,
) -> (Vec<Finding>, Vec<Batch>) {
    let converted_max = frame.len().saturating_add(CONVERTED_BYTES);
    let (mut room, mut converted_bytes) = (AnswerRoom::default(), 0);
    let (mut findings, mut batches) = (Vec::with_capacity(batches.len()), batches.into_iter());
    while converted_bytes <= converted_max
        && let Some(batch) = batches.next()
    {
        let bytes = frame.get(batch.records.clone()).unwrap_or_default();
        let examined = batch.examination.perform(bytes, unfolding_left);
        // A batch of some bytes names a thousand records.
        let examined = examined.map_err(|error| match room.take(error.records_bytes()) {
            true => error,
            false => error.without_records(),
        });
        if let Ok(Some(converted)) = &examined {
            converted_bytes += converted.len();
        }
        findings.push(Finding { batch, examined });
    }
    findings.reverse();
    (findings, batches.collect())
}

/// What is left to find out of what is asked for now, and what was found of it.
pub(crate) fn compare(asked: Vec<Batch>, mut found: Vec<Finding>) -> (Vec<Batch>, Vec<Finding>) {
    let (mut unseen, mut findings) = (Vec::new(), Vec::new());
    for batch in asked {
        while found.pop_if(|it| it.batch.part < batch.part).is_some() {}
        match found.pop_if(|it| it.answers(&batch)) {
            Some(finding) => findings.push(finding),
            None => unseen.push(batch),
        }
    }
    findings.reverse();
    (unseen, findings)
}

/// Those that wait, and those that somebody looks at.
#[derive(Debug, Default)]
pub(crate) struct Examinations {
    /// By the connection that has sent it; whether nothing of that is taken any more.
    held: IdMap<ConnectionId, bool>,
    waiting: VecDeque<ProduceExamination>,
    /// Of those that wait.
    waiting_bytes: usize,
    under_way: usize,
    limits: ExaminationLimits,
}

/// Where looking at records takes long, and how much of that may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExaminationLimits {
    /// What takes longer than so many bytes of records, of all batches of a request, somebody else looks at.
    pub at_once_bytes: usize,
    /// Once requests that wait take so much, no more large produces are taken up: [`Broker::may_take_bulk`].
    pub waiting_bytes: usize,
    /// So many are given away at a time: who looks is to be never without work.
    pub under_way: usize,
}

impl Default for ExaminationLimits {
    fn default() -> Self {
        Self { at_once_bytes: 64 << 10, waiting_bytes: 64 << 20, under_way: 2 }
    }
}

impl Examinations {
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn limits(&self) -> ExaminationLimits {
        self.limits
    }

    fn add(&mut self, examination: ProduceExamination) {
        self.held.insert(examination.connection(), false);
        self.waiting_bytes += examination.frame.len();
        self.waiting.push_back(examination);
    }

    /// The next one that is given away.
    pub(crate) fn next(&mut self) -> Option<ProduceExamination> {
        if self.under_way >= self.limits.under_way {
            return None;
        }
        let next = self.waiting.pop_front()?;
        self.waiting_bytes -= next.frame.len();
        self.under_way += 1;
        Some(next)
    }

    /// Somebody has looked at it; whether it is still to be taken.
    pub(crate) fn finish(&mut self, examined: &ExaminedProduce) -> bool {
        self.under_way -= 1;
        self.held.remove(&examined.address.to.connection) == Some(false)
    }

    /// Nothing of the connection is taken any more. Whether it was held until now.
    pub(crate) fn refuse(&mut self, id: ConnectionId) -> bool {
        let Some(is_refused) = self.held.get_mut(&id) else { return false };
        *is_refused = true;
        self.drop_waiting(id, |_| true);
        !self.held.contains_key(&id)
    }

    /// Nobody is there any more to be told. What it has sent without wanting to be told is taken, as long as there
    /// is room.
    pub(crate) fn on_disconnected(&mut self, id: ConnectionId) {
        if self.held.contains_key(&id) {
            let is_crowded = self.is_crowded();
            self.drop_waiting(id, |it| is_crowded || !it.is_silent);
        }
    }

    fn drop_waiting(&mut self, id: ConnectionId, is_dropped: impl Fn(&ProduceExamination) -> bool) {
        let place = self.waiting.iter().position(|it| it.connection() == id);
        if let Some(place) = place
            && self.waiting.get(place).is_some_and(is_dropped)
            && let Some(dropped) = self.waiting.remove(place)
        {
            self.waiting_bytes -= dropped.frame.len();
            self.held.remove(&id);
        }
    }

    fn is_crowded(&self) -> bool {
        self.waiting_bytes >= self.limits.waiting_bytes
    }
}

/// What becomes of a request.
pub(crate) enum Looked {
    /// It goes on with what was found.
    AtOnce(BytesMut, Vec<Finding>),
    /// Somebody else looks.
    Elsewhere,
}

impl Broker {
    /// Other limits from now on, so that little is much.
    pub fn limit_examinations(&mut self, limits: ExaminationLimits) {
        self.examinations.limits = limits;
    }

    /// Whether somebody looks at the records of the connection's last request: until that is done
    /// ([`crate::effect::NetworkEffect::GoOn`]) its next one is not to be brought.
    #[must_use]
    #[inline]
    pub fn is_held(&self, connection: ConnectionId) -> bool {
        !self.examinations.held.is_empty() && self.examinations.held.contains_key(&connection)
    }

    /// Whether large produces are to be brought. [`Broker::on_examined`] may change that.
    #[must_use]
    #[inline]
    pub fn may_take_bulk(&self) -> bool {
        !self.examinations.is_crowded()
    }

    /// Looks at the records of a request, or has somebody else look.
    pub(crate) fn look_at_records(
        &mut self,
        turn: &mut Turn<'_>,
        (address, is_silent): (ReturnAddress, bool),
        frame: BytesMut,
        mut batches: Vec<Batch>,
    ) -> Looked {
        let at_once = self.examinations.limits.at_once_bytes;
        let least = batches.iter().map(|it| it.examination.least_bytes()).sum::<usize>();
        if least <= at_once {
            let mut left = at_once;
            let (findings, rest) = look_at_all(&frame, batches, &mut left);
            turn.out.count_work(least + at_once - left);
            if left > 0 && rest.is_empty() {
                return Looked::AtOnce(frame, findings);
            }
            // It is not known what is behind that.
            batches = findings.into_iter().rev().map(|it| it.batch).chain(rest).collect();
        }
        let frame = of_its_own(frame);
        self.examinations.add(ProduceExamination { address, frame, batches, is_silent });
        turn.out
            .examinations
            .extend(self.examinations.next().map(crate::effect::Examination::Produce));
        Looked::Elsewhere
    }
}
