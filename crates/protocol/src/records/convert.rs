//! A batch in another codec: its records are checked on the way and stay as they are.

use super::header::CODEC_MASK;
use super::pieces::PieceWalk;
use super::{BatchError, BatchHeader, HEADER_LENGTH, refresh_crc};
use crate::compression::{Codecs, Compression, ConversionLimits};

/// The whole batch with its records in the codec `to`. What lies between the two codecs is never held
/// whole.
///
/// # Errors
/// What is wrong with the bytes or a record, [`crate::compression::CompressionError::TooLarge`] for a
/// body beyond its limit.
pub fn convert_batch(
    header: &BatchHeader,
    batch: &[u8],
    to: Compression,
    (codecs, limits): (&mut Codecs, ConversionLimits),
) -> Result<Vec<u8>, BatchError> {
    let body = batch.get(HEADER_LENGTH..header.size()).ok_or(BatchError::Truncated)?;
    let mut walk = PieceWalk::new(header.record_count);
    let (mut index, mut found) = (0, Ok(true));
    let mut look = |piece: &[u8]| {
        let mut misplaced = None;
        found = walk.take(piece, &mut |record| {
            if record.offset_delta != index {
                misplaced = Some(BatchError::OffsetDelta { index, delta: record.offset_delta });
            }
            index += 1;
            misplaced.is_none()
        });
        if let Some(error) = misplaced {
            found = Err(error);
        }
        found == Ok(true)
    };
    let body = codecs.recompress((header.codec()?, body), to, limits, &mut look)?;
    found?;
    walk.finish()?;
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend_from_slice(&body.unwrap_or_default());
    let length = bytes.len().saturating_sub(super::LOG_OVERHEAD);
    let header = BatchHeader {
        batch_length: i32::try_from(length).map_err(|_| BatchError::TooLarge)?,
        attributes: (header.attributes & !CODEC_MASK) | to.codec.id(),
        ..*header
    };
    if let Some(place) = bytes.first_chunk_mut() {
        *place = header.to_bytes();
    }
    refresh_crc(&mut bytes);
    Ok(bytes)
}
