//! The orderly stop, whose steps each wait for the disk: logs closed, checkpoints written, at last the
//! mark of a clean shutdown.

use std::collections::BTreeSet;

use bytes::Bytes;
use strom_base::{Planted, planted};
use strom_storage::disk::{Completion, DiskEffect, Ticket};
use strom_storage::format::clean_shutdown;

use super::Phase;
use crate::Broker;
use crate::boot::root;
use crate::effect::{Severity, Turn};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopStep {
    CloseLogs,
    WriteCheckpoints,
    MarkClean,
}

impl Broker {
    /// Begins the orderly stop. Requests that still wait are not answered any more.
    pub fn shut_down(&mut self, turn: &mut Turn<'_>) {
        if self.is_stopping() {
            return;
        }
        let (mut waiting, mut is_clean) = (BTreeSet::new(), true);
        for log in self.partitions.ids() {
            if let Some(partition) = self.partitions.get_mut(log)
                && !partition.log.is_deleted()
            {
                // What it lost nobody knows: the next start has to look.
                is_clean &= !partition.log.is_failed();
                waiting.extend(partition.log.close(turn.now, &mut turn.out.disk));
            }
        }
        waiting.extend(self.metadata.close(turn.now, &mut turn.out.disk));
        self.phase = Phase::Stopping { step: StopStep::CloseLogs, waiting, is_clean };
        self.take_next_stop_step(turn);
    }

    /// A ticket that the stop may be waiting for was kept or broken.
    pub(crate) fn continue_stop(&mut self, turn: &mut Turn<'_>, completion: &Completion) {
        let Phase::Stopping { step, waiting, is_clean } = &mut self.phase else { return };
        let was_waited_for = waiting.remove(&completion.ticket);
        // While logs are closed, all that was asked of them counts, not only their last sync.
        if !was_waited_for && *step != StopStep::CloseLogs {
            return;
        }
        if let Err(error) = &completion.result {
            *is_clean = false;
            turn.out.notice(Severity::Error, format!("while stopping: {error}"));
        }
        self.take_next_stop_step(turn);
    }

    /// Something was not done: the next start has to look.
    pub(crate) fn doubt_stop(&mut self) {
        if let Phase::Stopping { is_clean, .. } = &mut self.phase {
            *is_clean = false;
        }
    }

    /// Goes on once nothing is waited for any more.
    fn take_next_stop_step(&mut self, turn: &mut Turn<'_>) {
        let Phase::Stopping { step, waiting, is_clean } = &self.phase else { return };
        let (step, is_clean) = (*step, *is_clean);
        let is_closing = step == StopStep::CloseLogs;
        let is_hasty = is_closing && planted(Planted::CleanBeforeSettled);
        if !is_hasty && (!waiting.is_empty() || (is_closing && !self.is_settled())) {
            return;
        }
        let next = match step {
            StopStep::CloseLogs => {
                let mut tickets = self.write_watermarks(&mut turn.out.disk);
                tickets.extend(self.write_recovery_points(&mut turn.out.disk));
                Some((StopStep::WriteCheckpoints, tickets))
            }
            StopStep::WriteCheckpoints if is_clean => {
                Some((StopStep::MarkClean, self.mark_clean(&mut turn.out.disk)))
            }
            StopStep::WriteCheckpoints | StopStep::MarkClean => None,
        };
        self.phase = match next {
            Some((step, tickets)) => {
                Phase::Stopping { step, waiting: tickets.into_iter().collect(), is_clean }
            }
            None => Phase::Stopped,
        };
    }

    /// No log waits for the disk any more: not for its close, nor for a producer snapshot, an index
    /// or an epoch checkpoint that it asked for before.
    fn is_settled(&self) -> bool {
        let mut logs = self.partitions.iter().map(|(_, it)| &it.log);
        logs.all(|log| log.is_deleted() || !log.has_pending()) && !self.metadata.has_pending()
    }

    /// The last thing written: proof that everything before it is on the disk.
    fn mark_clean(&mut self, out: &mut Vec<DiskEffect>) -> Vec<Ticket> {
        let bytes = Bytes::from(clean_shutdown::format(self.broker_epoch()));
        let directories: Vec<_> =
            self.identity.directories.iter().map(|identity| identity.directory).collect();
        directories
            .into_iter()
            .map(|directory| {
                let path = root(directory, clean_shutdown::FILE_NAME);
                let ticket = self.checkpoints.next_ticket(directory);
                out.push(DiskEffect::Replace { path, bytes: bytes.clone(), ticket });
                ticket
            })
            .collect()
    }
}
