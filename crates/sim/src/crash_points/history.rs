//! What was appended, as the bytes that went to the disk.

use std::collections::BTreeSet;

use bytes::Bytes;
use strom_protocol::records::BatchHeader;

/// One batch of the log's present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) header: BatchHeader,
    pub(super) bytes: Bytes,
}

/// The log as it should be, and everything that it ever was.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pub(super) present: Vec<Batch>,
    ever: BTreeSet<Bytes>,
    /// Whether something was cut off, so that a crash may bring old batches back.
    pub(super) was_cut: bool,
    /// The cut was asked for and may not be done yet.
    pub(super) is_being_cut: bool,
    /// Exclusive; everything below was reported as synced.
    pub(super) synced_offset: i64,
    /// Exclusive; everything below was reported as written.
    pub(super) written_offset: i64,
    /// The first offset that was ever the start: what lies below is let go.
    pub(super) log_start_offset: i64,
}

impl History {
    pub(super) fn append(&mut self, bytes: Bytes) {
        for batch in strom_protocol::records::batches(&bytes).flatten() {
            let piece = bytes.slice(batch.position..batch.position + batch.bytes.len());
            self.ever.insert(piece.clone());
            self.present.push(Batch { header: batch.header, bytes: piece });
        }
    }

    /// The log ends at `offset` now.
    pub(super) fn cut(&mut self, offset: i64) {
        self.was_cut = true;
        self.is_being_cut = true;
        self.present.retain(|batch| batch.header.base_offset < offset);
        self.synced_offset = self.synced_offset.min(offset);
        self.written_offset = self.written_offset.min(offset);
        self.log_start_offset = self.log_start_offset.min(offset);
    }

    pub(super) fn was_ever(&self, bytes: &[u8]) -> bool {
        self.ever.contains(bytes)
    }

    /// The batch of the present that begins at `offset`.
    pub(super) fn at(&self, offset: i64) -> Option<&Batch> {
        let index =
            self.present.binary_search_by_key(&offset, |batch| batch.header.base_offset).ok()?;
        self.present.get(index)
    }
}
