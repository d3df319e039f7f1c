//! Groups, their offsets, and producer ids.

use crate::config::ConfigError;
use crate::config::effective::Effective;

/// Bounds of classic groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupSettings {
    pub min_session_timeout_ms: i32,
    pub max_session_timeout_ms: i32,
    pub initial_rebalance_delay_ms: i32,
    pub max_size: i32,
}

/// Committed offsets and the topic they are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetsSettings {
    pub topic_partitions: i32,
    pub topic_replication_factor: i16,
    pub topic_segment_bytes: i32,
    /// 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd
    pub topic_compression_codec: i16,
    pub metadata_max_bytes: i32,
    pub retention_ms: i64,
    pub retention_check_interval_ms: i64,
    pub commit_timeout_ms: i32,
}

/// How long producers are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdSettings {
    pub expiration_ms: i64,
}

pub(super) fn groups(values: Effective<'_>) -> Result<GroupSettings, ConfigError> {
    let (least, most) =
        (values.int("group.min.session.timeout.ms"), values.int("group.max.session.timeout.ms"));
    if least > most {
        return Err(ConfigError(format!(
            "group.max.session.timeout.ms ({most}) is below group.min.session.timeout.ms ({least}): \
             raise the one or lower the other"
        )));
    }
    Ok(GroupSettings {
        min_session_timeout_ms: least,
        max_session_timeout_ms: most,
        initial_rebalance_delay_ms: values.int("group.initial.rebalance.delay.ms"),
        max_size: values.int("group.max.size"),
    })
}

pub(super) fn offsets(values: Effective<'_>) -> Result<OffsetsSettings, ConfigError> {
    const CODEC: &str = "offsets.topic.compression.codec";
    let codec = values.short(CODEC);
    if !(0..=4).contains(&codec) {
        let codecs = "0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd";
        return Err(ConfigError(format!("{CODEC} is {codec}: it must be one of {codecs}")));
    }
    Ok(OffsetsSettings {
        topic_partitions: values.int("offsets.topic.num.partitions"),
        topic_replication_factor: values.short("offsets.topic.replication.factor"),
        topic_segment_bytes: values.int("offsets.topic.segment.bytes"),
        topic_compression_codec: codec,
        metadata_max_bytes: values.int("offset.metadata.max.bytes"),
        retention_ms: values.long("offsets.retention.minutes").saturating_mul(60_000),
        retention_check_interval_ms: values.long("offsets.retention.check.interval.ms"),
        commit_timeout_ms: values.int("offsets.commit.timeout.ms"),
    })
}

pub(super) fn producer_ids(values: Effective<'_>) -> ProducerIdSettings {
    ProducerIdSettings { expiration_ms: values.long("producer.id.expiration.ms") }
}
