//! `compression.type`: a batch that came with another codec than the topic wants is recompressed
//! as one block; its records stay as they are.

use bytes::BytesMut;
use strom_protocol::compression::{Codec, Codecs, Compression, CompressionError, ConversionLimits};
use strom_protocol::records::{BatchError, BatchHeader, HEADER_LENGTH, convert_batch};

use super::validate::{check_unfolding, count_unfolded};
use super::{AppendError, Log};
use crate::config::{CompressionType, LogConfig};

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
}

impl Log {
    /// The batch in the topic's codec; the same bytes when it has it already.
    pub(super) fn convert(
        &mut self,
        header: BatchHeader,
        batch: BytesMut,
    ) -> Result<BytesMut, AppendError> {
        let Some(target) = self.config.target_compression() else { return Ok(batch) };
        if header.codec_id() == target.codec.id() {
            return Ok(batch);
        }
        check_unfolding(&header, self.unfolding_left)?;
        let limit = self.config.max_message_bytes;
        let limits = ConversionLimits {
            unfolded: self.config.unfolded_bytes_max().min(self.unfolding_left),
            converted: (limit as usize).saturating_sub(HEADER_LENGTH),
        };
        let mut codecs = Codecs::new();
        let converted = convert_batch(&header, &batch, target, (&mut codecs, limits));
        count_unfolded(&mut self.unfolding_left, &codecs);
        match converted {
            Ok(converted) => Ok(BytesMut::from(bytes::Bytes::from(converted))),
            Err(BatchError::Compression(CompressionError::TooLarge { .. })) => {
                Err(AppendError::ConvertedTooLarge { limit })
            }
            Err(error) => Err(AppendError::invalid_record(error.to_string())),
        }
    }
}
