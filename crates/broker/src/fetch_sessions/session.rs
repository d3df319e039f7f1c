//! One fetch session: its partitions by place, and which of them the next answer has to look at.
//!
//! A partition is *due* until its client was told all there is of it. Then it rests: the partition
//! itself says when it has moved ([`strom_replica::Watcher`]), so that an answer costs what is due,
//! not what the session knows.

use std::collections::{BTreeMap, VecDeque};

use strom_replica::FetchToken;
use strom_storage::disk::LogId;

use super::{FetchPartition, TopicKey};

#[derive(Debug)]
struct Entry {
    wanted: FetchPartition,
    is_due: bool,
    /// The log that tells when it moves.
    watched: Option<LogId>,
}

#[derive(Debug, Default)]
pub(crate) struct Session {
    /// The epoch the next request must carry.
    pub(super) next_epoch: i32,
    pub(super) last_used_ms: u64,
    /// Its topics go by ids, once and for all.
    pub(super) uses_ids: bool,
    /// Index: place.
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    places: BTreeMap<TopicKey, BTreeMap<i32, u32>>,
    /// Places in the order of service: those that had data go to the end.
    due: VecDeque<u32>,
    /// Fetches that wait for something to become due.
    parked: Vec<FetchToken>,
}

/// What became of a partition in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// Its client knows all there is.
    Told,
    /// It had data or an error: the others go first next time.
    Last,
    /// It was not its turn.
    Not,
}

impl Session {
    pub(super) fn new(now_ms: u64, uses_ids: bool) -> Self {
        Self { next_epoch: 1, last_used_ms: now_ms, uses_ids, ..Self::default() }
    }

    /// How many partitions it knows.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Adds a partition, or changes what is wanted of it.
    pub(super) fn want(&mut self, mut wanted: FetchPartition) {
        let known = self.places.get(&wanted.topic).and_then(|it| it.get(&wanted.partition));
        if let Some(place) = known.copied() {
            let Some(entry) = self.entry_mut(place) else { return };
            wanted.sent_high_watermark = entry.wanted.sent_high_watermark;
            wanted.sent_log_start_offset = entry.wanted.sent_log_start_offset;
            entry.wanted = wanted;
            self.make_due(place);
            return;
        }
        let place = self.free.pop().unwrap_or(self.entries.len() as u32);
        let partitions = self.places.entry(wanted.topic.clone()).or_default();
        partitions.insert(wanted.partition, place);
        let entry = Some(Entry { wanted, is_due: true, watched: None });
        match self.entries.get_mut(place as usize) {
            Some(free) => *free = entry,
            None => self.entries.push(entry),
        }
        self.due.push_back(place);
    }

    /// Takes partitions out; `let_go` is told of those that are watched.
    pub(super) fn forget(&mut self, gone: &[(TopicKey, i32)], let_go: &mut impl FnMut(LogId, u32)) {
        for (topic, partition) in gone {
            let Some(partitions) = self.places.get_mut(topic) else { continue };
            let Some(place) = partitions.remove(partition) else { continue };
            if partitions.is_empty() {
                self.places.remove(topic);
            }
            let entry = self.entries.get_mut(place as usize).and_then(Option::take);
            if let Some(log) = entry.and_then(|entry| entry.watched) {
                let_go(log, place);
            }
            self.free.push(place);
        }
        if !gone.is_empty() {
            let entries = &self.entries;
            self.due.retain(|place| entries.get(*place as usize).is_some_and(Option::is_some));
        }
    }

    /// All that is watched, for the end of the session.
    pub(super) fn watched(&self) -> impl Iterator<Item = (LogId, u32)> {
        let entries = self.entries.iter().enumerate();
        entries.filter_map(|(place, entry)| Some((entry.as_ref()?.watched?, place as u32)))
    }

    fn entry_mut(&mut self, place: u32) -> Option<&mut Entry> {
        self.entries.get_mut(place as usize)?.as_mut()
    }

    pub(crate) fn get(&self, place: u32) -> Option<&FetchPartition> {
        Some(&self.entries.get(place as usize)?.as_ref()?.wanted)
    }

    /// What the next answer has to look at, by place, in the order of service.
    pub(crate) fn due(&self) -> impl Iterator<Item = (u32, &FetchPartition)> {
        self.due.iter().filter_map(|place| Some((*place, self.get(*place)?)))
    }

    fn make_due(&mut self, place: u32) {
        if let Some(entry) = self.entry_mut(place)
            && !std::mem::replace(&mut entry.is_due, true)
        {
            self.due.push_back(place);
        }
    }

    /// The partition at `place` has moved, and says so no more. Fetches to try again.
    pub(super) fn on_moved(&mut self, place: u32) -> &[FetchToken] {
        if let Some(entry) = self.entry_mut(place) {
            entry.watched = None;
            self.make_due(place);
        }
        &self.parked
    }

    /// Remembers what the client is told of a partition; -1 for a high watermark that it has to be
    /// told again.
    pub(crate) fn note_sent(&mut self, place: u32, high_watermark: i64, log_start_offset: i64) {
        if let Some(entry) = self.entry_mut(place) {
            entry.wanted.sent_high_watermark = high_watermark;
            entry.wanted.sent_log_start_offset = log_start_offset;
        }
    }

    /// The first of what is due was looked at, in this order.
    pub(crate) fn serve(&mut self, served: impl Iterator<Item = (u32, Served)> + Clone) {
        for (place, fate) in served.clone() {
            self.due.pop_front();
            match fate {
                Served::Told => {
                    if let Some(entry) = self.entry_mut(place) {
                        entry.is_due = false;
                    }
                }
                Served::Not => self.due.push_back(place),
                Served::Last => {}
            }
        }
        let last = served.filter(|(_, fate)| *fate == Served::Last);
        self.due.extend(last.map(|(place, _)| place));
    }

    /// The log is to tell when the partition at `place` moves; false when it already is.
    pub(crate) fn watch(&mut self, place: u32, log: LogId) -> bool {
        let Some(entry) = self.entry_mut(place) else { return false };
        entry.watched.replace(log) != Some(log)
    }

    pub(crate) fn park(&mut self, token: FetchToken) {
        self.parked.push(token);
    }

    pub(crate) fn unpark(&mut self, token: FetchToken) {
        self.parked.retain(|it| *it != token);
    }
}
