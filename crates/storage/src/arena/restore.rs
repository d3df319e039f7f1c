//! A start after kill -9: what an arena still owes to the files is written into them, before
//! anybody reads one.

use super::descriptor::{DESCRIPTOR_BYTES, Descriptor, Extent};
use super::space::UNIT_BYTES;
use crate::disk::{DirectoryId, Disk, DiskError, DiskPath};

/// An arena as a dead process has left it.
pub trait ArenaImage {
    /// Slots that may be described.
    fn slots(&self) -> usize;
    /// The first word of a slot ([`Extent::to_word`]); 0 for a slot that was never used.
    fn owed(&self, slot: usize) -> u64;
    fn descriptor(&self, slot: usize) -> Option<&[u8; DESCRIPTOR_BYTES]>;
    /// `None` outside of the arena.
    fn bytes(&self, at: usize, length: usize) -> Option<&[u8]>;
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

struct Owed<'a> {
    path: &'a str,
    position: u64,
    bytes: &'a [u8],
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
        let Some(extent) = Extent::from_word(image.owed(slot)) else { continue };
        match owed_of(image, slot, extent) {
            Some(it) => owed.push(it),
            None => restored.refused.push(format!("slot {slot} of the arena is damaged")),
        }
    }
    owed.sort_by_key(|it| (it.path, it.position));
    for it in owed {
        let path = DiskPath { directory, path: it.path.to_owned() };
        match write_owed(disk, &path, &it)? {
            Ok(bytes) => restored.bytes += bytes,
            Err(reason) => restored.refused.push(reason),
        }
    }
    Ok(restored)
}

fn owed_of(image: &dyn ArenaImage, slot: usize, extent: Extent) -> Option<Owed<'_>> {
    let descriptor = Descriptor::decode(image.descriptor(slot)?)?;
    let (begin, end) = (extent.begin as usize, extent.end as usize);
    let bytes = image.bytes(slot * UNIT_BYTES + begin, end - begin)?;
    let position = descriptor.position.checked_add(begin as u64)?;
    Some(Owed { path: descriptor.path, position, bytes })
}

/// Bytes written; or why the file cannot be what the arena was of.
fn write_owed(
    disk: &mut dyn Disk,
    path: &DiskPath,
    owed: &Owed<'_>,
) -> Result<Result<u64, String>, DiskError> {
    let mut there = vec![0; owed.bytes.len()];
    let read = match disk.read_at(path, owed.position, &mut there) {
        Ok(read) => read,
        Err(DiskError::NotFound(_)) if owed.position == 0 && has_folder(disk, path)? => 0,
        // Its partition was deleted, or the segment.
        Err(DiskError::NotFound(_)) => return Ok(Ok(0)),
        Err(error) => return Err(error),
    };
    let there = there.get(..read).unwrap_or_default();
    if !is_begun(there, owed) {
        return Ok(Err(format!(
            "{} holds other records at byte {} than the arena: somebody else has written to it",
            disk.describe(path),
            owed.position
        )));
    }
    if read == 0 && owed.position > 0 && !reaches(disk, path, owed.position)? {
        return Ok(Err(format!(
            "{} ends before byte {}, where the arena goes on",
            disk.describe(path),
            owed.position
        )));
    }
    disk.write_at(path, owed.position, owed.bytes)?;
    Ok(Ok(owed.bytes.len() as u64))
}

/// Whether flushes that were cut off may have left this: each sector as it is to be up to some byte,
/// and nothing behind that.
fn is_begun(there: &[u8], owed: &Owed<'_>) -> bool {
    let first = SECTOR_BYTES - (owed.position % SECTOR_BYTES as u64) as usize;
    let (there_first, there_rest) = there.split_at(first.min(there.len()));
    let (owed_first, owed_rest) = owed.bytes.split_at(first.min(owed.bytes.len()));
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
