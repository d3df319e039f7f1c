//! The machine: inputs from the shell, each run to completion.

use std::sync::Arc;

use strom_base::time::earlier;
use strom_base::{Now, Random, RetentionClock, Uuid};
use strom_metadata::controller::ControllerSettings;
use strom_metadata::image::Endpoint;
use strom_protocol::ErrorCode;
use strom_raft::RaftOptions;
use strom_replica::partition::Released;
use strom_replica::{CommitWaiter, Partition};
use strom_storage::disk::{Completion, DiskError, LogId};

use crate::api::produce::ParkedProduces;
use crate::boot::{BootState, BootedLog, BootedMetadata, FailedDirectory, Identity};
use crate::checkpoints::{Checkpoints, NODE_FILES};
use crate::connections::Connections;
use crate::effect::{ConnectionId, Severity, Turn};
use crate::examinations::Examinations;
use crate::failed_directories::FailedDirectories;
use crate::fetch_sessions::FetchSessions;
use crate::fetches::ParkedFetches;
use crate::full_disk::FullDisk;
use crate::groups::Groups;
use crate::lifecycle::Phase;
use crate::look_ups::LookUps;
use crate::metadata::{MetadataOptions, MetadataPlane};
use crate::partitions::{METADATA_LOG, Partitions};
use crate::producer_ids::ProducerIds;
use crate::recovery_debt::RecoveryDebt;
use crate::settings::{BrokerSettings, authorizer, reachable_host};

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
    pub(crate) examinations: Examinations,
    pub(crate) look_ups: LookUps,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) recovery_debt: RecoveryDebt,
    pub(crate) failed_directories: FailedDirectories,
    pub(crate) full_disk: FullDisk,
    pub(crate) retention_due_ms: u64,
    retention_clock: RetentionClock,
    /// Who was set free by the disk's last report: empty between reports.
    released: Released,
    /// What clients are told, by listener.
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) registration_asked: bool,
    /// The epoch of this broker's last life if that ended well, else -1.
    pub(crate) previous_broker_epoch: i64,
    /// Logs that lay on the disk, until the image is known.
    found_logs: Vec<BootedLog>,
    /// Topics that checkpoints speak of, and no folder.
    stale_topics: Vec<String>,
    notes: Vec<String>,
    /// Directories that this start goes on without, until that was said.
    failed_at_start: Vec<FailedDirectory>,
}

/// What a broker is made from.
#[derive(Debug)]
pub struct BrokerStart {
    pub settings: BrokerSettings,
    pub state: BootState,
    /// The bound ports, in the order of the listeners.
    pub ports: Vec<u16>,
    pub random: Random,
    pub now: Now,
    /// What recovery may have to read after a kill; [`RECOVERY_BYTES_MAX`].
    ///
    /// [`RECOVERY_BYTES_MAX`]: crate::recovery_debt::RECOVERY_BYTES_MAX
    pub recovery_bytes_max: u64,
}

impl Broker {
    /// # Errors
    /// One sentence: the metadata log on the disk cannot be understood.
    pub fn new(start: BrokerStart) -> Result<Self, String> {
        let BrokerStart { settings, mut state, ports, mut random, now, recovery_bytes_max } = start;
        let settings = Arc::new(settings);
        let mut retention_clock = RetentionClock::default();
        retention_clock.read(now);
        let metadata = open_metadata(&mut state, &settings, now)?;
        let endpoints = endpoints(&settings, &ports);
        let groups = Groups::new(settings.groups.clone(), Random::new(random.next_u64()));
        let slots = settings.node.fetch.max_incremental_fetch_session_cache_slots;
        let fetch_sessions = FetchSessions::new(Random::new(random.next_u64()), slots);
        Ok(Self {
            retention_due_ms: now.deadline_ms(settings.node.logs.initial_task_delay_ms),
            retention_clock,
            settings,
            identity: state.identity,
            incarnation_id: random.uuid(),
            phase: Phase::Starting,
            random,
            connections: Connections::default(),
            partitions: Partitions::default(),
            metadata,
            groups,
            producer_ids: ProducerIds::default(),
            fetch_sessions,
            parked_fetches: ParkedFetches::default(),
            parked_produces: ParkedProduces::default(),
            examinations: Examinations::default(),
            look_ups: LookUps::default(),
            checkpoints: Checkpoints::default(),
            recovery_debt: RecoveryDebt::new(recovery_bytes_max),
            failed_directories: FailedDirectories::of_start(&state.failed_directories),
            full_disk: FullDisk::default(),
            released: Released::default(),
            endpoints,
            registration_asked: false,
            previous_broker_epoch: state.previous_broker_epoch,
            found_logs: state.logs,
            stale_topics: state.stale_topics,
            notes: state.notes,
            failed_at_start: state.failed_directories,
        })
    }

