//! A topic's settings as its logs take them.

use strom_base::config::TopicSettings;
use strom_base::config::topic_settings::CompressionType as Configured;
use strom_storage::LogConfig;
use strom_storage::config::{CleanupPolicy, CompressionType, TimestampType};

pub(super) fn of(topic: &TopicSettings, producer_id_expiration_ms: i64) -> LogConfig {
    let TopicSettings { segments, retention, compaction, compression, messages, flush } = topic;
    LogConfig {
        segment_bytes: segments.segment_bytes,
        segment_ms: segments.segment_ms,
        segment_jitter_ms: segments.segment_jitter_ms,
        segment_index_bytes: segments.segment_index_bytes,
        index_interval_bytes: segments.index_interval_bytes,
        flush_messages: flush.flush_messages,
        flush_ms: flush.flush_ms,
        file_delete_delay_ms: segments.file_delete_delay_ms,
        preallocate: segments.preallocate,
        cleanup: CleanupPolicy {
            delete: retention.cleanup.delete,
            compact: retention.cleanup.compact,
        },
        retention_bytes: retention.retention_bytes,
        retention_ms: retention.retention_ms,
        max_message_bytes: messages.max_message_bytes,
        compression: match compression.codec {
            Configured::Producer => CompressionType::Producer,
            Configured::Uncompressed => CompressionType::Uncompressed,
            Configured::Gzip => CompressionType::Gzip,
            Configured::Snappy => CompressionType::Snappy,
            Configured::Lz4 => CompressionType::Lz4,
            Configured::Zstd => CompressionType::Zstd,
        },
        compression_gzip_level: compression.gzip_level,
        compression_lz4_level: compression.lz4_level,
        compression_zstd_level: compression.zstd_level,
        timestamp_type: if messages.is_log_append_time {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        },
        timestamp_before_max_ms: messages.timestamp_before_max_ms,
        timestamp_after_max_ms: messages.timestamp_after_max_ms,
        min_compaction_lag_ms: compaction.min_compaction_lag_ms,
        max_compaction_lag_ms: compaction.max_compaction_lag_ms,
        min_cleanable_dirty_ratio: compaction.min_cleanable_dirty_ratio,
        delete_retention_ms: compaction.delete_retention_ms,
        producer_id_expiration_ms,
    }
}
