//! What was asked of the disk and is not kept yet.

use bytes::Bytes;

use crate::disk::FileKind;
use crate::producers::ProducerUndo;
use crate::segment::SegmentMark;

/// An append whose write is under way, and how the log was before it.
#[derive(Debug)]
pub(super) struct PendingAppend {
    pub(super) sequence: u64,
    pub(super) last_offset: i64,
    pub(super) is_written: bool,
    /// The log end offset before.
    pub(super) log_end_offset: i64,
    pub(super) mark: SegmentMark,
    /// Oldest first.
    pub(super) producers: Vec<ProducerUndo>,
}

/// A promise that is no append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// Entries of a segment's index.
    Index { segment: i64, kind: FileKind, entries: u32 },
    /// Everything below the offset is synced, and below `indexed` all that the index files are to hold.
    Sync { offset: i64, indexed: i64 },
    /// The log's folder, and in it whose log this is.
    Folder,
    /// What is known of the producers: the last thing of a roll or of a sync in the background.
    Snapshot,
    /// The leader epochs.
    Epochs,
    /// Notes, empty files: nothing in memory waits for them.
    SmallFile,
}

/// A producer snapshot that waits for the sync of all it counts.
#[derive(Clone, Debug)]
pub(super) struct AwaitedSnapshot {
    /// The sync's, in its ticket.
    pub(super) sequence: u64,
    pub(super) offset: i64,
    pub(super) bytes: Bytes,
}
