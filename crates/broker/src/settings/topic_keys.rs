//! Topic configuration: each key, the broker key it takes its default from, and what values it has.

use std::collections::BTreeMap;

use strom_storage::LogConfig;
use strom_storage::config::{CleanupPolicy, CompressionType, TimestampType};

type Properties = BTreeMap<String, String>;

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Not below the bound.
    Long(i64),
    Double,
    Boolean,
    Text,
    /// Elements are out of these.
    List(&'static [&'static str]),
    OneOf(&'static [&'static str]),
}

/// A topic key.
#[derive(Clone, Copy, Debug)]
pub struct TopicKey {
    pub name: &'static str,
    /// Broker keys that set its default, the strongest first, each with the factor to the topic
    /// key's unit.
    pub synonyms: &'static [(&'static str, i64)],
    pub default: &'static str,
    pub kind: Kind,
}

const CODECS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
const HOUR_MS: i64 = 3_600_000;

macro_rules! key {
    ($name:literal, $synonyms:expr, $default:literal, $kind:expr) => {
        TopicKey { name: $name, synonyms: &$synonyms, default: $default, kind: $kind }
    };
}

pub const TOPIC_KEYS: &[TopicKey] = &[
    key!(
        "cleanup.policy",
        [("log.cleanup.policy", 1)],
        "delete",
        Kind::List(&["compact", "delete"])
    ),
    key!("compression.gzip.level", [("compression.gzip.level", 1)], "-1", Kind::Long(-1)),
    key!("compression.lz4.level", [("compression.lz4.level", 1)], "9", Kind::Long(1)),
    key!("compression.type", [("compression.type", 1)], "producer", Kind::OneOf(CODECS)),
    key!("compression.zstd.level", [("compression.zstd.level", 1)], "3", Kind::Long(-131_072)),
    key!(
        "delete.retention.ms",
        [("log.cleaner.delete.retention.ms", 1)],
        "86400000",
        Kind::Long(0)
    ),
    key!("file.delete.delay.ms", [("log.segment.delete.delay.ms", 1)], "60000", Kind::Long(0)),
    key!(
        "flush.messages",
        [("log.flush.interval.messages", 1)],
        "9223372036854775807",
        Kind::Long(1)
    ),
    key!("flush.ms", [("log.flush.interval.ms", 1)], "9223372036854775807", Kind::Long(0)),
    key!("follower.replication.throttled.replicas", [], "", Kind::Text),
    key!("index.interval.bytes", [("log.index.interval.bytes", 1)], "4096", Kind::Long(0)),
    key!("leader.replication.throttled.replicas", [], "", Kind::Text),
    key!("local.retention.bytes", [], "-2", Kind::Long(-2)),
    key!("local.retention.ms", [], "-2", Kind::Long(-2)),
    key!(
        "max.compaction.lag.ms",
        [("log.cleaner.max.compaction.lag.ms", 1)],
        "9223372036854775807",
        Kind::Long(1)
    ),
    key!("max.message.bytes", [("message.max.bytes", 1)], "1048588", Kind::Long(0)),
    key!(
        "message.timestamp.after.max.ms",
        [("log.message.timestamp.after.max.ms", 1)],
        "3600000",
        Kind::Long(0)
    ),
    key!(
        "message.timestamp.before.max.ms",
        [("log.message.timestamp.before.max.ms", 1)],
        "9223372036854775807",
        Kind::Long(0)
    ),
    key!(
        "message.timestamp.type",
        [("log.message.timestamp.type", 1)],
        "CreateTime",
        Kind::OneOf(&["CreateTime", "LogAppendTime"])
    ),
    key!(
        "min.cleanable.dirty.ratio",
        [("log.cleaner.min.cleanable.ratio", 1)],
        "0.5",
        Kind::Double
    ),
    key!("min.compaction.lag.ms", [("log.cleaner.min.compaction.lag.ms", 1)], "0", Kind::Long(0)),
    key!("min.insync.replicas", [("min.insync.replicas", 1)], "1", Kind::Long(1)),
    key!("preallocate", [("log.preallocate", 1)], "false", Kind::Boolean),
    key!("remote.log.copy.disable", [], "false", Kind::Boolean),
    key!("remote.log.delete.on.disable", [], "false", Kind::Boolean),
    key!("remote.storage.enable", [], "false", Kind::Boolean),
    key!("retention.bytes", [("log.retention.bytes", 1)], "-1", Kind::Long(-1)),
    key!(
        "retention.ms",
        [
            ("log.retention.ms", 1),
            ("log.retention.minutes", 60_000),
            ("log.retention.hours", HOUR_MS)
        ],
        "604800000",
        Kind::Long(-1)
    ),
    key!("segment.bytes", [("log.segment.bytes", 1)], "1073741824", Kind::Long(1_048_576)),
    key!("segment.index.bytes", [("log.index.size.max.bytes", 1)], "10485760", Kind::Long(4)),
    key!(
        "segment.jitter.ms",
        [("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", HOUR_MS)],
        "0",
        Kind::Long(0)
    ),
    key!(
        "segment.ms",
        [("log.roll.ms", 1), ("log.roll.hours", HOUR_MS)],
        "604800000",
        Kind::Long(1)
    ),
    key!(
        "unclean.leader.election.enable",
        [("unclean.leader.election.enable", 1)],
        "false",
        Kind::Boolean
    ),
];

