//! The metadata quorum, its log, and what the controller goes by.

use crate::config::ConfigError;
use crate::config::effective::Effective;

/// `controller.quorum.*`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumSettings {
    /// The ids of `controller.quorum.voters`: empty where voters can change, and for a node that is
    /// alone.
    pub voters: Vec<i32>,
    /// `host:port`
    pub bootstrap_servers: Vec<String>,
}

impl QuorumSettings {
    /// Whether the node is the only voter.
    #[must_use]
    pub fn is_alone(&self, node_id: i32) -> bool {
        match self.voters.as_slice() {
            [] => self.bootstrap_servers.len() <= 1,
            [voter] => *voter == node_id,
            _ => false,
        }
    }
}

/// `metadata.*`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataLogSettings {
    pub max_record_bytes_between_snapshots: i64,
    /// 0: never by time.
    pub max_snapshot_interval_ms: i64,
    pub segment_bytes: u32,
    pub segment_ms: i64,
    pub max_retention_bytes: i64,
    pub max_retention_ms: i64,
    pub max_batch_bytes: u32,
}

/// What the controller goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControllerSettings {
    /// Where neither a topic nor what was set while brokers run says otherwise.
    pub unclean_leader_election_enable: bool,
}

pub(super) fn quorum(values: Effective<'_>) -> Result<QuorumSettings, ConfigError> {
    let voters = values.list("controller.quorum.voters");
    let bootstrap_servers = values.list("controller.quorum.bootstrap.servers");
    if !voters.is_empty() && !bootstrap_servers.is_empty() {
        return Err(ConfigError(
            "controller.quorum.voters and controller.quorum.bootstrap.servers are both given: \
             keep the first for fixed voters, the second for voters that can change"
                .to_owned(),
        ));
    }
    Ok(QuorumSettings {
        voters: voters.iter().filter_map(|text| voter_id(text)).collect(),
        bootstrap_servers,
    })
}

/// The id of an element of `controller.quorum.voters`, checked as a value of the table before.
fn voter_id(text: &str) -> Option<i32> {
    text.split_once('@')?.0.parse().ok()
}

pub(super) fn metadata_log(values: Effective<'_>) -> MetadataLogSettings {
    let internal = values.size("internal.metadata.log.segment.bytes");
    let segment_bytes =
        if internal > 0 { internal } else { values.size("metadata.log.segment.bytes") };
    MetadataLogSettings {
        max_record_bytes_between_snapshots: values
            .long("metadata.log.max.record.bytes.between.snapshots"),
        max_snapshot_interval_ms: values.long("metadata.log.max.snapshot.interval.ms"),
        segment_bytes,
        segment_ms: values.long("metadata.log.segment.ms"),
        max_retention_bytes: values.long("metadata.max.retention.bytes"),
        max_retention_ms: values.long("metadata.max.retention.ms"),
        max_batch_bytes: values.size("internal.metadata.max.batch.size.in.bytes"),
    }
}

pub(super) fn controller(values: Effective<'_>) -> ControllerSettings {
    ControllerSettings {
        unclean_leader_election_enable: values.boolean("unclean.leader.election.enable"),
    }
}
