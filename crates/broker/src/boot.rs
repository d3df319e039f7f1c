//! Start-up, the part that reads the disk: a job over [`Disk`] before the machine exists.
//!
//! It formats what is empty, refuses what is foreign, recovers every log and hands the rest to
//! [`crate::Broker::start`] as plain values. The simulator runs the same job.

use std::collections::BTreeMap;
use std::sync::Arc;

use strom_base::{Planted, Random, Uuid, planted};
use strom_storage::LogConfig;
use strom_storage::disk::{DirectoryId, Disk, DiskError, DiskPath, FileId};
use strom_storage::format::{clean_shutdown, file_name};
use strom_storage::recovery::RecoveredLog;

use crate::settings::QuorumSettings;

pub mod format;
pub mod identity;
pub mod log_job;
pub mod metadata_log;

pub use identity::{DirectoryIdentity, Identity, check};
pub use log_job::{LogJob, RecoverLogs, in_turn};
pub use metadata_log::BootedMetadata;

/// Small files (checkpoints, properties) are refused above this size.
const SMALL_FILE_BYTES_MAX: u64 = 64 << 20;

/// What the operator is told when a node cannot start: one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BootError(pub String);

impl BootError {
    fn of(what: &str, error: &impl std::fmt::Display) -> Self {
        Self(format!("{what}: {error}"))
    }
}

impl From<DiskError> for BootError {
    fn from(error: DiskError) -> Self {
        let what = format!("the data folder cannot be used: {error}");
        match error {
            DiskError::Full(_) => Self(format!(
                "{what}: make room on its disk, nothing that was acknowledged is lost; the node \
                 starts again as soon as there is some"
            )),
            _ => Self(what),
        }
    }
}

/// What the job needs to know.
#[derive(Clone, Debug)]
pub struct BootOptions {
    pub node_id: i32,
    /// As many as `log.dirs` has.
    pub directories: u16,
    /// Where `__cluster_metadata` is: index into `log.dirs`.
    pub metadata_directory: DirectoryId,
    /// An empty folder is formatted; else it is an error that names `strom storage format`.
    pub format_empty: bool,
    /// Who votes, should an empty folder be formatted.
    pub quorum: QuorumSettings,
    /// Settings of logs before the topic configurations are known.
    pub log_config: Arc<LogConfig>,
    pub now_ms: i64,
}

/// A partition's folder as it was found.
#[derive(Debug)]
pub struct BootedLog {
    pub directory: DirectoryId,
    pub topic: String,
    pub partition: i32,
    /// Zero when `partition.metadata` is missing or torn: nothing of such a log was ever synced.
    pub topic_id: Uuid,
    pub recovered: RecoveredLog,
    /// From `replication-offset-checkpoint`.
    pub high_watermark: i64,
}

/// Everything a broker starts from.
#[derive(Debug)]
pub struct BootState {
    pub identity: Identity,
    pub metadata: BootedMetadata,
    pub logs: Vec<BootedLog>,
    /// Topics of which the checkpoints of a log directory name a partition that has no folder there.
    pub stale_topics: Vec<String>,
    /// The broker epoch of a clean shutdown, -1 if it was none.
    pub previous_broker_epoch: i64,
    /// Marks of a clean stop, to be taken away before anything is written: [`forget_clean_stop`].
    pub clean_marks: Vec<DiskPath>,
    /// Sentences for the operator: what was cut, skipped or found damaged.
    pub notes: Vec<String>,
}

/// Where a file of a log in this folder is.
#[must_use]
pub fn file_path(folder: &DiskPath, file: FileId) -> DiskPath {
    let name = file_name::format(file.segment, file.kind);
    DiskPath { directory: folder.directory, path: format!("{}/{name}", folder.path) }
}

pub(crate) fn root(directory: DirectoryId, name: &str) -> DiskPath {
    DiskPath { directory, path: name.to_owned() }
}

/// A small file's bytes, `None` when it is missing.
pub(crate) fn read_small(disk: &dyn Disk, path: &DiskPath) -> Result<Option<Vec<u8>>, DiskError> {
    match disk.read_file(path, SMALL_FILE_BYTES_MAX) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(DiskError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Runs the whole job, one log after the other.
///
/// # Errors
/// One sentence for the operator. Nothing was changed on a folder of another node or cluster.
pub fn boot(
    disk: &mut dyn Disk,
    options: &BootOptions,
    random: &mut Random,
) -> Result<BootState, BootError> {
    let state = boot_with(disk, options, random, &mut in_turn)?;
    forget_clean_stop(disk, &state.clean_marks)?;
    Ok(state)
}

/// Takes the marks of a clean stop away, or they would vouch for what is written from now on. Not
/// before the node is known to run: one that is refused leaves the folder as it was.
///
/// # Errors
/// When a mark stays.
pub fn forget_clean_stop(disk: &mut dyn Disk, marks: &[DiskPath]) -> Result<(), BootError> {
    for mark in marks {
        if planted(Planted::CleanMarkStays) {
            break;
        }
        disk.remove_file(mark)?;
        disk.sync_directory(&root(mark.directory, ""))?;
    }
    Ok(())
}

/// The same for a shell that has its own way to recover many logs, and forgets the clean stop itself.
///
/// # Errors
/// As [`boot`].
pub fn boot_with(
    disk: &mut dyn Disk,
    options: &BootOptions,
    random: &mut Random,
    recover: RecoverLogs<'_>,
) -> Result<BootState, BootError> {
    let identity = identity::read_or_format(disk, options, random)?;
    let (mut found, mut clean_marks) = (log_job::Logs::default(), Vec::new());
    let mut previous_broker_epoch = None;
    for index in 0..options.directories {
        let directory = DirectoryId(index);
        let mark = root(directory, clean_shutdown::FILE_NAME);
        let clean = read_small(disk, &mark)?;
        let epoch = clean.as_deref().and_then(clean_shutdown::parse).unwrap_or(-1);
        // Only an epoch that all directories agree on proves a clean stop of the whole node.
        let agreed = previous_broker_epoch.is_none_or(|previous| previous == epoch);
        previous_broker_epoch = Some(if agreed { epoch } else { -1 });
        let is_clean = clean.is_some();
        log_job::find(disk, (directory, is_clean), options, &mut found)?;
        clean_marks.extend(is_clean.then_some(mark));
    }
    let log_job::Logs { jobs, mut notes, stale_topics } = found;
    let stale_topics = stale_topics.into_iter().collect();
    let mut logs = Vec::with_capacity(jobs.len());
    for found in recover(disk, jobs) {
        let (log, note) = found?;
        logs.push(log);
        notes.extend(note);
    }
    let metadata = metadata_log::read(disk, options, &mut notes)?;
    refuse_duplicates(&logs)?;
    let previous_broker_epoch = previous_broker_epoch.unwrap_or(-1);
    Ok(BootState {
        identity,
        metadata,
        logs,
        stale_topics,
        previous_broker_epoch,
        clean_marks,
        notes,
    })
}

fn refuse_duplicates(logs: &[BootedLog]) -> Result<(), BootError> {
    let mut seen = BTreeMap::new();
    for log in logs {
        if let Some(other) = seen.insert((&log.topic, log.partition), log.directory) {
            return Err(BootError(format!(
                "partition {}-{} lies in log directories {} and {} of log.dirs: remove the older \
                 one of the two folders",
                log.topic, log.partition, other.0, log.directory.0
            )));
        }
    }
    Ok(())
}
