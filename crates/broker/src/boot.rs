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

/// More than a slash and the name of a segment's file.
const FILE_NAME_LENGTH: usize = 40;

/// What the operator is told when a node cannot start: one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct BootError {
    text: String,
    /// The disk has failed, and not for want of room: the log directory is of no use in this life.
    is_of_disk: bool,
}

impl BootError {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_of_disk: false }
    }

    fn of(what: &str, error: &impl std::fmt::Display) -> Self {
        Self::new(format!("{what}: {error}"))
    }
}

impl From<DiskError> for BootError {
    fn from(error: DiskError) -> Self {
        let what = format!("the data folder cannot be used: {error}");
        match error {
            DiskError::Full(_) => Self::new(format!(
                "{what}: make room on its disk, nothing that was acknowledged is lost; the node \
                 starts again as soon as there is some"
            )),
            DiskError::Io(_) => Self { text: what, is_of_disk: true },
            _ => Self::new(what),
        }
    }
}

/// A log directory that a start goes on without, as Apache Kafka does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedDirectory {
    pub directory: DirectoryId,
    pub reason: String,
}

/// Those that failed so far.
#[derive(Clone, Debug)]
struct Failures {
    metadata_directory: DirectoryId,
    failed: Vec<FailedDirectory>,
}

impl Failures {
    fn of(options: &BootOptions) -> Self {
        let failed = options.failed_directories.clone();
        Self { metadata_directory: options.metadata_directory, failed }
    }

    fn contains(&self, directory: DirectoryId) -> bool {
        self.failed.iter().any(|it| it.directory == directory)
    }

