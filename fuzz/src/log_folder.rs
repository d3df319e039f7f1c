//! One partition's folder on a simulated disk: written by a log as an input says, then damaged.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use strom_base::{Now, Uuid};
use strom_protocol::records::BatchOptions;
use strom_protocol::sample::Draw;
use strom_sim::disk::SimDisk;
use strom_sim::engine::Engine;
use strom_storage::config::LogConfig;
use strom_storage::disk::{DirectoryId, Disk, DiskEffect, DiskPath, LogId};
use strom_storage::log::{AppendOrigin, AppendRequest, Log, LogIdentity};
use strom_storage::recovery::{RecoveredLog, RecoveryError, RecoveryOptions, recover_log};

use crate::batches::{MADE_AT_MS, sound};
use crate::choices::Choices;
use crate::damage::damage;

const APPENDS_MAX: usize = 12;
const DAMAGED_FILES_MAX: u64 = 3;
pub const NOW: Now = Now { monotonic_ms: 1_000, wall_ms: MADE_AT_MS };
/// Names that a folder may hold; those of segments have the base offset of one that is there.
const NAMES: [&str; 8] = [
    "00000000000000000000.log",
    "00000000000000000000.index",
    "00000000000000000000.timeindex",
    "00000000000000000000.txnindex",
    "00000000000000000007.log",
    "00000000000000000007.snapshot",
    "leader-epoch-checkpoint",
    "partition.metadata",
];

#[must_use]
pub fn folder() -> DiskPath {
    DiskPath { directory: DirectoryId(0), path: "a-0".to_owned() }
}

/// Small segments, so that an input of a few batches has several.
#[must_use]
pub fn config() -> Arc<LogConfig> {
    Arc::new(LogConfig { segment_bytes: 600, index_interval_bytes: 100, ..Default::default() })
}

#[must_use]
pub fn identity() -> LogIdentity {
    LogIdentity {
        id: LogId(0),
        directory: DirectoryId(0),
        topic: Arc::from("a"),
        partition: 0,
        topic_id: Uuid([7; 16]),
    }
}

/// Does what a log asks for until it asks for nothing more.
///
/// # Panics
/// When it asks for what a disk that works cannot do.
pub fn settle(engine: &mut Engine, log: &mut Log, out: &mut Vec<DiskEffect>) {
    while !out.is_empty() {
        for effect in std::mem::take(out) {
            if let Some(completion) = engine.perform(effect) {
                log.on_completed(NOW, &completion, out);
            }
        }
        assert!(engine.refused.is_empty(), "{:?}", engine.refused);
    }
}

/// A folder that a log wrote and closed, or that was left as it was.
#[must_use]
pub fn written(choices: &mut Choices<'_>) -> SimDisk {
    let mut engine = Engine::new(SimDisk::new());
    engine.place(LogId(0), Some(folder()));
    let (mut log, mut out) = (Log::create(identity(), config(), NOW), Vec::new());
    let is_follower = choices.byte() & 7 == 0;
    for _ in 0..=choices.place(APPENDS_MAX) {
        append(&mut log, is_follower, choices, &mut out);
        settle(&mut engine, &mut log, &mut out);
    }
    if choices.byte() & 1 == 0 {
        log.close(NOW, &mut out);
        settle(&mut engine, &mut log, &mut out);
    }
    engine.disk
}

fn append(log: &mut Log, is_follower: bool, choices: &mut Choices<'_>, out: &mut Vec<DiskEffect>) {
    let mut options = crate::batches::options(choices);
    if is_follower {
        options.base_offset = log.log_end_offset() + i64::from(choices.byte() >> 6);
        let batch = Bytes::from(sound(options, choices));
        // Refused or not: what is written is what counts.
        let _ = log.append_as_follower(NOW, batch, i32::MAX, out);
        return;
    }
    let batch = sound(BatchOptions { base_offset: 0, ..options }, choices);
    let request = AppendRequest {
        batches: BytesMut::from(batch.as_slice()),
        origin: [AppendOrigin::Client, AppendOrigin::Coordinator][choices.place(2)],
        examined: None,
        leader_epoch: options.partition_leader_epoch.max(0),
        transaction_verified: true,
        transaction_version: 1,
    };
    let _ = log.append_as_leader(NOW, request, out);
}

/// Damages some files, takes some away, puts foreign ones beside them.
///
/// # Panics
/// Never: the disk works.
pub fn damage_files(disk: &mut SimDisk, choices: &mut Choices<'_>) {
    disk.create_directory(&folder()).expect("a folder");
    for _ in 0..choices.below(DAMAGED_FILES_MAX + 1) {
        let entries = disk.list(&folder()).expect("a folder");
        let found = choices.one_of(&entries).map(|entry| entry.name.clone());
        let kind = choices.byte() % 8;
        let name = match (kind, found) {
            (0, _) | (_, None) => (*choices.one_of(&NAMES).expect("names")).to_owned(),
            (_, Some(found)) => found,
        };
        let path = folder().below(&name);
        let mut bytes = disk.read_file(&path, u64::MAX).unwrap_or_default();
        match kind {
            0 => bytes = choices.piece().to_vec(),
            1 => {
                disk.remove_file(&path).expect("removed");
                continue;
            }
            2 => bytes.extend_from_slice(&[0; 100]),
            3 => bytes.extend_from_slice(choices.piece()),
            _ => damage(&mut bytes, choices),
        }
        disk.write_file(&path, &bytes).expect("written");
    }
}

/// What is there, opened.
///
/// # Errors
/// When a file cannot be rebuilt.
pub fn recover(
    disk: &mut SimDisk,
    recovery_point: i64,
    log_start_offset: Option<i64>,
    clean: bool,
) -> Result<RecoveredLog, RecoveryError> {
    let options = RecoveryOptions {
        config: config(),
        recovery_point,
        log_start_offset,
        clean,
        syncs_kept: false,
    };
    recover_log(disk, &folder(), options)
}
