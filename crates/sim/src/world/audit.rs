//! What was acknowledged to anybody, and what anybody read: the judge of a world.

use std::collections::{BTreeMap, BTreeSet};

/// A partition by topic and number.
pub(super) type Place = (String, i32);

/// Everything the clients were told.
#[derive(Clone, Debug, Default)]
pub(super) struct Audit {
    /// By offset: the text of the acknowledged record.
    acknowledged: BTreeMap<Place, BTreeMap<i64, String>>,
    /// Records that were acknowledged without an offset, as duplicates.
    duplicates: BTreeSet<String>,
    /// What consumers saw before the end.
    seen: BTreeMap<Place, BTreeMap<i64, String>>,
    /// Whether what consumers saw may be lost: the power failed under unsynced records.
    pub(super) seen_may_be_lost: bool,
    failure: Option<String>,
}

impl Audit {
    /// Keeps the first reason.
    pub(super) fn fail(&mut self, reason: String) {
        self.failure.get_or_insert(reason);
    }

    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    pub(super) fn acknowledged_records(&self) -> u64 {
        self.acknowledged.values().map(|records| records.len() as u64).sum()
    }

    pub(super) fn acknowledge(&mut self, place: &Place, base_offset: i64, texts: &[String]) {
        if base_offset < 0 {
            self.duplicates.extend(texts.iter().cloned());
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

    pub(super) fn see(&mut self, place: &Place, offset: i64, text: &str) {
        let seen = self.seen.entry(place.clone()).or_default();
        if let Some(other) = seen.insert(offset, text.to_owned())
            && other != text
            && !self.seen_may_be_lost
        {
            self.fail(format!("{place:?} offset {offset} was {other} and is {text}"));
        }
    }

    /// Compares what one reader read from the first offset to the last with what was promised.
    pub(super) fn judge(
        &self,
        read: &BTreeMap<Place, BTreeMap<i64, String>>,
    ) -> Result<(), String> {
        let empty = BTreeMap::new();
        for (place, promised) in &self.acknowledged {
            let read = read.get(place).unwrap_or(&empty);
            for (offset, text) in promised {
                if read.get(offset) != Some(text) {
                    return Err(format!(
                        "{place:?} offset {offset}: {text} was acknowledged, there is {:?}",
                        read.get(offset)
                    ));
                }
            }
        }
        if !self.seen_may_be_lost {
            for (place, seen) in &self.seen {
                let read = read.get(place).unwrap_or(&empty);
                if let Some((offset, text)) = seen.iter().find(|(at, it)| read.get(at) != Some(it))
                {
                    return Err(format!("{place:?} offset {offset}: {text} was read once"));
                }
            }
        }
        for (place, records) in read {
            self.judge_order(place, records)?;
        }
        Ok(())
    }

    /// No holes, nothing twice, each producer's records in their order, nothing unheard of.
    fn judge_order(&self, place: &Place, records: &BTreeMap<i64, String>) -> Result<(), String> {
        let mut last_of: BTreeMap<&str, u64> = BTreeMap::new();
        let promised = self.acknowledged.get(place);
        for (index, (offset, text)) in (0i64..).zip(records) {
            if *offset != index {
                return Err(format!("{place:?}: offset {index} is missing"));
            }
            let is_known = promised.is_some_and(|it| it.get(offset) == Some(text))
                || self.duplicates.contains(text);
            if !is_known {
                return Err(format!("{place:?} offset {offset}: {text} was never acknowledged"));
            }
            let (producer, number) = text.rsplit_once('#').unwrap_or((text, "0"));
            let number: u64 = number.parse().map_err(|_| format!("{text} is no record of ours"))?;
            if let Some(last) = last_of.insert(producer, number)
                && number <= last
            {
                return Err(format!("{place:?} offset {offset}: {text} comes after #{last}"));
            }
        }
        Ok(())
    }
}
