//! The arena under seeds: what was taken is read back at any time, and is in the files after the
//! process has died between any two changes of the arena's memory.

use std::collections::VecDeque;

use strom_base::Random;
use strom_sim::arena_memory::SimArenaMemory;
use strom_sim::disk::SimDisk;
use strom_storage::arena::{
    Arena, ArenaWrite, BLOCK_BYTES, FLUSH_AGE_MS, Flush, Lease, Place, restore,
};
use strom_storage::disk::{DirectoryId, Disk, DiskError, DiskPath, FileId, FileKind, LogId};

/// Two files each: as a rule few logs share an arena, or so many that some go past it.
const LOGS: [u64; 3] = [2, 2, 20];
const DIRECTORY: DirectoryId = DirectoryId(0);

fn file(index: u64) -> FileId {
    FileId { log: LogId(index as u32 / 2), segment: index as i64 % 2, kind: FileKind::Records }
}

fn path_of(file: FileId) -> Result<DiskPath, DiskError> {
    let path = format!("t-{}/{}.log", file.log.0, file.segment);
    Ok(DiskPath { directory: DIRECTORY, path })
}

struct Life {
    random: Random,
    arena: Arena,
    memory: SimArenaMemory,
    disk: SimDisk,
    /// What a worker was asked for and has not done yet.
    queue: VecDeque<Flush>,
    /// What each file has to hold.
    truth: Vec<Vec<u8>>,
    now_ms: u64,
    leases: Vec<Lease>,
    /// Bytes that repeat seldom, and none of them zero.
    pattern: Vec<u8>,
}

impl Life {
    fn new(seed: u64) -> Life {
        let mut random = Random::new(seed);
        let blocks = 1 + random.below(6) as usize;
        let granted = random.below(1 + blocks as u64) as usize;
        let mut disk = SimDisk::new();
        let logs = LOGS[random.below(LOGS.len() as u64) as usize];
        for log in 0..logs {
            let folder = DiskPath { directory: DIRECTORY, path: format!("t-{log}") };
            disk.create_directory(&folder).expect("a folder");
        }
        Life {
            random,
            arena: Arena::new(blocks),
            memory: SimArenaMemory::new(blocks, granted),
            disk,
            queue: VecDeque::new(),
            truth: vec![Vec::new(); 2 * logs as usize],
            now_ms: 0,
            leases: Vec::new(),
            pattern: (1..=251).cycle().take(BLOCK_BYTES + 1000).collect(),
        }
    }

    fn step(&mut self) {
        let index = self.random.below(self.truth.len() as u64);
        let mut out = Vec::new();
        match self.random.below(20) {
            0..=9 => return self.append(index),
            10..=12 => return self.work(),
            13 => self.arena.flush(file(index), &mut out),
            14 => return self.cut(index),
            15 => self.arena.close(file(index), &mut out),
            16 => {
                self.now_ms += self.random.below(2 * FLUSH_AGE_MS);
                self.arena.on_deadline(&mut self.memory, self.now_ms, &mut out);
            }
            17 => self.leases.clear(),
            _ => return self.read(index),
        }
        self.queue.extend(out);
    }

    fn append(&mut self, index: u64) {
        let most = 1 << self.random.below(21);
        let length = 1 + self.random.below(most) as usize;
        let first = self.random.below(250) as usize;
        let bytes = self.pattern[first..first + length].to_vec();
        let position = self.truth[index as usize].len() as u64;
        let write = ArenaWrite {
            now_ms: self.now_ms,
            file: file(index),
            position,
            bytes: &bytes,
            path_of: &path_of,
        };
        let mut out = Vec::new();
        let taken = self.arena.write(&mut self.memory, &write, &mut out);
        self.queue.extend(out);
        let through = position + taken as u64;
        if taken < length {
            while self.arena.flushing_end(file(index)) > through {
                self.work();
            }
            self.write_through(index, through, &bytes[taken..]);
        }
        if !self.memory.has_died() {
            self.truth[index as usize].extend(bytes);
        }
    }

    fn write_through(&mut self, index: u64, position: u64, bytes: &[u8]) {
        if !self.memory.has_died() {
            let path = path_of(file(index)).expect("a path");
            self.disk.write_at(&path, position, bytes).expect("written");
        }
    }

