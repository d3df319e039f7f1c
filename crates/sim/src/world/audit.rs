//! What was acknowledged to anybody, and what anybody read: the judge of a world.

use std::collections::BTreeSet;

use strom_protocol::ErrorCode;

use super::clients::Kind;
use super::committed::{Committed, Offsets};
use super::generations::Generations;
use super::order::{Asked, Order};
use super::places::{Mark, Place, Places};
use super::records::Records;
use super::sent::{Bookmarks, Sent};

/// What one partition was told and has told.
#[derive(Clone, Debug, Default)]
struct Ledger {
    acknowledged: Records,
    /// What was ever sent there.
    sent: Sent,
    /// What consumers saw before the end.
    seen: Records,
    /// It acknowledges only what is synced.
    is_strict: bool,
    /// It does not, and the power has failed.
    is_forgiven: bool,
    /// What was sent and not acknowledged when the power failed: it is there, or it is not and is sent
    /// again.
    unsure: BTreeSet<Mark>,
    /// The highest offset to which its start was asked to move.
    trimmed: i64,
    /// Where it began before the clean stop.
    started: i64,
    order: Order,
}

impl Ledger {
    /// Behind the last acknowledged record.
    fn end(&self) -> i64 {
        self.acknowledged.last_offset().map_or(0, |offset| offset + 1)
    }

    /// What was not synced is gone, or not: nobody promised anything about it.
    fn on_power_failure(&mut self) {
        if self.is_strict {
            // What was seen is synced only if it was acknowledged, too.
            let acknowledged = &self.acknowledged;
            self.seen.retain(|offset, mark| acknowledged.get(offset) == Some(mark));
            self.order.on_power_failure(self.end());
            return;
        }
        let acknowledged: BTreeSet<Mark> = self.acknowledged.iter().map(|(_, mark)| mark).collect();
        self.unsure.extend(self.sent.iter().filter(|mark| !acknowledged.contains(mark)));
        self.acknowledged.clear();
        self.seen.clear();
        self.order.on_power_failure(0);
        self.is_forgiven = true;
    }
}

/// Everything the clients were told.
#[derive(Clone, Debug, Default)]
pub(super) struct Audit {
    pub(super) places: Places,
    /// By place.
    ledgers: Vec<Ledger>,
    /// By number.
    pub(super) producers: Vec<Kind>,
    /// How often the power has failed.
    pub(super) power_failures: u64,
    identities: BTreeSet<(i64, i16)>,
    /// The power failures before the life of the node that tells what is being told now.
    pub(super) told_at: u64,
    /// The life of the node that tells it.
    pub(super) told_in_life: u32,
    pub(super) committed: Committed,
    pub(super) acknowledged_records: u64,
    pub(super) read_records: u64,
    pub(super) deleted_topics: u64,
    pub(super) generations: Generations,
    /// A client's connection was cut, with requests still under way.
    pub(super) was_cut: bool,
    /// The node's clock on the wall was wrong at some time: it may refuse what is too new for it.
    pub(super) was_clock_moved: bool,
    /// The disk was read wrong: batches may not fit their checksums, and are there when they are asked for again.
    pub(super) was_read_wrong: bool,
    /// Why a batch was refused last.
    pub(super) last_refusal: Option<(Place, String)>,
    /// How often anything got further.
    pub(super) steps: u64,
    failure: Option<String>,
}

impl Audit {
    pub(super) fn new(places: Places) -> Self {
        Self { ledgers: vec![Ledger::default(); places.len()], places, ..Self::default() }
    }

    fn ledger(&mut self, place: Place) -> Option<&mut Ledger> {
        self.ledgers.get_mut(place.index())
    }

    pub(super) fn set_strict(&mut self, place: Place) {
        if let Some(ledger) = self.ledger(place) {
            ledger.is_strict = true;
        }
    }

    /// Keeps the first reason.
    pub(super) fn fail(&mut self, reason: String) {
        self.failure.get_or_insert(reason);
    }

    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    pub(super) fn on_power_failure(&mut self) {
        self.power_failures += 1;
        self.ledgers.iter_mut().for_each(Ledger::on_power_failure);
        self.committed.on_power_failure();
    }

