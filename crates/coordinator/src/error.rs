//! What can be wrong: the codes clients get are Kafka's; a log that cannot be read is our own
//! trouble.

pub use strom_protocol::ErrorCode;

/// A record of `__consumer_offsets` that cannot be read: the shard must not become active.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    #[error("record of type {kind} cannot be decoded: {reason}")]
    Corrupt { kind: i16, reason: String },
    #[error("value of a record of type {kind} has version {version}, which is not known")]
    UnknownValueVersion { kind: i16, version: i16 },
}
