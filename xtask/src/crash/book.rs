//! All that clients were ever told: which records lie where, what was acknowledged, what was committed.
//!
//! A process that is killed takes nothing with it that was written: what anybody was told or has read
//! holds for ever. A contradiction is noted when it comes up and ends the life.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A topic and a partition of it.
pub(crate) type Place = (String, i32);

/// Which record: its producer and its number among those of that producer in the partition.
pub(crate) type Token = (u32, u64);

/// Seconds since the epoch, as strace tells them.
#[must_use]
pub(crate) fn clock() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

#[must_use]
pub(crate) fn hash(value: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A record as somebody has seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub hash: u64,
    /// Missing where the value is none that a producer of ours has made for this partition.
    pub token: Option<Token>,
    /// Who was the first.
    by: &'static str,
}

impl Seen {
    #[must_use]
    pub(crate) fn read(value: &[u8], place: &Place, by: &'static str) -> Self {
        Self { hash: hash(value), token: token(value, place), by }
    }

    #[must_use]
    pub(crate) fn is_same(&self, other: &Seen) -> bool {
        self.hash == other.hash && self.token == other.token
    }
}

/// `TOPIC/PARTITION/PRODUCER/NUMBER/noise`
#[must_use]
pub(crate) fn token(value: &[u8], place: &Place) -> Option<Token> {
    let text = std::str::from_utf8(value).ok()?;
    let mut parts = text.split('/');
    let (topic, partition) = (parts.next()?, parts.next()?.parse::<i32>().ok()?);
    let told = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (topic == place.0 && partition == place.1).then_some(told)
}

/// What is known of a partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    /// By offset every record that was read or acknowledged.
    pub seen: BTreeMap<i64, Seen>,
    /// Acknowledged: when the record was given to the client, when it knew; seconds since the epoch.
    pub acknowledged: BTreeMap<i64, (f64, f64)>,
    /// Acknowledged without an offset, as a repetition may be.
    pub unplaced: BTreeSet<Token>,
    /// Where the partition began at the last look.
    pub log_start: i64,
    /// The furthest that was ever asked to be deleted, and what was acknowledged of that.
    pub cut_asked: i64,
    pub cut_acknowledged: i64,
    /// What the group has committed.
    pub committed: i64,
}

#[derive(Debug)]
struct Pages {
    of: BTreeMap<Place, Page>,
    contradictions: Vec<String>,
    last_acknowledged: Instant,
}

#[derive(Debug)]
pub(crate) struct Book(Mutex<Pages>);

impl Book {
    #[must_use]
    pub(crate) fn new() -> Self {
        let last_acknowledged = Instant::now();
        Self(Mutex::new(Pages {
            of: BTreeMap::new(),
            contradictions: Vec::new(),
            last_acknowledged,
        }))
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // Each change is one step: what a thread that panicked left is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes something that must not be.
    pub(crate) fn contradict(&self, what: String) {
        self.pages().contradictions.push(what);
    }

    /// The first thing that must not be.
    #[must_use]
    pub(crate) fn contradiction(&self) -> Option<String> {
        self.pages().contradictions.first().cloned()
    }

    /// When the last record was acknowledged.
    #[must_use]
    pub(crate) fn last_acknowledged(&self) -> Instant {
        self.pages().last_acknowledged
    }

    /// A copy of what is known of a partition.
    #[must_use]
    pub(crate) fn page(&self, place: &Place) -> Page {
        self.pages().of.get(place).cloned().unwrap_or_default()
    }

    /// What is known now, whatever comes.
    #[must_use]
    pub(crate) fn frozen(&self) -> Book {
        let pages = self.pages();
        Self(Mutex::new(Pages {
            of: pages.of.clone(),
            contradictions: pages.contradictions.clone(),
            last_acknowledged: pages.last_acknowledged,
        }))
    }

    /// Changes what is known of a partition.
    pub(crate) fn note(&self, place: &Place, change: impl FnOnce(&mut Page)) {
        change(self.pages().of.entry(place.clone()).or_default());
    }

    /// Somebody has read a record.
    pub(crate) fn on_read(&self, place: &Place, offset: i64, found: Seen) {
        let mut pages = self.pages();
        let page = pages.of.entry(place.clone()).or_default();
        let known = *page.seen.entry(offset).or_insert(found);
        if !known.is_same(&found) {
            let what = format!("{place:?}: at offset {offset} there was {known:?}, now {found:?}");
            pages.contradictions.push(what);
        }
    }

    /// A record is acknowledged that was given to its client at `given`.
    pub(crate) fn on_acknowledged(
        &self,
        place: &Place,
        (offset, hash): (i64, u64),
        token: Token,
        given: f64,
    ) {
        let now = clock();
        let mut pages = self.pages();
        pages.last_acknowledged = Instant::now();
        let page = pages.of.entry(place.clone()).or_default();
        if offset < 0 {
            page.unplaced.insert(token);
            return;
        }
        let found = Seen { hash, token: Some(token), by: "its producer" };
        let known = *page.seen.entry(offset).or_insert(found);
        let before = page.acknowledged.insert(offset, (given, now));
        if !known.is_same(&found) || before.is_some() {
            let what = format!(
                "{place:?}: {token:?}, given at {given}, is acknowledged at {offset}, where {known:?} \
                 is, acknowledged {before:?}; now is {now}"
            );
            pages.contradictions.push(what);
        }
    }

    /// A group's commit is acknowledged.
    pub(crate) fn on_committed(&self, place: &Place, offset: i64) {
        self.note(place, |page| page.committed = page.committed.max(offset));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_records_at_one_offset_are_a_contradiction() {
        let (book, place) = (Book::new(), ("t".to_owned(), 0));
        book.on_acknowledged(&place, (5, hash(b"t/0/0/0/x")), (0, 0), 0.0);
        book.on_read(&place, 5, Seen::read(b"t/0/0/0/x", &place, "a reader"));
        assert_eq!(book.contradiction(), None);
        book.on_read(&place, 5, Seen::read(b"t/0/0/0/y", &place, "a reader"));
        assert!(book.contradiction().is_some());
    }

    #[test]
    fn a_value_tells_its_record_and_its_place() {
        let place = ("t".to_owned(), 3);
        assert_eq!(token(b"t/3/7/9/xxxx", &place), Some((7, 9)));
        assert_eq!(token(b"t/2/7/9/xxxx", &place), None);
        assert_eq!(token(b"\xff", &place), None);
    }
}
