//! The machine: inputs from the shell, each run to completion.

use std::sync::Arc;

use strom_base::time::earlier;
use strom_base::{Random, Uuid};
use strom_protocol::ErrorCode;
use strom_replica::partition::Released;
use strom_replica::{CommitWaiter, Partition};
use strom_storage::disk::{Completion, LogId};

use crate::api::produce::ParkedProduces;
use crate::boot::{BootState, Identity};
use crate::checkpoints::{Checkpoints, NODE_FILES};
use crate::connections::Connections;
use crate::effect::{ConnectionId, Severity, Turn};
use crate::fetch_sessions::FetchSessions;
use crate::fetches::ParkedFetches;
use crate::groups::Groups;
use crate::lifecycle::Phase;
use crate::metadata::MetadataPlane;
use crate::partitions::{METADATA_LOG, Partitions};
use crate::producer_ids::ProducerIds;
use crate::settings::BrokerSettings;

/// One node: broker and controller in one.
pub struct Broker {
    pub(crate) settings: Arc<BrokerSettings>,
    pub(crate) identity: Identity,
    /// Names this start of the process (KIP-631).
    pub(crate) incarnation_id: Uuid,
    pub(crate) phase: Phase,
    pub(crate) random: Random,
    pub(crate) connections: Connections,
    pub(crate) partitions: Partitions,
    pub(crate) metadata: MetadataPlane,
    pub(crate) groups: Groups,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) fetch_sessions: FetchSessions,
    pub(crate) parked_fetches: ParkedFetches,
    pub(crate) parked_produces: ParkedProduces,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) retention_due_ms: u64,
}

impl Broker {
    pub fn on_connected(
        &mut self,
        _turn: &mut Turn<'_>,
        connection: ConnectionId,
        client_host: String,
        listener: usize,
    ) {
        self.connections.open(connection, client_host, listener);
    }

    pub fn on_disconnected(&mut self, _turn: &mut Turn<'_>, connection: ConnectionId) {
        self.connections.close(connection);
        self.drop_fetches_of(connection);
    }

    /// Requests of a connection that wait for their answers.
    #[must_use]
    pub fn outstanding(&self, connection: ConnectionId) -> usize {
        self.connections.outstanding(connection)
    }

    /// The disk has kept or broken a promise.
    pub fn on_disk_completed(&mut self, turn: &mut Turn<'_>, completion: &Completion) {
        match completion.ticket.log {
            NODE_FILES => {
                if let Err(error) = &completion.result {
                    turn.out.notice(Severity::Error, format!("a checkpoint was not written: {error}"));
                }
            }
            METADATA_LOG => self.on_metadata_completed(turn, completion),
            log => self.on_partition_completed(turn, log, completion),
        }
        self.continue_stop(turn, completion);
    }

    fn on_partition_completed(
        &mut self,
        turn: &mut Turn<'_>,
        log: LogId,
        completion: &Completion,
    ) {
        let Some(partition) = self.partitions.get_mut(log) else { return };
        let released = partition.on_completed(turn.now, completion, &mut turn.out.disk);
        if let Err(error) = &completion.result {
            turn.out.notice(Severity::Error, format!("{}: {error}", describe(partition)));
        }
        if !released.committed.is_empty() {
            let intervals = &self.settings.checkpoint_intervals();
            self.checkpoints.mark_changed(turn.now, intervals.0, intervals.1);
        }
        self.release(turn, log, released);
    }

    /// Tells everybody who waited for the partition.
    fn release(&mut self, turn: &mut Turn<'_>, log: LogId, released: Released) {
        let fates = released.committed.into_iter().map(|waiter| (waiter, ErrorCode::None));
        let lost = released.lost.into_iter().map(|w| (w, ErrorCode::KafkaStorageError));
        for (waiter, error) in fates.chain(lost) {
            match waiter {
                CommitWaiter::Produce { token, part } => {
                    self.on_produce_part(turn, (token, part), error);
                }
                CommitWaiter::Coordinator { ticket } => {
                    self.on_group_append(turn, (log, ticket), error);
                }
            }
        }
        self.retry_fetches(turn, released.fetches);
    }

    /// Monotonic milliseconds of the next thing to do without an input.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        let logs = self.partitions.next_deadline();
        [
            self.parked_fetches.next_deadline(),
            self.groups.next_deadline(),
            self.checkpoints.next_deadline(),
            self.metadata.next_deadline(),
            logs,
        ]
        .into_iter()
        .fold(Some(self.retention_due_ms), earlier)
    }

    pub fn on_deadline(&mut self, turn: &mut Turn<'_>) {
        self.expire_fetches(turn);
        self.on_groups_deadline(turn);
        self.write_due_checkpoints(turn.now, &mut turn.out.disk);
        self.on_metadata_deadline(turn);
        self.on_logs_deadline(turn);
    }

    /// Retention of all logs at its interval, and what single logs want to do in between.
    fn on_logs_deadline(&mut self, turn: &mut Turn<'_>) {
        let is_check = self.retention_due_ms <= turn.now.monotonic_ms;
        if is_check {
            self.retention_due_ms = turn.now.deadline_ms(self.settings.retention_check_interval_ms());
        }
        for id in self.partitions.ids() {
            let Some(partition) = self.partitions.get_mut(id) else { continue };
            let log = &mut partition.log;
            if is_check {
                log.on_retention_check(turn.now, &mut turn.out.disk);
            }
            if log.next_deadline().is_some_and(|due_ms| due_ms <= turn.now.monotonic_ms) {
                log.on_deadline(turn.now, &mut turn.out.disk);
            }
            if log.is_removed() {
                self.partitions.drop_log(id);
                turn.out.folders.push((id, None));
            }
        }
    }
}

fn describe(partition: &Partition) -> String {
    let identity = partition.log.identity();
    format!("{}-{}", identity.topic, identity.partition)
}
