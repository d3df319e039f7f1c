//! The `.lock` file of a log directory: one process at a time, Kafka or Strom.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, fcntl_lock};

/// Held for the life of the process.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock of a log directory without waiting (a POSIX record lock, as the JVM's).
    ///
    /// # Errors
    /// One sentence for the operator.
    pub(crate) fn take(folder: &Path) -> Result<Self, String> {
        let path = folder.join(".lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| {
                format!(
                    "the data folder {} cannot be written ({error}): give this user write access \
                     to it or name another in log.dirs",
                    folder.display()
                )
            })?;
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(error) if is_taken(error) => Err(format!(
                "the data folder {} is in use by another process: stop that node, or name another \
                 folder in log.dirs",
                folder.display()
            )),
            Err(error) => Err(format!(
                "the data folder {} cannot be locked ({}): name one on a file system with locks",
                folder.display(),
                io::Error::from(error)
            )),
        }
    }
}

fn is_taken(error: rustix::io::Errno) -> bool {
    error == rustix::io::Errno::AGAIN || error == rustix::io::Errno::ACCESS
}