    /// The first input: logs are opened, the quorum begins.
    pub fn start(&mut self, turn: &mut Turn<'_>) {
        for note in std::mem::take(&mut self.notes) {
            turn.out.notice(Severity::Warning, note);
        }
        for failed in std::mem::take(&mut self.failed_at_start) {
            self.say_failed_at_start(turn, &failed);
        }
        turn.out.folders.push((METADATA_LOG, Some(self.metadata.folder())));
        self.metadata.begin(&mut turn.out.disk);
        // What the snapshot says of this broker; the rest is followed as it is committed.
        self.reconfigure_node(turn);
        for topic in std::mem::take(&mut self.stale_topics) {
            self.checkpoints.forget(turn.now, &topic);
        }
        let found = std::mem::take(&mut self.found_logs);
        self.adopt_logs(turn, found);
        let topics: Vec<Uuid> = self.metadata.image().topics.iter().map(|it| it.id).collect();
        for topic in topics {
            self.reconcile_topic(turn, topic);
        }
        self.start_raft(turn);
        self.partitions.note_deadlines();
    }

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
        self.examinations.on_disconnected(connection);
        self.look_ups.drop_of(connection);
        self.drop_fetches_of(connection);
    }

    /// What this node knows of the cluster: all that is committed.
    #[must_use]
    pub fn image(&self) -> &strom_metadata::Image {
        self.metadata.image()
    }

    /// What the node goes by at this moment.
    #[must_use]
    pub fn settings(&self) -> &BrokerSettings {
        &self.settings
    }

    /// Requests of a connection that wait for their answers.
    #[must_use]
    pub fn outstanding(&self, connection: ConnectionId) -> usize {
        self.connections.outstanding(connection)
    }

    /// The disk has kept or broken a promise.
    pub fn on_disk_completed(&mut self, turn: &mut Turn<'_>, completion: &Completion) {
        match completion.ticket.log {
            NODE_FILES => self.on_checkpoint_completed(turn, completion),
            METADATA_LOG => self.on_metadata_completed(turn, completion),
            log => self.on_partition_completed(turn, log, completion),
        }
        self.recovery_debt.on_completed(completion);
        self.continue_stop(turn, completion);
        self.partitions.note_deadlines();
    }

    fn on_partition_completed(&mut self, turn: &mut Turn<'_>, log: LogId, completion: &Completion) {
        let Some(partition) = self.partitions.get_mut(log) else { return };
        let mut released = std::mem::take(&mut self.released);
        partition.on_completed(turn.now, completion, &mut turn.out.disk, &mut released);
        let mut failed_directory = None;
        if let Err(error) = &completion.result {
            let text = || format!("{}: {error}", describe(partition));
            match error {
                DiskError::Full(_) => {
                    self.full_disk.on_refused(turn.now.monotonic_ms, text, turn.out);
                }
                _ => turn.out.notice(Severity::Error, text()),
            }
            // The files of a deleted log may be gone already.
            let is_gone = matches!(error, DiskError::NotFound(_)) && partition.log.is_deleted();
            let has_failed = partition.log.is_failed() && !is_gone;
            failed_directory =
                has_failed.then(|| (partition.log.identity().directory, error.to_string()));
        }
        if partition.log.take_new_recovery_point() {
            self.checkpoints.hasten(turn.now, self.partitions.count_on_disk());
        }
        if !released.committed.is_empty() {
            self.checkpoints.mark_changed(turn.now, &self.settings.node.logs);
        }
        self.release(turn, log, &mut released);
        self.released = released;
        if let Some((directory, reason)) = failed_directory {
            self.on_directory_failed(turn, directory, &reason);
        }
    }

    /// Tells everybody who waited for the partition.
    pub(crate) fn release(&mut self, turn: &mut Turn<'_>, log: LogId, released: &mut Released) {
        let fates = released.committed.drain(..).map(|waiter| (waiter, ErrorCode::None));
        let lost = released.lost.drain(..).map(|w| (w, ErrorCode::KafkaStorageError));
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
        self.tell_watchers(turn, &mut released.watchers);
    }

    /// Monotonic milliseconds of the next thing to do without an input.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        if self.is_stopping() {
            return None;
        }
        let logs = self.partitions.next_deadline();
        [
            self.parked_fetches.next_deadline(),
            self.groups.next_deadline(),
            self.checkpoints.next_deadline(),
            self.metadata.next_deadline(),
            self.full_disk.next_deadline(),
            logs,
        ]
        .into_iter()
        .fold(Some(self.retention_due_ms), earlier)
    }

    pub fn on_deadline(&mut self, turn: &mut Turn<'_>) {
        if self.is_stopping() {
            return;
        }
        self.expire_fetches(turn);
        self.on_groups_deadline(turn);
        self.write_due_checkpoints(turn.now, &mut turn.out.disk);
        self.on_metadata_deadline(turn);
        self.on_logs_deadline(turn);
        self.full_disk.on_deadline(turn.now.monotonic_ms, turn.out);
        self.partitions.note_deadlines();
    }

    /// Retention of all logs at its interval, and what single logs want to do in between.
    fn on_logs_deadline(&mut self, turn: &mut Turn<'_>) {
        let is_check = self.retention_due_ms <= turn.now.monotonic_ms;
        let mut believed = turn.now;
        if is_check {
            believed = self.retention_clock.read(turn.now);
            if believed.wall_ms < turn.now.wall_ms {
                let text = format!(
                    "the clock has gone {} s ahead: retention follows it slowly, so that nothing is \
                     deleted before somebody has looked whether it is right",
                    (turn.now.wall_ms - believed.wall_ms) / 1000
                );
                turn.out.notice(Severity::Warning, text);
            }
            self.retention_due_ms =
                turn.now.deadline_ms(self.settings.node.logs.retention_check_interval_ms);
            self.clean_metadata_snapshots(turn);
        }
        let now_ms = turn.now.monotonic_ms;
        let mut ids = self.partitions.due(now_ms);
        if is_check {
            ids.extend(self.partitions.on_disk().map(|(id, _)| id));
        }
        for id in ids {
            let Some(partition) = self.partitions.get_mut(id) else { continue };
            let log = &mut partition.log;
            let log_start_offset = log.log_start_offset();
            if is_check {
                log.on_retention_check(believed, &mut turn.out.disk);
            }
            if log.next_deadline().is_some_and(|due_ms| due_ms <= now_ms) {
                log.on_deadline(turn.now, &mut turn.out.disk);
            }
            let mut watchers = Vec::new();
            if log.log_start_offset() != log_start_offset {
                partition.waiting.tell_watchers(&mut watchers);
            }
            if partition.log.is_removed() {
                // A sync that is still under way is reported to nobody any more.
                let mut released = partition.abandon();
                self.partitions.drop_log(id);
                turn.out.folders.push((id, None));
                self.release(turn, id, &mut released);
            }
            self.tell_watchers(turn, &mut watchers);
        }
    }
}

