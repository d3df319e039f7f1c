//! lz4 frames as Kafka's: version 1, independent blocks, over lz4_flex's blocks.
//!
//! `04 22 4d 18 | FLG | BD | [content size 8] | HC | { u32 length, block, [checksum] }* | 0 | [checksum]`,
//! all little-endian. The frame is walked here, not by a stream, so that blocks are decompressed
//! right where they belong and the broken header checksum of magic 0 can be let pass.

use lz4_flex::block::{
    CompressTable, DecompressError, compress_into_with_table, decompress_into,
    get_maximum_output_size,
};

use super::xxhash::xxh32;
use super::{Codec, CompressionError};

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// Version 1, independent blocks, no checksums; blocks of 64 KiB; the checksum of these two.
const WRITTEN_DESCRIPTOR: [u8; 3] = [0x60, 0x40, 0x82];
const WRITTEN_BLOCK: usize = 64 * 1024;
const END_MARK: u32 = 0;
/// Set in a block's length when the block is stored as it is.
const STORED: u32 = 0x8000_0000;
/// No block decompresses to more of its bytes.
pub(super) const MAX_RATIO: usize = 255;

/// Bits of FLG.
const VERSION_MASK: u8 = 0xc0;
const VERSION_1: u8 = 0x40;
const INDEPENDENT_BLOCKS: u8 = 0x20;
const BLOCK_CHECKSUM: u8 = 0x10;
const CONTENT_SIZE: u8 = 0x08;
const CONTENT_CHECKSUM: u8 = 0x04;
const RESERVED: u8 = 0x03;

/// What to do about the checksum of a frame's header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderChecksum {
    Checked,
    Ignored,
}

#[derive(Default)]
pub(super) struct Contexts {
    table: Option<CompressTable>,
}

impl Contexts {
    pub(super) fn compress(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        begin(output);
        self.append_blocks(input, output)?;
        end(output);
        Ok(())
    }

    /// The blocks of a frame that has begun.
    pub(super) fn append_blocks(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        let table = self.table.get_or_insert_with(CompressTable::default);
        for block in input.chunks(WRITTEN_BLOCK) {
            let start = output.len();
            output.resize(start + 4 + get_maximum_output_size(block.len()), 0);
            let (length, room) = output
                .get_mut(start..)
                .unwrap_or_default()
                .split_at_mut_checked(4)
                .ok_or(FAILED)?;
            let written = compress_into_with_table(block, room, table).map_err(|_| FAILED)?;
            if written < block.len() {
                length.copy_from_slice(&(written as u32).to_le_bytes());
                output.truncate(start + 4 + written);
            } else {
                length.copy_from_slice(&(block.len() as u32 | STORED).to_le_bytes());
                output.truncate(start + 4);
                output.extend_from_slice(block);
            }
        }
        Ok(())
    }
}

/// What every frame begins with …
pub(super) fn begin(output: &mut Vec<u8>) {
    output.extend_from_slice(&MAGIC);
    output.extend_from_slice(&WRITTEN_DESCRIPTOR);
}

/// … and ends with.
pub(super) fn end(output: &mut Vec<u8>) {
    output.extend_from_slice(&END_MARK.to_le_bytes());
}

/// Decompresses one frame. As in Java, what follows it is not looked at.
pub(super) fn decompress(
    input: &[u8],
    limit: usize,
    header_checksum: HeaderChecksum,
) -> Result<Vec<u8>, CompressionError> {
    let mut rest = input;
    let frame = Frame::read(&mut rest, header_checksum)?;
    let mut output = Vec::new();
    while let Some(block) = frame.next_block(&mut rest)? {
        frame.append(block, &mut output, limit)?;
    }
    if frame.has_content_checksum && u32::from_le_bytes(take(&mut rest)?) != xxh32(&output) {
        return Err(corrupt("the content's checksum does not match"));
    }
    Ok(output)
}

/// Gives out block by block. The checksum of the whole content is not looked at, as in Java.
pub(super) fn unfold(
    input: &[u8],
    give: &mut dyn FnMut(&[u8]) -> Result<bool, CompressionError>,
) -> Result<(), CompressionError> {
    let mut rest = input;
    let frame = Frame::read(&mut rest, HeaderChecksum::Checked)?;
    let mut output = Vec::new();
    while let Some(block) = frame.next_block(&mut rest)? {
        output.clear();
        frame.append(block, &mut output, usize::MAX)?;
        if !give(&output)? {
            return Ok(());
        }
    }
    if frame.has_content_checksum {
        take::<4>(&mut rest)?;
    }
    Ok(())
}

