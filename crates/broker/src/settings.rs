//! What the configuration says to the broker, read from properties once and typed.

use std::collections::BTreeMap;
use std::sync::Arc;

use strom_coordinator::GroupConfig;
use strom_storage::LogConfig;
use strom_storage::config::CleanupPolicy;

pub(crate) mod authorizer;
pub mod config_table;
pub mod listeners;
pub mod quorum;
pub mod topic_keys;

pub use listeners::Listener;
pub use quorum::QuorumSettings;

/// Static settings of a node. Lookups by key serve what is not typed here.
#[derive(Clone, Debug)]
pub struct BrokerSettings {
    pub node_id: i32,
    pub rack: Option<String>,
    /// As `log.dirs` names them, for clients that ask.
    pub log_directories: Vec<String>,
    /// Client listeners in the order of `listeners`; controller listeners are not opened by a
    /// quorum of one.
    pub listeners: Vec<Listener>,
    pub auto_create_topics: bool,
    pub delete_topics: bool,
    pub partitions: i32,
    pub replication_factor: i16,
    pub offsets_topic: OffsetsTopicSettings,
    pub groups: GroupConfig,
    pub intervals: Intervals,
    pub fetch_max_bytes: i32,
    pub quorum: QuorumSettings,
    /// `authorizer.class.name` is set.
    pub has_authorizer: bool,
    /// Everything that was given, for DescribeConfigs and topic defaults.
    pub properties: BTreeMap<String, String>,
}

/// `offsets.topic.*`
#[derive(Clone, Copy, Debug)]
pub struct OffsetsTopicSettings {
    pub partitions: i32,
    pub replication_factor: i16,
    pub segment_bytes: i64,
}

/// Milliseconds between things that are done regularly.
#[derive(Clone, Copy, Debug)]
pub struct Intervals {
    pub retention_check_ms: i64,
    pub watermark_checkpoint_ms: i64,
    pub recovery_point_checkpoint_ms: i64,
}

/// Properties with typed look-ups; an error is one sentence.
pub struct Values<'a>(pub &'a BTreeMap<String, String>);

impl Values<'_> {
    /// # Errors
    /// When the text is no such number.
    pub fn number<N: std::str::FromStr>(&self, key: &str, default: N) -> Result<N, String> {
        match self.0.get(key) {
            None => Ok(default),
            Some(text) => text.trim().parse().map_err(|_| {
                format!("Invalid value {text} for configuration {key}: it must be a number")
            }),
        }
    }

    /// # Errors
    /// When the text is neither true nor false.
    pub fn boolean(&self, key: &str, default: bool) -> Result<bool, String> {
        match self.0.get(key).map(|text| text.trim().to_ascii_lowercase()) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| {
                format!("Invalid value {text} for configuration {key}: it must be true or false")
            }),
        }
    }

    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// Elements of a comma-separated list, none empty.
    #[must_use]
    pub fn list(&self, key: &str) -> Vec<String> {
        let elements = self.text(key).unwrap_or_default().split(',');
        elements.map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
    }
}

impl BrokerSettings {
    /// # Errors
    /// One sentence that names the key and what is wrong with it.
    pub fn read(properties: BTreeMap<String, String>) -> Result<Self, String> {
        let values = Values(&properties);
        let node_id = match values.text("node.id") {
            Some(_) => values.number("node.id", 1)?,
            None => values.number("broker.id", 1)?,
        };
        let mut log_directories = values.list("log.dirs");
        if log_directories.is_empty() {
            log_directories.push(values.text("log.dir").unwrap_or("./strom-data").to_owned());
        }
        // The controller refuses values of topics; the same values as defaults are refused here.
        topic_keys::log_config(&properties, None)?;
        Ok(Self {
            node_id,
            rack: values.text("broker.rack").map(str::to_owned),
            log_directories,
            listeners: listeners::read(&values)?,
            auto_create_topics: values.boolean("auto.create.topics.enable", true)?,
            delete_topics: values.boolean("delete.topic.enable", true)?,
            partitions: values.number("num.partitions", 1)?,
            replication_factor: values.number("default.replication.factor", 1)?,
            offsets_topic: OffsetsTopicSettings {
                partitions: values.number("offsets.topic.num.partitions", 50)?,
                replication_factor: values.number("offsets.topic.replication.factor", 3)?,
                segment_bytes: values.number("offsets.topic.segment.bytes", 104_857_600)?,
            },
            groups: groups(&values)?,
            intervals: Intervals {
                retention_check_ms: values.number("log.retention.check.interval.ms", 300_000)?,
                watermark_checkpoint_ms: values
                    .number("replica.high.watermark.checkpoint.interval.ms", 5_000)?,
                recovery_point_checkpoint_ms: values
                    .number("log.flush.offset.checkpoint.interval.ms", 60_000)?,
            },
            fetch_max_bytes: values.number("fetch.max.bytes", 57_671_680)?,
            quorum: quorum::read(&values)?,
            has_authorizer: authorizer::read(&values)?,
            properties,
        })
    }

    /// The configuration of logs before their topics' own are known.
    #[must_use]
    pub fn default_log_config(&self) -> Arc<LogConfig> {
        // Checked by `read`.
        Arc::new(topic_keys::log_config(&self.properties, None).unwrap_or_default())
    }

    /// The configuration of the metadata log: never deleted by age, only behind a snapshot.
    #[must_use]
    pub fn metadata_log_config(&self) -> Arc<LogConfig> {
        let values = Values(&self.properties);
        let segment_bytes = values.number("metadata.log.segment.bytes", 1_u32 << 30);
        let segment_ms = values.number("metadata.log.segment.ms", 604_800_000);
        Arc::new(LogConfig {
            segment_bytes: segment_bytes.unwrap_or(1 << 30),
            segment_ms: segment_ms.unwrap_or(604_800_000),
            cleanup: CleanupPolicy { delete: false, compact: false },
            max_message_bytes: 8 << 20,
            ..LogConfig::default()
        })
    }
}

fn groups(values: &Values<'_>) -> Result<GroupConfig, String> {
    let default = GroupConfig::default();
    let retention_minutes: i64 =
        values.number("offsets.retention.minutes", default.offsets_retention_ms / 60_000)?;
    Ok(GroupConfig {
        min_session_timeout_ms: values
            .number("group.min.session.timeout.ms", default.min_session_timeout_ms)?,
        max_session_timeout_ms: values
            .number("group.max.session.timeout.ms", default.max_session_timeout_ms)?,
        initial_rebalance_delay_ms: values
            .number("group.initial.rebalance.delay.ms", default.initial_rebalance_delay_ms)?,
        group_max_size: values.number("group.max.size", default.group_max_size)?,
        offset_metadata_max_bytes: values
            .number("offset.metadata.max.bytes", default.offset_metadata_max_bytes)?,
        offsets_retention_ms: retention_minutes.saturating_mul(60_000),
        offsets_retention_check_interval_ms: values.number(
            "offsets.retention.check.interval.ms",
            default.offsets_retention_check_interval_ms,
        )?,
        offsets_commit_timeout_ms: values
            .number("offsets.commit.timeout.ms", default.offsets_commit_timeout_ms)?,
    })
}
