//! `.index`, `.timeindex` and `.txnindex` files.

use super::mismatches::Mismatches;
use super::{Arguments, base_offset, read};
use crate::failure::{Failure, Outcome};
use std::io::Write;
use std::path::Path;
use strom_protocol::records;
use strom_storage::format::index_entry::{IndexEntry, OffsetEntry, TimeEntry, TransactionEntry};

pub(super) fn dump_offsets(
    output: &mut impl Write,
    path: &Path,
    arguments: &Arguments,
    mismatches: &mut Mismatches,
) -> Outcome {
    let base_offset = base_offset(path)?;
    let bytes = read(path)?;
    let entries = entries::<OffsetEntry>(&bytes, |entry| entry.relative_offset == 0);
    if arguments.index_sanity_check {
        let last = entries.last().map(|entry| i64::from(entry.relative_offset));
        return sanity(output, path, bytes.len() % OffsetEntry::LENGTH == 0, last);
    }
    let log = read(&path.with_extension("log"))?;
    for entry in entries {
        let offset = base_offset.saturating_add(i64::from(entry.relative_offset));
        let batch = log.get(entry.position as usize..).and_then(|tail| {
            records::batches(tail).next().and_then(Result::ok).map(|batch| batch.header)
        });
        match batch.map(|header| header.last_offset()) {
            Some(last) if last == offset => {}
            found => {
                let list = mismatches.index.entry(path.display().to_string()).or_default();
                list.push((offset, found.unwrap_or(-1)));
            }
        }
        if !arguments.verify_index_only {
            writeln!(output, "offset: {offset} position: {}", entry.position)?;
        }
    }
    Ok(())
}

pub(super) fn dump_times(
    output: &mut impl Write,
    path: &Path,
    arguments: &Arguments,
    mismatches: &mut Mismatches,
) -> Outcome {
    let base_offset = base_offset(path)?;
    let bytes = read(path)?;
    let entries = entries::<TimeEntry>(&bytes, |entry| entry.relative_offset == 0);
    if arguments.index_sanity_check {
        let last = entries.last().map(|entry| i64::from(entry.relative_offset));
        return sanity(output, path, bytes.len() % TimeEntry::LENGTH == 0, last);
    }
    let mut before: Option<i64> = None;
    for entry in entries {
        let offset = base_offset.saturating_add(i64::from(entry.relative_offset));
        if let Some(before) = before.replace(entry.timestamp)
            && before >= entry.timestamp
        {
            let list = mismatches.out_of_order.entry(path.display().to_string()).or_default();
            list.push((entry.timestamp, before));
        }
        if !arguments.verify_index_only {
            writeln!(output, "timestamp: {} offset: {offset}", entry.timestamp)?;
        }
    }
    Ok(())
}

pub(super) fn dump_transactions(output: &mut impl Write, path: &Path) -> Outcome {
    let bytes = read(path)?;
    for chunk in bytes.chunks(TransactionEntry::LENGTH) {
        let entry = TransactionEntry::decode(chunk).ok_or_else(|| {
            Failure::said(format!("{} holds an unreadable entry", path.display()))
        })?;
        writeln!(
            output,
            "version: 0 producerId: {} firstOffset: {} lastOffset: {} lastStableOffset: {}",
            entry.producer_id, entry.first_offset, entry.last_offset, entry.last_stable_offset,
        )?;
    }
    Ok(())
}

/// The entries up to the zeros with which the file of a running node is filled.
fn entries<E: IndexEntry>(bytes: &[u8], is_filler: fn(&E) -> bool) -> Vec<E> {
    let decoded = bytes.chunks_exact(E::LENGTH).map_while(E::decode).enumerate();
    decoded
        .take_while(|(at, entry)| *at == 0 || !is_filler(entry))
        .map(|(_, entry)| entry)
        .collect()
}

/// What a node checks at its start: whole entries, and a last one that is not before the first.
fn sanity(output: &mut impl Write, path: &Path, whole: bool, last: Option<i64>) -> Outcome {
    let name = path.display();
    if !whole {
        return Err(Failure::said(format!(
            "Index file {name} is corrupt, found a length that is no multiple of its entries"
        )));
    }
    if last.is_some_and(|last| last < 0) {
        return Err(Failure::said(format!(
            "Index file {name} is corrupt, its last offset is wrong"
        )));
    }
    Ok(writeln!(output, "{name} passed sanity check.")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zeros_at_the_end_are_no_entries() {
        let mut bytes = Vec::new();
        OffsetEntry { relative_offset: 0, position: 0 }.encode(&mut bytes);
        OffsetEntry { relative_offset: 7, position: 90 }.encode(&mut bytes);
        bytes.extend([0; 64]);
        let found = entries::<OffsetEntry>(&bytes, |entry| entry.relative_offset == 0);
        assert_eq!(found.iter().map(|entry| entry.position).collect::<Vec<_>>(), [0, 90]);
    }
}
