//! Snappy in the framing of snappy-java ("xerial"), and plain as librdkafka and others send it.
//!
//! Framing: `82 'S' 'N' 'A' 'P' 'P' 'Y' 00 | i32 version 1 | i32 compatible 1 | { i32 length, block }*`.
//! A second header may follow between blocks: streams can be concatenated.

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::{Codec, CompressionError};

const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
const MAGIC_HEAD: [u8; 4] = *b"\x82SNA";
const HEADER_LENGTH: usize = 16;
const VERSION: i32 = 1;
/// Uncompressed bytes of a block as snappy-java writes it.
const BLOCK: usize = 32 * 1024;
/// No element of the format makes more output of its bytes: three bytes copy 64.
const MAX_RATIO: usize = 22;

#[derive(Default)]
pub(super) struct Contexts {
    encoder: Option<Encoder>,
}

impl Contexts {
    pub(super) fn compress(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        let encoder = self.encoder.get_or_insert_with(Encoder::new);
        output.extend_from_slice(&MAGIC);
        output.extend_from_slice(&VERSION.to_be_bytes());
        output.extend_from_slice(&VERSION.to_be_bytes());
        for block in input.chunks(BLOCK) {
            let start = output.len();
            output.resize(start + 4 + max_compress_len(block.len()), 0);
            let (length, room) = output
                .get_mut(start..)
                .unwrap_or_default()
                .split_at_mut_checked(4)
                .ok_or(FAILED)?;
            let written = encoder.compress(block, room).map_err(|_| FAILED)?;
            length.copy_from_slice(&(written as i32).to_be_bytes());
            output.truncate(start + 4 + written);
        }
        Ok(())
    }

    pub(super) fn decompress(
        &mut self,
        input: &[u8],
        limit: usize,
    ) -> Result<Vec<u8>, CompressionError> {
        let mut output = Vec::new();
        if !input.starts_with(&MAGIC) {
            append_block(input, &mut output, limit)?;
            return Ok(output);
        }
        let mut rest = input.get(HEADER_LENGTH..).ok_or(corrupt("the header is cut off"))?;
        while !rest.is_empty() {
            let (length, behind) =
                rest.split_first_chunk::<4>().ok_or(corrupt("a block's length is cut off"))?;
            if *length == MAGIC_HEAD {
                rest = rest.get(HEADER_LENGTH..).ok_or(corrupt("a header is cut off"))?;
                continue;
            }
            let length = usize::try_from(i32::from_be_bytes(*length))
                .map_err(|_| corrupt("a block has a negative length"))?;
            let (block, behind) =
                behind.split_at_checked(length).ok_or(corrupt("a block is cut off"))?;
            append_block(block, &mut output, limit)?;
            rest = behind;
        }
        Ok(output)
    }
}

/// `limit` bounds the whole output.
fn append_block(block: &[u8], output: &mut Vec<u8>, limit: usize) -> Result<(), CompressionError> {
    let broken = corrupt("a block is broken");
    let length = decompress_len(block).map_err(|_| broken)?;
    let filled = output.len();
    if length > limit - filled {
        return Err(CompressionError::Limit { limit });
    }
    if length > block.len().saturating_mul(MAX_RATIO) {
        return Err(corrupt("a block claims more than it can hold"));
    }
    output.resize(filled + length, 0);
    let room = output.get_mut(filled..).unwrap_or_default();
    let written = Decoder::new().decompress(block, room).map_err(|_| broken)?;
    output.truncate(filled + written);
    Ok(())
}

const FAILED: CompressionError =
    CompressionError::Failed { codec: Codec::Snappy, reason: "a block did not fit" };

fn corrupt(reason: &'static str) -> CompressionError {
    CompressionError::Corrupt { codec: Codec::Snappy, reason }
}