fn open_metadata(
    state: &mut BootState,
    settings: &BrokerSettings,
    now: Now,
) -> Result<MetadataPlane, String> {
    let directory = state.metadata.directory;
    let booted = std::mem::replace(&mut state.metadata, BootedMetadata::empty(directory));
    let directory_id = state
        .identity
        .directories
        .iter()
        .find(|it| it.directory == directory)
        .map_or(Uuid::ZERO, |it| it.id);
    let node_id = state.identity.node_id;
    let raft = RaftOptions {
        node_id,
        directory_id,
        static_voters: settings.quorum.voters.clone(),
        endpoints: settings.quorum.endpoints.clone(),
        snapshots: settings.quorum.snapshots,
    };
    let controller = ControllerSettings {
        node_id,
        unclean_leader_election: settings.node.controller.unclean_leader_election_enable,
    };
    let options = MetadataOptions { log: settings.metadata_log_config(), raft, controller };
    let plane = MetadataPlane::new(booted, options, now)?;
    if settings.has_authorizer {
        if plane.image().has_acls() {
            let text = "the cluster has ACLs, but this version does not enforce them: take \
                        authorizer.class.name out, if everybody may do everything";
            return Err(text.to_owned());
        }
        state.notes.push(authorizer::NOTE.to_owned());
    }
    Ok(plane)
}

fn endpoints(settings: &BrokerSettings, ports: &[u16]) -> Vec<Endpoint> {
    let bound = ports.iter().copied().chain(std::iter::repeat(0));
    let listeners = settings.node.client_listeners().zip(bound);
    listeners
        .map(|(listener, bound)| Endpoint {
            name: listener.name.clone(),
            host: reachable_host(listener),
            port: if listener.advertised_port == 0 { bound } else { listener.advertised_port },
            security_protocol: listener.protocol.code(),
        })
        .collect()
}

fn describe(partition: &Partition) -> String {
    let identity = partition.log.identity();
    format!("{}-{}", identity.topic, identity.partition)
}
