//! One file's bytes: as they are read, as they would be after a crash, and what lies between.

use std::ops::Range;

use strom_base::Random;

use super::SECTOR_BYTES;

#[derive(Clone, Debug)]
pub(super) struct FileImage {
    current: Vec<u8>,
    durable: Durable,
}

/// What would be there after a crash.
#[derive(Clone, Debug)]
enum Durable {
    /// So many of the first bytes as they are. All else was appended since, write by write.
    Prefix { length: usize, appended: Vec<Range<usize>> },
    /// An image of its own, and what was done since the last sync, in order.
    Apart { synced: Vec<u8>, unsynced: Vec<Change> },
}

#[derive(Clone, Debug)]
enum Change {
    Write {
        position: usize,
        bytes: Vec<u8>,
    },
    /// A write, too: a log has many more of them ahead of it than it writes over.
    Zeros {
        position: usize,
        length: usize,
    },
    Truncate {
        length: usize,
    },
}

/// How a crash treats one file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    LosesAll,
    KeepsAll,
    Mixes,
}

impl Default for FileImage {
    fn default() -> Self {
        Self { current: Vec::new(), durable: Durable::Prefix { length: 0, appended: Vec::new() } }
    }
}

impl FileImage {
    pub(super) fn length(&self) -> u64 {
        self.current.len() as u64
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.current
    }

    /// As many of so many bytes as there are.
    pub(super) fn bytes_at(&self, position: u64, length: usize) -> &[u8] {
        let start = usize::try_from(position).unwrap_or(usize::MAX);
        let rest = self.current.get(start..).unwrap_or_default();
        rest.get(..length).unwrap_or(rest)
    }

    pub(super) fn write(&mut self, position: u64, bytes: &[u8]) {
        let position = position as usize;
        if let Durable::Prefix { appended, .. } = &mut self.durable
            && position >= self.current.len()
        {
            appended.push(position..position + bytes.len());
        } else {
            self.unsynced().push(Change::Write { position, bytes: bytes.to_vec() });
        }
        put(&mut self.current, position, bytes);
    }

    pub(super) fn write_zeros(&mut self, position: u64, length: usize) {
        let position = position as usize;
        if let Durable::Prefix { appended, .. } = &mut self.durable
            && position >= self.current.len()
        {
            appended.push(position..position + length);
        } else {
            self.unsynced().push(Change::Zeros { position, length });
        }
        clear(&mut self.current, position, length);
    }

    pub(super) fn truncate(&mut self, length: u64) {
        let length = length as usize;
        self.unsynced().push(Change::Truncate { length });
        self.current.resize(length, 0);
    }

    /// From now on with an image apart: what is done next is more than to append.
    fn unsynced(&mut self) -> &mut Vec<Change> {
        if let Durable::Prefix { length, appended } = &self.durable {
            let bytes = |range: &Range<usize>| self.current.get(range.clone()).unwrap_or_default();
            let write = |range: &Range<usize>| Change::Write {
                position: range.start,
                bytes: bytes(range).to_vec(),
            };
            let unsynced = appended.iter().map(write).collect();
            let synced = self.current.get(..*length).unwrap_or_default().to_vec();
            self.durable = Durable::Apart { synced, unsynced };
        }
        match &mut self.durable {
            Durable::Apart { unsynced, .. } => unsynced,
            Durable::Prefix { .. } => unreachable!("it was set apart"),
        }
    }

