//! Start-up, the part that reads the disk: a job over [`Disk`] before the machine exists.
//!
//! It formats what is empty, refuses what is foreign, recovers every log and hands the rest to
//! [`crate::Broker::start`] as plain values. The simulator runs the same job.

use std::collections::BTreeMap;
use std::sync::Arc;

use strom_base::{Random, Uuid};
use strom_storage::LogConfig;
use strom_storage::disk::{DirectoryId, Disk, DiskError, DiskPath, FileId};
use strom_storage::format::{
    clean_shutdown, directory_name, file_name, offset_checkpoint, partition_metadata,
};
use strom_storage::recovery::{RecoveredLog, RecoveryOptions, recover_log};

use crate::settings::QuorumSettings;

pub mod format;
pub mod identity;
pub mod metadata_log;

pub use identity::{DirectoryIdentity, Identity, check};
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
        Self(format!("the data folder cannot be used: {error}"))
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
    /// Zero when `partition.metadata` is missing: nothing was appended to such a log.
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
    /// The broker epoch of a clean shutdown, -1 if it was none.
    pub previous_broker_epoch: i64,
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

/// Runs the whole job.
///
/// # Errors
/// One sentence for the operator. Nothing was changed on a folder of another node or cluster.
pub fn boot(
    disk: &mut dyn Disk,
    options: &BootOptions,
    random: &mut Random,
) -> Result<BootState, BootError> {
    let identity = identity::read_or_format(disk, options, random)?;
    let mut notes = Vec::new();
    let mut logs = Vec::new();
    let mut previous_broker_epoch = None;
    for index in 0..options.directories {
        let directory = DirectoryId(index);
        let clean = read_small(disk, &root(directory, clean_shutdown::FILE_NAME))?;
        let epoch = clean.as_deref().and_then(clean_shutdown::parse).unwrap_or(-1);
        // Only an epoch that all directories agree on proves a clean stop of the whole node.
        let agreed = previous_broker_epoch.is_none_or(|previous| previous == epoch);
        previous_broker_epoch = Some(if agreed { epoch } else { -1 });
        let scan = Scan { directory, clean: clean.is_some(), options };
        scan.run(disk, &mut logs, &mut notes)?;
        if clean.is_some() {
            disk.remove_file(&root(directory, clean_shutdown::FILE_NAME))?;
        }
    }
    let metadata = metadata_log::read(disk, options, &mut notes)?;
    refuse_duplicates(&logs)?;
    let previous_broker_epoch = previous_broker_epoch.unwrap_or(-1);
    Ok(BootState { identity, metadata, logs, previous_broker_epoch, notes })
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

/// One log directory's partitions.
struct Scan<'a> {
    directory: DirectoryId,
    clean: bool,
    options: &'a BootOptions,
}

type Offsets = BTreeMap<(String, i32), i64>;

impl Scan<'_> {
    fn run(
        &self,
        disk: &mut dyn Disk,
        logs: &mut Vec<BootedLog>,
        notes: &mut Vec<String>,
    ) -> Result<(), BootError> {
        let recovery_points = self.checkpoint(disk, offset_checkpoint::RECOVERY_POINT, notes)?;
        let starts = self.checkpoint(disk, offset_checkpoint::LOG_START_OFFSET, notes)?;
        let watermarks = self.checkpoint(disk, offset_checkpoint::REPLICATION_OFFSET, notes)?;
        for entry in disk.list(&root(self.directory, ""))? {
            if !entry.is_directory || entry.name == metadata_log::FOLDER {
                continue;
            }
            let path = root(self.directory, &entry.name);
            match directory_name::parse(&entry.name) {
                Some(directory_name::DirectoryName::Partition { topic, partition }) => {
                    let key = (topic.to_owned(), partition);
                    let offset_in = |offsets: &Offsets| offsets.get(&key).copied();
                    let recovery = RecoveryOptions {
                        config: Arc::clone(&self.options.log_config),
                        recovery_point: offset_in(&recovery_points).unwrap_or(0),
                        log_start_offset: offset_in(&starts),
                        clean: self.clean,
                        now_ms: self.options.now_ms,
                    };
                    let high_watermark = offset_in(&watermarks).unwrap_or(0);
                    let log = self.recover(disk, &path, key, (recovery, high_watermark), notes)?;
                    logs.push(log);
                }
                Some(directory_name::DirectoryName::Delete) => disk.remove_directory(&path)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn recover(
        &self,
        disk: &mut dyn Disk,
        path: &DiskPath,
        (topic, partition): (String, i32),
        (recovery, high_watermark): (RecoveryOptions, i64),
        notes: &mut Vec<String>,
    ) -> Result<BootedLog, BootError> {
        let metadata_path = DiskPath {
            directory: path.directory,
            path: format!("{}/{}", path.path, partition_metadata::FILE_NAME),
        };
        let topic_id = match read_small(disk, &metadata_path)? {
            // A machine that lost power may leave the file without its bytes.
            Some(bytes) if bytes.iter().all(|byte| *byte == 0) => Uuid::ZERO,
            Some(bytes) => partition_metadata::parse(&bytes)
                .map_err(|error| BootError::of(&metadata_path.path, &error))?,
            None => Uuid::ZERO,
        };
        let recovered = recover_log(disk, path, recovery)
            .map_err(|error| BootError::of(&format!("the log in {}", path.path), &error))?;
        if recovered.truncated_bytes > 0 {
            notes.push(format!(
                "{}: cut {} bytes behind offset {} that were not written whole",
                path.path, recovered.truncated_bytes, recovered.log_end_offset
            ));
        }
        Ok(BootedLog {
            directory: self.directory,
            topic,
            partition,
            topic_id,
            recovered,
            high_watermark,
        })
    }

    /// A damaged checkpoint is as good as none: recovery then looks at everything.
    fn checkpoint(
        &self,
        disk: &dyn Disk,
        name: &str,
        notes: &mut Vec<String>,
    ) -> Result<Offsets, BootError> {
        let Some(bytes) = read_small(disk, &root(self.directory, name))? else {
            return Ok(Offsets::new());
        };
        match offset_checkpoint::parse(&bytes) {
            Ok(entries) => {
                Ok(entries.into_iter().map(|e| ((e.topic, e.partition), e.offset)).collect())
            }
            Err(error) => {
                notes.push(format!("{name} is damaged and taken as empty: {error}"));
                Ok(Offsets::new())
            }
        }
    }
}
