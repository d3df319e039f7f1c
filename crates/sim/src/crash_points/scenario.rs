//! The scripts: short lives of a log that touch every kind of file.

use strom_storage::LogConfig;

/// One thing that is done to the log, and everything that follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// One batch of this many bytes, more or less, without a producer.
    Append { bytes: usize },
    /// The next batch of an idempotent producer.
    Produce { producer_id: i64 },
    /// Sync, and the offset checkpoints when it is done.
    Checkpoint,
    /// The offset checkpoints as they are due: nothing is synced for them.
    Note,
    /// The log starts at this offset from now on.
    DeleteRecords { offset: i64 },
    /// Time passes, then retention runs, then what is due is removed.
    Retention { after_ms: u64 },
    /// A follower cuts its log to this offset.
    Truncate { offset: i64 },
    /// A follower starts over at this offset.
    StartOver { offset: i64 },
    /// A new leadership, and with it a new leader epoch.
    NewEpoch,
    /// Indexes, producer snapshot and sync of a clean stop.
    Close,
    /// The partition is deleted.
    Delete,
}

/// A script with the settings of its log.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub name: &'static str,
    config: fn() -> LogConfig,
    pub(super) steps: &'static [Step],
}

impl Scenario {
    #[must_use]
    pub fn config(&self) -> LogConfig {
        (self.config)()
    }
}

const APPEND: Step = Step::Append { bytes: 700 };
const LONG: Step = Step::Append { bytes: 1500 };
const PRODUCE: Step = Step::Produce { producer_id: 7 };
const OTHER: Step = Step::Produce { producer_id: 8 };

/// Three batches to a segment, an index entry for each.
fn small_segments() -> LogConfig {
    LogConfig {
        segment_bytes: 3000,
        index_interval_bytes: 500,
        file_delete_delay_ms: 1000,
        ..LogConfig::default()
    }
}

fn few_index_entries() -> LogConfig {
    LogConfig { segment_index_bytes: 24, ..small_segments() }
}

fn preallocated() -> LogConfig {
    LogConfig { preallocate: true, ..small_segments() }
}

fn every_record_synced() -> LogConfig {
    LogConfig { flush_messages: 1, ..small_segments() }
}

/// Long enough for zeros ahead of the records.
fn filled_ahead() -> LogConfig {
    LogConfig { segment_bytes: 30_000, index_interval_bytes: 500, ..every_record_synced() }
}

fn kept_by_size() -> LogConfig {
    LogConfig { retention_bytes: 4000, ..small_segments() }
}

/// Large enough for a sync in the background after every few of the largest batches.
fn long_segments() -> LogConfig {
    LogConfig { segment_bytes: 200_000, index_interval_bytes: 1000, ..LogConfig::default() }
}