    /// A worker does a flush, or fails to. There are several: one that is slow is overtaken by others.
    fn work(&mut self) {
        let at = if self.random.one_in(3) { self.random.below(4) as usize } else { 0 };
        let flush = self.queue.remove(at).or_else(|| self.queue.pop_front());
        let Some(flush) = flush else { return };
        let is_done = !self.random.one_in(20);
        if is_done && !self.memory.has_died() {
            let bytes = self.memory.bytes(flush.at, flush.length).expect("in the arena").to_vec();
            let path = path_of(flush.file).expect("a path");
            self.disk.write_at(&path, flush.position, &bytes).expect("written");
        }
        self.arena.on_flushed(&mut self.memory, &flush, is_done, self.now_ms);
    }

    fn cut(&mut self, index: u64) {
        let length = self.truth[index as usize].len();
        if length == 0 {
            return;
        }
        let position = self.random.below(length as u64 + 1);
        self.arena.cut(&mut self.memory, file(index), position);
        while self.arena.flushing_end(file(index)) > 0 {
            self.work();
        }
        if !self.memory.has_died() {
            let path = path_of(file(index)).expect("a path");
            self.disk.truncate(&path, position).expect("cut");
        }
        // A cut that was cut off may have taken effect, or a part of it.
        self.truth[index as usize].truncate(position as usize);
    }

    fn read(&mut self, index: u64) {
        if self.memory.has_died() {
            return;
        }
        let truth = &self.truth[index as usize];
        let from = self.random.below(truth.len() as u64 + 1) as usize;
        let mut read = Vec::new();
        while from + read.len() < truth.len() {
            let position = (from + read.len()) as u64;
            let left = truth.len() - from - read.len();
            match self.arena.place_of(file(index), position, left) {
                Place::Arena { at, length, lease } => {
                    read.extend_from_slice(self.memory.bytes(at, length).expect("in the arena"));
                    if self.random.one_in(4) {
                        self.leases.push(lease);
                    }
                }
                Place::File { length } => {
                    let mut bytes = vec![0; length];
                    let path = path_of(file(index)).expect("a path");
                    let got = self.disk.read_at(&path, position, &mut bytes);
                    assert_eq!(got, Ok(length), "at {position} of file {index}");
                    read.extend(bytes);
                }
            }
        }
        assert!(read == truth[from..], "file {index} from {from} reads back as it was written");
    }

    /// The next life writes what is owed; then the files alone hold everything.
    fn restart(mut self) {
        let restored = restore(&mut self.disk, DIRECTORY, &self.memory).expect("the disk works");
        assert_eq!(restored.refused, Vec::<String>::new());
        for (index, truth) in self.truth.iter().enumerate() {
            let path = path_of(file(index as u64)).expect("a path");
            let mut bytes = vec![0; truth.len()];
            let read = self.disk.read_at(&path, 0, &mut bytes).unwrap_or(0);
            assert_eq!(read, truth.len(), "file {index}");
            assert!(bytes == *truth, "file {index} holds what was acknowledged");
        }
    }
}

fn run(seed: u64, steps: u64, dies_at: Option<u64>) -> u64 {
    let mut life = Life::new(seed);
    life.memory.dies_at = dies_at;
    for _ in 0..steps {
        life.step();
        if life.memory.has_died() {
            break;
        }
    }
    let changes = life.memory.changes();
    life.restart();
    changes
}

#[test]
fn nothing_is_lost_when_the_process_dies() {
    for seed in 0..100 {
        let changes = run(seed, 120, None);
        let mut random = Random::new(seed);
        for _ in 0..3 {
            run(seed, 120, Some(random.below(changes.max(1))));
        }
    }
}

#[test]
fn an_arena_lets_go_of_everything_in_the_end() {
    for seed in 0..50 {
        let mut life = Life::new(seed);
        (0..60).for_each(|_| life.step());
        life.leases.clear();
        while life.arena.granted_bytes() > 0 || life.arena.next_deadline().is_some() {
            life.now_ms += FLUSH_AGE_MS;
            let mut out = Vec::new();
            life.arena.on_deadline(&mut life.memory, life.now_ms, &mut out);
            life.queue.extend(out);
            while !life.queue.is_empty() {
                life.work();
            }
            assert!(life.now_ms < 10_000_000, "seed {seed} holds {:?}", life.arena);
        }
        assert!(life.arena.is_clean());
    }
}