    /// What was written since the last sync, neighbours together; nothing of a file that was cut since.
    pub(super) fn unsynced_ranges(&self) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = match &self.durable {
            Durable::Prefix { appended, .. } => appended.clone(),
            Durable::Apart { unsynced, .. } => {
                let range = |change: &Change| match change {
                    Change::Write { position, bytes } => Some(*position..position + bytes.len()),
                    Change::Zeros { position, length } => Some(*position..position + length),
                    Change::Truncate { .. } => None,
                };
                unsynced.iter().map(range).collect::<Option<Vec<_>>>().unwrap_or_default()
            }
        };
        ranges.sort_unstable_by_key(|it| it.start);
        ranges.dedup_by(|next, before| {
            let meets = next.start <= before.end;
            before.end = if meets { before.end.max(next.end) } else { before.end };
            meets
        });
        ranges
    }

    /// After a crash something else stands there.
    pub(super) fn overwrite(&mut self, position: usize, bytes: &[u8]) {
        put(&mut self.current, position, bytes);
        self.durable = Durable::Prefix { length: self.current.len(), appended: Vec::new() };
    }

    pub(super) fn sync(&mut self) {
        match &mut self.durable {
            Durable::Prefix { length, appended } => {
                *length = self.current.len();
                appended.clear();
            }
            Durable::Apart { synced, unsynced } => {
                for change in unsynced.drain(..) {
                    match change {
                        Change::Write { position, bytes } => put(synced, position, &bytes),
                        Change::Zeros { position, length } => clear(synced, position, length),
                        Change::Truncate { length } => synced.resize(length, 0),
                    }
                }
            }
        }
    }

    /// A sync that fails: half of the writes become durable, and the others are taken for clean, though
    /// no sync will ever look for them again. Reads go on seeing all of it until the power fails.
    /// Lengths are the journal's: they wait for the next sync.
    pub(super) fn fail_to_sync(&mut self) {
        let unsynced = std::mem::take(self.unsynced());
        let half = unsynced.len() / 2;
        let (done, left) = unsynced.into_iter().enumerate().partition(|(index, _)| *index < half);
        let changes = |of: Vec<(usize, Change)>| of.into_iter().map(|(_, change)| change);
        *self.unsynced() = changes(done).collect();
        self.sync();
        let is_length = |change: &Change| matches!(change, Change::Truncate { .. });
        *self.unsynced() = changes(left).filter(is_length).collect();
    }

    pub(super) fn crash(&mut self, random: &mut Random) {
        let mood = match random.below(4) {
            0 => Mood::LosesAll,
            1 => Mood::KeepsAll,
            _ => Mood::Mixes,
        };
        let unsynced = std::mem::take(self.unsynced());
        let Durable::Apart { synced, .. } = &mut self.durable else { return };
        for change in unsynced {
            match change {
                Change::Write { position, bytes } => {
                    survive(synced, position, &bytes, mood, random);
                }
                Change::Zeros { position, length } => {
                    survive(synced, position, &vec![0; length], mood, random);
                }
                Change::Truncate { length } => {
                    if mood == Mood::KeepsAll || (mood == Mood::Mixes && !random.one_in(3)) {
                        synced.resize(length, 0);
                    }
                }
            }
        }
        self.current = std::mem::take(synced);
        self.durable = Durable::Prefix { length: self.current.len(), appended: Vec::new() };
    }
}

/// A file that is longer has room for so many times its length when it needs some.
const LONG: usize = 64 << 10;
const GROWTH: usize = 8;

fn put(image: &mut Vec<u8>, position: usize, bytes: &[u8]) {
    if image.len() < position {
        image.resize(position, 0);
    }
    let end = position + bytes.len();
    if end > image.capacity() && image.len() >= LONG {
        // Room that nobody has written to costs nothing; to move a long file does.
        image.reserve_exact(GROWTH * end - image.len());
    }
    // Mostly all of it is new: then nothing is cleared before.
    let (over, behind) = bytes.split_at(bytes.len().min(image.len() - position));
    if let Some(target) = image.get_mut(position..position + over.len()) {
        target.copy_from_slice(over);
    }
    image.extend_from_slice(behind);
}

/// The same with zeros.
fn clear(image: &mut Vec<u8>, position: usize, length: usize) {
    let (end, there) = (position + length, image.len());
    image.resize(there.max(end), 0);
    if let Some(target) = image.get_mut(position.min(there)..end.min(there)) {
        target.fill(0);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a file only ever grew, or was set apart before, must not show.
    #[test]
    fn an_image_apart_is_the_same_file() {
        for seed in 0..400 {
            let random = &mut Random::new(seed);
            let mut files = [FileImage::default(), FileImage::default()];
            files[1].unsynced();
            for step in 0..random.below(20) {
                let length = files[0].length();
                let position = length.saturating_sub(random.below(3) * 300 * (seed % 2));
                let bytes = vec![step as u8 + 1; random.below(1500) as usize];
                let what = random.below(9);
                for file in &mut files {
                    match what {
                        0 => file.sync(),
                        1 if seed % 3 == 0 => file.truncate(length / 2),
                        2 if seed % 5 == 0 => file.fail_to_sync(),
                        8 => file.write_zeros(position, bytes.len()),
                        _ => file.write(position, &bytes),
                    }
                }
            }
            assert_eq!(files[0].bytes(), files[1].bytes(), "seed {seed}");
            for file in &mut files {
                file.crash(&mut Random::new(seed));
            }
            assert_eq!(files[0].bytes(), files[1].bytes(), "seed {seed} after a crash");
        }
    }
}
