//! What a producer snapshot leaves out: it holds the last batch of each producer, and a producer
//! repeats up to five when their answers were lost in the stop. Those before the last are looked up
//! in the log, so that a restart is no reason to refuse or to double them.

use std::collections::BTreeMap;

use strom_base::{Planted, planted};

use super::load::DiskRecords;
use super::{Recovery, RecoveryError};
use crate::disk::{Disk, FileKind};
use crate::log::ReadError;
use crate::producers::BatchMetadata;
use crate::producers::entry::BATCHES_KEPT;
use crate::scan::HeaderScan;

/// How far before the snapshot is looked: more than five of the largest default requests.
const RECALLED_BYTES: u64 = 8 << 20;

impl Recovery {
    /// Reads the headers before `offset`, where the producers' snapshot was taken.
    pub(super) fn recall(&mut self, disk: &dyn Disk, offset: i64) -> Result<(), RecoveryError> {
        if self.producers.is_empty() || planted(Planted::OlderBatchesForgotten) {
            return Ok(());
        }
        let end = self.segments.partition_point(|segment| segment.base_offset < offset);
        let (mut first, mut position, mut left) = (end, 0, RECALLED_BYTES);
        while let Some(index) = first.checked_sub(1)
            && left > 0
        {
            first = index;
            let size = self.segments.get(index).map_or(0, |segment| segment.size());
            position = self.position_before(disk, index, size.saturating_sub(left)).unwrap_or(0);
            left = left.saturating_sub(size);
        }
        let mut found = BTreeMap::new();
        for index in first..end {
            self.recall_segment(disk, (index, position), offset, &mut found)?;
            position = 0;
        }
        self.producers.recall(&found);
        Ok(())
    }

    fn recall_segment(
        &self,
        disk: &dyn Disk,
        (index, position): (usize, u64),
        end_offset: i64,
        found: &mut BTreeMap<i64, (i16, Vec<BatchMetadata>)>,
    ) -> Result<(), RecoveryError> {
        let Some(segment) = self.segments.get(index) else { return Ok(()) };
        let path = self.segment_file(segment.base_offset, FileKind::Records);
        let source = DiskRecords { disk, path: path.clone(), segment: segment.base_offset };
        let mut scan = HeaderScan::new(&source, position, segment.size());
        loop {
            let entry = match scan.next() {
                Ok(Some(located)) => located.entry,
                // What is damaged is not ours to judge here.
                Ok(None) | Err(ReadError::Corrupt { .. }) => return Ok(()),
                Err(error) => return Err(RecoveryError::from_read(error, &path)),
            };
            if entry.base_offset >= end_offset {
                return Ok(());
            }
            let header = entry.header.filter(|it| it.has_producer_id() && !it.is_control());
            let Some(header) = header else { continue };
            let (epoch, batches) = found.entry(header.producer_id).or_default();
            if *epoch != header.producer_epoch {
                *epoch = header.producer_epoch;
                batches.clear();
            }
            if batches.len() == BATCHES_KEPT {
                batches.remove(0);
            }
            batches.push(BatchMetadata::of(&header));
        }
    }
}
