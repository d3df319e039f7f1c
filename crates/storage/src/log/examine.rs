//! What a leader finds out about a client's batch by a look at its records: whether the topic takes each
//! of them (keys on compacted topics, timestamps that the header alone does not prove to be in range), and the
//! batch in the topic's codec (`compression.type`).
//!
//! Apart from the log, which need not be at hand: a few hundred bytes that unfold to many take a hundred
//! milliseconds, and who serves others lets somebody else look.

use bytes::BytesMut;
use strom_base::Now;
use strom_protocol::compression::{Codec, Codecs, Compression, CompressionError, ConversionLimits};
use strom_protocol::records::{
    self, BatchError, BatchHeader, HEADER_LENGTH, NO_TIMESTAMP, RecordDemands, RecordSummary,
    Rejection, TimestampType, convert_batch, walk_records,
};

use super::{AppendError, Log, RecordError, validate};
use crate::config::{CompressionType, LogConfig};

/// Compressing a byte takes as long as looking at so many.
const CONVERSION_WEIGHT: usize = 4;
/// … and by a codec that tries hard as so many.
const SLOW_CONVERSION_WEIGHT: usize = 1024;

/// What is to be found out about a batch.
#[derive(Clone, Debug)]
pub struct Examination {
    header: BatchHeader,
    demands: Option<RecordDemands>,
    /// `None`: it stays as it came.
    target: Option<Compression>,
    terms: Terms,
}

/// What the answer depends on, beside the batch and the time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Terms {
    wants_keys: bool,
    timestamp_type: TimestampType,
    timestamp_before_max_ms: i64,
    timestamp_after_max_ms: i64,
    compression: Option<Compression>,
    /// `max.message.bytes`
    message_bytes_max: u32,
    unfolded_bytes_max: usize,
}

/// What was found: the batch in the topic's codec, if it came in another.
pub type Examined = Result<Option<BytesMut>, AppendError>;

impl LogConfig {
    /// `None`: whatever the producer chose.
    fn target_compression(&self) -> Option<Compression> {
        let (codec, level) = match self.compression {
            CompressionType::Producer => return None,
            CompressionType::Uncompressed => (Codec::None, None),
            CompressionType::Gzip => (Codec::Gzip, Some(self.compression_gzip_level)),
            CompressionType::Snappy => (Codec::Snappy, None),
            CompressionType::Lz4 => (Codec::Lz4, Some(self.compression_lz4_level)),
            CompressionType::Zstd => (Codec::Zstd, Some(self.compression_zstd_level)),
        };
        Some(Compression { codec, level })
    }

    fn terms(&self) -> Terms {
        Terms {
            wants_keys: self.cleanup.compact,
            timestamp_type: self.timestamp_type,
            timestamp_before_max_ms: self.timestamp_before_max_ms,
            timestamp_after_max_ms: self.timestamp_after_max_ms,
            compression: self.target_compression(),
            message_bytes_max: self.max_message_bytes,
            unfolded_bytes_max: self.unfolded_bytes_max(),
        }
    }

    fn latest_timestamp(&self, now: Now) -> i64 {
        now.wall_ms.saturating_add(self.timestamp_after_max_ms)
    }

    /// Whether the largest timestamp of a batch proves that the others are in range.
    fn is_in_range(&self, max_timestamp: i64, now: Now) -> bool {
        self.timestamp_type != TimestampType::CreateTime
            || max_timestamp == NO_TIMESTAMP
            || (self.timestamp_before_max_ms == i64::MAX
                && max_timestamp <= self.latest_timestamp(now))
    }

    /// What each record has to be; `None` where the header tells enough.
    fn demands_of(&self, header: &BatchHeader, now: Now) -> Option<RecordDemands> {
        let earliest = now.wall_ms.saturating_sub(self.timestamp_before_max_ms);
        let latest = self.latest_timestamp(now);
        let creates = self.timestamp_type == TimestampType::CreateTime;
        let in_range = self.is_in_range(header.max_timestamp, now);
        let keys = self.cleanup.compact;
        let demands = RecordDemands { keys, timestamps: creates.then_some(earliest..=latest) };
        (keys || !in_range).then_some(demands)
    }
}

impl Log {
    /// What is to be found out about the records of a client's batch; `None` where there is nothing, or no
    /// sound and new batch: [`Log::append_as_leader`] says what it is.
    #[must_use]
    pub fn examination_of(&self, now: Now, batches: &[u8]) -> Option<Examination> {
        let config = &self.config;
        if !config.cleanup.compact
            && config.compression == CompressionType::Producer
            && config.is_in_range(records::max_timestamp_of(batches)?, now)
        {
            // As nearly all: the append reads the header soon enough.
            return None;
        }
        let header = validate::client_batch(batches, config).ok()?;
        if header.has_producer_id() && self.duplicate_of(&header).is_some() {
            return None;
        }
        Examination::of(header, config, now)
    }
}