#[test]
fn a_file_that_somebody_else_went_on_with_is_left_alone() {
    let mut life = Life::new(1);
    life.arena = Arena::new(1);
    life.memory = SimArenaMemory::new(1, 1);
    life.append(0);
    let path = path_of(file(0)).expect("a path");
    life.disk.write_at(&path, 0, &[255; 2 * BLOCK_BYTES]).expect("written");
    let restored = restore(&mut life.disk, DIRECTORY, &life.memory).expect("the disk works");
    assert_eq!(restored.refused.len(), 1);
    let mut first = [0];
    assert_eq!(life.disk.read_at(&path, 0, &mut first), Ok(1));
    assert_eq!(first, [255]);
}

#[test]
fn a_log_that_shares_the_arena_with_too_many_goes_past_it_for_a_while() {
    let (mut arena, mut memory) = (Arena::new(1), SimArenaMemory::new(1, 1));
    let (mut out, mut ends, bytes) = (Vec::new(), [0; 33], vec![7; 20_000]);
    let mut write = |arena: &mut Arena, memory: &mut _, out: &mut _, log: usize, now_ms| {
        let (file, position) = (file(2 * log as u64), ends[log]);
        ends[log] += bytes.len() as u64;
        let write = ArenaWrite { now_ms, file, position, bytes: &bytes, path_of: &path_of };
        arena.write(memory, &write, out)
    };
    // Pieces of 32 KiB: one more than there are.
    for log in 0..33 {
        let taken = write(&mut arena, &mut memory, &mut out, log, 0);
        assert_eq!(taken, if log < 32 { bytes.len() } else { 0 });
    }
    assert!(!out.is_empty());
    let flushes = std::mem::take(&mut out);
    flushes.iter().for_each(|it| arena.on_flushed(&mut memory, it, true, 0));
    let pressed_out = flushes.iter().map(|it| it.file.log.0 as usize);
    for log in pressed_out.clone() {
        assert_eq!(write(&mut arena, &mut memory, &mut out, log, 9_999), 0);
    }
    assert_eq!((arena.is_short(), out.len()), (false, 0));
    let log = pressed_out.clone().next().expect("a log");
    assert_eq!(write(&mut arena, &mut memory, &mut out, log, 10_000), bytes.len());
}

/// Else ten thousand small appends would be ten thousand chunks: to find, to describe and to write out.
#[test]
fn a_file_that_grows_stays_in_one_piece() {
    let (mut arena, mut memory) = (Arena::new(4), SimArenaMemory::new(4, 4));
    let (mut out, mut truth, file) = (Vec::new(), Vec::new(), file(0));
    for value in 1..=200_u8 {
        let (position, bytes) = (truth.len() as u64, vec![value; 1_000]);
        let write = ArenaWrite { now_ms: 0, file, position, bytes: &bytes, path_of: &path_of };
        assert_eq!(arena.write(&mut memory, &write, &mut out), bytes.len());
        truth.extend(bytes);
        let Place::Arena { at, length, .. } = arena.place_of(file, 0, truth.len()) else {
            panic!("byte 0 of {} is gone", truth.len());
        };
        assert_eq!(memory.bytes(at, length), Some(truth.as_slice()));
    }
    assert_eq!(out, [], "there is no haste");
}

#[test]
fn large_writes_leave_room_to_small_ones() {
    let (blocks, large, small) = (32, vec![7; 64 * 1024], vec![8; 100]);
    let (mut arena, mut memory) = (Arena::new(blocks), SimArenaMemory::new(blocks, blocks));
    let mut out = Vec::new();
    let mut write = |arena: &mut Arena, index: u64, position: u64, bytes: &[u8]| {
        let file = file(index);
        let write = ArenaWrite { now_ms: 0, file, position, bytes, path_of: &path_of };
        arena.write(&mut memory, &write, &mut out)
    };
    let mut taken = 0;
    while write(&mut arena, 0, taken, &large) == large.len() {
        taken += large.len() as u64;
    }
    assert!(taken as usize >= (blocks - blocks / 8) * BLOCK_BYTES, "{taken} bytes were taken");
    assert!(taken as usize <= (blocks - 1) * BLOCK_BYTES, "{taken} bytes were taken");
    // A sixteenth of the blocks is theirs.
    for index in 1..=2 * (BLOCK_BYTES / large.len()) as u64 {
        assert_eq!(write(&mut arena, index, 0, &small), small.len(), "file {index}");
    }
}
