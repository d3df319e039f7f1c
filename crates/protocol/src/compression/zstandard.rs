//! zstd, by the reference implementation, in one shot and with contexts that are kept.
//!
//! One shot into an output that grows by fours: unlike a stream it needs no window of its own, so
//! the output is all that a frame can make us allocate.

use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, compress_bound, get_error_name, get_frame_content_size, max_c_level,
    min_c_level,
};

use super::{Codec, CompressionError};

/// Kafka's `compression.zstd.level`.
const DEFAULT_LEVEL: i32 = 3;
/// The room a first attempt has at least; later ones have four times as much each.
const FIRST_ROOM: usize = 64 * 1024;
/// How much a first attempt expects the input to grow by.
const FIRST_RATIO: usize = 16;
const GROWTH: usize = 4;
/// `ZSTD_error_dstSize_tooSmall` as a result code: the number, negated.
const DESTINATION_TOO_SMALL: usize = 70_usize.wrapping_neg();

#[derive(Default)]
pub(super) struct Contexts {
    compress: Option<CCtx<'static>>,
    decompress: Option<DCtx<'static>>,
    /// What the compression context is set to.
    level: Option<i32>,
}

pub(super) fn level_of(level: Option<i32>) -> i32 {
    level.unwrap_or(DEFAULT_LEVEL).clamp(min_c_level(), max_c_level())
}

impl Contexts {
    pub(super) fn compress(
        &mut self,
        level: Option<i32>,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        let failed =
            |code| CompressionError::Failed { codec: Codec::Zstd, reason: get_error_name(code) };
        let level = level_of(level);
        let context = self.compress.get_or_insert_with(CCtx::create);
        if self.level != Some(level) {
            context.set_parameter(CParameter::CompressionLevel(level)).map_err(failed)?;
            self.level = Some(level);
        }
        let filled = output.len();
        let written = {
            output.resize(filled.saturating_add(compress_bound(input.len())), 0);
            let room = output.get_mut(filled..).unwrap_or_default();
            context.compress2(room, input).map_err(failed)?
        };
        output.truncate(filled + written);
        Ok(())
    }

    pub(super) fn decompress(
        &mut self,
        input: &[u8],
        limit: usize,
    ) -> Result<Vec<u8>, CompressionError> {
        if input.is_empty() {
            let reason = "there is no frame";
            return Err(CompressionError::Corrupt { codec: Codec::Zstd, reason });
        }
        let context = self.decompress.get_or_insert_with(DCtx::create);
        // The frame's claim only ever makes the first attempt smaller.
        let claimed = match get_frame_content_size(input) {
            Ok(Some(claimed)) => usize::try_from(claimed).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        let mut room =
            input.len().saturating_mul(FIRST_RATIO).max(FIRST_ROOM).min(claimed).min(limit);
        loop {
            // zstd writes into the capacity: nothing is zeroed before.
            let mut output: Vec<u8> = Vec::with_capacity(room);
            match context.decompress(&mut output, input) {
                Ok(_) if output.len() > limit => return Err(CompressionError::Limit { limit }),
                Ok(_) => return Ok(output),
                Err(DESTINATION_TOO_SMALL) if room >= limit => {
                    return Err(CompressionError::Limit { limit });
                }
                Err(DESTINATION_TOO_SMALL) => {
                    room = room.max(FIRST_ROOM).saturating_mul(GROWTH).min(limit);
                }
                Err(code) => {
                    let reason = get_error_name(code);
                    return Err(CompressionError::Corrupt { codec: Codec::Zstd, reason });
                }
            }
        }
    }
}
