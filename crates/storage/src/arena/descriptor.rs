//! What an arena says of a chunk to who finds it after the process has died.
//!
//! A slot of [`SLOT_BYTES`] for each unit of the arena, in use where a chunk begins:
//!
//! ```text
//!  0  u32 end, u32 begin   bytes of the chunk that its file does not have yet; equal: none
//!  8  u32                  CRC-32C of all below
//! 12  u16                  length of the path
//! 14  u16                  0
//! 16  u64                  position in the file of the chunk's first byte
//! 24  [u8; 488]            path of the file below its log directory, in UTF-8
//! ```
//!
//! All numbers are little-endian; the first eight bytes are one word that changes in one step.

use strom_protocol::records::crc32c;

use super::space::BLOCK_BYTES;

pub const SLOT_BYTES: usize = 512;
/// What follows a slot's extent.
pub const DESCRIPTOR_BYTES: usize = SLOT_BYTES - 8;
const PATH_AT: usize = 16;
const PATH_BYTES_MAX: usize = DESCRIPTOR_BYTES - PATH_AT;

/// A range of bytes of one chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    pub begin: u32,
    pub end: u32,
}

impl Extent {
    #[must_use]
    pub fn to_word(self) -> u64 {
        u64::from(self.end) | (u64::from(self.begin) << 32)
    }

    /// `None` for no bytes, and for what no chunk can hold.
    #[must_use]
    pub fn from_word(word: u64) -> Option<Extent> {
        let (begin, end) = ((word >> 32) as u32, word as u32);
        (begin < end && end as usize <= BLOCK_BYTES).then_some(Extent { begin, end })
    }
}

/// Which bytes of which file a chunk holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Descriptor<'a> {
    pub(super) position: u64,
    pub(super) path: &'a str,
}

impl<'a> Descriptor<'a> {
    /// `None` for a path that is too long, as no file of a log has one.
    pub(super) fn encode(&self) -> Option<[u8; DESCRIPTOR_BYTES]> {
        let path = self.path.as_bytes();
        if path.len() > PATH_BYTES_MAX {
            return None;
        }
        let mut bytes = [0; DESCRIPTOR_BYTES];
        bytes[4..6].copy_from_slice(&(path.len() as u16).to_le_bytes());
        bytes[8..PATH_AT].copy_from_slice(&self.position.to_le_bytes());
        bytes[PATH_AT..PATH_AT + path.len()].copy_from_slice(path);
        let checksum = crc32c(&bytes[4..]);
        bytes[..4].copy_from_slice(&checksum.to_le_bytes());
        Some(bytes)
    }

    /// `None` for bytes that no arena has written.
    pub(super) fn decode(bytes: &'a [u8; DESCRIPTOR_BYTES]) -> Option<Descriptor<'a>> {
        let (checksum, rest) = bytes.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*checksum) != crc32c(rest) {
            return None;
        }
        let length = usize::from(u16::from_le_bytes(*rest.first_chunk::<2>()?));
        let position = u64::from_le_bytes(*rest.get(4..)?.first_chunk::<8>()?);
        let path = std::str::from_utf8(bytes.get(PATH_AT..PATH_AT + length)?).ok()?;
        let is_below = !path.starts_with('/') && path.split('/').all(|part| part != "..");
        is_below.then_some(Descriptor { position, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_comes_back_and_a_damaged_one_does_not() {
        let descriptor = Descriptor { position: 7 << 20, path: "topic-0/00000000000000000000.log" };
        let mut bytes = descriptor.encode().expect("fits");
        assert_eq!(Descriptor::decode(&bytes), Some(descriptor));
        bytes[9] ^= 1;
        assert_eq!(Descriptor::decode(&bytes), None);
        let outside = Descriptor { position: 0, path: "a/../../b" }.encode().expect("fits");
        assert_eq!(Descriptor::decode(&outside), None);
    }

    #[test]
    fn an_extent_is_one_word_and_empty_ones_are_none() {
        let extent = Extent { begin: 5, end: 4096 };
        assert_eq!(Extent::from_word(extent.to_word()), Some(extent));
        assert_eq!(Extent::from_word(Extent { begin: 9, end: 9 }.to_word()), None);
        assert_eq!(Extent::from_word(u64::MAX), None);
    }
}
