//! A start after kill -9: what an arena still owes to the files is written into them, before
//! anybody reads one.

use std::collections::BTreeMap;

use strom_base::{Planted, planted};

use super::descriptor::{DESCRIPTOR_BYTES, Descriptor, Extent, SLOT_BYTES};
use super::space::UNIT_BYTES;
use crate::disk::{DirectoryId, Disk, DiskError, DiskPath};

/// An arena as a dead process has left it.
pub trait ArenaImage {
    /// Slots that may be described.
    fn slots(&self) -> usize;
    /// One slot: its extent ([`Extent::to_word`], little-endian) and its descriptor; zeros for one that
    /// was never used, `None` when it cannot be read.
    fn slot(&self, slot: usize) -> Option<[u8; SLOT_BYTES]>;
    /// The slots from one on, as many as are easily had at once; `None` when that one cannot be read.
    fn slots_from(&self, first: usize) -> Option<Vec<u8>> {
        self.slot(first).map(Vec::from)
    }
    /// `None` outside of the arena.
    fn read(&self, at: usize, length: usize) -> Option<Vec<u8>>;
}

/// What a start found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Bytes that files did not have.
    pub bytes: u64,
    /// Why the bytes of a chunk were not written, for the operator.
    pub refused: Vec<String>,
}

impl Restored {
    /// Both together.
    pub fn join(&mut self, other: Restored) {
        self.bytes += other.bytes;
        self.refused.extend(other.refused);
    }
}

/// What a chunk says that its file does not have.
#[derive(Clone, Copy, Debug)]
struct Owed {
    position: u64,
    at: usize,
    length: usize,
}

/// All that one file does not have. Files share nothing: a shell may restore many at a time.
#[derive(Debug)]
pub struct OwedFile {
    path: String,
    /// By position.
    owed: Vec<Owed>,
}

/// Writes what the arena owes. Done again, it changes nothing: it may be cut off anywhere.
///
/// # Errors
/// When the disk fails: nothing was lost, the arena is to be kept for the next start.
pub fn restore(
    disk: &mut dyn Disk,
    directory: DirectoryId,
    image: &dyn ArenaImage,
) -> Result<Restored, DiskError> {
    let (files, mut restored) = owed_files(image);
    for file in files {
        restored.join(file.restore(disk, directory, image)?);
    }
    Ok(restored)
}

/// What is to be restored, by file; and what cannot be, because nobody knows of what it is.
#[must_use]
pub fn owed_files(image: &dyn ArenaImage) -> (Vec<OwedFile>, Restored) {
    let (mut files, mut restored) = (BTreeMap::<String, Vec<Owed>>::new(), Restored::default());
    let damaged = |slot: usize| format!("slot {slot} of the arena is damaged");
    let mut slot = 0;
    while slot < image.slots() {
        let bytes = image.slots_from(slot).unwrap_or_default();
        let slots = bytes.as_chunks::<SLOT_BYTES>().0;
        if slots.is_empty() {
            restored.refused.push(damaged(slot));
            slot += 1;
        }
        for bytes in slots {
            match owed_of(slot, bytes) {
                Ok(None) => {}
                Ok(Some((path, owed))) => files.entry(path).or_default().push(owed),
                Err(()) => restored.refused.push(damaged(slot)),
            }
            slot += 1;
        }
    }
    let in_order = files.into_iter().map(|(path, mut owed)| {
        owed.sort_by_key(|it| it.position);
        OwedFile { path, owed }
    });
    (in_order.collect(), restored)
}

impl OwedFile {
    /// Writes what the file does not have.
    ///
    /// # Errors
    /// As [`restore`].
    pub fn restore(
        self,
        disk: &mut dyn Disk,
        directory: DirectoryId,
        image: &dyn ArenaImage,
    ) -> Result<Restored, DiskError> {
        let mut restored = Restored::default();
        let path = DiskPath { directory, path: self.path };
        for Owed { position, at, length } in self.owed {
            let Some(bytes) = image.read(at, length) else {
                restored.refused.push(format!("{length} bytes of {} are not there", path.path));
                continue;
            };
            match write_owed(disk, &path, position, &bytes)? {
                Ok(bytes) => restored.bytes += bytes,
                Err(reason) => restored.refused.push(reason),
            }
        }
        Ok(restored)
    }
}

/// What a slot says, if anything; an error for one that no arena has written.
fn owed_of(slot: usize, bytes: &[u8; SLOT_BYTES]) -> Result<Option<(String, Owed)>, ()> {
    let (word, descriptor) = bytes.split_first_chunk::<8>().ok_or(())?;
    let Some(extent) = Extent::from_word(u64::from_le_bytes(*word)) else { return Ok(None) };
    let descriptor = descriptor.first_chunk::<DESCRIPTOR_BYTES>().ok_or(())?;
    let descriptor = Descriptor::decode(descriptor).ok_or(())?;
    let (begin, end) = (extent.begin as usize, extent.end as usize);
    let position = descriptor.position.checked_add(begin as u64).ok_or(())?;
    let owed = Owed { position, at: slot * UNIT_BYTES + begin, length: end - begin };
    Ok(Some((descriptor.path.to_owned(), owed)))
}

/// Bytes written; or why the file cannot be what the arena was of, which bytes that come wrong from the disk
/// once do not prove.
fn write_owed(
    disk: &mut dyn Disk,
    path: &DiskPath,
    position: u64,
    owed: &[u8],
) -> Result<Result<u64, String>, DiskError> {
    match try_to_write(disk, path, position, owed)? {
        Err(_) if !planted(Planted::WrongReadBelieved) => try_to_write(disk, path, position, owed),
        outcome => Ok(outcome),
    }
}

fn try_to_write(
    disk: &mut dyn Disk,
    path: &DiskPath,
    position: u64,
    owed: &[u8],
) -> Result<Result<u64, String>, DiskError> {
    let mut refusal = None;
    // With the byte before: the file has to reach as far.
    let before = usize::from(position > 0);
    let range = (position - before as u64, owed.len() + before);
    let amended = disk.amend(path, range, &mut |there| {
        let Some(there) = there.get(before..) else {
            refusal = Some("ends before this byte, where the arena goes on");
            return None;
        };
        if there.len() >= owed.len() && planted(Planted::OwedUnwritten) {
            return None;
        }
        if !is_begun(there, owed) {
            refusal = Some("holds other records than the arena: somebody else has written to it");
            return None;
        }
        Some((position, owed))
    });
    let written = match amended {
        // It was not begun.
        Err(DiskError::NotFound(_)) if position == 0 => disk.write_at(path, position, owed),
        amended => amended,
    };
    match (written, refusal) {
        // Its partition was deleted, or the segment.
        (Err(DiskError::NotFound(_)), _) => Ok(Ok(0)),
        (Err(error), _) => Err(error),
        (Ok(()), Some(reason)) => {
            Ok(Err(format!("byte {position} of {}: the file {reason}", disk.describe(path))))
        }
        (Ok(()), None) => Ok(Ok(owed.len() as u64)),
    }
}

/// Whether flushes that were cut off may have left this: each byte as it is to be, or nothing. Two that
/// follow one another in a file may meet in the middle of a sector, and the later one may have been done
/// alone.
fn is_begun(there: &[u8], owed: &[u8]) -> bool {
    there.iter().zip(owed).all(|(there, owed)| there == owed || *there == 0)
}
