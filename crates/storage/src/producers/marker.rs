//! The record of a transaction's end, read from its control batch.

use strom_protocol::records::{BatchHeader, EndTransactionMarker, HEADER_LENGTH};

/// What a whole control batch says; `None` for other control records, for batches that compaction
/// emptied, and for what cannot be read. Control batches are never compressed.
pub(crate) fn marker_of(header: &BatchHeader, batch: &[u8]) -> Option<EndTransactionMarker> {
    let body = batch.get(HEADER_LENGTH..header.size())?;
    let record = header.records(body).next()?.ok()?;
    EndTransactionMarker::read(&record).ok()?
}
