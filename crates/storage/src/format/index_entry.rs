//! Entries of the three indexes of a segment. Offsets are kept relative to the segment's base.

/// An entry of fixed length.
pub trait IndexEntry: Copy {
    const LENGTH: usize;
    fn encode(&self, out: &mut Vec<u8>);
    /// From exactly `LENGTH` bytes; `None` for another length or impossible numbers.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

/// `.index`: a batch's last offset and where the batch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetEntry {
    pub relative_offset: u32,
    pub position: u32,
}

/// `.timeindex`: the largest timestamp so far and the last offset of the batch that had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeEntry {
    pub timestamp: i64,
    pub relative_offset: u32,
}

/// `.txnindex`: an aborted transaction. Its offsets are absolute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionEntry {
    pub producer_id: i64,
    pub first_offset: i64,
    /// The abort marker's offset.
    pub last_offset: i64,
    pub last_stable_offset: i64,
}

const TRANSACTION_ENTRY_VERSION: i16 = 0;

impl IndexEntry for OffsetEntry {
    const LENGTH: usize = 8;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let entry =
            Self { relative_offset: fields.positive_i32()?, position: fields.positive_i32()? };
        fields.0.is_empty().then_some(entry)
    }
}

impl IndexEntry for TimeEntry {
    const LENGTH: usize = 12;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let entry = Self { timestamp: fields.i64()?, relative_offset: fields.positive_i32()? };
        fields.0.is_empty().then_some(entry)
    }
}

impl IndexEntry for TransactionEntry {
    const LENGTH: usize = 34;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&TRANSACTION_ENTRY_VERSION.to_be_bytes());
        out.extend_from_slice(&self.producer_id.to_be_bytes());
        out.extend_from_slice(&self.first_offset.to_be_bytes());
        out.extend_from_slice(&self.last_offset.to_be_bytes());
        out.extend_from_slice(&self.last_stable_offset.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        if i16::from_be_bytes(fields.take()?) != TRANSACTION_ENTRY_VERSION {
            return None;
        }
        let entry = Self {
            producer_id: fields.i64()?,
            first_offset: fields.i64()?,
            last_offset: fields.i64()?,
            last_stable_offset: fields.i64()?,
        };
        fields.0.is_empty().then_some(entry)
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }

    fn positive_i32(&mut self) -> Option<u32> {
        self.take().map(i32::from_be_bytes).and_then(|number| u32::try_from(number).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_kafkas_length_and_survive() {
        let entry = TransactionEntry {
            producer_id: 1,
            first_offset: 2,
            last_offset: 3,
            last_stable_offset: 4,
        };
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        assert_eq!(bytes.len(), TransactionEntry::LENGTH);
        assert_eq!(TransactionEntry::decode(&bytes), Some(entry));
        assert_eq!(TransactionEntry::decode(&bytes[1..]), None);
        assert_eq!(OffsetEntry::decode(&[0xff; 8]), None);
    }
}
