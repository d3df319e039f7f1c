//! The seam to the disk: what a log asks for ([`DiskEffect`]) and what it may ask back.
//!
//! Hot path as effects, long work as jobs. A log knows two promises by name: *written* (later reads
//! see it, it outlives the process) and *synced* (it outlives the machine). Each effect that
//! promises something carries a [`Ticket`]; the engine behind the seam reports the ticket when it
//! is kept.

mod perform;
mod together;

use bytes::Bytes;
use strom_base::{Planted, planted};

pub use perform::{create_folder, perform};
pub use together::{replace_each, replace_with_all};

/// A log of this node, as small as an index. Given out by the owner of the logs, never reused in a
/// run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(pub u32);

/// A log directory of this node: index into the configured `log.dirs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectoryId(pub u16);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// `.log`
    Records,
    /// `.index`
    OffsetIndex,
    /// `.timeindex`
    TimeIndex,
    /// `.txnindex`
    TransactionIndex,
    /// `.snapshot`: producer state up to the offset that stands in place of the segment's base.
    ProducerSnapshot,
    /// `partition.metadata`: of the log, whatever the segment.
    PartitionMetadata,
    /// `leader-epoch-checkpoint`: of the log, whatever the segment.
    LeaderEpochs,
    /// `failed-sync`, ours: of the log, whatever the segment. What lies there was to be synced, and the
    /// sync failed.
    FailedSync,
}

/// One file of one segment. The engine opens it on first use: `Log::path_of` tells where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    pub log: LogId,
    /// The segment's base offset.
    pub segment: i64,
    pub kind: FileKind,
}

/// A path below a log directory, with `/` between its parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiskPath {
    pub directory: DirectoryId,
    pub path: String,
}

impl DiskPath {
    /// Where a file is written before it is put in place.
    #[must_use]
    pub fn temporary(&self) -> DiskPath {
        DiskPath { directory: self.directory, path: format!("{}.tmp", self.path) }
    }

    /// What lies right in a folder, by its name.
    #[must_use]
    pub fn below(&self, name: &str) -> DiskPath {
        DiskPath { directory: self.directory, path: format!("{}/{name}", self.path) }
    }

    /// The folder of a file; of one in the log directory, that.
    #[must_use]
    pub fn parent(&self) -> DiskPath {
        let parent = self.path.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned();
        DiskPath { directory: self.directory, path: parent }
    }
}

/// Names a promise: the `sequence`-th one that this log asked for. Reported by [`Completion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    pub log: LogId,
    pub sequence: u64,
}

/// What the engine is to do, in the order of the list for effects on the same file or path; syncs and
/// replacements in one folder are kept in their order, too. Between other files nothing orders but a
/// ticket's completion.
#[derive(Clone, Debug)]
pub enum DiskEffect {
    /// Bytes to put at a position (the file is created when missing, also by no bytes); the ticket
    /// is kept once written.
    Write { file: FileId, position: u64, bytes: Bytes, ticket: Ticket },
    /// The ticket is kept once everything written to these files so far, and their
    /// directory entries, is synced.
    Sync { files: Vec<FileId>, ticket: Ticket },
    /// Give a file a length. What lay behind it is never read again; what is new is zeros. Where it
    /// fails, so do the later syncs of the file.
    Truncate { file: FileId, length: u64 },
    /// Put zeros behind the end of a file until it has this length, and sync them: what is written in
    /// their place later is synced without the file system's journal. Nobody waits for it and it may be
    /// left undone. It ends with the next cut of the file, and never lies over what was written.
    Fill { file: FileId, length: u64 },
    /// Take zeros off the end of a file again. The next sync of the file covers it, and fails if it did;
    /// before, a power failure may bring them back.
    Trim { file: FileId, length: u64 },
    /// Small whole file, put in place atomically: temporary file, sync, rename, sync of the folder.
    /// Before its turn nothing of it is to be seen: it may be the proof of what was asked before it.
    Replace { path: DiskPath, bytes: Bytes, ticket: Ticket },
    /// Make the folder of a log with small files in it; what has their names is written anew. The
    /// ticket is kept once all are written: until a sync names one of them, a power failure may
    /// leave it empty, torn or away.
    CreateFolder { path: DiskPath, files: Vec<(FileKind, Bytes)>, ticket: Ticket },
    /// Rename a file or folder; open handles of `closes` (all files of a log when a folder moves)
    /// are dropped first. A missing source is fine: renaming is repeated after a crash.
    Rename { from: DiskPath, to: DiskPath, closes: Vec<FileId> },
    /// Remove a file. Missing is fine: deletion is repeated after a crash.
    RemoveFile { path: DiskPath, closes: Option<FileId> },
    /// Remove a folder and all that it holds. Missing is fine.
    RemoveDirectory { path: DiskPath },
}

/// Why a disk operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskError {
    /// Nothing is lost but what could not be written, and of a sync not even that: records wait in
    /// the arena until there is room.
    #[error("no space left on the disk ({0})")]
    Full(String),
    #[error("not found: {0}")]
    NotFound(String),
    /// Only from a non-blocking read: the bytes are not in memory, a worker has to fetch them.
    #[error("the read would block")]
    WouldBlock,
    #[error("{0}")]
    Io(String),
}

