//! What a start after kill -9 would have to read, bounded over all logs.
//!
//! Each log moves its recovery point by itself when enough was appended to it. A thousand logs that
//! each stay below that would still make a start read for minutes: when all together have too much,
//! those with the most are synced, in the background and one group at a time.

use std::collections::BTreeSet;

use strom_storage::disk::{Completion, LogId, Ticket};

use crate::Broker;
use crate::effect::Turn;

/// Bytes behind the recovery points of all logs, for [`crate::BrokerStart`]. A start reads more than
/// a gigabyte of them a second.
pub const RECOVERY_BYTES_MAX: u64 = 512 << 20;

#[derive(Debug)]
pub(crate) struct RecoveryDebt {
    bytes_max: u64,
    /// At least what the logs have: their own syncs are not taken off until they are looked at.
    bytes: u64,
    /// The syncs of the group under way.
    syncing: BTreeSet<Ticket>,
}

impl RecoveryDebt {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, bytes: 0, syncing: BTreeSet::new() }
    }

    /// A promise was kept or broken; a broken one is its log's affair.
    pub(crate) fn on_completed(&mut self, completion: &Completion) {
        self.syncing.remove(&completion.ticket);
    }
}

impl Broker {
    /// So many bytes were appended to logs, or found behind their recovery points at the start.
    pub(crate) fn owe(&mut self, turn: &mut Turn<'_>, bytes: u64) {
        self.recovery_debt.bytes += bytes;
        if self.recovery_debt.bytes > self.recovery_debt.bytes_max
            && self.recovery_debt.syncing.is_empty()
        {
            self.pay_half(turn);
        }
    }

    fn pay_half(&mut self, turn: &mut Turn<'_>) {
        let bytes_max = self.recovery_debt.bytes_max;
        let logs = self.partitions.on_disk().filter(|(_, partition)| !partition.log.is_deleted());
        let bytes = logs.map(|(id, partition)| (partition.log.unsynced_bytes(), id));
        let mut behind: Vec<(u64, LogId)> = bytes.filter(|(bytes, _)| *bytes > 0).collect();
        behind.sort_unstable_by(|left, right| right.cmp(left));
        let mut bytes: u64 = behind.iter().map(|(bytes, _)| bytes).sum();
        // The logs' own syncs may have paid already.
        let bytes_left = if bytes > bytes_max { bytes_max / 2 } else { bytes };
        for (unsynced, log) in behind {
            if bytes <= bytes_left {
                break;
            }
            if let Some(partition) = self.partitions.get_mut(log) {
                let ticket = partition.log.move_recovery_point(&mut turn.out.disk);
                self.recovery_debt.syncing.insert(ticket);
                bytes -= unsynced;
            }
        }
        self.recovery_debt.bytes = bytes;
    }
}
