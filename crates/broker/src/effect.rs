//! What the broker asks of its shell, and what the shell hands it with every input.

use strom_base::Now;
use strom_protocol::Hole;
use strom_storage::disk::{DiskEffect, DiskPath, FileId, LogId, ReadFiles};

use crate::examinations::{ExaminedProduce, ProduceExamination};
use crate::look_ups::{ExaminedSearch, SearchExamination};

/// A client's connection, numbered by the shell; never reused in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// A piece of a segment that goes out with a response, unread by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRange {
    /// Where in [`Response::bytes`] it is put in.
    pub at: usize,
    pub file: FileId,
    pub position: u64,
    pub length: u32,
}

/// One answer, complete with its length prefix: bytes, with file ranges between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    pub bytes: Vec<u8>,
    /// In ascending order of `at`.
    pub ranges: Vec<FileRange>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkEffect {
    Send {
        connection: ConnectionId,
        response: Response,
    },
    /// So many requests are done that get no answer (acks=0).
    Silent {
        connection: ConnectionId,
        requests: usize,
    },
    /// The connection's requests are taken up again: see [`crate::Broker::is_held`].
    GoOn {
        connection: ConnectionId,
    },
    /// After what was sent before; the peer broke the protocol, or asked for it.
    Close {
        connection: ConnectionId,
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Info,
    Warning,
    Error,
}

/// A line for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub severity: Severity,
    pub text: String,
}

/// Records that somebody looks at who has time.
#[derive(Debug)]
pub enum Examination {
    Produce(ProduceExamination),
    Search(SearchExamination),
}

/// Records that somebody has looked at.
#[derive(Debug)]
pub enum Examined {
    Produce(ExaminedProduce),
    Search(ExaminedSearch),
}

impl Examination {
    /// Whose request it is.
    #[must_use]
    pub fn connection(&self) -> ConnectionId {
        match self {
            Self::Produce(it) => it.connection(),
            Self::Search(it) => it.connection(),
        }
    }

    /// Looks at them: a matter of milliseconds, of a large produce in a codec that tries hard of many seconds.
    #[must_use]
    pub fn perform(self) -> Examined {
        match self {
            Self::Produce(it) => Examined::Produce(it.perform()),
            Self::Search(it) => Examined::Search(it.perform()),
        }
    }
}

/// Effects of one turn. The shell places the logs of `folders` first, does `disk` in order, forgets
/// the logs that are gone, and takes up `network` at last.
/// Nothing in `network` depends on `disk` of the same turn: what does is held until its ticket is kept.
#[derive(Debug, Default)]
pub struct Effects {
    /// Where a log's files are from now on; `None` when the log is gone.
    pub folders: Vec<(LogId, Option<DiskPath>)>,
    pub disk: Vec<DiskEffect>,
    pub network: Vec<NetworkEffect>,
    /// To be performed by somebody who has time; [`crate::Broker::on_examined`] wants to hear of it.
    pub examinations: Vec<Examination>,
    pub notices: Vec<Notice>,
    /// [`crate::Broker::settings`] have changed: the shell obeys its part of them. Not to do so has
    /// no consequence for the broker, so that this does not keep a turn from being over.
    pub has_new_settings: bool,
    /// A broken invariant or a lost metadata log: the node must stop, and why.
    pub halt: Option<String>,
    /// What requests have cost beyond their own bytes, ever: bytes of answers that were written and of records
    /// that were unfolded. How much of the processor's time a connection has taken is told by it.
    pub work_bytes: usize,
    /// Lists of answers that were sent, emptied: see [`Effects::recycle`].
    spare_bytes: Vec<Vec<u8>>,
    spare_ranges: Vec<Vec<FileRange>>,
    /// An empty list for the answer that is being written.
    pub(crate) holes: Vec<Hole>,
}

/// Emptied lists that are kept of each kind.
const SPARE_MAX: usize = 128;

fn keep<T>(spare: &mut Vec<Vec<T>>, mut list: Vec<T>) {
    if spare.len() < SPARE_MAX && (1..=Effects::SPARE_LENGTH_MAX).contains(&list.capacity()) {
        list.clear();
        spare.push(list);
    }
}

impl Effects {
    /// Longer lists are not kept.
    pub const SPARE_LENGTH_MAX: usize = 4096;

    /// Takes an answer back that was sent: its memory serves a later one. A shell that does not do
    /// this is served as well.
    pub fn recycle(&mut self, response: Response) {
        keep(&mut self.spare_bytes, response.bytes);
        keep(&mut self.spare_ranges, response.ranges);
    }

    /// An empty answer, with the memory of one that was sent if there is one.
    #[must_use]
    pub fn spare(&mut self) -> Response {
        Response {
            bytes: self.spare_bytes.pop().unwrap_or_default(),
            ranges: self.spare_ranges.pop().unwrap_or_default(),
        }
    }

    /// A request has cost so much: see [`Effects::work_bytes`].
    pub(crate) fn count_work(&mut self, bytes: usize) {
        self.work_bytes = self.work_bytes.wrapping_add(bytes);
    }

    pub fn notice(&mut self, severity: Severity, text: impl Into<String>) {
        self.notices.push(Notice { severity, text: text.into() });
    }

    /// Whether everything asked for has been taken by the shell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.folders.is_empty()
            && self.disk.is_empty()
            && self.network.is_empty()
            && self.examinations.is_empty()
            && self.notices.is_empty()
            && self.halt.is_none()
    }
}

/// What every input gets: the time, the files to read from, the place for effects.
pub struct Turn<'a> {
    pub now: Now,
    pub files: &'a dyn ReadFiles,
    pub out: &'a mut Effects,
}
