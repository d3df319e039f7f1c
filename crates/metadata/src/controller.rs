//! The controller: requests against the image become records. One file per kind of request.
//!
//! Every function takes `&self` and returns records and what to answer once they are committed; a
//! part of a request that is refused has no records. Nothing here changes the image.

pub mod brokers;
pub mod configs;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_topics;
pub mod producer_ids;

use strom_base::Uuid;
use strom_protocol::{ErrorCode, MetadataRecord, Writer};

use crate::image::{Change, ConfigResource, Image, ReplayError};

/// An encoded record's bytes.
pub type RecordBytes = Vec<u8>;

/// What a request becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<R> {
    /// To be appended as one unit, in order.
    pub records: Vec<RecordBytes>,
    pub reply: R,
}

/// Why a part of a request is refused: Kafka's code and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub error: ErrorCode,
    pub message: String,
}

impl Refusal {
    pub fn new(error: ErrorCode, message: impl Into<String>) -> Self {
        Self { error, message: message.into() }
    }
}

/// What the table of configuration keys knows; the controller asks it before it writes a value.
pub trait ConfigRules {
    /// # Errors
    /// Kafka's words for what is wrong with the value, or that the key is unknown.
    fn check(&self, resource: &ConfigResource, key: &str, value: &str) -> Result<(), String>;

    /// Whether the key's value is a list, to which elements can be added.
    fn is_list(&self, resource: &ConfigResource, key: &str) -> bool;

    /// The value that is in force without one of its own.
    fn default_value(&self, resource: &ConfigResource, key: &str) -> Option<String>;
}

/// Values for what a request leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicDefaults {
    /// `num.partitions`
    pub partitions: i32,
    /// `default.replication.factor`
    pub replication_factor: i16,
}

/// The image as of the last record written, committed or not.
#[derive(Clone, Debug, Default)]
pub struct Controller {
    image: Image,
}

impl Controller {
    #[must_use]
    pub fn new(image: Image) -> Self {
        Self { image }
    }

    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Applies a record that was decided on and handed to the log.
    ///
    /// # Errors
    /// When the record does not fit, which is a defect of the deciding function.
    pub fn replay(&mut self, offset: i64, record: &[u8]) -> Result<Change, ReplayError> {
        replay_bytes(&mut self.image, offset, record)
    }
}

/// Decodes and applies one record.
///
/// # Errors
/// When it cannot be decoded or does not fit.
pub fn replay_bytes(image: &mut Image, offset: i64, record: &[u8]) -> Result<Change, ReplayError> {
    let (decoded, _) = MetadataRecord::decode(record)
        .map_err(|error| ReplayError { offset, reason: error.to_string() })?;
    image.replay(offset, &decoded, record)
}

/// Encodes a record at the version that `metadata.version` 4.3 writes, the latest one.
pub(crate) fn encode(record: &MetadataRecord<'_>, version: i16) -> RecordBytes {
    let mut writer = Writer::new();
    let encoded = record.encode(&mut writer, version);
    // All fields are ours and fit the latest version; a failure is a defect that tests find.
    debug_assert!(encoded.is_ok(), "{encoded:?}");
    writer.bytes
}

/// The directory of a replica whose broker has only one; unassigned where it has several.
pub(crate) fn directory_of(image: &Image, broker: i32) -> Uuid {
    match image.cluster.broker(broker).map(|broker| broker.directories.as_slice()) {
        Some([only]) => *only,
        _ => Uuid::ZERO,
    }
}

/// Partition records exist in version 2 since eligible leader replicas (KIP-966).
pub(crate) const PARTITION_VERSION: i16 = 2;
