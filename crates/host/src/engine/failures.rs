//! What goes wrong with a log directory apart from what a ticket tells: the shard passes it on to the broker.

use std::cell::{Cell, RefCell};

use strom_storage::disk::{DirectoryId, DiskError};

use super::DiskEngine;
use crate::sync_worker::SlowResult;

/// What was noticed and not told yet.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Something has failed, or a file was missing that should be there: the folder of all may be.
    is_suspicious: Cell<bool>,
    /// Directories in which an operation without a ticket has failed, and why.
    failed: RefCell<Vec<(DirectoryId, String)>>,
}

impl DiskEngine {
    /// Log directories that have failed since this was last asked, and why. One that is gone is looked for
    /// when a file was missing.
    pub(crate) fn take_failures(&self) -> Vec<(DirectoryId, String)> {
        if !self.failures.is_suspicious.take() {
            return Vec::new();
        }
        let mut failed = self.failures.failed.take();
        let all = (0..).map(DirectoryId).zip(self.disk.directories());
        failed.extend(all.filter(|(_, folder)| !folder.exists()).map(|(directory, _)| {
            let text = "the folder is gone: put it back, or name another in log.dirs";
            (directory, text.to_owned())
        }));
        failed
    }

    /// Nothing is asked of the disk for a new log: that its directory is gone is noticed all the same.
    pub(super) fn look_after_directories(&self) {
        self.failures.is_suspicious.set(true);
    }

    pub(super) fn suspect(&self, error: &DiskError) {
        if matches!(error, DiskError::NotFound(_)) {
            self.failures.is_suspicious.set(true);
        }
    }

    /// For what has a ticket, which tells the rest.
    pub(super) fn notice(&self, result: &Result<(), DiskError>) {
        if let Err(error) = result {
            self.suspect(error);
        }
    }

    /// For effects that promise nothing. For want of room, or of a file, they are left undone: the next
    /// start repairs that, or a later sync of the file says it.
    pub(super) fn warn(&self, directory: DirectoryId, result: Result<(), DiskError>) {
        let Err(error) = result else { return };
        self.suspect(&error);
        tracing::warn!(%error, "a disk operation failed");
        self.report(directory, &error);
    }

    fn report(&self, directory: DirectoryId, error: &DiskError) {
        if matches!(error, DiskError::Io(_)) {
            self.failures.is_suspicious.set(true);
            self.failures.failed.borrow_mut().push((directory, error.to_string()));
        }
    }

    /// What a worker tells of work without a ticket.
    pub(super) fn look_at_result(&self, result: &SlowResult) {
        let failed = result.completion.as_ref().and_then(|it| it.result.as_ref().err());
        if let Some(error) = failed.or(result.failure.as_ref()) {
            self.suspect(error);
        }
        if let (Some(error), Some(path)) = (&result.failure, result.paths.first()) {
            self.report(path.directory, error);
        }
        if let Some(flushed) = &result.flushed
            && let Err(error) = &flushed.result
        {
            self.report(flushed.directory, error);
        }
    }
}
