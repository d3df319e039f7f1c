//! The machine: today a quorum of one voter, which is this node.

use strom_base::{Now, Uuid};
use strom_protocol::EncodeError;
use strom_protocol::records::BatchError;

use crate::control::{ControlRecord, ControlState, batch_of, dynamic_quorum, leader_change};
use crate::effect::Effect;
use crate::quorum_state::QuorumState;
use crate::retention::{SnapshotPolicy, Snapshots, StoredSnapshot};
use crate::snapshot::{SnapshotId, data_batch};
use crate::voters::{Voter, VoterEndpoint, VoterSet};

/// Records of one batch, which is what commits as a unit.
pub const RECORDS_MAX: usize = 10_000;

/// Bytes of one batch, as Apache Kafka's quorum bounds them.
pub const BATCH_BYTES_MAX: usize = 8 << 20;

/// What the configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RaftOptions {
    pub node_id: i32,
    /// Of the metadata directory.
    pub directory_id: Uuid,
    /// Ids of `controller.quorum.voters`; empty when the quorum is a dynamic one, or this node alone.
    pub static_voters: Vec<i32>,
    /// Where this node's controller listeners are reached.
    pub endpoints: Vec<VoterEndpoint>,
    pub snapshots: SnapshotPolicy,
}

/// What was found on the disk, all of it synced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RaftStart {
    /// `None` without the file.
    pub state: Option<QuorumState>,
    /// What snapshot and log say of the quorum.
    pub control: ControlState,
    pub log_end_offset: i64,
    /// Of the last batch of the log, or of the snapshot when no batch is behind it; 0 for neither.
    pub last_epoch: i32,
    /// All whole snapshots, the oldest first.
    pub snapshots: Vec<StoredSnapshot>,
    /// Bytes of the log behind the newest snapshot.
    pub bytes_since_snapshot: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Nothing was decided in this run.
    Unattached,
    /// The vote for itself is on its way to the disk.
    Candidate,
    Leader,
}

#[derive(Debug)]
pub struct Raft {
    options: RaftOptions,
    state: QuorumState,
    control: ControlState,
    voters: VoterSet,
    role: Role,
    /// One past the last record appended, synced or not.
    log_end_offset: i64,
    high_watermark: i64,
    /// Where this leadership began: records before it are committed only together with it.
    epoch_start_offset: i64,
    snapshots: Snapshots,
}

/// Why this node cannot take part in its quorum. One sentence for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    #[error(
        "the metadata quorum has the voters {0:?}: this version runs a quorum of one voter, \
         so start a node whose controller.quorum.voters, or formatted folder, names only itself"
    )]
    OtherVoters(Vec<i32>),
    #[error(
        "node {node_id} with the metadata directory {directory_id} is no voter of its quorum, \
         which is {voters:?}: use the folder that was formatted for it"
    )]
    NotAVoter { node_id: i32, directory_id: Uuid, voters: Vec<i32> },
}

