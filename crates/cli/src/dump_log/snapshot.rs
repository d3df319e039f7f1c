//! `.snapshot` files: what was known of producers when a segment began.

use super::read;
use crate::failure::{Failure, Outcome};
use std::io::Write;
use std::path::Path;
use strom_storage::format::producer_snapshot;

pub(super) fn dump(output: &mut impl Write, path: &Path) -> Outcome {
    let bytes = read(path)?;
    let entries = producer_snapshot::parse(&bytes)
        .map_err(|error| Failure::said(format!("{}: {error}", path.display())))?;
    for entry in entries {
        let transaction = match entry.transaction_first_offset {
            offset if offset >= 0 => format!("OptionalLong[{offset}]"),
            _ => "OptionalLong.empty".to_owned(),
        };
        write!(
            output,
            "producerId: {} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: \
             {transaction} lastTimestamp: {} ",
            entry.producer_id, entry.producer_epoch, entry.coordinator_epoch, entry.timestamp,
        )?;
        if entry.last_offset >= 0 {
            // Sequences wrap at the largest i32.
            let first = entry.last_sequence.wrapping_sub(entry.offset_delta) & i32::MAX;
            write!(
                output,
                "firstSequence: {first} lastSequence: {} lastOffset: {} offsetDelta: {} \
                 timestamp: {}",
                entry.last_sequence, entry.last_offset, entry.offset_delta, entry.timestamp,
            )?;
        }
        writeln!(output)?;
    }
    Ok(())
}
