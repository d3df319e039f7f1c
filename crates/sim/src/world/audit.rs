//! What was acknowledged to anybody, and what anybody read: the judge of a world.

use std::collections::{BTreeMap, BTreeSet};

use super::committed::{Committed, Offsets};

/// A partition by topic and number.
pub(super) type Place = (String, i32);
/// Texts of records by place and offset.
pub(super) type Records = BTreeMap<Place, BTreeMap<i64, String>>;

/// How a producer produces, and so what it is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Exactly once, in order.
    Idempotent,
    /// One batch at a time, repeated until it is acknowledged: in order, perhaps more than once.
    Repeating,
    /// Never repeated: in order, at most once.
    Unacknowledged,
}

impl Kind {
    /// How the names of such producers begin.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Kind::Idempotent => "exact-",
            Kind::Repeating => "again-",
            Kind::Unacknowledged => "never-",
        }
    }

    fn of(text: &str) -> Kind {
        let all = [Kind::Repeating, Kind::Unacknowledged];
        all.into_iter().find(|it| text.starts_with(it.prefix())).unwrap_or(Kind::Idempotent)
    }
}

/// Everything the clients were told.
#[derive(Clone, Debug, Default)]
pub(super) struct Audit {
    /// By offset: the text of the acknowledged record.
    acknowledged: Records,
    /// What was ever sent to a place.
    sent: BTreeMap<Place, BTreeSet<String>>,
    /// What consumers saw before the end.
    seen: Records,
    /// Places that acknowledge only what is synced.
    strict: BTreeSet<Place>,
    /// Other places over which the power has failed.
    forgiven: BTreeSet<Place>,
    /// What was sent there and not acknowledged when the power failed: it is there, or it is not and
    /// is sent again.
    unsure: BTreeMap<Place, BTreeSet<String>>,
    /// How often the power has failed.
    pub(super) power_failures: u64,
    /// The highest offset to which a log start was asked to move.
    trimmed: BTreeMap<Place, i64>,
    identities: BTreeSet<(i64, i16)>,
    /// The power failures before the life of the node that tells what is being told now.
    pub(super) told_at: u64,
    pub(super) committed: Committed,
    pub(super) acknowledged_records: u64,
    pub(super) deleted_topics: u64,
    failure: Option<String>,
}

impl Audit {
    pub(super) fn set_strict(&mut self, strict: impl IntoIterator<Item = Place>) {
        self.strict.extend(strict);
    }