    /// What is being told now was sent before the power failed: of what was not synced then it
    /// promises nothing.
    fn is_late(&self) -> bool {
        self.told_at < self.power_failures
    }

    /// Whether what the node that lived after so many power failures said of unsynced records holds.
    pub(super) fn is_kept(&self, told_at: u64) -> bool {
        told_at == self.power_failures || self.committed.is_strict
    }

    /// Whether the power has failed over acknowledged records that were not synced.
    pub(super) fn is_forgiven(&self, place: Place) -> bool {
        self.ledgers.get(place.index()).is_some_and(|ledger| ledger.is_forgiven)
    }

    /// No two producers are the same.
    pub(super) fn give_identity(&mut self, identity: (i64, i16)) -> Result<(), String> {
        self.steps += 1;
        if self.identities.insert(identity) {
            return Ok(());
        }
        Err(format!("producer id {} epoch {} was given out twice", identity.0, identity.1))
    }

    pub(super) fn send(&mut self, place: Place, first: Mark, count: u32) {
        if let Some(ledger) = self.ledger(place) {
            ledger.sent.insert(first, count);
        }
    }

    /// A batch that was sent is sent again by another name: it may be there twice.
    pub(super) fn doubt(&mut self, place: Place, first: Mark, count: u32) {
        if let Some(ledger) = self.ledger(place) {
            ledger.unsure.extend((0..count).map(|it| first.plus(it)));
        }
    }

    /// A batch was refused; whether it may be sent again.
    pub(super) fn refuse(&mut self, place: Place, error: ErrorCode, message: Option<&str>) -> bool {
        let text = format!("{} {}", error.name(), message.unwrap_or_default());
        self.last_refusal = Some((place, text));
        error.is_retriable()
            || error == ErrorCode::OutOfOrderSequenceNumber
            || (error == ErrorCode::InvalidTimestamp && self.was_clock_moved)
    }

    pub(super) fn trim(&mut self, place: Place, offset: i64) {
        if let Some(ledger) = self.ledger(place) {
            ledger.trimmed = ledger.trimmed.max(offset);
        }
    }

    /// Whether records of it may be gone that were acknowledged, and what the node knew of their producers
    /// with them.
    pub(super) fn may_have_let_go(&self, place: Place) -> bool {
        let ledger = self.ledgers.get(place.index());
        self.is_forgiven(place) || ledger.is_some_and(|ledger| ledger.trimmed > 0)
    }

    /// Behind the last acknowledged record.
    pub(super) fn end_of(&self, place: Place) -> i64 {
        self.ledgers.get(place.index()).map_or(0, Ledger::end)
    }

    /// Somebody is about to ask something of a partition.
    pub(super) fn ask(&self, place: Place) -> Asked {
        let order = self.ledgers.get(place.index()).map(|ledger| ledger.order);
        order.unwrap_or_default().ask(self.power_failures)
    }

    /// What was asked is answered: it stands in the log at an offset and reaches to another.
    pub(super) fn answer(&mut self, place: Place, asked: Asked, (at, end): (i64, i64)) {
        let (is_late, power_failures) = (self.is_late(), self.power_failures);
        let Some(ledger) = self.ledger(place).filter(|_| !is_late) else { return };
        if let Err(reason) = ledger.order.answer(asked, power_failures, (at, end)) {
            self.fail(format!("{place:?}: {reason}"));
        }
    }

    pub(super) fn acknowledge(&mut self, place: Place, base_offset: i64, first: Mark, count: u32) {
        self.acknowledged_records += u64::from(count);
        self.steps += 1;
        let is_late = self.is_late();
        let Some(ledger) = self.ledger(place) else { return };
        if base_offset < 0 || (is_late && ledger.is_forgiven) {
            return;
        }
        for (offset, mark) in (base_offset..).zip((0..count).map(|it| first.plus(it))) {
            if let Some(other) = ledger.acknowledged.insert(offset, mark)
                && other != mark
            {
                let reason = format!("offset {offset} was given to {other:?} and to {mark:?}");
                return self.fail(format!("{place:?} {reason}"));
            }
        }
    }