/// A kept (or broken) promise, reported by the engine: those of one log in the order in which they
/// were kept, so that a sync never comes before the writes that it covers.
#[derive(Clone, Debug)]
pub struct Completion {
    pub ticket: Ticket,
    pub result: Result<(), DiskError>,
}

/// Reads by file id, for the hot path: whatever was *written* is seen. May answer `WouldBlock`.
pub trait ReadFiles {
    /// Reads up to `buffer.len()` bytes at `position`; fewer only at the end of the file.
    fn read_at(&self, file: FileId, position: u64, buffer: &mut [u8]) -> Result<usize, DiskError>;

    /// The volume behind a log directory, as it is now; `None` where nobody knows.
    fn volume(&self, _directory: DirectoryId) -> Option<Volume> {
        None
    }
}

/// How much room a volume has, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    pub total: u64,
    /// What this process may still fill.
    pub usable: u64,
}

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    pub name: String,
    pub is_directory: bool,
    /// Bytes; 0 for a folder.
    pub length: u64,
}

/// What is to be written of a file, and where, once it is known what is there.
pub type Amendment<'f, 'a> = &'f mut dyn FnMut(&[u8]) -> Option<(u64, &'a [u8])>;

/// The blocking disk that jobs (recovery, compaction, snapshot loading, start-up) borrow on a
/// worker.
pub trait Disk {
    /// Entries of a folder in the order of their names; `NotFound` when it is missing.
    fn list(&self, path: &DiskPath) -> Result<Vec<DirectoryEntry>, DiskError>;
    /// The same for somebody who needs the lengths of some only, by their names. Of thousands of
    /// folders each question counts; a disk may answer it for the others with 0.
    fn list_with_lengths_of(
        &self,
        path: &DiskPath,
        _needs_length: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<DirectoryEntry>, DiskError> {
        self.list(path)
    }
    fn read_at(
        &self,
        path: &DiskPath,
        position: u64,
        buffer: &mut [u8],
    ) -> Result<usize, DiskError>;
    /// Whole small file; an error above `limit` bytes.
    fn read_file(&self, path: &DiskPath, limit: u64) -> Result<Vec<u8>, DiskError>;
    /// Creates the file when it is missing.
    fn write_at(&mut self, path: &DiskPath, position: u64, bytes: &[u8]) -> Result<(), DiskError>;
    /// Writes so many zeros in one step.
    fn write_zeros(
        &mut self,
        path: &DiskPath,
        position: u64,
        length: usize,
    ) -> Result<(), DiskError> {
        self.write_at(path, position, &vec![0; length])
    }
    /// Looks at so many bytes from a position on, of which there may be fewer, and writes what `decide`
    /// makes of them, if anything. It makes no file.
    fn amend<'a>(
        &mut self,
        path: &DiskPath,
        (position, length): (u64, usize),
        decide: Amendment<'_, 'a>,
    ) -> Result<(), DiskError> {
        let mut there = vec![0; length];
        let read = self.read_at(path, position, &mut there)?;
        match decide(there.get(..read).unwrap_or_default()) {
            Some((position, bytes)) => self.write_at(path, position, bytes),
            None => Ok(()),
        }
    }
    /// Creates the file when it is missing; a longer length is filled with zeros.
    fn truncate(&mut self, path: &DiskPath, length: u64) -> Result<(), DiskError>;
    fn sync(&mut self, path: &DiskPath) -> Result<(), DiskError>;
    /// The same for several, which a disk may do at a time: a file system then commits once. An outcome
    /// for each, in their order.
    fn sync_each(&mut self, paths: &[DiskPath]) -> Vec<Result<(), DiskError>> {
        paths.iter().map(|path| self.sync(path)).collect()
    }
    fn sync_directory(&mut self, path: &DiskPath) -> Result<(), DiskError>;
    /// All that was written to a log directory so far, names too, is synced in one step. Not every
    /// disk has such a step; who asks for it knows.
    ///
    /// # Errors
    /// Nobody knows then what of it all is safe.
    fn sync_all(&mut self, _directory: DirectoryId) -> Result<(), DiskError> {
        Err(DiskError::Io("this disk syncs each file by itself".into()))
    }
    fn create_directory(&mut self, path: &DiskPath) -> Result<(), DiskError>;
    /// A whole small file, written and no more.
    fn write_file(&mut self, path: &DiskPath, bytes: &[u8]) -> Result<(), DiskError> {
        self.truncate(path, 0)?;
        self.write_at(path, 0, bytes)
    }
    fn rename(&mut self, from: &DiskPath, to: &DiskPath) -> Result<(), DiskError>;
    fn remove_file(&mut self, path: &DiskPath) -> Result<(), DiskError>;
    fn remove_directory(&mut self, path: &DiskPath) -> Result<(), DiskError>;

    /// What the operator calls a path.
    fn describe(&self, path: &DiskPath) -> String {
        format!("{}:{}", path.directory.0, path.path)
    }

    /// Small whole file, put in place atomically and durably.
    fn replace(&mut self, path: &DiskPath, bytes: &[u8]) -> Result<(), DiskError> {
        let temporary = path.temporary();
        self.write_file(&temporary, bytes)?;
        if !planted(Planted::ReplacedUnsynced) {
            self.sync(&temporary)?;
        }
        self.rename(&temporary, path)?;
        self.sync_directory(&path.parent())
    }
}
