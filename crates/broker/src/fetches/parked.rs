//! All fetches that wait, with their deadlines.

use std::collections::{BTreeMap, BTreeSet};

use strom_replica::FetchToken;
use strom_storage::disk::LogId;

use super::{ParkedFetch, Part, Source};
use crate::effect::ConnectionId;
use crate::fetch_sessions::FetchPartition;

/// Memory of all parked fetches together; beyond it they are answered with what there is.
pub(crate) const PARKED_BYTES_MAX: usize = 64 << 20;
/// Longer lists are not kept for the next fetch.
const SPARE_PARTS_MAX: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct ParkedFetches {
    by_token: BTreeMap<FetchToken, ParkedFetch>,
    deadlines: BTreeSet<(u64, FetchToken)>,
    /// Those that wait for bytes to be brought into memory.
    blocked: Vec<FetchToken>,
    last_token: u64,
    /// Memory that all of them take together.
    bytes: usize,
    /// Empty lists for the next fetches.
    spare_parts: Vec<Part>,
    spare_tokens: Vec<FetchToken>,
}

impl ParkedFetch {
    /// Memory that it takes while it is parked.
    fn bytes(&self) -> usize {
        let partitions = match &self.source {
            Source::Owned(partitions) => partitions.len(),
            Source::Session { .. } => 0,
        };
        let waiting = self.waits_on.len();
        size_of::<Self>()
            + partitions * size_of::<FetchPartition>()
            + waiting * (size_of::<LogId>() + size_of::<FetchToken>())
    }
}

impl ParkedFetches {
    pub(crate) fn len(&self) -> usize {
        self.by_token.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn has_room(&self) -> bool {
        self.bytes < PARKED_BYTES_MAX
    }

    pub(super) fn park(&mut self, fetch: ParkedFetch) -> FetchToken {
        self.last_token += 1;
        let token = FetchToken(self.last_token);
        self.deadlines.insert((fetch.deadline_ms, token));
        self.bytes += fetch.bytes();
        self.by_token.insert(token, fetch);
        token
    }

    /// A parked fetch is to be tried again when bytes were brought into memory.
    pub(super) fn block(&mut self, token: FetchToken) {
        self.blocked.push(token);
    }

    pub(super) fn take_blocked(&mut self) -> Vec<FetchToken> {
        std::mem::take(&mut self.blocked)
    }

    pub(super) fn take(&mut self, token: FetchToken) -> Option<ParkedFetch> {
        let fetch = self.by_token.remove(&token)?;
        self.deadlines.remove(&(fetch.deadline_ms, token));
        self.bytes = self.bytes.saturating_sub(fetch.bytes());
        if !self.blocked.is_empty() {
            self.blocked.retain(|it| *it != token);
        }
        Some(fetch)
    }

    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(deadline_ms, _)| *deadline_ms)
    }

    pub(super) fn due(&self, now_ms: u64) -> Option<FetchToken> {
        self.deadlines.first().filter(|(deadline_ms, _)| *deadline_ms <= now_ms).map(|(_, t)| *t)
    }

    /// Tokens of a connection that has gone.
    pub(super) fn of_connection(&self, connection: ConnectionId) -> Vec<FetchToken> {
        let is_its = |fetch: &ParkedFetch| fetch.address.to.connection == connection;
        self.by_token.iter().filter(|(_, fetch)| is_its(fetch)).map(|(token, _)| *token).collect()
    }

    /// An empty list, to be given back by [`ParkedFetches::recycle`].
    pub(super) fn spare_parts(&mut self) -> Vec<Part> {
        std::mem::take(&mut self.spare_parts)
    }

    pub(super) fn recycle(&mut self, mut parts: Vec<Part>) {
        if parts.capacity() <= SPARE_PARTS_MAX {
            parts.clear();
            self.spare_parts = parts;
        }
    }

    /// A copy of some tokens, to be given back by [`ParkedFetches::recycle_tokens`].
    pub(super) fn spare_tokens(&mut self, tokens: &[FetchToken]) -> Vec<FetchToken> {
        let mut copy = std::mem::take(&mut self.spare_tokens);
        copy.extend_from_slice(tokens);
        copy
    }

    pub(super) fn recycle_tokens(&mut self, tokens: Vec<FetchToken>) {
        self.spare_tokens = tokens;
    }
}
