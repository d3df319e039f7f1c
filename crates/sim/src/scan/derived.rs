//! What has to follow from the records.

use std::collections::BTreeMap;

use strom_storage::format::index_entry::{IndexEntry, OffsetEntry, TimeEntry};
use strom_storage::format::{leader_epoch_checkpoint, producer_snapshot};

use super::records::{Found, LastBatch};

fn entries<E: IndexEntry>(bytes: &[u8]) -> Result<Vec<E>, String> {
    let chunks = bytes.chunks_exact(E::LENGTH);
    if !chunks.remainder().is_empty() {
        return Err(format!("an index of {} bytes has a torn entry", bytes.len()));
    }
    chunks.map(|it| E::decode(it).ok_or_else(|| "an index entry is no entry".to_owned())).collect()
}

/// Each entry names a batch by its position and its last offset, in ascending order.
pub(super) fn check_offset_index(
    base_offset: i64,
    batches: &[Found],
    bytes: &[u8],
) -> Result<(), String> {
    let mut last = None;
    for entry in entries::<OffsetEntry>(bytes)? {
        let position = u64::from(entry.position);
        let index = batches.binary_search_by_key(&position, |it| it.position);
        let batch = index.ok().and_then(|index| batches.get(index));
        let told = base_offset + i64::from(entry.relative_offset);
        let found = batch.map(|it| it.header.next_offset() - 1);
        if found != Some(told) {
            return Err(format!("index {base_offset}: {told} at {position}, there ends {found:?}"));
        }
        if last.is_some_and(|last| told <= last) {
            return Err(format!("index {base_offset}: {told} comes after {last:?}"));
        }
        last = Some(told);
    }
    Ok(())
}

/// Each entry has the largest timestamp up to its offset, in ascending order.
pub(super) fn check_time_index(
    base_offset: i64,
    batches: &[Found],
    bytes: &[u8],
) -> Result<(), String> {
    let (mut last, mut largest) = (i64::MIN, None);
    let mut batches = batches.iter().peekable();
    for entry in entries::<TimeEntry>(bytes)? {
        let offset = base_offset + i64::from(entry.relative_offset);
        while let Some(batch) = batches.next_if(|it| it.header.base_offset <= offset) {
            largest = largest.max(Some(batch.header.max_timestamp));
        }
        if largest != Some(entry.timestamp) {
            return Err(format!(
                "time index {base_offset}: {} at {offset}, the largest is {largest:?}",
                entry.timestamp
            ));
        }
        if entry.timestamp < last {
            return Err(format!("time index {base_offset}: {} after {last}", entry.timestamp));
        }
        last = entry.timestamp;
    }
    Ok(())
}

/// Each epoch begins where its first batch does; below the log's start they may be cut.
pub(super) fn check_epochs(
    scanned: &[(i32, i64)],
    log_start_offset: i64,
    bytes: &[u8],
) -> Result<(), String> {
    let told = leader_epoch_checkpoint::parse(bytes).map_err(|error| error.to_string())?;
    let told: BTreeMap<i32, i64> = told.into_iter().map(|it| (it.epoch, it.start_offset)).collect();
    for (index, (epoch, start)) in scanned.iter().enumerate() {
        let ends_below = scanned.get(index + 1).is_some_and(|(_, end)| *end <= log_start_offset);
        let is_right = match told.get(epoch) {
            Some(offset) => offset == start || *start < log_start_offset || index == 0,
            None => ends_below,
        };
        if !is_right {
            return Err(format!("epoch {epoch} begins at {start}, told is {:?}", told.get(epoch)));
        }
    }
    Ok(())
}

/// Each producer with its last batch. Who has written nothing that is still there may be told of or not.
pub(super) fn check_producers(
    scanned: &BTreeMap<i64, LastBatch>,
    bytes: &[u8],
) -> Result<(), String> {
    let told = producer_snapshot::parse(bytes).map_err(|error| error.to_string())?;
    let told: BTreeMap<i64, LastBatch> = told
        .into_iter()
        .map(|it| {
            let last = LastBatch {
                epoch: it.producer_epoch,
                sequence: it.last_sequence,
                offset: it.last_offset,
            };
            (it.producer_id, last)
        })
        .collect();
    for (id, last) in scanned {
        if told.get(id) != Some(last) {
            return Err(format!("producer {id}: {last:?}, told is {:?}", told.get(id)));
        }
    }
    Ok(())
}
