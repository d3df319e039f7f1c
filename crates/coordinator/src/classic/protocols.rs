//! Which protocol a group uses, and which topics its consumers read.

use std::collections::{BTreeMap, BTreeSet};

use strom_base::Now;
use strom_protocol::consumer_protocol_subscription::ConsumerProtocolSubscription;
use strom_protocol::{Message, Reader};

use super::group::ClassicGroup;
use super::member::Protocol;
use super::state::State;
use crate::partitioner::java_hash;

/// The protocol type of consumers (as opposed to, say, Connect's workers).
pub(super) const CONSUMER: &str = "consumer";

impl ClassicGroup {
    pub(super) fn count_protocols(&mut self, protocols: &[Protocol], joined: bool) {
        for protocol in protocols {
            let count = self.supported.entry(protocol.name.clone()).or_default();
            *count = if joined { *count + 1 } else { count.saturating_sub(1) };
            if *count == 0 {
                self.supported.remove(&protocol.name);
            }
        }
    }

    /// Whether a member of this kind could take part.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|protocol| {
                self.supported.get(&protocol.name).copied().unwrap_or(0) == self.members.len()
            })
    }

    /// The protocol that all members speak and most of them prefer.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let spoken_by_all = |name: &str| self.supported.get(name) == Some(&self.members.len());
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let vote = member.protocols.iter().find(|protocol| spoken_by_all(&protocol.name));
            if let Some(protocol) = vote {
                *votes.entry(&protocol.name).or_default() += 1;
            }
        }
        let best = votes.iter().min_by_key(|(name, count)| (usize::MAX - **count, bucket(name)));
        best.map(|(name, _)| (*name).to_owned())
    }

    pub(super) fn init_next_generation(&mut self, now: Now) {
        self.generation_id = self.generation_id.wrapping_add(1);
        self.protocol_name = self.select_protocol();
        self.subscribed_topics = self.compute_subscribed_topics();
        self.pending_sync.clear();
        let next = if self.members.is_empty() { State::Empty } else { State::CompletingRebalance };
        self.transition_to(now, next);
    }

    pub(super) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    /// Consumers that do not say what they read are taken to read everything.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic),
            None => self.uses_consumer_protocol(),
        }
    }

    pub(super) fn compute_subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        let mut topics = BTreeSet::new();
        if self.members.is_empty() {
            return Some(topics);
        }
        let protocol_name = self.protocol_name.as_deref()?;
        for member in self.members.values() {
            topics.extend(subscription(&member.metadata(Some(protocol_name)))?);
        }
        Some(topics)
    }
}

/// The topics in a consumer's metadata. Version 0 is the prefix of all versions, so it is read as
/// that.
fn subscription(metadata: &[u8]) -> Option<Vec<String>> {
    let mut reader = Reader::new(metadata);
    if reader.read_i16().ok()? < 0 {
        return None;
    }
    let subscription = ConsumerProtocolSubscription::decode(&mut reader, 0).ok()?;
    Some(subscription.topics.into_iter().map(str::to_owned).collect())
}

/// Kafka breaks a tie by the order of a Java hash map with sixteen buckets.
fn bucket(name: &str) -> i32 {
    let hash = java_hash(name);
    (hash ^ ((hash as u32) >> 16) as i32) & 15
}
