//! A start after kill -9: what an arena still owes to the files is written into them, before
//! anybody reads one.

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
    /// `None` outside of the arena.
    fn read(&self, at: usize, length: usize) -> Option<Vec<u8>>;
}

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// What a start found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Bytes that files did not have.
    pub bytes: u64,
    /// Why the bytes of a chunk were not written, for the operator.
    pub refused: Vec<String>,
}

/// What a chunk says that its file does not have.
struct Owed {
    path: String,
    position: u64,
    at: usize,
    length: usize,
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
    let mut restored = Restored::default();
    let mut owed = Vec::new();
    for slot in 0..image.slots() {
        match image.slot(slot).map(|bytes| owed_of(slot, &bytes)) {
            Some(Ok(None)) => {}
            Some(Ok(Some(it))) => owed.push(it),
            Some(Err(())) | None => {
                restored.refused.push(format!("slot {slot} of the arena is damaged"));
            }
        }
    }
    owed.sort_by(|one, other| (&one.path, one.position).cmp(&(&other.path, other.position)));
    for it in owed {
        let Some(bytes) = image.read(it.at, it.length) else {
            restored.refused.push(format!("{} bytes of {} are not there", it.length, it.path));
            continue;
        };
        let path = DiskPath { directory, path: it.path };
        match write_owed(disk, &path, it.position, &bytes)? {
            Ok(bytes) => restored.bytes += bytes,
            Err(reason) => restored.refused.push(reason),
        }
    }
    Ok(restored)
}

/// What a slot says, if anything; an error for one that no arena has written.
fn owed_of(slot: usize, bytes: &[u8; SLOT_BYTES]) -> Result<Option<Owed>, ()> {
    let (word, descriptor) = bytes.split_first_chunk::<8>().ok_or(())?;
    let Some(extent) = Extent::from_word(u64::from_le_bytes(*word)) else { return Ok(None) };
    let descriptor = descriptor.first_chunk::<DESCRIPTOR_BYTES>().ok_or(())?;
    let descriptor = Descriptor::decode(descriptor).ok_or(())?;
    let (begin, end) = (extent.begin as usize, extent.end as usize);
    let position = descriptor.position.checked_add(begin as u64).ok_or(())?;
    let path = descriptor.path.to_owned();
    Ok(Some(Owed { path, position, at: slot * UNIT_BYTES + begin, length: end - begin }))
}

/// Bytes written; or why the file cannot be what the arena was of.
fn write_owed(
    disk: &mut dyn Disk,
    path: &DiskPath,
    position: u64,
    owed: &[u8],
) -> Result<Result<u64, String>, DiskError> {
    let mut there = vec![0; owed.len()];
    let read = match disk.read_at(path, position, &mut there) {
        Ok(read) => read,
        Err(DiskError::NotFound(_)) if position == 0 && has_folder(disk, path)? => 0,
        // Its partition was deleted, or the segment.
        Err(DiskError::NotFound(_)) => return Ok(Ok(0)),
        Err(error) => return Err(error),
    };
    let there = there.get(..read).unwrap_or_default();
    if !is_begun(there, owed, position) {
        return Ok(Err(format!(
            "{} holds other records at byte {} than the arena: somebody else has written to it",
            disk.describe(path),
            position
        )));
    }
    if read == 0 && position > 0 && !reaches(disk, path, position)? {
        return Ok(Err(format!(
            "{} ends before byte {}, where the arena goes on",
            disk.describe(path),
            position
        )));
    }
    disk.write_at(path, position, owed)?;
    Ok(Ok(owed.len() as u64))
}

/// Whether flushes that were cut off may have left this: each sector as it is to be up to some byte,
/// and nothing behind that.
fn is_begun(there: &[u8], owed: &[u8], position: u64) -> bool {
    let first = SECTOR_BYTES - (position % SECTOR_BYTES as u64) as usize;
    let (there_first, there_rest) = there.split_at(first.min(there.len()));
    let (owed_first, owed_rest) = owed.split_at(first.min(owed.len()));
    let rest = there_rest.chunks(SECTOR_BYTES).zip(owed_rest.chunks(SECTOR_BYTES));
    std::iter::once((there_first, owed_first)).chain(rest).all(|(there, owed)| {
        let same = there.iter().zip(owed).take_while(|(there, owed)| there == owed).count();
        there.iter().skip(same).all(|byte| *byte == 0)
    })
}

fn has_folder(disk: &dyn Disk, path: &DiskPath) -> Result<bool, DiskError> {
    match disk.list(&path.parent()) {
        Ok(_) => Ok(true),
        Err(DiskError::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the file has the byte before `position`.
fn reaches(disk: &dyn Disk, path: &DiskPath, position: u64) -> Result<bool, DiskError> {
    Ok(disk.read_at(path, position - 1, &mut [0])? == 1)
}
