//! What a coordinator asks of its surroundings.

/// One shard at one leadership: a partition of the coordinator's topic and its leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId {
    pub partition: i32,
    pub leader_epoch: i32,
}

/// Names a waiting request. Opaque to the coordinator, but for `part`: a request about several
/// groups is split and its parts are gathered into one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyToken {
    pub request: u64,
    pub part: u32,
}

impl ReplyToken {
    #[must_use]
    pub fn new(request: u64) -> Self {
        Self { request, part: 0 }
    }
}

/// A record for the coordinator's topic; no value is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRecord {
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

/// `R` is the response type of the coordinator.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect<R> {
    /// Append the records as one batch, with acks=all, at the shard's leader epoch. Appends of a
    /// shard keep their order. Its fate is reported by `on_committed` or `on_append_failed`.
    Append { shard: ShardId, ticket: u64, records: Vec<OwnedRecord> },
    /// Answer the request.
    Reply { token: ReplyToken, response: R },
}