const LARGE: Step = Step::Append { bytes: 6000 };

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "syncs in the background",
        config: long_segments,
        steps: &[
            PRODUCE,
            LARGE,
            LARGE,
            OTHER,
            LARGE,
            Step::Note,
            LARGE,
            PRODUCE,
            LARGE,
            LARGE,
            Step::Note,
            OTHER,
            LARGE,
            PRODUCE,
            LARGE,
            Step::Note,
            LARGE,
            Step::NewEpoch,
            PRODUCE,
            LARGE,
            OTHER,
            LARGE,
            Step::Note,
            PRODUCE,
        ],
    },
    Scenario {
        name: "epochs before, between and behind syncs",
        config: small_segments,
        steps: &[
            Step::NewEpoch,
            APPEND,
            Step::NewEpoch,
            APPEND,
            Step::Checkpoint,
            Step::NewEpoch,
            Step::NewEpoch,
            APPEND,
            LONG,
            Step::Checkpoint,
            Step::NewEpoch,
            APPEND,
            APPEND,
        ],
    },
    Scenario {
        name: "append and roll",
        config: small_segments,
        steps: &[APPEND, APPEND, LONG, APPEND, APPEND, APPEND, LONG, APPEND, APPEND],
    },
    Scenario {
        name: "zeros ahead of synced records",
        config: filled_ahead,
        steps: &[
            APPEND,
            APPEND,
            PRODUCE,
            APPEND,
            APPEND,
            PRODUCE,
            APPEND,
            LONG,
            PRODUCE,
            Step::Note,
            LARGE,
            LARGE,
            LARGE,
            Step::Note,
            LARGE,
            APPEND,
            PRODUCE,
            Step::Truncate { offset: 14 },
            APPEND,
            APPEND,
            Step::Retention { after_ms: 1 },
            Step::Retention { after_ms: 1 },
            APPEND,
            Step::Close,
        ],
    },
    Scenario {
        name: "preallocated files",
        config: preallocated,
        steps: &[
            APPEND,
            PRODUCE,
            LONG,
            APPEND,
            Step::Checkpoint,
            LONG,
            APPEND,
            PRODUCE,
            Step::Close,
        ],
    },
    Scenario {
        name: "index full",
        config: few_index_entries,
        steps: &[APPEND, APPEND, APPEND, APPEND, APPEND, APPEND, Step::Checkpoint, APPEND, APPEND],
    },
    Scenario {
        name: "every record synced",
        config: every_record_synced,
        steps: &[APPEND, APPEND, PRODUCE, APPEND, PRODUCE, APPEND, Step::Checkpoint, APPEND],
    },
    Scenario {
        name: "checkpoints",
        config: small_segments,
        steps: &[
            APPEND,
            Step::Checkpoint,
            APPEND,
            APPEND,
            Step::Checkpoint,
            APPEND,
            Step::NewEpoch,
            APPEND,
            APPEND,
            Step::Checkpoint,
            APPEND,
        ],
    },
    Scenario {
        name: "producers and snapshots",
        config: small_segments,
        steps: &[
            PRODUCE,
            OTHER,
            LONG,
            PRODUCE,
            LONG,
            OTHER,
            Step::Checkpoint,
            PRODUCE,
            LONG,
            LONG,
            PRODUCE,
            OTHER,
            Step::Close,
        ],
    },
    Scenario {
        name: "retention by size",
        config: kept_by_size,
        steps: &[
            APPEND,
            APPEND,
            LONG,
            APPEND,
            LONG,
            LONG,
            Step::Checkpoint,
            Step::Retention { after_ms: 1 },
            APPEND,
            Step::Retention { after_ms: 2000 },
            LONG,
            LONG,
            Step::Retention { after_ms: 2000 },
        ],
    },
    Scenario {
        name: "delete records",
        config: small_segments,
        steps: &[
            APPEND,
            LONG,
            LONG,
            APPEND,
            LONG,
            Step::DeleteRecords { offset: 3 },
            Step::Checkpoint,
            Step::Retention { after_ms: 1 },
            APPEND,
            Step::Retention { after_ms: 2000 },
        ],
    },
    Scenario {
        name: "truncate",
        config: small_segments,
        steps: &[
            APPEND,
            APPEND,
            PRODUCE,
            APPEND,
            APPEND,
            PRODUCE,
            Step::Truncate { offset: 4 },
            Step::NewEpoch,
            APPEND,
            PRODUCE,
            Step::Checkpoint,
            APPEND,
            Step::Truncate { offset: 2 },
            Step::NewEpoch,
            PRODUCE,
            APPEND,
            Step::Checkpoint,
        ],
    },
    Scenario {
        name: "start over",
        config: small_segments,
        steps: &[
            APPEND,
            LONG,
            LONG,
            Step::Checkpoint,
            Step::StartOver { offset: 100 },
            APPEND,
            LONG,
            Step::Checkpoint,
            Step::Retention { after_ms: 2000 },
        ],
    },
    Scenario {
        name: "delete the partition",
        config: small_segments,
        steps: &[
            APPEND,
            LONG,
            LONG,
            Step::Checkpoint,
            Step::Delete,
            Step::Retention { after_ms: 2000 },
        ],
    },
];
