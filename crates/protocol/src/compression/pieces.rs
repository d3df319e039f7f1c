//! Decompression in pieces: what is inside can be far larger than what is held.
//!
//! At most one block is held: 32 KiB of gzip, 128 KiB of zstd and its window (128 MiB at most, what
//! Java takes too, and no more of it is touched than there is content), 4 MiB of lz4, and of snappy
//! 22 times the bytes received where its sender made one block of all.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;

use super::{Codec, Codecs, CompressionError, lz4, snappy};

const GZIP_PIECE: usize = 32 * 1024;
const ZSTD_PIECE: usize = 128 * 1024;
/// What Java's zstd takes.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

impl Codecs {
    /// Gives the decompressed form of `input` to `take` piece by piece, until that says false.
    ///
    /// # Errors
    /// Bytes that are none of the codec's, more than `limit` of them, or what `take` says. Pieces
    /// before that were given already.
    pub fn unfold(
        &mut self,
        codec: Codec,
        input: &[u8],
        limit: usize,
        take: &mut dyn FnMut(&[u8]) -> Result<bool, CompressionError>,
    ) -> Result<(), CompressionError> {
        let (mut left, mut given) = (limit, 0);
        let mut within = |piece: &[u8]| {
            given += piece.len() as u64;
            left = left.checked_sub(piece.len()).ok_or(CompressionError::Limit { limit })?;
            take(piece)
        };
        let unfolded = match codec {
            Codec::None => within(input).map(drop),
            Codec::Gzip => read_all(codec, MultiGzDecoder::new(input), GZIP_PIECE, &mut within),
            Codec::Snappy => snappy::unfold(input, &mut within),
            Codec::Lz4 => lz4::unfold(input, &mut within),
            Codec::Zstd => {
                if input.is_empty() {
                    let reason = "there is no frame";
                    return Err(CompressionError::Corrupt { codec, reason });
                }
                let failed = |_| CompressionError::Failed { codec, reason: "no decoder" };
                let mut decoder = zstd::Decoder::with_buffer(input).map_err(failed)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(failed)?;
                read_all(codec, decoder, ZSTD_PIECE, &mut within)
            }
        };
        self.unfolded_bytes += given;
        unfolded
    }
}

fn read_all(
    codec: Codec,
    mut decoder: impl Read,
    piece: usize,
    take: &mut dyn FnMut(&[u8]) -> Result<bool, CompressionError>,
) -> Result<(), CompressionError> {
    let mut room = vec![0; piece];
    loop {
        let read = decoder.read(&mut room).map_err(|_| CompressionError::Corrupt {
            codec,
            reason: "the stream is broken or cut off",
        })?;
        let filled = room.get(..read).unwrap_or_default();
        if filled.is_empty() || !take(filled)? {
            return Ok(());
        }
    }
}
