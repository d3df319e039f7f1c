//! One file's bytes: as they are read, as they would be after a crash, and what lies between.

use strom_base::Random;

use super::SECTOR_BYTES;

#[derive(Clone, Debug, Default)]
pub(super) struct FileImage {
    current: Vec<u8>,
    synced: Vec<u8>,
    /// What was done since the last sync, in order.
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { position: usize, bytes: Vec<u8> },
    Truncate { length: usize },
}

/// How a crash treats one file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    LosesAll,
    KeepsAll,
    Mixes,
}

impl FileImage {
    pub(super) fn length(&self) -> u64 {
        self.current.len() as u64
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.current
    }

    pub(super) fn read_at(&self, position: u64, buffer: &mut [u8]) -> usize {
        let start = usize::try_from(position).unwrap_or(usize::MAX);
        let rest = self.current.get(start..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        let (source, target) = (rest.get(..length), buffer.get_mut(..length));
        if let (Some(source), Some(target)) = (source, target) {
            target.copy_from_slice(source);
        }
        length
    }

    pub(super) fn write(&mut self, position: u64, bytes: &[u8]) {
        let position = position as usize;
        put(&mut self.current, position, bytes);
        self.unsynced.push(Change::Write { position, bytes: bytes.to_vec() });
    }

    pub(super) fn truncate(&mut self, length: u64) {
        let length = length as usize;
        self.current.resize(length, 0);
        self.unsynced.push(Change::Truncate { length });
    }

    pub(super) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            match change {
                Change::Write { position, bytes } => put(&mut self.synced, position, &bytes),
                Change::Truncate { length } => self.synced.resize(length, 0),
            }
        }
    }

    /// A sync that fails: half of what was to be durable is, and the rest is taken for clean, though
    /// no sync will ever look for it again. Reads go on seeing all of it until the power fails.
    pub(super) fn fail_to_sync(&mut self) {
        let done = self.unsynced.len() / 2;
        self.unsynced.truncate(done);
        self.sync();
    }

    pub(super) fn crash(&mut self, random: &mut Random) {
        let mood = match random.below(4) {
            0 => Mood::LosesAll,
            1 => Mood::KeepsAll,
            _ => Mood::Mixes,
        };
        for change in std::mem::take(&mut self.unsynced) {
            match change {
                Change::Write { position, bytes } => {
                    survive(&mut self.synced, position, &bytes, mood, random);
                }
                Change::Truncate { length } => {
                    if mood == Mood::KeepsAll || (mood == Mood::Mixes && !random.one_in(3)) {
                        self.synced.resize(length, 0);
                    }
                }
            }
        }
        self.current = self.synced.clone();
    }
}

fn put(image: &mut Vec<u8>, position: usize, bytes: &[u8]) {
    let end = position + bytes.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    if let Some(target) = image.get_mut(position..end) {
        target.copy_from_slice(bytes);
    }
}

/// One unsynced write: whole, gone, gone with its length kept, or torn by sectors.
fn survive(image: &mut Vec<u8>, position: usize, bytes: &[u8], mood: Mood, random: &mut Random) {
    let fate = match mood {
        Mood::LosesAll => return,
        Mood::KeepsAll => 0,
        Mood::Mixes => random.below(4),
    };
    match fate {
        0 => put(image, position, bytes),
        1 => {}
        2 => image.resize(image.len().max(position + bytes.len()), 0),
        _ => {
            let mut start = 0;
            while start < bytes.len() {
                let sector_end = ((position + start) / SECTOR_BYTES + 1) * SECTOR_BYTES;
                let end = (sector_end - position).min(bytes.len());
                if random.one_in(2) {
                    put(image, position + start, bytes.get(start..end).unwrap_or_default());
                }
                start = end;
            }
        }
    }
}
