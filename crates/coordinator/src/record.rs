//! The hard state of groups as records of `__consumer_offsets`, apart from their bytes.

use std::sync::Arc;

use bytes::Bytes;
use strom_base::Uuid;

pub(crate) mod codec;

/// One record; no value is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Record {
    /// Types 0 and 1.
    Offset(OffsetKey, Option<CommittedOffset>),
    /// Type 2.
    Group(Arc<str>, Option<StoredGroup>),
}

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RecordKey {
    Offset(OffsetKey),
    Group(Arc<str>),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OffsetKey {
    pub(crate) group_id: Arc<str>,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CommittedOffset {
    pub(crate) offset: i64,
    /// -1 when unknown.
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
    pub(crate) commit_timestamp_ms: i64,
    /// Only where an old client asked for a retention of its own.
    pub(crate) expire_timestamp_ms: Option<i64>,
    /// Zero when unknown.
    pub(crate) topic_id: Uuid,
}

/// A classic group between rebalances.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct StoredGroup {
    /// None for a group of simple consumers, and for one that nobody has joined yet.
    pub(crate) protocol_type: Option<String>,
    pub(crate) generation_id: i32,
    pub(crate) protocol_name: Option<String>,
    pub(crate) leader: Option<Arc<str>>,
    /// When the group took its state; unknown in old records.
    pub(crate) state_timestamp_ms: Option<i64>,
    pub(crate) members: Vec<StoredMember>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredMember {
    pub(crate) member_id: Arc<str>,
    pub(crate) group_instance_id: Option<Arc<str>>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    pub(crate) subscription: Bytes,
    pub(crate) assignment: Bytes,
}