    /// How many records somebody was told of, as acknowledged or to read.
    pub(super) fn heard(&self) -> u64 {
        self.acknowledged_records + self.read_records
    }

    pub(super) fn commit(&mut self, offsets: &Offsets) {
        if self.is_kept(self.told_at) {
            self.committed.acknowledge(offsets);
        }
    }

    /// A group was told where it stands: that is no less from now on than if it had been acknowledged.
    pub(super) fn tell_committed(&mut self, offsets: &Offsets) {
        if self.is_kept(self.told_at) {
            self.committed.raise(offsets);
        }
    }

    pub(super) fn see(&mut self, place: Place, offset: i64, mark: Mark) {
        self.read_records += 1;
        self.steps += 1;
        if self.is_late() {
            return;
        }
        let Some(ledger) = self.ledger(place) else { return };
        if let Some(other) = ledger.seen.insert(offset, mark)
            && other != mark
        {
            self.fail(format!("{place:?} offset {offset} was {other:?} and is {mark:?}"));
        }
    }

    /// Compares what one reader read from the first offset to the last, place by place, with what
    /// was promised.
    pub(super) fn judge<'r>(
        &mut self,
        read: impl Iterator<Item = (i64, &'r Records)>,
    ) -> Result<(), String> {
        let mut starts = Vec::with_capacity(self.ledgers.len());
        for ((place, ledger), (start, read)) in self.places.all().zip(&self.ledgers).zip(read) {
            self.judge_place(ledger, start, read)
                .map_err(|reason| format!("{:?}: {reason}", self.places.at(place)))?;
            starts.push(start);
        }
        for (ledger, start) in self.ledgers.iter_mut().zip(starts) {
            ledger.started = start;
        }
        Ok(())
    }

    fn judge_place(&self, ledger: &Ledger, start: i64, read: &Records) -> Result<(), String> {
        if start > ledger.trimmed {
            return Err(format!("it starts at {start}, asked was {} at most", ledger.trimmed));
        }
        if start < ledger.started {
            return Err(format!("it starts at {start}, before a clean stop at {}", ledger.started));
        }
        if let Some((offset, mark)) = ledger.acknowledged.first_unlike(start, read) {
            let found = read.get(offset);
            return Err(format!("offset {offset}: {mark:?} was acknowledged, there is {found:?}"));
        }
        if let Some((offset, mark)) = ledger.seen.first_unlike(start, read) {
            return Err(format!("offset {offset}: {mark:?} was read once"));
        }
        self.judge_order(ledger, start, read)
    }

    /// No holes, nothing unheard of, each producer's records in their order.
    fn judge_order(&self, ledger: &Ledger, start: i64, records: &Records) -> Result<(), String> {
        let mut last_of: Vec<Option<u32>> = vec![None; self.producers.len()];
        let mut before: BTreeSet<Mark> = BTreeSet::new();
        let mut bookmarks = Bookmarks::default();
        for (index, (offset, mark)) in (start..).zip(records.iter()) {
            if offset != index {
                return Err(format!("offset {index} is missing"));
            }
            if !ledger.sent.holds(mark, &mut bookmarks) {
                return Err(format!("offset {offset}: {mark:?} was never sent there"));
            }
            let producer = usize::from(mark.producer);
            let (Some(kind), Some(last)) =
                (self.producers.get(producer), last_of.get_mut(producer))
            else {
                return Err(format!("offset {offset}: {mark:?} is nobody's"));
            };
            let may_repeat = match kind {
                Kind::Idempotent => ledger.unsure.contains(&mark),
                // What it repeats may lie below the start.
                Kind::Repeating => !before.insert(mark) || start > 0,
                // Nothing comes twice; what is still under way on a connection that was cut comes late.
                Kind::Unacknowledged => before.insert(mark) && self.was_cut,
            };
            if last.is_some_and(|last| mark.number <= last) && !may_repeat {
                return Err(format!("offset {offset}: {mark:?} comes after {last:?}"));
            }
            *last = Some(mark.number.max(last.unwrap_or(0)));
        }
        Ok(())
    }
}
