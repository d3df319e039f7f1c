//! One voter on a disk that keeps what was synced and loses the rest at a crash.

use std::collections::BTreeMap;

use strom_base::{Now, Uuid};
use strom_protocol::records::{HEADER_LENGTH, batches};
use strom_raft::{
    ControlState, Effect, QuorumState, Raft, RaftOptions, RaftStart, Snapshot, SnapshotId,
    SnapshotPolicy, StoredSnapshot,
};

pub(crate) const NODE: i32 = 1;
pub(crate) const DIRECTORY: Uuid = Uuid([7; 16]);

pub(crate) fn at(ms: u64) -> Now {
    Now { monotonic_ms: ms, wall_ms: ms as i64 }
}

/// A batch with the offset behind it.
type Stored = (i64, Vec<u8>);

pub(crate) struct World {
    pub(crate) raft: Raft,
    options: RaftOptions,
    /// On the disk.
    pub(crate) quorum_state: Option<String>,
    pub(crate) log: Vec<Stored>,
    pub(crate) snapshots: BTreeMap<SnapshotId, Vec<u8>>,
    pub(crate) log_start: i64,
    /// In the page cache only.
    unsynced: Vec<Stored>,
    unsaved_state: Option<String>,
    unsaved_snapshot: Option<(SnapshotId, Vec<u8>)>,
    /// Data records below the high watermark, as the state machine got them.
    pub(crate) applied: Vec<Vec<u8>>,
    applied_offset: i64,
    pub(crate) epochs: Vec<i32>,
    pub(crate) clock_ms: u64,
}

/// Nothing goes for its age; log and snapshots may be four times what makes a snapshot.
pub(crate) fn options(after_bytes: u64) -> RaftOptions {
    let retention_bytes = i64::try_from(after_bytes.saturating_mul(4)).unwrap_or(-1);
    RaftOptions {
        node_id: NODE,
        directory_id: DIRECTORY,
        snapshots: SnapshotPolicy { after_bytes, after_ms: 0, retention_bytes, retention_ms: -1 },
        ..RaftOptions::default()
    }
}

impl World {
    /// A node on an empty folder, or on one that was formatted.
    pub(crate) fn new(options: RaftOptions, formatted: Option<Vec<u8>>) -> Self {
        let raft = Raft::new(options.clone(), RaftStart::default()).expect("alone");
        let mut world = Self {
            raft,
            options,
            quorum_state: None,
            log: Vec::new(),
            snapshots: formatted.map(|it| (SnapshotId::default(), it)).into_iter().collect(),
            log_start: 0,
            unsynced: Vec::new(),
            unsaved_state: None,
            unsaved_snapshot: None,
            applied: Vec::new(),
            applied_offset: 0,
            epochs: Vec::new(),
            clock_ms: 0,
        };
        world.crash_and_start();
        world
    }

    /// Loses what was not synced and begins a new run on the rest.
    pub(crate) fn crash_and_start(&mut self) {
        self.unsynced.clear();
        self.unsaved_state = None;
        self.unsaved_snapshot = None;
        let newest = self.snapshots.last_key_value();
        let snapshot = newest.map(|(_, bytes)| Snapshot::read(bytes).expect("whole"));
        let snapshot = snapshot.unwrap_or_default();
        let end_offset = newest.map_or(0, |(id, _)| id.end_offset);
        let mut start = RaftStart {
            state: self.quorum_state.as_deref().map(|it| QuorumState::from_json(it).expect("ours")),
            control: snapshot.control.clone(),
            log_end_offset: self.log.last().map_or(self.log_start, |(end, _)| *end),
            last_epoch: newest.map_or(0, |(id, _)| id.epoch),
            snapshots: self.snapshots.iter().map(stored).collect(),
            bytes_since_snapshot: 0,
        };
        self.applied = snapshot.records;
        self.applied_offset = end_offset;
        for (_, batch) in self.log.iter().filter(|(end, _)| *end > end_offset) {
            start.bytes_since_snapshot += batch.len() as u64;
            start.last_epoch = take(&mut start.control, batch);
        }
        self.raft = Raft::new(self.options.clone(), start).expect("alone");
        let mut out = Vec::new();
        self.raft.on_start(&mut out);
        self.perform(out);
    }

