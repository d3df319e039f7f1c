//! Walking the batches in a buffer by their headers.

use super::{BatchError, BatchHeader, LENGTH_OFFSET, LOG_OVERHEAD, MAGIC_PREFIX_LENGTH};

/// One whole batch of magic 2 where it lies.
#[derive(Clone, Copy, Debug)]
pub struct RawBatch<'a> {
    pub header: BatchHeader,
    /// Header and body.
    pub bytes: &'a [u8],
    /// Where it begins in the walked buffer.
    pub position: usize,
}

/// The batches of `bytes`, in order.
///
/// Ends before a batch that the buffer holds only in part, as fetch answers and torn files may
/// have one; [`BatchIterator::tail`] is what is left. Ends after an error: nothing says where the
/// next batch would begin. The CRC is not looked at. A message of magic 0 or 1 is an error here:
/// `legacy` reads those.
#[must_use]
pub fn batches(bytes: &[u8]) -> BatchIterator<'_> {
    BatchIterator { bytes, position: 0, failed: false }
}

#[derive(Clone, Debug)]
pub struct BatchIterator<'a> {
    bytes: &'a [u8],
    position: usize,
    failed: bool,
}

impl<'a> BatchIterator<'a> {
    /// Bytes walked so far: the end of the last batch given out.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// What was not walked: after the end, an incomplete or unreadable batch.
    #[must_use]
    pub fn tail(&self) -> &'a [u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }
}

impl<'a> Iterator for BatchIterator<'a> {
    type Item = Result<RawBatch<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let tail = self.tail();
        let size = entry_size(tail)?;
        if size.is_ok_and(|size| size > tail.len()) {
            return None;
        }
        let batch = BatchHeader::parse(tail).and_then(|header| {
            let bytes = tail.get(..header.size()).ok_or(BatchError::Truncated)?;
            Ok(RawBatch { header, bytes, position: self.position })
        });
        match &batch {
            Ok(batch) => self.position += batch.bytes.len(),
            Err(_) => self.failed = true,
        }
        Some(batch)
    }
}

/// The bytes that the batch or old message at the start of `bytes` claims, of any magic: offset and
/// length stand first in all. `None` when too little is there to learn length and magic.
///
/// # Errors
/// A length that cannot hold even the magic.
#[must_use]
pub fn entry_size(bytes: &[u8]) -> Option<Result<usize, BatchError>> {
    if bytes.len() < MAGIC_PREFIX_LENGTH {
        return None;
    }
    let length = i32::from_be_bytes(*bytes.get(LENGTH_OFFSET..)?.first_chunk()?);
    let least = (MAGIC_PREFIX_LENGTH - LOG_OVERHEAD) as i32;
    Some(if length < least {
        Err(BatchError::Length(length))
    } else {
        Ok(LOG_OVERHEAD + length as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::HEADER_LENGTH;

    fn empty_batch(base_offset: i64) -> [u8; HEADER_LENGTH] {
        BatchHeader {
            base_offset,
            batch_length: 49,
            partition_leader_epoch: 0,
            crc: 0,
            attributes: 0,
            last_offset_delta: 0,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: 0,
        }
        .to_bytes()
    }

    #[test]
    fn batches_are_walked_up_to_a_torn_tail() {
        let mut bytes = [empty_batch(5), empty_batch(6)].concat();
        bytes.extend_from_slice(&empty_batch(7)[..40]);
        let mut walk = batches(&bytes);
        let seen: Vec<_> =
            walk.by_ref().map(|batch| batch.map(|b| (b.header.base_offset, b.position))).collect();
        assert_eq!(seen, vec![Ok((5, 0)), Ok((6, 61))]);
        assert_eq!((walk.position(), walk.tail().len()), (122, 40));
    }

    #[test]
    fn a_walk_ends_at_the_first_unreadable_batch() {
        let mut broken = empty_batch(6);
        broken[LENGTH_OFFSET..LENGTH_OFFSET + 4].copy_from_slice(&(-1i32).to_be_bytes());
        let bytes = [empty_batch(5), broken, empty_batch(7)].concat();
        let mut walk = batches(&bytes);
        assert!(walk.next().is_some_and(|batch| batch.is_ok()));
        assert_eq!(walk.next().and_then(Result::err), Some(BatchError::Length(-1)));
        assert!(walk.next().is_none());
        assert_eq!(walk.position(), 61);
    }
    #[test]
    fn an_entry_of_any_magic_claims_its_length_once_its_magic_is_there() {
        let claiming = |length: i32| {
            let mut bytes = [0; MAGIC_PREFIX_LENGTH];
            bytes[LENGTH_OFFSET..LENGTH_OFFSET + 4].copy_from_slice(&length.to_be_bytes());
            bytes
        };
        // Leader epoch or checksum, and the magic, are five bytes behind the length.
        assert_eq!(entry_size(&claiming(5)), Some(Ok(17)));
        assert_eq!(entry_size(&claiming(i32::MAX)), Some(Ok(i32::MAX as usize + 12)));
        for refused in [4, 0, -1, i32::MIN] {
            assert_eq!(entry_size(&claiming(refused)), Some(Err(BatchError::Length(refused))));
        }
        assert_eq!(entry_size(&claiming(100)[..16]), None);
    }
}
