//! Offsets that were committed in transactions count when those were committed.
//!
//! They are told apart as a reader of committed records does it: by the aborted transactions that the log
//! knows, and by those that are still open. So what counts is replayed in the order of the log.

use std::collections::BTreeSet;

use strom_protocol::records::BatchHeader;
use strom_storage::disk::ReadFiles;
use strom_storage::log::{Log, ReadError};

/// Whose batches do not count at this point of a log.
#[derive(Debug, Default)]
pub(super) struct Withheld {
    /// Producers in a transaction that was aborted or is open.
    producers: BTreeSet<i64>,
    /// Where such transactions begin, with their producers; the next one comes last.
    ahead: Vec<(i64, i64)>,
}

impl Withheld {
    /// Looks for the transactions of the piece of the log that is replayed next.
    pub(super) fn look_ahead(
        &mut self,
        log: &Log,
        files: &dyn ReadFiles,
        from: i64,
    ) -> Result<(), ReadError> {
        let aborted = log.aborted_transactions(files, from, i64::MAX)?;
        self.ahead = aborted.iter().map(|it| (it.first_offset, it.producer_id)).collect();
        let open = log.producers().filter_map(|producer| {
            producer.transaction_first_offset.map(|first| (first, producer.producer_id))
        });
        self.ahead.extend(open);
        self.ahead.sort_unstable_by(|one, other| other.cmp(one));
        Ok(())
    }

    /// Whether the records of the next batch count.
    pub(super) fn passes(&mut self, header: &BatchHeader) -> bool {
        while let Some((_, producer)) =
            self.ahead.pop_if(|(first_offset, _)| *first_offset <= header.last_offset())
        {
            self.producers.insert(producer);
        }
        if header.is_control() {
            self.producers.remove(&header.producer_id);
            return false;
        }
        !header.is_transactional() || !self.producers.contains(&header.producer_id)
    }
}

#[cfg(test)]
mod tests {
    use strom_protocol::records::{BatchBuilder, BatchOptions, NewRecord};

    use super::*;

    fn batch(base_offset: i64, producer_id: i64, is_control: bool) -> BatchHeader {
        let mut builder = BatchBuilder::new(BatchOptions {
            base_offset,
            producer_id,
            producer_epoch: 0,
            base_sequence: 0,
            is_transactional: producer_id >= 0,
            is_control,
            ..BatchOptions::default()
        });
        let record = NewRecord { timestamp_ms: 1, key: None, value: None, headers: &[] };
        builder.append(&record).unwrap();
        BatchHeader::parse(&builder.build()).unwrap()
    }

    #[test]
    fn what_is_aborted_or_open_does_not_pass() {
        let mut withheld = Withheld { ahead: vec![(6, 8), (1, 7)], ..Withheld::default() };
        let passed: Vec<bool> = [
            batch(0, 8, false),
            batch(1, 7, false),
            batch(2, -1, false),
            batch(3, 8, true),
            batch(4, 7, true),
            batch(5, 7, false),
            batch(6, 8, false),
            batch(7, 8, false),
        ]
        .iter()
        .map(|header| withheld.passes(header))
        .collect();
        assert_eq!(passed, [true, false, true, false, false, true, false, false]);
    }
}