/// Why records were not appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    #[error("this node does not lead the metadata quorum")]
    NotLeader,
    #[error("{0} records are more than one batch holds")]
    TooManyRecords(usize),
    #[error("a batch of {0} bytes is more than other nodes take")]
    TooLarge(usize),
    #[error("the records make no batch: {0}")]
    Batch(#[from] BatchError),
    #[error("a control record cannot be made: {0}")]
    Control(#[from] EncodeError),
}

impl Raft {
    /// # Errors
    /// When this node is not the only voter.
    pub fn new(options: RaftOptions, start: RaftStart) -> Result<Self, StartError> {
        let voters = voters_of(&options, &start.control);
        let ids = voters.ids();
        if !voters.0.iter().any(|it| it.is_replica(options.node_id, options.directory_id)) {
            let RaftOptions { node_id, directory_id, .. } = options;
            return Err(StartError::NotAVoter { node_id, directory_id, voters: ids });
        }
        if ids.len() > 1 {
            return Err(StartError::OtherVoters(ids));
        }
        let mut state = start.state.unwrap_or_default();
        if state.leader_epoch < start.last_epoch {
            // The file is older than the log: its promises were for epochs that are over.
            state = QuorumState { leader_epoch: start.last_epoch, ..QuorumState::default() };
        }
        let newest = start.snapshots.last().map_or(0, |it| it.id.end_offset);
        Ok(Self {
            snapshots: Snapshots::new(
                options.snapshots,
                start.snapshots,
                start.bytes_since_snapshot,
            ),
            options,
            state,
            control: start.control,
            voters,
            role: Role::Unattached,
            log_end_offset: start.log_end_offset,
            // What a snapshot stands for was committed.
            high_watermark: newest,
            epoch_start_offset: start.log_end_offset,
        })
    }

    #[must_use]
    pub fn epoch(&self) -> i32 {
        self.state.leader_epoch
    }

    /// -1 while there is none.
    #[must_use]
    pub fn leader_id(&self) -> i32 {
        if self.role == Role::Leader { self.options.node_id } else { -1 }
    }

    #[must_use]
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    #[must_use]
    pub fn log_end_offset(&self) -> i64 {
        self.log_end_offset
    }

    #[must_use]
    pub fn node_id(&self) -> i32 {
        self.options.node_id
    }

    #[must_use]
    pub fn directory_id(&self) -> Uuid {
        self.options.directory_id
    }

    /// Where this node's controller listeners are reached.
    #[must_use]
    pub fn endpoints(&self) -> &[VoterEndpoint] {
        &self.options.endpoints
    }

    /// As the last record or the configuration has them; of the latter only ids are known.
    #[must_use]
    pub fn voters(&self) -> &VoterSet {
        &self.voters
    }

    /// The level of the feature `kraft.version`: 1 when the voters stand in the log.
    #[must_use]
    pub fn kraft_version(&self) -> i16 {
        self.control.kraft_version
    }

    /// The only voter elects itself: its vote in a new epoch goes to the disk first.
    pub fn on_start(&mut self, out: &mut Vec<Effect>) {
        self.state = QuorumState {
            leader_id: -1,
            leader_epoch: self.state.leader_epoch.saturating_add(1),
            voted_id: self.options.node_id,
            voted_directory_id: self.options.directory_id,
        };
        self.role = Role::Candidate;
        out.push(self.persist());
    }

    /// The last `PersistState` is on the disk.
    ///
    /// # Errors
    /// When the message of the new leadership cannot be made.
    pub fn on_state_persisted(
        &mut self,
        now: Now,
        out: &mut Vec<Effect>,
    ) -> Result<(), AppendError> {
        if self.role != Role::Candidate {
            return Ok(());
        }
        self.role = Role::Leader;
        self.state = QuorumState {
            leader_id: self.options.node_id,
            leader_epoch: self.epoch(),
            ..QuorumState::default()
        };
        self.epoch_start_offset = self.log_end_offset;
        self.snapshots.on_leader(now);
        out.push(self.persist());
        let records = self.first_records()?;
        let batch = batch_of(self.log_end_offset, self.epoch(), now.wall_ms, &records)?;
        self.push_batch(batch, records.len() as i64, out);
        Ok(())
    }

    /// Appends records as one unit; the offset of the last one.
    ///
    /// # Errors
    /// When this node does not lead, or the records make no batch.
    pub fn append(
        &mut self,
        now: Now,
        records: &[Vec<u8>],
        out: &mut Vec<Effect>,
    ) -> Result<i64, AppendError> {
        if self.role != Role::Leader {
            return Err(AppendError::NotLeader);
        }
        if records.len() > RECORDS_MAX {
            return Err(AppendError::TooManyRecords(records.len()));
        }
        let batch = data_batch((self.log_end_offset, self.epoch()), now.wall_ms, records)?;
        if batch.len() > BATCH_BYTES_MAX {
            return Err(AppendError::TooLarge(batch.len()));
        }
        self.push_batch(batch, records.len() as i64, out);
        Ok(self.log_end_offset - 1)
    }

    /// The log is synced below this offset. With one voter that commits it.
    pub fn on_synced(&mut self, now: Now, offset: i64, out: &mut Vec<Effect>) {
        // A leader commits earlier epochs' records only by one of its own (Raft, section 5.4.2).
        if offset > self.epoch_start_offset && offset > self.high_watermark {
            self.high_watermark = offset.min(self.log_end_offset);
            out.push(Effect::Committed { high_watermark: self.high_watermark });
            self.ask_for_snapshot(now, out);
        }
    }

    /// When a snapshot is due for its age.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.snapshots.next_deadline(self.high_watermark)
    }

    pub fn on_deadline(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.ask_for_snapshot(now, out);
    }

    /// The image, or its file, cannot be written now; it is asked for again after the next commit.
    pub fn decline_snapshot(&mut self, now: Now) {
        self.snapshots.on_declined(now);
    }

    /// The image of what [`Effect::SnapshotDue`] named. `last_timestamp_ms` is the append time of
    /// the last record in it.
    ///
    /// # Errors
    /// When the records make no batch.
    pub fn write_snapshot(
        &mut self,
        now: Now,
        last_timestamp_ms: i64,
        records: Vec<Vec<u8>>,
        out: &mut Vec<Effect>,
    ) -> Result<(), crate::control::ControlError> {
        let control = ControlState {
            kraft_version: self.control.kraft_version,
            voters: Some((self.voters.clone(), -1)),
        };
        let snapshot = crate::snapshot::Snapshot { last_timestamp_ms, control, records };
        if let Some(id) = self.snapshots.pending() {
            let bytes = snapshot.write(id.epoch, now.wall_ms)?;
            self.snapshots.on_made(bytes.len() as u64, last_timestamp_ms);
            out.push(Effect::WriteSnapshot { id, bytes });
        }
        Ok(())
    }

    /// The last `WriteSnapshot` is on the disk.
    pub fn on_snapshot_written(&mut self, now: Now) {
        self.snapshots.on_written(now);
    }

    /// Asks to delete one snapshot that is not to be kept, and the log before the next one; false
    /// when there is none. `log_bytes` is the size of the whole log: tell it again after each.
    pub fn clean_snapshots(&mut self, now: Now, log_bytes: u64, out: &mut Vec<Effect>) -> bool {
        self.snapshots.clean(now, log_bytes, out)
    }

    fn ask_for_snapshot(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.role != Role::Leader {
            return;
        }
        // Whatever this leader commits ends with a record of its own epoch.
        let id = SnapshotId { end_offset: self.high_watermark, epoch: self.epoch() };
        if self.snapshots.is_due(now, id) {
            out.push(Effect::SnapshotDue { id });
        }
    }

    fn persist(&self) -> Effect {
        let json = match self.control.kraft_version {
            0 => self.state.to_json(&self.voters.ids()),
            _ => self.state.to_json_with_directory(),
        };
        Effect::PersistState { json }
    }

    fn push_batch(&mut self, batch: Vec<u8>, records: i64, out: &mut Vec<Effect>) {
        self.log_end_offset += records;
        self.snapshots.on_appended(batch.len() as u64);
        out.push(Effect::Append { batch, end_offset: self.log_end_offset });
    }

    /// What a leadership begins with. A dynamic quorum's voters come along while they stand only in
    /// the folder's formatting, or when this node is reached elsewhere by now.
    fn first_records(&mut self) -> Result<Vec<ControlRecord>, EncodeError> {
        let mut records = vec![leader_change(self.options.node_id, &self.voters)?];
        let Some((voters, offset)) = &mut self.control.voters else { return Ok(records) };
        let own = Voter {
            id: self.options.node_id,
            directory_id: self.options.directory_id,
            endpoints: self.options.endpoints.clone(),
            kraft_versions: (0, 1),
        };
        let is_moved = !own.endpoints.is_empty() && voters.0 != [own.clone()];
        let is_formatted = *offset == -1 && self.snapshots.newest_offset() == 0;
        if self.control.kraft_version > 0 && (is_formatted || is_moved) {
            if is_moved {
                *voters = VoterSet(vec![own]);
            }
            *offset = self.log_end_offset + 2;
            records.extend(dynamic_quorum(self.control.kraft_version, voters)?);
            self.voters = voters.clone();
        }
        Ok(records)
    }
}

/// From the log if it says, else from the configuration, else this node alone.
fn voters_of(options: &RaftOptions, control: &ControlState) -> VoterSet {
    match (&control.voters, options.static_voters.as_slice()) {
        (Some((voters, _)), _) => voters.clone(),
        (None, []) => VoterSet(vec![Voter::by_id(options.node_id)]),
        (None, ids) => VoterSet(ids.iter().copied().map(Voter::by_id).collect()),
    }
}