    /// Keeps the first reason.
    pub(super) fn fail(&mut self, reason: String) {
        self.failure.get_or_insert(reason);
    }

    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// What was not synced is gone, or not: nobody promised anything about it.
    pub(super) fn on_power_failure(&mut self) {
        self.power_failures += 1;
        for (place, sent) in &self.sent {
            if self.strict.contains(place) {
                // What was seen is synced only if it was acknowledged, too.
                let acknowledged = self.acknowledged.get(place);
                let is_synced =
                    |at: &i64, text: &String| acknowledged.and_then(|it| it.get(at)) == Some(text);
                if let Some(seen) = self.seen.get_mut(place) {
                    seen.retain(|at, text| is_synced(at, text));
                }
                continue;
            }
            let acknowledged = self.acknowledged.remove(place).unwrap_or_default();
            let acknowledged: BTreeSet<String> = acknowledged.into_values().collect();
            let unsure = sent.difference(&acknowledged).cloned();
            self.unsure.entry(place.clone()).or_default().extend(unsure);
            self.seen.remove(place);
            self.forgiven.insert(place.clone());
        }
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
    pub(super) fn is_forgiven(&self, place: &Place) -> bool {
        self.forgiven.contains(place)
    }

    /// No two producers are the same.
    pub(super) fn give_identity(&mut self, identity: (i64, i16)) -> Result<(), String> {
        if self.identities.insert(identity) {
            return Ok(());
        }
        Err(format!("producer id {} epoch {} was given out twice", identity.0, identity.1))
    }

    pub(super) fn send(&mut self, place: &Place, texts: &[String]) {
        self.sent.entry(place.clone()).or_default().extend(texts.iter().cloned());
    }

    pub(super) fn trim(&mut self, place: &Place, offset: i64) {
        let trimmed = self.trimmed.entry(place.clone()).or_default();
        *trimmed = (*trimmed).max(offset);
    }

    /// Behind the last acknowledged record.
    pub(super) fn end_of(&self, place: &Place) -> i64 {
        let last = self.acknowledged.get(place).and_then(|records| records.last_key_value());
        last.map_or(0, |(offset, _)| offset + 1)
    }

    pub(super) fn acknowledge(&mut self, place: &Place, base_offset: i64, texts: &[String]) {
        self.acknowledged_records += texts.len() as u64;
        if base_offset < 0 || (self.is_late() && self.is_forgiven(place)) {
            return;
        }
        let records = self.acknowledged.entry(place.clone()).or_default();
        for (offset, text) in (base_offset..).zip(texts) {
            if let Some(other) = records.insert(offset, text.clone())
                && other != *text
            {
                self.failure.get_or_insert(format!(
                    "{place:?} offset {offset} was given to {other} and to {text}"
                ));
            }
        }
    }

    pub(super) fn commit(&mut self, offsets: &Offsets) {
        if self.is_kept(self.told_at) {
            self.committed.acknowledge(offsets);
        }
    }

    pub(super) fn see(&mut self, place: &Place, offset: i64, text: &str) {
        if self.is_late() {
            return;
        }
        let seen = self.seen.entry(place.clone()).or_default();
        if let Some(other) = seen.insert(offset, text.to_owned())
            && other != text
        {
            self.fail(format!("{place:?} offset {offset} was {other} and is {text}"));
        }
    }

    /// Compares what one reader read from the first offset to the last with what was promised.
    pub(super) fn judge(
        &self,
        read: &Records,
        starts: &BTreeMap<Place, i64>,
    ) -> Result<(), String> {
        let empty = BTreeMap::new();
        let start_of = |place: &Place| starts.get(place).copied().unwrap_or(0);
        for (place, start) in starts {
            let trimmed = self.trimmed.get(place).copied().unwrap_or(0);
            if *start > trimmed {
                return Err(format!("{place:?} starts at {start}, asked was {trimmed} at most"));
            }
        }
        for (place, promised) in &self.acknowledged {
            let read = read.get(place).unwrap_or(&empty);
            let mut promised = promised.range(start_of(place)..);
            if let Some((offset, text)) = promised.find(|(at, it)| read.get(at) != Some(it)) {
                let found = read.get(offset);
                return Err(format!(
                    "{place:?} offset {offset}: {text} was acknowledged, there is {found:?}"
                ));
            }
        }
        for (place, seen) in &self.seen {
            let read = read.get(place).unwrap_or(&empty);
            let mut seen = seen.range(start_of(place)..);
            if let Some((offset, text)) = seen.find(|(at, it)| read.get(at) != Some(it)) {
                return Err(format!("{place:?} offset {offset}: {text} was read once"));
            }
        }
        for (place, records) in read {
            self.judge_order(place, start_of(place), records)?;
        }
        Ok(())
    }

    /// No holes, nothing unheard of, each producer's records in their order.
    fn judge_order(
        &self,
        place: &Place,
        start: i64,
        records: &BTreeMap<i64, String>,
    ) -> Result<(), String> {
        let mut last_of: BTreeMap<&str, u64> = BTreeMap::new();
        let mut before: BTreeSet<&str> = BTreeSet::new();
        for (index, (offset, text)) in (start..).zip(records) {
            if *offset != index {
                return Err(format!("{place:?}: offset {index} is missing"));
            }
            if !self.sent.get(place).is_some_and(|sent| sent.contains(text)) {
                return Err(format!("{place:?} offset {offset}: {text} was never sent there"));
            }
            let (producer, number) = text.rsplit_once('#').unwrap_or((text, "0"));
            let number: u64 = number.parse().map_err(|_| format!("{text} is no record of ours"))?;
            let may_repeat = match Kind::of(text) {
                Kind::Idempotent => {
                    self.unsure.get(place).is_some_and(|unsure| unsure.contains(text))
                }
                // What it repeats may lie below the start.
                Kind::Repeating => before.contains(text.as_str()) || start > 0,
                Kind::Unacknowledged => false,
            };
            let last = last_of.get(producer).copied();
            if last.is_some_and(|last| number <= last) && !may_repeat {
                return Err(format!("{place:?} offset {offset}: {text} comes after #{last:?}"));
            }
            last_of.insert(producer, number.max(last.unwrap_or(0)));
            before.insert(text);
        }
        Ok(())
    }
}
