//! The `.lock` file of a log directory: one process at a time, Kafka or Strom.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, fcntl_lock};

/// Why there is no lock: a sentence for the operator.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Somebody else has it.
    InUse(String),
    Unusable(String),
}

/// Held for the life of the process.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock of a log directory without waiting (a POSIX record lock, as the JVM's).
    ///
    /// # Errors
    /// When it is somebody else's, or there can be none.
    pub(crate) fn take(folder: &Path) -> Result<Self, Refused> {
        let path = folder.join(".lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| {
                Refused::Unusable(format!(
                    "the data folder {} cannot be written ({error}): give this user write access \
                     to it or name another in log.dirs",
                    folder.display()
                ))
            })?;
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(error) if is_taken(error) => Err(Refused::InUse(format!(
                "the data folder {} is in use by another process: stop that node, or name another \
                 folder in log.dirs",
                folder.display()
            ))),
            Err(error) => Err(Refused::Unusable(format!(
                "the data folder {} cannot be locked ({}): name one on a file system with locks",
                folder.display(),
                io::Error::from(error)
            ))),
        }
    }
}

fn is_taken(error: rustix::io::Errno) -> bool {
    error == rustix::io::Errno::AGAIN || error == rustix::io::Errno::ACCESS
}