impl Examination {
    pub(super) fn of(header: BatchHeader, config: &LogConfig, now: Now) -> Option<Self> {
        let demands = config.demands_of(&header, now);
        let target = config.target_compression();
        let target = target.filter(|target| header.codec_id() != target.codec.id());
        (demands.is_some() || target.is_some()).then(|| Self {
            header,
            demands,
            target,
            terms: config.terms(),
        })
    }

    /// Whether what the other one finds out about the same batch goes for this one too, a little earlier or later.
    #[must_use]
    pub fn has_terms_of(&self, other: &Self) -> bool {
        self.terms == other.terms
    }

    /// How long it takes at the least, told in bytes of records that are looked at: compressed ones
    /// are more.
    #[must_use]
    pub fn least_bytes(&self) -> usize {
        let weight = match self.target {
            None => 1,
            Some(target) if target.is_slow() => SLOW_CONVERSION_WEIGHT,
            Some(_) => CONVERSION_WEIGHT,
        };
        self.header.size().saturating_mul(weight)
    }

    /// Looks at the batch; what it unfolds to is taken from `unfolding_left`.
    ///
    /// # Errors
    /// What the topic does not take.
    pub fn perform(&self, batches: &[u8], unfolding_left: &mut usize) -> Examined {
        let batch = batches.get(..self.header.size()).unwrap_or_default();
        if !records::verify_crc(batch) {
            // Its append says so.
            return Ok(None);
        }
        if let Some(demands) = &self.demands {
            self.look_at_each(batch, demands, unfolding_left)?;
        }
        match self.target {
            Some(target) => self.convert(batch, target, unfolding_left).map(Some),
            None => Ok(None),
        }
    }

    fn look_at_each(
        &self,
        batch: &[u8],
        demands: &RecordDemands,
        unfolding_left: &mut usize,
    ) -> Result<(), AppendError> {
        let (mut codecs, limit) = self.begin_unfolding(*unfolding_left)?;
        let walked = walk_records(&self.header, batch, (&mut codecs, limit), demands);
        count_unfolded(unfolding_left, &codecs);
        let summary = walked.map_err(|error| AppendError::invalid_record(error.to_string()))?;
        match summary.rejected_count {
            0 => Ok(()),
            _ => Err(rejected(&summary, &self.header, demands)),
        }
    }

    /// The batch as one block of the topic's codec; its records stay as they are.
    fn convert(
        &self,
        batch: &[u8],
        target: Compression,
        unfolding_left: &mut usize,
    ) -> Result<BytesMut, AppendError> {
        let (mut codecs, unfolded) = self.begin_unfolding(*unfolding_left)?;
        let limit = self.terms.message_bytes_max;
        let converted = (limit as usize).saturating_sub(HEADER_LENGTH);
        let limits = ConversionLimits { unfolded, converted };
        let converted = convert_batch(&self.header, batch, target, (&mut codecs, limits));
        count_unfolded(unfolding_left, &codecs);
        match converted {
            Ok(converted) => Ok(BytesMut::from(bytes::Bytes::from(converted))),
            Err(BatchError::Compression(CompressionError::TooLarge { .. })) => {
                Err(AppendError::ConvertedTooLarge { limit })
            }
            Err(error) => Err(AppendError::invalid_record(error.to_string())),
        }
    }

    /// Who has used up what may be unfolded is not looked into at all: also to begin with it takes time.
    fn begin_unfolding(&self, left: usize) -> Result<(Codecs, usize), AppendError> {
        if left == 0 && self.header.codec() != Ok(Codec::None) {
            let reason = "the batches before it in the request unfold to too much";
            return Err(AppendError::invalid_record(reason));
        }
        Ok((Codecs::new(), self.terms.unfolded_bytes_max.min(left)))
    }
}

/// Takes what was unfolded from what may be.
fn count_unfolded(left: &mut usize, codecs: &Codecs) {
    let bytes = usize::try_from(codecs.unfolded_bytes()).unwrap_or(usize::MAX);
    *left = left.saturating_sub(bytes);
}

fn rejected(summary: &RecordSummary, header: &BatchHeader, demands: &RecordDemands) -> AppendError {
    let message = |index: i32, rejection: &Rejection| match rejection {
        Rejection::NoKey => "Compacted topic cannot accept message without key.".to_owned(),
        Rejection::Timestamp(timestamp) => {
            let (earliest, latest) =
                demands.timestamps.as_ref().map_or((0, 0), |range| (*range.start(), *range.end()));
            let offset = header.base_offset.saturating_add(i64::from(index));
            format!(
                "Timestamp {timestamp} of message with offset {offset} is out of range. \
                 The timestamp should be within [{earliest}, {latest}]"
            )
        }
    };
    let records: Vec<RecordError> = summary
        .rejected
        .iter()
        .map(|(index, why)| RecordError { batch_index: *index, message: message(*index, why) })
        .collect();
    if summary.rejects_timestamps {
        return AppendError::InvalidTimestamp { records };
    }
    let reason = format!(
        "One or more records have been rejected due to {} record errors in total",
        summary.rejected_count
    );
    AppendError::InvalidRecord { reason, records }
}