    pub(crate) fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::PersistState { json } => self.unsaved_state = Some(json),
                Effect::Append { batch, end_offset } => {
                    let waiting = self.unsynced.last().or(self.log.last());
                    let begin = waiting.map_or(self.log_start, |(end, _)| *end);
                    assert_eq!(assert_consecutive(&batch, begin, self.raft.epoch()), end_offset);
                    self.unsynced.push((end_offset, batch));
                }
                Effect::Committed { high_watermark } => self.apply(high_watermark),
                Effect::SnapshotDue { id } => {
                    assert_eq!(id.end_offset, self.applied_offset);
                    let mut out = Vec::new();
                    let records = self.applied.clone();
                    self.raft
                        .write_snapshot(at(self.clock_ms), self.clock_ms as i64, records, &mut out)
                        .expect("it fits");
                    self.perform(out);
                }
                Effect::WriteSnapshot { id, bytes } => self.unsaved_snapshot = Some((id, bytes)),
                Effect::DeleteBefore { offset } => {
                    self.log_start = offset;
                    self.log.retain(|(end, _)| *end > offset);
                }
                Effect::DeleteSnapshot { id } => drop(self.snapshots.remove(&id)),
            }
        }
    }

    fn apply(&mut self, high_watermark: i64) {
        let stored = self.log.iter().filter(|(end, _)| *end > self.applied_offset);
        let stored = stored.filter(|(end, _)| *end <= high_watermark);
        self.applied.extend(stored.flat_map(|(_, batch)| values(batch)));
        self.applied_offset = high_watermark;
    }

    pub(crate) fn save_state(&mut self) {
        if let Some(json) = self.unsaved_state.take() {
            self.quorum_state = Some(json);
            let mut out = Vec::new();
            let led = self.raft.leader_id() == NODE;
            self.raft.on_state_persisted(at(self.clock_ms), &mut out).expect("it fits");
            if !led && self.raft.leader_id() == NODE {
                self.epochs.push(self.raft.epoch());
            }
            self.perform(out);
        }
    }

    pub(crate) fn sync(&mut self) {
        self.clock_ms += 1;
        self.log.append(&mut self.unsynced);
        let end_offset = self.log.last().map_or(self.log_start, |(end, _)| *end);
        let mut out = Vec::new();
        self.raft.on_synced(at(self.clock_ms), end_offset, &mut out);
        self.perform(out);
    }

    pub(crate) fn save_snapshot(&mut self) {
        if let Some((id, bytes)) = self.unsaved_snapshot.take() {
            self.snapshots.insert(id, bytes);
            self.raft.on_snapshot_written(at(self.clock_ms));
            self.clean();
        }
    }

    /// Lets go of what is not to be kept.
    pub(crate) fn clean(&mut self) {
        let mut out = Vec::new();
        while self.raft.clean_snapshots(at(self.clock_ms), self.log_bytes(), &mut out) {
            self.perform(std::mem::take(&mut out));
        }
    }

    /// Log and snapshots on the disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.log_bytes() + self.snapshots.values().map(|bytes| bytes.len() as u64).sum::<u64>()
    }

    fn log_bytes(&self) -> u64 {
        self.log.iter().map(|(_, batch)| batch.len() as u64).sum()
    }

    /// Everything the disk still owes.
    pub(crate) fn settle(&mut self) {
        for _ in 0..3 {
            self.save_state();
            self.sync();
            self.save_snapshot();
        }
    }

    /// False when this node does not lead yet.
    pub(crate) fn append(&mut self, records: &[Vec<u8>]) -> bool {
        let mut out = Vec::new();
        let appended = self.raft.append(at(self.clock_ms), records, &mut out);
        self.perform(out);
        appended.is_ok()
    }
}

fn stored((id, bytes): (&SnapshotId, &Vec<u8>)) -> StoredSnapshot {
    let last_timestamp_ms = strom_raft::snapshot::last_timestamp_ms(bytes).expect("a header");
    StoredSnapshot { id: *id, bytes: bytes.len() as u64, last_timestamp_ms }
}

/// That each batch begins where the one before has ended, and is of this epoch; the end of the last one.
pub(crate) fn assert_consecutive(bytes: &[u8], begin: i64, epoch: i32) -> i64 {
    batches(bytes).fold(begin, |end, raw| {
        let header = raw.expect("whole").header;
        assert_eq!((header.base_offset, header.partition_leader_epoch), (end, epoch));
        header.last_offset() + 1
    })
}

/// The values of a data batch.
pub(crate) fn values(batch: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for raw in batches(batch) {
        let raw = raw.expect("whole");
        if !raw.header.is_control() {
            let records = raw.header.records(raw.bytes.get(HEADER_LENGTH..).expect("a body"));
            found.extend(records.map(|it| it.expect("sound").value.expect("a value").to_vec()));
        }
    }
    found
}

/// Takes in control records; the batch's epoch.
pub(crate) fn take(control: &mut ControlState, batch: &[u8]) -> i32 {
    let mut epoch = -1;
    for raw in batches(batch) {
        let raw = raw.expect("whole");
        control.replay(&raw).expect("sound");
        epoch = raw.header.partition_leader_epoch;
    }
    epoch
}
