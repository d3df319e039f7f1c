//! What a topic's configuration says about its logs. Parsed elsewhere; here it is numbers.

pub use strom_protocol::records::TimestampType;

/// The topic-level settings a log obeys, under their topic names (`segment.bytes`, …).
/// Shared by all logs of a topic. `Default` is Kafka's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    pub segment_bytes: u32,
    pub segment_ms: i64,
    pub segment_jitter_ms: i64,
    pub segment_index_bytes: u32,
    pub index_interval_bytes: u32,
    /// Records after which a log is synced; `i64::MAX`: never by count.
    pub flush_messages: i64,
    /// Age of unsynced records at which a log is synced; `i64::MAX`: never by time.
    pub flush_ms: i64,
    pub file_delete_delay_ms: i64,
    /// A new segment's file gets the size of a full one at once, and its own when it is closed.
    pub preallocate: bool,
    pub cleanup: CleanupPolicy,
    /// Bytes; negative: unlimited.
    pub retention_bytes: i64,
    /// Negative: unlimited.
    pub retention_ms: i64,
    pub max_message_bytes: u32,
    pub compression: CompressionType,
    pub compression_gzip_level: i32,
    pub compression_lz4_level: i32,
    pub compression_zstd_level: i32,
    pub timestamp_type: TimestampType,
    pub timestamp_before_max_ms: i64,
    pub timestamp_after_max_ms: i64,
    pub min_compaction_lag_ms: i64,
    pub max_compaction_lag_ms: i64,
    pub min_cleanable_dirty_ratio: f64,
    pub delete_retention_ms: i64,
    /// A broker setting (`producer.id.expiration.ms`), here because it bounds producer state.
    pub producer_id_expiration_ms: i64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 604_800_000,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            file_delete_delay_ms: 60_000,
            preallocate: false,
            cleanup: CleanupPolicy { delete: true, compact: false },
            retention_bytes: -1,
            retention_ms: 604_800_000,
            max_message_bytes: 1_048_588,
            compression: CompressionType::Producer,
            compression_gzip_level: -1,
            compression_lz4_level: 9,
            compression_zstd_level: 3,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_dirty_ratio: 0.5,
            delete_retention_ms: 86_400_000,
            producer_id_expiration_ms: 86_400_000,
        }
    }
}

/// `cleanup.policy`. Neither: keep forever (Kafka 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    pub delete: bool,
    pub compact: bool,
}

/// `compression.type` of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionType {
    /// Whatever the producer chose is kept.
    Producer,
    Uncompressed,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl LogConfig {
    /// How long a segment may grow: compaction wants its lag kept as well.
    pub(crate) fn segment_age_max_ms(&self) -> i64 {
        if self.cleanup.compact && self.max_compaction_lag_ms > 0 {
            self.segment_ms.min(self.max_compaction_lag_ms)
        } else {
            self.segment_ms
        }
    }

    /// Bytes appended between two syncs in the background: what recovery has to look at after a kill
    /// is little more. 64 MiB of Kafka's default segments, and not much less of small ones.
    pub(crate) fn background_sync_bytes(&self) -> u64 {
        u64::from(self.segment_bytes / 16).clamp(16 << 10, 64 << 20)
    }

    pub(crate) fn offset_entries_max(&self) -> u32 {
        self.segment_index_bytes / 8
    }

    /// One entry is kept free for the one that closing a segment adds.
    pub(crate) fn time_entries_max(&self) -> u32 {
        (self.segment_index_bytes / 12).saturating_sub(1)
    }

    /// What a batch may unfold to where its records are walked: far more than producers put into one,
    /// which bound it before they compress it. A piece of it is held, never all; the bound is of time.
    pub(crate) fn unfolded_bytes_max(&self) -> usize {
        (self.max_message_bytes as usize).saturating_mul(16).max(16 << 20)
    }
}
