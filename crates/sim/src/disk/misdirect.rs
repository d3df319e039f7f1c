//! A power failure that leaves a sector of what was not synced where another one belongs.
//!
//! Both lie in what no sync has covered: whatever stands there may be lost anyway, and a start has to see
//! that it is not what it should be. Sectors that hold a batch from its first byte to its last are left
//! out: where one of them takes the place of another in its sector, no format of Kafka's tells the two
//! apart.

use std::collections::BTreeMap;

use strom_base::Random;

use super::SECTOR_BYTES;
use super::file::FileImage;

/// So many sectors go astray, at most.
const STRAYS_MAX: u64 = 3;
/// Offset, length, leader epoch (or checksum) and the version of the format: the least that begins a batch.
const VERSION_AT: usize = 16;
const LENGTH_AT: usize = 8;

/// A sector of a file that no sync has covered, as the process has seen it.
pub(super) struct Unsynced {
    file: u64,
    position: usize,
    bytes: Vec<u8>,
}

/// All of them, before a crash decides what stays.
pub(super) fn unsynced_sectors(files: &BTreeMap<u64, FileImage>) -> Vec<Unsynced> {
    let mut sectors = Vec::new();
    for (id, file) in files {
        for range in file.unsynced_ranges() {
            let first = range.start.div_ceil(SECTOR_BYTES);
            for number in first..range.end / SECTOR_BYTES {
                let position = number * SECTOR_BYTES;
                let bytes = file.bytes().get(position..position + SECTOR_BYTES);
                let bytes = bytes.unwrap_or_default().to_vec();
                sectors.push(Unsynced { file: *id, position, bytes });
            }
        }
    }
    sectors
}

/// Puts some of them in the place of others, once the crash has decided.
pub(super) fn misdirect(
    files: &mut BTreeMap<u64, FileImage>,
    sectors: &[Unsynced],
    random: &mut Random,
) {
    if sectors.is_empty() {
        return;
    }
    let mut any = || sectors.get(random.below(sectors.len() as u64) as usize);
    let drawn: Vec<_> = (0..STRAYS_MAX).map(|_| (any(), any())).collect();
    for (stray, place) in drawn {
        let (Some(stray), Some(place)) = (stray, place) else { continue };
        if !holds_a_batch(&stray.bytes)
            && let Some(file) = files.get_mut(&place.file)
        {
            file.overwrite(place.position, &stray.bytes);
        }
    }
}

/// Whether something begins and ends in the sector that may be a batch.
fn holds_a_batch(sector: &[u8]) -> bool {
    (0..sector.len()).any(|start| {
        let rest = sector.get(start..).unwrap_or_default();
        let Some([0..=2, ..]) = rest.get(VERSION_AT..) else { return false };
        let length = rest.get(LENGTH_AT..).and_then(|it| it.first_chunk::<4>());
        let length = length.map_or(0, |it| u32::from_be_bytes(*it) as usize);
        (14..rest.len() - 11).contains(&length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(synced: usize, unsynced: usize, byte: u8) -> FileImage {
        let mut file = FileImage::default();
        file.write(0, &vec![byte; synced]);
        file.sync();
        file.write(synced as u64, &vec![byte + 1; unsynced]);
        file
    }

    #[test]
    fn only_unsynced_sectors_take_part() {
        let mut files = BTreeMap::from([(1, file(700, 2000, 10)), (2, file(512, 1024, 20))]);
        let sectors = unsynced_sectors(&files);
        let places: Vec<_> = sectors.iter().map(|it| (it.file, it.position)).collect();
        assert_eq!(places, [(1, 1024), (1, 1536), (1, 2048), (2, 512), (2, 1024)]);
        let mut exchanged = 0;
        for seed in 0..50 {
            let mut files = files.clone();
            misdirect(&mut files, &sectors, &mut Random::new(seed));
            for (id, synced, byte) in [(1, 700, 10), (2, 512, 20)] {
                let bytes = files.get(&id).expect("a file").bytes();
                assert!(bytes.iter().take(synced).all(|it| *it == byte));
                exchanged += usize::from(bytes.contains(&(31 - byte)));
            }
        }
        assert!(exchanged > 10, "{exchanged}");
        for file in files.values_mut() {
            file.sync();
        }
        assert!(unsynced_sectors(&files).is_empty());
    }

    #[test]
    fn a_sector_with_a_whole_batch_stays_where_it_is() {
        let mut sector = vec![b'v'; SECTOR_BYTES];
        assert!(!holds_a_batch(&sector));
        sector[100..112].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 200]);
        sector[116] = 2;
        assert!(holds_a_batch(&sector));
        sector[110..112].copy_from_slice(&[2, 0]);
        assert!(!holds_a_batch(&sector), "it ends in the next sector");
        assert!(!holds_a_batch(&vec![0; SECTOR_BYTES]));
    }
}