    /// `None` where the disk of a directory has failed that the node can do without: all but that of the
    /// metadata log.
    fn set_aside<T>(
        &mut self,
        directory: DirectoryId,
        result: Result<T, BootError>,
    ) -> Result<Option<T>, BootError> {
        match result {
            Err(error) if error.is_of_disk && directory != self.metadata_directory => {
                if !self.contains(directory) {
                    self.failed.push(FailedDirectory { directory, reason: error.text });
                }
                Ok(None)
            }
            other => other.map(Some),
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
    /// Those that nothing is asked of, as they are known to have failed. Not the metadata log's.
    pub failed_directories: Vec<FailedDirectory>,
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
    /// With the directories that the node goes on with.
    pub identity: Identity,
    pub failed_directories: Vec<FailedDirectory>,
    pub metadata: BootedMetadata,
    pub logs: Vec<BootedLog>,
    /// Topics of which the checkpoints of a log directory name a partition that has no folder there.
    pub stale_topics: Vec<String>,
    /// The broker epoch of a clean shutdown, -1 if it was none.
    pub previous_broker_epoch: i64,
    /// Marks of a clean stop, each to be taken away before anything is written: [`forget_clean_stop`].
    pub clean_marks: Vec<DiskPath>,
    /// Sentences for the operator: what was cut, skipped or found damaged.
    pub notes: Vec<String>,
}

/// Where a file of a log in this folder is.
#[must_use]
pub fn file_path(folder: &DiskPath, file: FileId) -> DiskPath {
    let mut path = String::with_capacity(folder.path.len() + FILE_NAME_LENGTH);
    path.push_str(&folder.path);
    path.push('/');
    file_name::append(&mut path, file.segment, file.kind);
    DiskPath { directory: folder.directory, path }
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
    let mut state = boot_with(disk, options, random, &mut in_turn)?;
    for mark in std::mem::take(&mut state.clean_marks) {
        let mut failures = Failures { failed: state.failed_directories, ..Failures::of(options) };
        failures.set_aside(mark.directory, forget_clean_stop(disk, &mark))?;
        state.failed_directories = failures.failed;
    }
    state.leave_failed_out();
    Ok(state)
}

/// Takes the mark of a clean stop away, or it would vouch for what is written from now on. Not before
/// the node is known to run: one that is refused leaves the folder as it was.
///
/// # Errors
/// When the mark stays.
pub fn forget_clean_stop(disk: &mut dyn Disk, mark: &DiskPath) -> Result<(), BootError> {
    if planted(Planted::CleanMarkStays) {
        return Ok(());
    }
    disk.remove_file(mark)?;
    Ok(disk.sync_directory(&root(mark.directory, ""))?)
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
    let mut failures = Failures::of(options);
    let identity = identity::read_or_format(disk, options, random, &mut failures)?;
    let (mut found, mut clean_marks) = (log_job::Logs::default(), Vec::new());
    let mut previous_broker_epoch = None;
    for directory in identity.directories.iter().map(|it| it.directory) {
        let there = find_in(disk, directory, options);
        let Some((epoch, mark, logs)) = failures.set_aside(directory, there)? else { continue };
        // Only an epoch that all directories agree on proves a clean stop of the whole node.
        let agreed = previous_broker_epoch.is_none_or(|previous| previous == epoch);
        previous_broker_epoch = Some(if agreed { epoch } else { -1 });
        found.join(logs);
        clean_marks.extend(mark);
    }
    let log_job::Logs { jobs, mut notes, stale_topics } = found;
    let stale_topics = stale_topics.into_iter().collect();
    let mut logs = Vec::with_capacity(jobs.len());
    let directories: Vec<DirectoryId> = jobs.iter().map(LogJob::directory).collect();
    for (directory, found) in directories.into_iter().zip(recover(disk, jobs)) {
        if let Some((log, note)) = failures.set_aside(directory, found)? {
            logs.push(log);
            notes.extend(note);
        }
    }
    let metadata = metadata_log::read(disk, options, &mut notes)?;
    let is_whole = failures.failed.is_empty();
    let mut state = BootState {
        identity,
        failed_directories: failures.failed,
        metadata,
        logs,
        stale_topics,
        previous_broker_epoch: previous_broker_epoch.filter(|_| is_whole).unwrap_or(-1),
        clean_marks,
        notes,
    };
    state.leave_failed_out();
    refuse_duplicates(&state.logs)?;
    Ok(state)
}

impl BootState {
    /// Forgets what was found in directories that turned out to have failed later.
    fn leave_failed_out(&mut self) {
        let failed: Vec<DirectoryId> =
            self.failed_directories.iter().map(|it| it.directory).collect();
        self.identity.directories.retain(|it| !failed.contains(&it.directory));
        self.logs.retain(|it| !failed.contains(&it.directory));
        self.clean_marks.retain(|it| !failed.contains(&it.directory));
    }
}

/// The broker epoch of a clean stop or -1, its mark, and the jobs of one log directory.
fn find_in(
    disk: &mut dyn Disk,
    directory: DirectoryId,
    options: &BootOptions,
) -> Result<(i64, Option<DiskPath>, log_job::Logs), BootError> {
    let mark = root(directory, clean_shutdown::FILE_NAME);
    let clean = read_small(disk, &mark)?;
    let epoch = clean.as_deref().and_then(clean_shutdown::parse).unwrap_or(-1);
    let logs = log_job::find(disk, (directory, clean.is_some()), options)?;
    Ok((epoch, clean.is_some().then_some(mark), logs))
}

/// Of a topic that was deleted and made again the old log may lie elsewhere: it is nobody's.
fn refuse_duplicates(logs: &[BootedLog]) -> Result<(), BootError> {
    let mut seen = BTreeMap::new();
    // Who does not say whose it is belongs to nobody, either.
    for log in logs.iter().filter(|it| !it.topic_id.is_zero()) {
        let name = (&log.topic, log.topic_id, log.partition);
        if let Some(other) = seen.insert(name, log.directory) {
            return Err(BootError::new(format!(
                "partition {}-{} lies in log directories {} and {} of log.dirs: remove the older \
                 one of the two folders",
                log.topic, log.partition, other.0, log.directory.0
            )));
        }
    }
    Ok(())
}
