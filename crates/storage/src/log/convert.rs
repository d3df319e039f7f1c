//! `compression.type`: a batch that came with another codec than the topic wants is recompressed
//! as one block; its records stay as they are.

use bytes::BytesMut;
use strom_protocol::compression::{Codec, Codecs, Compression};
use strom_protocol::records::{BatchError, BatchHeader, body_of, refresh_crc};

use super::{AppendError, Log};
use crate::config::{CompressionType, LogConfig};

const CODEC_MASK: i16 = 0x07;

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
        &self,
        header: BatchHeader,
        batch: BytesMut,
    ) -> Result<BytesMut, AppendError> {
        let Some(target) = self.config.target_compression() else { return Ok(batch) };
        if header.codec_id() == target.codec.id() {
            return Ok(batch);
        }
        let converted = recompress(&header, &batch, target, self.config.decompressed_bytes_max())
            .map_err(|error| AppendError::invalid_record(error.to_string()))?;
        let limit = self.config.max_message_bytes;
        if converted.len() > limit as usize {
            return Err(AppendError::BatchTooLarge { size: converted.len(), limit });
        }
        Ok(converted)
    }
}

fn recompress(
    header: &BatchHeader,
    batch: &[u8],
    target: Compression,
    limit: usize,
) -> Result<BytesMut, BatchError> {
    let mut codecs = Codecs::new();
    let body = body_of(header, batch, &mut codecs, limit)?;
    let mut bytes = header.to_bytes().to_vec();
    codecs.compress(target, &body, &mut bytes)?;
    let added = bytes.len() as i64 - header.size() as i64;
    let length = i64::from(header.batch_length).saturating_add(added);
    let header = BatchHeader {
        batch_length: i32::try_from(length).map_err(|_| BatchError::TooLarge)?,
        attributes: (header.attributes & !CODEC_MASK) | target.codec.id(),
        ..*header
    };
    if let Some(place) = bytes.first_chunk_mut() {
        *place = header.to_bytes();
    }
    refresh_crc(&mut bytes);
    Ok(BytesMut::from(bytes::Bytes::from(bytes)))
}
