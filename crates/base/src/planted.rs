//! Known defects that tests can plant: what proves that simulated worlds would notice them.
//!
//! Each is one that systems like this one have had, or Strom itself. A build without the feature
//! `planted`, as all that are shipped are, has none of them: there [`planted`] is `false` for the
//! compiler, and nothing of a plant is left.

macro_rules! plants {
    ($($class:literal $($name:ident: $what:literal;)+)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Planted {
            $($(#[doc = $what] $name,)+)+
        }

        impl Planted {
            pub const ALL: &[Planted] = &[$($(Planted::$name,)+)+];

            /// What it belongs to.
            #[must_use]
            pub fn class(self) -> &'static str {
                match self { $($(Planted::$name)|+ => $class,)+ }
            }

            /// In words.
            #[must_use]
            pub fn what(self) -> &'static str {
                match self { $($(Planted::$name => $what,)+)+ }
            }
        }
    };
}

plants! {
    "synced?"
    FailedSyncIsRetried: "A failed sync is tried again as if the first had told of a full disk";
    SyncAfterFailureCounts: "A sync that succeeds behind a failed one counts";
    SyncBehindPostponedCounts: "A sync counts that came through behind one that found no room";
    FailedSyncReleases: "Who waited for a sync that failed is told that it came through";
    FailedSyncUnnoted: "The next start is not told that a sync had failed";
    SyncedUpToTheEnd: "A sync counts for what was appended behind it, too (KAFKA-10101)";
    ReplacedUnsynced: "A small file is put in place before its bytes are synced (KAFKA-16541)";
    FolderUnsynced: "A file is synced, the folders with its name are not";
    RecoveredNamesUnsynced: "A start does not sync the names that it made";
    DuplicateUnsynced: "A batch that is sent again is acknowledged before its first one is synced";

    "recovery"
    WrongReadBelieved: "A start cuts a log where one read of it brought other bytes";
    ChecksumUnread: "A start does not look at checksums";
    TornOffSegmentKept: "A segment behind a hole that a power failure left is kept";
    IndexKeptUnread: "An index is taken for sound by its length";
    EpochZeroSkipped: "A start does not note where epoch 0 begins (KAFKA-10432)";
    SnapshotForgotten: "A producer snapshot is taken for empty";
    OlderBatchesForgotten: "Of a producer only the last batch is known after a start";
    CleanMarkStays: "The mark of a clean stop is still there after the next start";
    CleanBeforeSettled: "A stop is marked as clean before all is written";
    IndexEntriesOfAnother: "The report of one index write counts the entries of the next";

    "written?"
    WatermarkBeyondWritten: "The high watermark covers what is still to be written";
    HoleLeftBehind: "What is appended behind a failed write leaves its bytes where they are";
    DuplicateAnsweredEarly: "A batch that is sent again is acknowledged before its first one is written";

    "idempotence"
    TakenBackProducersKept: "Producers keep the batches of a write that failed";
    SequenceDoesNotWrap: "Behind the largest sequence number comes no 0";
    SilentAtOnce: "A clock that jumps ahead makes producers forgotten";

    "arena"
    OwedUnwritten: "A start leaves alone what the arena owes to a file that is long enough";
    FailedFlushForgotten: "A flush of the arena that failed counts as done";

    "directories"
    FailedDirectoryForgotten: "What the arena holds of a failed log directory is forgotten";
    LogMadeAnew: "A partition whose log directory is away gets a new log in another";
    DirectoryGoesOn: "Of a failed log directory only the log is out of service whose operation failed";

    "topics"
    OursByName: "A folder found at the start belongs to the topic that has its name (KAFKA-13127)";
    StaleCheckpointsTaken: "A log made anew inherits the checkpoints of the one before";
    DeletedLogSpeaks: "A deleted log goes on to write files by its name";
    LogStartsUnwritten: "The records that were deleted are back after a start";

    "times"
    LastTimestampForLargest: "A segment's largest timestamp is its last one";
    LargestTimePassedOver: "A look-up by the largest timestamp of a segment passes it over";

    "metadata"
    MetadataWrittenIsCommitted: "A metadata record counts as committed before it is synced";
    MetadataAppliedEarly: "Uncommitted metadata records are applied with committed ones (KAFKA-20839)";
    NextProducerIdForgotten: "Snapshots do not say which producer ids were given (KAFKA-20310)";
    ProducerIdsBeforeCommit: "Producer ids are given before the record of their block is committed";

    "groups"
    GenerationUnchecked: "A member of an old generation commits offsets";
    CommitAnsweredEarly: "A commit is acknowledged before it is written (KAFKA-17507)";
    FailedCommitKept: "Offsets whose write failed stay committed until the next start";
    LoadedHalf: "The last batch of a group's partition is not read at the start";
    SessionsUnrenewed: "A heartbeat does not keep a member's session";

    "intake"
    ClaimTakenForMemory: "A request's buffer is as large as it says to be, before it has come";
    MemoryNotGivenBack: "What a connection held that dies in the midst of a request stays counted";
    PausedForGood: "Who waits for memory is not woken when there is some";
    TimeUnwatched: "Who waited for memory gets its time anew, and nobody looks after it";
    OutstandingUncounted: "Requests are taken however many of the same connection wait for their answers";
}

/// Whether this defect is the one that was planted.
#[cfg(not(feature = "planted"))]
#[inline(always)]
#[must_use]
pub const fn planted(_: Planted) -> bool {
    false
}

#[cfg(feature = "planted")]
pub use switch::{plant, planted};

#[cfg(feature = "planted")]
mod switch {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::Planted;

    const NOTHING: usize = usize::MAX;
    /// One for the whole process: worlds of one thread run one after the other.
    static CHOSEN: AtomicUsize = AtomicUsize::new(NOTHING);

    /// Plants this defect in the place of the one before.
    pub fn plant(defect: Option<Planted>) {
        CHOSEN.store(defect.map_or(NOTHING, |it| it as usize), Relaxed);
    }

    #[must_use]
    pub fn planted(defect: Planted) -> bool {
        CHOSEN.load(Relaxed) == defect as usize
    }
}