#[must_use]
pub fn find(name: &str) -> Option<&'static TopicKey> {
    TOPIC_KEYS.iter().find(|key| key.name == name)
}

impl TopicKey {
    /// # Errors
    /// Kafka's words for what is wrong with the value.
    pub fn check(&self, value: &str) -> Result<(), String> {
        let invalid = |why: &str| {
            Err(format!("Invalid value {value} for configuration {}: {why}", self.name))
        };
        let one_of = |allowed: &[&str]| format!("String must be one of: {}", allowed.join(", "));
        match self.kind {
            Kind::Long(least) => match value.trim().parse::<i64>() {
                Err(_) => invalid("Not a number of type LONG"),
                Ok(number) if number < least => invalid(&format!("Value must be at least {least}")),
                Ok(_) => Ok(()),
            },
            Kind::Double => match value.trim().parse::<f64>() {
                Ok(number) if (0.0..=1.0).contains(&number) => Ok(()),
                Ok(_) => invalid("Value must be no more than 1"),
                Err(_) => invalid("Not a number of type DOUBLE"),
            },
            Kind::Boolean if value != "true" && value != "false" => {
                invalid("Expected value to be either true or false")
            }
            Kind::OneOf(allowed) if !allowed.contains(&value) => invalid(&one_of(allowed)),
            Kind::List(allowed) => {
                let mut elements = value.split(',').map(str::trim).filter(|it| !it.is_empty());
                if elements.all(|it| allowed.contains(&it)) {
                    Ok(())
                } else {
                    invalid(&one_of(allowed))
                }
            }
            Kind::Boolean | Kind::OneOf(_) | Kind::Text => Ok(()),
        }
    }

    /// The value in force: the topic's own, a broker's, the default.
    #[must_use]
    pub fn value(&self, broker: &Properties, own: Option<&Properties>) -> String {
        if let Some(value) = own.and_then(|own| own.get(self.name)) {
            return value.clone();
        }
        self.broker_value(broker).map_or_else(|| self.default.to_owned(), |(_, value)| value)
    }

    /// The broker key that sets the default, and the value in the topic key's unit.
    #[must_use]
    pub fn broker_value(&self, broker: &Properties) -> Option<(&'static str, String)> {
        self.synonyms.iter().find_map(|(synonym, factor)| {
            let value = broker.get(*synonym)?.trim();
            let number = value.parse::<i64>().ok().filter(|_| *factor != 1);
            let scaled = number.map(|it| if it < 0 { it } else { it.saturating_mul(*factor) });
            Some((*synonym, scaled.map_or_else(|| value.to_owned(), |it| it.to_string())))
        })
    }
}

/// The settings of a topic's logs.
///
/// # Errors
/// The first value that is wrong.
pub fn log_config(broker: &Properties, own: Option<&Properties>) -> Result<LogConfig, String> {
    for key in TOPIC_KEYS {
        key.check(&key.value(broker, own))?;
    }
    let text = |name: &str| find(name).map_or_else(String::new, |key| key.value(broker, own));
    let long = |name: &str| text(name).trim().parse::<i64>().unwrap_or_default();
    let int = |name: &str| u32::try_from(long(name)).unwrap_or(u32::MAX);
    let level = |name: &str| i32::try_from(long(name)).unwrap_or_default();
    let cleanup = text("cleanup.policy");
    let has = |policy: &str| cleanup.split(',').any(|it| it.trim() == policy);
    Ok(LogConfig {
        segment_bytes: int("segment.bytes"),
        segment_ms: long("segment.ms"),
        segment_jitter_ms: long("segment.jitter.ms"),
        segment_index_bytes: int("segment.index.bytes"),
        index_interval_bytes: int("index.interval.bytes"),
        flush_messages: long("flush.messages"),
        flush_ms: long("flush.ms"),
        file_delete_delay_ms: long("file.delete.delay.ms"),
        cleanup: CleanupPolicy { delete: has("delete"), compact: has("compact") },
        retention_bytes: long("retention.bytes"),
        retention_ms: long("retention.ms"),
        max_message_bytes: int("max.message.bytes"),
        compression: match text("compression.type").as_str() {
            "uncompressed" => CompressionType::Uncompressed,
            "gzip" => CompressionType::Gzip,
            "snappy" => CompressionType::Snappy,
            "lz4" => CompressionType::Lz4,
            "zstd" => CompressionType::Zstd,
            _ => CompressionType::Producer,
        },
        compression_gzip_level: level("compression.gzip.level"),
        compression_lz4_level: level("compression.lz4.level"),
        compression_zstd_level: level("compression.zstd.level"),
        timestamp_type: if text("message.timestamp.type") == "LogAppendTime" {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        },
        timestamp_before_max_ms: long("message.timestamp.before.max.ms"),
        timestamp_after_max_ms: long("message.timestamp.after.max.ms"),
        min_compaction_lag_ms: long("min.compaction.lag.ms"),
        max_compaction_lag_ms: long("max.compaction.lag.ms"),
        min_cleanable_dirty_ratio: text("min.cleanable.dirty.ratio").parse().unwrap_or(0.5),
        delete_retention_ms: long("delete.retention.ms"),
        producer_id_expiration_ms: broker
            .get("producer.id.expiration.ms")
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(86_400_000),
    })
}
