//! Opening a log that lies on disk: a job over [`Disk`], in steps.

use std::sync::Arc;

use crate::config::LogConfig;
use crate::disk::{Disk, DiskError, DiskPath};

/// What is known about a log before its files are looked at.
#[derive(Clone, Debug)]
pub struct RecoveryOptions {
    pub config: Arc<LogConfig>,
    /// From `recovery-point-offset-checkpoint`; 0 when missing.
    pub recovery_point: i64,
    /// From `log-start-offset-checkpoint`.
    pub log_start_offset: Option<i64>,
    /// The directory was shut down cleanly: nothing is scanned.
    pub clean: bool,
    /// Wall clock, for segments without timestamps.
    pub now_ms: i64,
}

/// A log as it was found: what `Log::open` takes.
#[derive(Clone, Debug)]
pub struct RecoveredLog {
    pub log_start_offset: i64,
    pub log_end_offset: i64,
    /// Bytes removed at the end because no valid batch stood there.
    pub truncated_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Running { segments_left: usize },
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{path}: {reason}")]
    Damaged { path: String, reason: String },
}

/// The steppable job.
pub struct Recovery {
    path: DiskPath,
    options: RecoveryOptions,
}

impl Recovery {
    pub fn new(path: DiskPath, options: RecoveryOptions) -> Recovery {
        Recovery { path, options }
    }

    /// Works through about `byte_budget` bytes.
    pub fn step(
        &mut self,
        disk: &mut dyn Disk,
        byte_budget: u64,
    ) -> Result<Progress, RecoveryError> {
        todo!()
    }

    /// The log, once `step` said `Done`.
    pub fn finish(self) -> RecoveredLog {
        todo!()
    }
}

/// All steps at once.
pub fn recover_log(
    disk: &mut dyn Disk,
    path: &DiskPath,
    options: RecoveryOptions,
) -> Result<RecoveredLog, RecoveryError> {
    todo!()
}
