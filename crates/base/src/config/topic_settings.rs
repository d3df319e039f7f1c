//! A topic's configuration in force, typed.

use super::check::topic_key_value;
use super::value::ConfigValue;
use super::{BrokerConfigLayers, ConfigMap};

/// All that a topic's logs and partitions go by. Times in milliseconds, sizes in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicSettings {
    pub segments: SegmentSettings,
    pub retention: RetentionSettings,
    pub compaction: CompactionSettings,
    pub compression: CompressionSettings,
    pub messages: MessageSettings,
    pub flush: FlushSettings,
}

/// `segment.*`, `index.*`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentSettings {
    pub segment_bytes: u32,
    pub segment_ms: i64,
    pub segment_jitter_ms: i64,
    pub segment_index_bytes: u32,
    pub index_interval_bytes: u32,
    pub preallocate: bool,
    pub file_delete_delay_ms: i64,
}

/// `cleanup.policy`, `retention.*`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionSettings {
    pub cleanup: CleanupPolicy,
    /// -1: unlimited.
    pub retention_bytes: i64,
    /// -1: unlimited.
    pub retention_ms: i64,
}

/// `cleanup.policy`. Neither: everything is kept (Kafka 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    pub delete: bool,
    pub compact: bool,
}

/// What compaction goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompactionSettings {
    pub min_compaction_lag_ms: i64,
    pub max_compaction_lag_ms: i64,
    pub min_cleanable_dirty_ratio: f64,
    pub delete_retention_ms: i64,
}

/// `compression.*`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompressionSettings {
    pub codec: CompressionType,
    pub gzip_level: i32,
    pub lz4_level: i32,
    pub zstd_level: i32,
}

/// `compression.type`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionType {
    /// What the producer chose is kept.
    Producer,
    Uncompressed,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// `max.message.bytes`, `message.*`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageSettings {
    pub max_message_bytes: u32,
    /// Records carry the broker's time, not the producer's.
    pub is_log_append_time: bool,
    pub timestamp_before_max_ms: i64,
    pub timestamp_after_max_ms: i64,
}

/// `flush.*`; `i64::MAX`: never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushSettings {
    pub flush_messages: i64,
    pub flush_ms: i64,
}

/// Look-ups of checked values; one that is not checked is answered with the default.
struct Values<'a> {
    overrides: &'a ConfigMap,
    layers: &'a BrokerConfigLayers<'a>,
}

impl Values<'_> {
    fn value(&self, name: &str) -> Option<ConfigValue> {
        topic_key_value(name, self.overrides, self.layers)
    }

    fn long(&self, name: &str) -> i64 {
        match self.value(name) {
            Some(ConfigValue::Number(number)) => number,
            _ => 0,
        }
    }

    fn size(&self, name: &str) -> u32 {
        u32::try_from(self.long(name)).unwrap_or_default()
    }

    fn int(&self, name: &str) -> i32 {
        i32::try_from(self.long(name)).unwrap_or_default()
    }

    fn boolean(&self, name: &str) -> bool {
        self.value(name) == Some(ConfigValue::Boolean(true))
    }

    fn list(&self, name: &str) -> Vec<String> {
        match self.value(name) {
            Some(ConfigValue::List(elements)) => elements,
            _ => Vec::new(),
        }
    }

    fn text(&self, name: &str) -> String {
        match self.value(name) {
            Some(ConfigValue::Text(text)) => text,
            _ => String::new(),
        }
    }
}

impl TopicSettings {
    /// What a topic goes by that has these values of its own, checked by [`super::check::topic`].
    #[must_use]
    pub fn new(overrides: &ConfigMap, layers: &BrokerConfigLayers<'_>) -> Self {
        let values = Values { overrides, layers };
        Self {
            segments: segments(&values),
            retention: retention(&values),
            compaction: compaction(&values),
            compression: compression(&values),
            messages: messages(&values),
            flush: FlushSettings {
                flush_messages: values.long("flush.messages"),
                flush_ms: values.long("flush.ms"),
            },
        }
    }
}

fn segments(values: &Values<'_>) -> SegmentSettings {
    let internal = values.size("internal.segment.bytes");
    let segment_bytes = if internal > 0 { internal } else { values.size("segment.bytes") };
    SegmentSettings {
        segment_bytes,
        segment_ms: values.long("segment.ms"),
        segment_jitter_ms: values.long("segment.jitter.ms"),
        segment_index_bytes: values.size("segment.index.bytes"),
        index_interval_bytes: values.size("index.interval.bytes"),
        preallocate: values.boolean("preallocate"),
        file_delete_delay_ms: values.long("file.delete.delay.ms"),
    }
}

fn retention(values: &Values<'_>) -> RetentionSettings {
    let policies = values.list("cleanup.policy");
    let has = |policy: &str| policies.iter().any(|it| it == policy);
    RetentionSettings {
        cleanup: CleanupPolicy { delete: has("delete"), compact: has("compact") },
        retention_bytes: values.long("retention.bytes"),
        retention_ms: values.long("retention.ms"),
    }
}

fn compaction(values: &Values<'_>) -> CompactionSettings {
    let ratio = values.value("min.cleanable.dirty.ratio").and_then(|value| value.as_double());
    CompactionSettings {
        min_compaction_lag_ms: values.long("min.compaction.lag.ms"),
        max_compaction_lag_ms: values.long("max.compaction.lag.ms"),
        min_cleanable_dirty_ratio: ratio.unwrap_or_default(),
        delete_retention_ms: values.long("delete.retention.ms"),
    }
}

fn compression(values: &Values<'_>) -> CompressionSettings {
    CompressionSettings {
        codec: match values.text("compression.type").as_str() {
            "uncompressed" => CompressionType::Uncompressed,
            "gzip" => CompressionType::Gzip,
            "snappy" => CompressionType::Snappy,
            "lz4" => CompressionType::Lz4,
            "zstd" => CompressionType::Zstd,
            _ => CompressionType::Producer,
        },
        gzip_level: values.int("compression.gzip.level"),
        lz4_level: values.int("compression.lz4.level"),
        zstd_level: values.int("compression.zstd.level"),
    }
}

fn messages(values: &Values<'_>) -> MessageSettings {
    MessageSettings {
        max_message_bytes: values.size("max.message.bytes"),
        is_log_append_time: values.text("message.timestamp.type") == "LogAppendTime",
        timestamp_before_max_ms: values.long("message.timestamp.before.max.ms"),
        timestamp_after_max_ms: values.long("message.timestamp.after.max.ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> ConfigMap {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn values_come_from_the_topic_then_the_broker_then_kafka() {
        let file = map(&[
            ("log.retention.hours", "2"),
            ("log.roll.hours", "48"),
            ("log.flush.scheduler.interval.ms", "9"),
            ("compression.type", "lz4"),
        ]);
        let layers = BrokerConfigLayers::of_file(&file);
        let own = map(&[("cleanup.policy", "compact"), ("compression.type", "zstd")]);
        let settings = TopicSettings::new(&own, &layers);
        assert_eq!(settings.retention.retention_ms, 7_200_000);
        assert_eq!(settings.segments.segment_ms, 172_800_000);
        assert_eq!(settings.flush.flush_ms, 9);
        assert_eq!(settings.compression.codec, CompressionType::Zstd);
        assert_eq!(settings.retention.cleanup, CleanupPolicy { delete: false, compact: true });
        assert_eq!(settings.messages.max_message_bytes, 1_048_588);
    }
}
