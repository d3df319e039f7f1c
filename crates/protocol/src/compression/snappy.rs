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
pub(super) const MAX_RATIO: usize = 22;

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
        begin(output);
        self.append_blocks(input, output)
    }

    /// The blocks of a stream that has begun.
    pub(super) fn append_blocks(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        let encoder = self.encoder.get_or_insert_with(Encoder::new);
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
        for block in Blocks::of(input)? {
            append_block(block?, &mut output, limit)?;
        }
        Ok(output)
    }
}

/// What every stream begins with.
pub(super) fn begin(output: &mut Vec<u8>) {
    output.extend_from_slice(&MAGIC);
    output.extend_from_slice(&VERSION.to_be_bytes());
    output.extend_from_slice(&VERSION.to_be_bytes());
}

/// Gives out block by block; a plain stream is one block.
pub(super) fn unfold(
    input: &[u8],
    take: &mut dyn FnMut(&[u8]) -> Result<bool, CompressionError>,
) -> Result<(), CompressionError> {
    let mut output = Vec::new();
    for block in Blocks::of(input)? {
        output.clear();
        append_block(block?, &mut output, usize::MAX)?;
        if !take(&output)? {
            break;
        }
    }
    Ok(())
}

/// The blocks of a stream, in either framing.
struct Blocks<'a> {
    rest: &'a [u8],
    is_plain: bool,
}

impl<'a> Blocks<'a> {
    fn of(input: &'a [u8]) -> Result<Self, CompressionError> {
        if !input.starts_with(&MAGIC) {
            return Ok(Self { rest: input, is_plain: true });
        }
        let rest = input.get(HEADER_LENGTH..).ok_or(corrupt("the header is cut off"))?;
        Ok(Self { rest, is_plain: false })
    }

    fn read(&mut self) -> Result<Option<&'a [u8]>, CompressionError> {
        loop {
            if self.rest.is_empty() {
                return Ok(None);
            }
            let (length, behind) =
                self.rest.split_first_chunk::<4>().ok_or(corrupt("a block's length is cut off"))?;
            if *length == MAGIC_HEAD {
                self.rest = self.rest.get(HEADER_LENGTH..).ok_or(corrupt("a header is cut off"))?;
                continue;
            }
            let length = usize::try_from(i32::from_be_bytes(*length))
                .map_err(|_| corrupt("a block has a negative length"))?;
            let (block, behind) =
                behind.split_at_checked(length).ok_or(corrupt("a block is cut off"))?;
            self.rest = behind;
            return Ok(Some(block));
        }
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Result<&'a [u8], CompressionError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_plain {
            // Also an empty one, which is broken.
            self.is_plain = false;
            return Some(Ok(std::mem::take(&mut self.rest)));
        }
        self.read().transpose()
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
