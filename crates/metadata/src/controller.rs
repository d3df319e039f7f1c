//! The controller: requests against the image become records. One file per kind of request.
//!
//! Every decision takes `&self` and returns records and what to answer once they are committed; a
//! part of a request that is refused has no records. Only replaying records changes the image.

pub mod allocate_producer_ids;
pub mod assign_directories;
pub mod client_quotas;
pub mod configs;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_topics;
pub mod elect_leaders;
pub mod fail_directories;
mod fencing;
mod partition_change;
mod placement;
pub mod register_broker;
pub mod register_controller;
pub mod unregister_broker;
pub mod update_features;

use std::collections::BTreeMap;

use strom_protocol::{ErrorCode, MetadataRecord, Writer};

use crate::features::ELIGIBLE_LEADER_REPLICAS;
use crate::image::{ConfigResource, Delta, Image, ReplayError, decode};
use crate::record_versions::RecordVersions;

/// An encoded record's bytes.
pub type RecordBytes = Vec<u8>;

/// Records that one request of a user may become, as Apache Kafka has it: they fit into one batch,
/// which commits whole or not at all.
pub const RECORDS_MAX: usize = 10_000;

/// What a request becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<R> {
    /// To be appended in order. Up to [`RECORDS_MAX`] they are one unit; only what the controller
    /// does about a broker's partitions can be more, and may then be cut anywhere.
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
    /// Looks at all values that a resource would have of its own.
    ///
    /// # Errors
    /// Kafka's code and words for a key that is unknown, a value that is wrong, or what does not fit
    /// together.
    fn check(
        &self,
        resource: &ConfigResource,
        values: &BTreeMap<String, String>,
    ) -> Result<(), Refusal>;

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

/// What the node's own configuration says to the controller on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControllerSettings {
    pub node_id: i32,
    /// `unclean.leader.election.enable`, where neither topic nor cluster says otherwise.
    pub unclean_leader_election: bool,
}

impl Default for ControllerSettings {
    fn default() -> Self {
        Self { node_id: -1, unclean_leader_election: false }
    }
}

/// The image as of the last record written, committed or not.
#[derive(Clone, Debug, Default)]
pub struct Controller {
    image: Image,
    settings: ControllerSettings,
}

impl Controller {
    #[must_use]
    pub fn new(image: Image) -> Self {
        Self { image, ..Self::default() }
    }

    #[must_use]
    pub fn with_settings(self, settings: ControllerSettings) -> Self {
        Self { settings, ..self }
    }

    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Applies a record that was decided on and handed to the log.
    ///
    /// # Errors
    /// When the record does not fit, which is a defect of the deciding function.
    pub fn replay(&mut self, offset: i64, record: &[u8]) -> Result<(), ReplayError> {
        replay_bytes(&mut self.image, offset, record, &mut Delta::default())
    }

    fn versions(&self) -> RecordVersions {
        RecordVersions(self.image.features.metadata_version())
    }

    fn has_eligible_leaders(&self) -> bool {
        self.image.features.level(ELIGIBLE_LEADER_REPLICAS) > 0
    }
}

/// Decodes and applies one record.
///
/// # Errors
/// When it cannot be decoded or does not fit.
pub fn replay_bytes(
    image: &mut Image,
    offset: i64,
    record: &[u8],
    delta: &mut Delta,
) -> Result<(), ReplayError> {
    let decoded = decode(offset, record)?;
    image.replay(offset, &decoded, record, delta)
}

/// Encodes a record at a version that the cluster's `metadata.version` allows.
pub(crate) fn encode(record: &MetadataRecord<'_>, version: i16) -> RecordBytes {
    let mut writer = Writer::new();
    let encoded = record.encode(&mut writer, version);
    // All fields are ours and fit the version; a failure is a defect that tests find.
    debug_assert!(encoded.is_ok(), "{encoded:?}");
    writer.bytes
}

/// A user's request that would make more records than a batch takes is refused whole.
fn bounded<T>(decision: Decision<Vec<Result<T, Refusal>>>) -> Decision<Vec<Result<T, Refusal>>> {
    if decision.records.len() <= RECORDS_MAX {
        return decision;
    }
    let refuse = || {
        let text = "Unable to perform excessively large batch operation.";
        Err(Refusal::new(ErrorCode::PolicyViolation, text))
    };
    let reply = decision.reply.into_iter().map(|outcome| outcome.and_then(|_| refuse()));
    Decision { records: Vec::new(), reply: reply.collect() }
}
