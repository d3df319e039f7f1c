//! gzip, by flate2 on zlib-rs.

use std::io::{Read, Write};

use flate2::Compression as Level;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{Codec, CompressionError};

/// The least that the output grows by.
const CHUNK: usize = 16 * 1024;

pub(super) fn level_of(level: Option<i32>) -> Level {
    match level {
        None | Some(-1) => Level::default(),
        Some(level) => Level::new(level.clamp(1, 9) as u32),
    }
}

pub(super) fn compress(
    level: Option<i32>,
    input: &[u8],
    output: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let mut encoder = GzEncoder::new(output, level_of(level));
    encoder
        .write_all(input)
        .and_then(|()| encoder.finish().map(drop))
        .map_err(|_| CompressionError::Failed { codec: Codec::Gzip, reason: "the encoder stopped" })
}

pub(super) fn decompress(input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    // Java's stream goes on through concatenated members, so this one does too.
    let mut decoder = MultiGzDecoder::new(input);
    let mut output = Vec::new();
    loop {
        let filled = output.len();
        // One byte of room beyond the limit tells a stream that ends there from one that goes on.
        let room = filled.max(CHUNK).min((limit - filled).saturating_add(1));
        output.reserve_exact(room);
        output.resize(filled + room, 0);
        let read = match output.get_mut(filled..).map(|room| decoder.read(room)) {
            Some(Ok(read)) => read,
            _ => return Err(corrupt()),
        };
        output.truncate(filled + read);
        if read == 0 {
            return Ok(output);
        }
        if output.len() > limit {
            return Err(CompressionError::Limit { limit });
        }
    }
}

fn corrupt() -> CompressionError {
    CompressionError::Corrupt { codec: Codec::Gzip, reason: "the stream is broken or cut off" }
}
