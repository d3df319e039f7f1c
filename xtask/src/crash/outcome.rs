//! What a campaign has come to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::kind::Kind;

#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Data folders.
    pub lives: u64,
    /// Kills and, for [`Kind::Power`], images of a volume: those of which the fault was really there.
    pub kills: BTreeMap<Kind, u64>,
    /// Ends by the node itself after a failure of its disk, with its sentence.
    pub surrenders: u64,
    /// Starts that were refused for want of room, with a sentence.
    pub refusals: u64,
    /// Records compared after a start.
    pub records: u64,
    pub audits: u64,
    /// Folders read whole after a clean stop.
    pub scans: u64,
    pub elapsed: Duration,
    /// Kinds that this machine does not allow, with what it said.
    pub skipped: BTreeMap<Kind, String>,
}

impl Outcome {
    pub(crate) fn count(&mut self, kind: Kind) {
        *self.kills.entry(kind).or_default() += 1;
    }

    /// Images of a volume that a node was started on.
    #[must_use]
    pub(crate) fn images(&self) -> u64 {
        self.kills.get(&Kind::Power).copied().unwrap_or(0)
    }

    /// Processes that were killed.
    #[must_use]
    pub(crate) fn kills(&self) -> u64 {
        self.kills.values().sum::<u64>() - self.images() - self.surrenders
    }

    /// Kinds that this machine allows and that have not happened yet.
    #[must_use]
    pub(crate) fn missing(&self) -> BTreeSet<Kind> {
        let is_due =
            |kind: &Kind| !self.kills.contains_key(kind) && !self.skipped.contains_key(kind);
        Kind::ALL.into_iter().filter(is_due).collect()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        let per_minute = self.kills() as f64 * 60.0 / seconds.max(1.0);
        let kinds: Vec<String> =
            self.kills.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        write!(
            f,
            "{} kills in {} lives, {seconds:.0} s, {per_minute:.1} a minute ({}); {} ends by the node \
             itself, {} starts refused; {} audits of {} records, {} scans",
            self.kills(),
            self.lives,
            kinds.join(", "),
            self.surrenders,
            self.refusals,
            self.audits,
            self.records,
            self.scans,
        )
    }
}
