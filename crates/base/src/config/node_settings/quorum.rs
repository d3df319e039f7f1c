//! The metadata quorum, its log, and what the controller goes by.

use crate::config::ConfigError;
use crate::config::effective::Effective;

/// `controller.quorum.*`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumSettings {
    /// Empty where voters can change, and for a node that is alone.
    pub voters: Vec<Voter>,
    /// `host:port`
    pub bootstrap_servers: Vec<String>,
    pub election_timeout_ms: i32,
    pub fetch_timeout_ms: i32,
    pub election_backoff_max_ms: i32,
    pub append_linger_ms: i32,
    pub request_timeout_ms: i32,
    pub retry_backoff_ms: i32,
    pub auto_join_enable: bool,
    pub fetch_snapshot_max_bytes: u32,
    pub fetch_max_bytes: u32,
}

/// An element of `controller.quorum.voters`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    pub id: i32,
    pub host: String,
    pub port: u16,
}

impl QuorumSettings {
    /// Whether the node is the only voter.
    #[must_use]
    pub fn is_alone(&self, node_id: i32) -> bool {
        match self.voters.as_slice() {
            [] => self.bootstrap_servers.len() <= 1,
            [voter] => voter.id == node_id,
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
    /// 0: never.
    pub max_idle_interval_ms: i64,
    pub max_batch_bytes: u32,
}

/// What the controller expects of brokers, and brokers of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControllerSettings {
    pub broker_heartbeat_interval_ms: i64,
    pub broker_session_timeout_ms: i64,
    pub initial_broker_registration_timeout_ms: i64,
    pub controlled_shutdown_enable: bool,
    pub auto_leader_rebalance_enable: bool,
    pub leader_imbalance_check_interval_ms: i64,
    pub request_timeout_ms: i32,
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
        voters: voters.iter().filter_map(|text| voter(text)).collect(),
        bootstrap_servers,
        election_timeout_ms: values.int("controller.quorum.election.timeout.ms"),
        fetch_timeout_ms: values.int("controller.quorum.fetch.timeout.ms"),
        election_backoff_max_ms: values.int("controller.quorum.election.backoff.max.ms"),
        append_linger_ms: values.int("controller.quorum.append.linger.ms"),
        request_timeout_ms: values.int("controller.quorum.request.timeout.ms"),
        retry_backoff_ms: values.int("controller.quorum.retry.backoff.ms"),
        auto_join_enable: values.boolean("controller.quorum.auto.join.enable"),
        fetch_snapshot_max_bytes: values.size("controller.quorum.fetch.snapshot.max.bytes"),
        fetch_max_bytes: values.size("controller.quorum.fetch.max.bytes"),
    })
}

/// Checked as a value of the table before.
fn voter(text: &str) -> Option<Voter> {
    let (id, address) = text.split_once('@')?;
    let (host, port) = address.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some(Voter { id: id.parse().ok()?, host, port: port.parse().ok()? })
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
        max_idle_interval_ms: values.long("metadata.max.idle.interval.ms"),
        max_batch_bytes: values.size("internal.metadata.max.batch.size.in.bytes"),
    }
}

pub(super) fn controller(values: Effective<'_>) -> ControllerSettings {
    ControllerSettings {
        broker_heartbeat_interval_ms: values.long("broker.heartbeat.interval.ms"),
        broker_session_timeout_ms: values.long("broker.session.timeout.ms"),
        initial_broker_registration_timeout_ms: values
            .long("initial.broker.registration.timeout.ms"),
        controlled_shutdown_enable: values.boolean("controlled.shutdown.enable"),
        auto_leader_rebalance_enable: values.boolean("auto.leader.rebalance.enable"),
        leader_imbalance_check_interval_ms: values
            .long("leader.imbalance.check.interval.seconds")
            .saturating_mul(1_000),
        request_timeout_ms: values.int("request.timeout.ms"),
    }
}
