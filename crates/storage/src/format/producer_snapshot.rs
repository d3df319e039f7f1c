//! `.snapshot`: what a segment's predecessors say about idempotent producers (message
//! `ProducerSnapshot` version 1, not flexible).

use super::FormatError;

const VERSION: i16 = 1;
/// version, crc
const CHECKED_FROM: usize = 6;
const ENTRY_LENGTH: usize = 46;

/// One producer: its last batch only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotEntry {
    pub producer_id: i64,
    pub producer_epoch: i16,
    /// -1 (with `last_offset` -1): no batch since the epoch began.
    pub last_sequence: i32,
    pub last_offset: i64,
    pub offset_delta: i32,
    pub timestamp: i64,
    pub coordinator_epoch: i32,
    /// -1: no open transaction.
    pub transaction_first_offset: i64,
}

pub fn parse(bytes: &[u8]) -> Result<Vec<SnapshotEntry>, FormatError> {
    let (version, rest) = take::<2>(bytes)?;
    let version = i16::from_be_bytes(version);
    if version != VERSION {
        return Err(FormatError::new(format!("unknown version {version}")));
    }
    let (crc, checked) = take::<4>(rest)?;
    if u32::from_be_bytes(crc) != crc_fast::crc32_iscsi(checked) {
        return Err(FormatError::new("checksum does not match"));
    }
    let (count, mut rest) = take::<4>(checked)?;
    let count = usize::try_from(i32::from_be_bytes(count)).unwrap_or(0);
    if rest.len() / ENTRY_LENGTH < count {
        return Err(FormatError::new(format!("{count} entries in {} bytes", rest.len())));
    }
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let (entry, behind) = parse_entry(rest)?;
        entries.push(entry);
        rest = behind;
    }
    Ok(entries)
}

fn parse_entry(bytes: &[u8]) -> Result<(SnapshotEntry, &[u8]), FormatError> {
    let (producer_id, rest) = take::<8>(bytes)?;
    let (producer_epoch, rest) = take::<2>(rest)?;
    let (last_sequence, rest) = take::<4>(rest)?;
    let (last_offset, rest) = take::<8>(rest)?;
    let (offset_delta, rest) = take::<4>(rest)?;
    let (timestamp, rest) = take::<8>(rest)?;
    let (coordinator_epoch, rest) = take::<4>(rest)?;
    let (transaction_first_offset, rest) = take::<8>(rest)?;
    let entry = SnapshotEntry {
        producer_id: i64::from_be_bytes(producer_id),
        producer_epoch: i16::from_be_bytes(producer_epoch),
        last_sequence: i32::from_be_bytes(last_sequence),
        last_offset: i64::from_be_bytes(last_offset),
        offset_delta: i32::from_be_bytes(offset_delta),
        timestamp: i64::from_be_bytes(timestamp),
        coordinator_epoch: i32::from_be_bytes(coordinator_epoch),
        transaction_first_offset: i64::from_be_bytes(transaction_first_offset),
    };
    Ok((entry, rest))
}

fn take<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), FormatError> {
    let (field, rest) =
        bytes.split_first_chunk::<N>().ok_or_else(|| FormatError::new("too short"))?;
    Ok((*field, rest))
}

#[must_use]
pub fn format(entries: impl ExactSizeIterator<Item = SnapshotEntry>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(CHECKED_FROM + 4 + entries.len() * ENTRY_LENGTH);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&(entries.len() as i32).to_be_bytes());
    for entry in entries {
        bytes.extend_from_slice(&entry.producer_id.to_be_bytes());
        bytes.extend_from_slice(&entry.producer_epoch.to_be_bytes());
        bytes.extend_from_slice(&entry.last_sequence.to_be_bytes());
        bytes.extend_from_slice(&entry.last_offset.to_be_bytes());
        bytes.extend_from_slice(&entry.offset_delta.to_be_bytes());
        bytes.extend_from_slice(&entry.timestamp.to_be_bytes());
        bytes.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        bytes.extend_from_slice(&entry.transaction_first_offset.to_be_bytes());
    }
    let crc = crc_fast::crc32_iscsi(&bytes[CHECKED_FROM..]);
    bytes[2..CHECKED_FROM].copy_from_slice(&crc.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn producers_survive_the_file_and_damage_is_seen() {
        let entry = SnapshotEntry {
            producer_id: 7,
            producer_epoch: 1,
            last_sequence: 9,
            last_offset: 100,
            offset_delta: 4,
            timestamp: 1_700_000_000_000,
            coordinator_epoch: -1,
            transaction_first_offset: -1,
        };
        let bytes = format([entry].into_iter());
        assert_eq!(bytes.len(), 10 + 46);
        assert_eq!(parse(&bytes), Ok(vec![entry]));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(parse(&damaged).is_err(), "byte {at}");
            assert!(parse(&bytes[..at]).is_err(), "cut at {at}");
        }
        // It is refused before there is memory for so many.
        let mut claiming = bytes.clone();
        claiming[8..10].copy_from_slice(&2000_i16.to_be_bytes());
        let crc = crc_fast::crc32_iscsi(&claiming[CHECKED_FROM..]);
        claiming[2..CHECKED_FROM].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(parse(&claiming), Err(FormatError::new("2000 entries in 46 bytes")));
    }
}
