//! The logs of a log directory as jobs, each for itself: they share nothing, so a shell may run many
//! at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use strom_base::Uuid;
use strom_storage::disk::{DirectoryId, Disk, DiskError, DiskPath};
use strom_storage::format::directory_name::{self, DirectoryName};
use strom_storage::format::{offset_checkpoint, partition_metadata};
use strom_storage::recovery::{RecoveryError, RecoveryOptions, recover_log};

use super::{BootError, BootOptions, BootedLog, metadata_log, read_small, root};

/// A log, and what the operator is to be told of it; one for each job, in their order.
pub type Found = Result<(BootedLog, Option<String>), BootError>;
/// What recovers the logs of a node: [`in_turn`], or a shell's own way.
pub type RecoverLogs<'a> = &'a mut dyn FnMut(&mut dyn Disk, Vec<LogJob>) -> Vec<Found>;
type Offsets = BTreeMap<(String, i32), i64>;

/// A partition's folder that is to be made a log again.
#[derive(Debug)]
pub struct LogJob {
    path: DiskPath,
    topic: String,
    partition: i32,
    recovery: RecoveryOptions,
    high_watermark: i64,
}

/// What the log directories hold, before it is looked into.
#[derive(Debug, Default)]
pub(super) struct Logs {
    pub(super) jobs: Vec<LogJob>,
    pub(super) notes: Vec<String>,
    /// [`super::BootState::stale_topics`]
    pub(super) stale_topics: BTreeSet<String>,
}

impl Logs {
    pub(super) fn join(&mut self, others: Logs) {
        self.jobs.extend(others.jobs);
        self.notes.extend(others.notes);
        self.stale_topics.extend(others.stale_topics);
    }
}

/// One after the other.
pub fn in_turn(disk: &mut dyn Disk, jobs: Vec<LogJob>) -> Vec<Found> {
    jobs.into_iter().map(|job| job.run(disk)).collect()
}

/// The jobs of one log directory; deletions that were begun there are finished.
pub(super) fn find(
    disk: &mut dyn Disk,
    (directory, clean): (DirectoryId, bool),
    options: &BootOptions,
) -> Result<Logs, BootError> {
    let mut found = Logs::default();
    let mut offsets_in = |name: &str| checkpoint(disk, directory, name, &mut found.notes);
    let mut recovery_points = offsets_in(offset_checkpoint::RECOVERY_POINT)?;
    let mut starts = offsets_in(offset_checkpoint::LOG_START_OFFSET)?;
    let mut watermarks = offsets_in(offset_checkpoint::REPLICATION_OFFSET)?;
    for entry in disk.list(&root(directory, ""))? {
        if !entry.is_directory || entry.name == metadata_log::FOLDER {
            continue;
        }
        let path = root(directory, &entry.name);
        match directory_name::parse(&entry.name) {
            Some(DirectoryName::Partition { topic, partition }) => {
                let key = (topic.to_owned(), partition);
                let recovery = RecoveryOptions {
                    config: Arc::clone(&options.log_config),
                    recovery_point: recovery_points.remove(&key).unwrap_or(0),
                    log_start_offset: starts.remove(&key),
                    clean,
                    syncs_kept: false,
                };
                let high_watermark = watermarks.remove(&key).unwrap_or(0);
                let (topic, partition) = key;
                found.jobs.push(LogJob { path, topic, partition, recovery, high_watermark });
            }
            Some(DirectoryName::Delete) => disk.remove_directory(&path)?,
            _ => {}
        }
    }
    let left = [recovery_points, starts, watermarks].into_iter().flat_map(BTreeMap::into_keys);
    found.stale_topics.extend(left.map(|(topic, _)| topic));
    Ok(found)
}

/// A damaged checkpoint is as good as none: recovery then looks at everything.
fn checkpoint(
    disk: &dyn Disk,
    directory: DirectoryId,
    name: &str,
    notes: &mut Vec<String>,
) -> Result<Offsets, BootError> {
    let Some(bytes) = read_small(disk, &root(directory, name))? else {
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

impl LogJob {
    pub(super) fn directory(&self) -> DirectoryId {
        self.path.directory
    }

    /// Recovers the log.
    ///
    /// # Errors
    /// One sentence for the operator: a file of it cannot be read, or not be rebuilt.
    pub fn run(self, disk: &mut dyn Disk) -> Found {
        let LogJob { path, topic, partition, recovery, high_watermark } = self;
        let metadata_path = DiskPath {
            directory: path.directory,
            path: format!("{}/{}", path.path, partition_metadata::FILE_NAME),
        };
        let topic_id = match read_small(disk, &metadata_path)? {
            Some(bytes) if partition_metadata::is_torn(&bytes) => Uuid::ZERO,
            Some(bytes) => partition_metadata::parse(&bytes)
                .map_err(|error| BootError::of(&metadata_path.path, &error))?,
            None => Uuid::ZERO,
        };
        let recovered = recover_log(disk, &path, recovery).map_err(|error| {
            let is_of_disk = matches!(error, RecoveryError::Disk(DiskError::Io(_)));
            BootError { is_of_disk, ..BootError::of(&format!("the log in {}", path.path), &error) }
        })?;
        let note = (recovered.truncated_bytes > 0).then(|| {
            format!(
                "{}: cut {} bytes behind offset {} that were not written whole",
                path.path, recovered.truncated_bytes, recovered.log_end_offset
            )
        });
        let directory = path.directory;
        let log = BootedLog { directory, topic, partition, topic_id, recovered, high_watermark };
        Ok((log, note))
    }
}