/// One block as it lies in the frame.
#[derive(Clone, Copy)]
struct Block<'a> {
    bytes: &'a [u8],
    is_stored: bool,
}

/// `limit` bounds the whole output, `block_limit` this block's.
fn append_block(
    block: &[u8],
    output: &mut Vec<u8>,
    block_limit: usize,
    limit: usize,
) -> Result<(), CompressionError> {
    let filled = output.len();
    let possible = block.len().saturating_mul(MAX_RATIO).min(block_limit);
    let room = possible.min(limit - filled);
    output.resize(filled + room, 0);
    match decompress_into(block, output.get_mut(filled..).unwrap_or_default()) {
        Ok(written) => {
            output.truncate(filled + written);
            Ok(())
        }
        Err(DecompressError::OutputTooSmall { .. }) if room < possible => {
            Err(CompressionError::Limit { limit })
        }
        Err(_) => Err(corrupt("a block is broken")),
    }
}

/// What a frame's header says.
struct Frame {
    block_limit: usize,
    has_block_checksums: bool,
    has_content_checksum: bool,
}

impl Frame {
    /// `None` at the end mark.
    fn next_block<'a>(&self, rest: &mut &'a [u8]) -> Result<Option<Block<'a>>, CompressionError> {
        let length = u32::from_le_bytes(take(rest)?);
        if length == END_MARK {
            return Ok(None);
        }
        let is_stored = length & STORED != 0;
        let length = (length & !STORED) as usize;
        if length > self.block_limit {
            return Err(corrupt("a block is larger than the frame allows"));
        }
        let (bytes, behind) = rest.split_at_checked(length).ok_or(CUT_OFF)?;
        *rest = behind;
        if self.has_block_checksums && u32::from_le_bytes(take(rest)?) != xxh32(bytes) {
            return Err(corrupt("a block's checksum does not match"));
        }
        Ok(Some(Block { bytes, is_stored }))
    }

    /// `limit` bounds the whole output.
    fn append(
        &self,
        block: Block<'_>,
        output: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), CompressionError> {
        if !block.is_stored {
            return append_block(block.bytes, output, self.block_limit, limit);
        }
        if block.bytes.len() > limit - output.len() {
            return Err(CompressionError::Limit { limit });
        }
        output.extend_from_slice(block.bytes);
        Ok(())
    }

    fn read(rest: &mut &[u8], checksum: HeaderChecksum) -> Result<Frame, CompressionError> {
        if take(rest)? != MAGIC {
            return Err(corrupt("the frame does not begin as one"));
        }
        let descriptor = *rest;
        let [flags, block_descriptor] = take(rest)?;
        if flags & VERSION_MASK != VERSION_1 || flags & RESERVED != 0 {
            return Err(corrupt("the frame's version or flags are unknown"));
        }
        if flags & INDEPENDENT_BLOCKS == 0 {
            return Err(corrupt("the frame's blocks depend on each other"));
        }
        if flags & CONTENT_SIZE != 0 {
            take::<8>(rest)?;
        }
        let length = descriptor.len() - rest.len();
        let [expected] = take(rest)?;
        let actual = (xxh32(descriptor.get(..length).unwrap_or_default()) >> 8) as u8;
        if checksum == HeaderChecksum::Checked && expected != actual {
            return Err(corrupt("the header's checksum does not match"));
        }
        let block_limit = match block_descriptor {
            0x40 => 64 * 1024,
            0x50 => 256 * 1024,
            0x60 => 1024 * 1024,
            0x70 => 4 * 1024 * 1024,
            _ => return Err(corrupt("the frame's block size is unknown")),
        };
        Ok(Frame {
            block_limit,
            has_block_checksums: flags & BLOCK_CHECKSUM != 0,
            has_content_checksum: flags & CONTENT_CHECKSUM != 0,
        })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], CompressionError> {
    let (taken, behind) = rest.split_first_chunk().ok_or(CUT_OFF)?;
    *rest = behind;
    Ok(*taken)
}

const CUT_OFF: CompressionError =
    CompressionError::Corrupt { codec: Codec::Lz4, reason: "the frame is cut off" };
const FAILED: CompressionError =
    CompressionError::Failed { codec: Codec::Lz4, reason: "a block did not fit" };

fn corrupt(reason: &'static str) -> CompressionError {
    CompressionError::Corrupt { codec: Codec::Lz4, reason }
}
