//! The machine: a quorum of one voter, which is this node.

use strom_base::{Now, Uuid};
use strom_protocol::Message;
use strom_protocol::leader_change_message::{LeaderChangeMessage, Voter};
use strom_protocol::records::control::{ControlType, control_batch};
use strom_protocol::records::{BatchBuilder, BatchError, BatchOptions, NewRecord};

use crate::effect::Effect;
use crate::quorum_state::QuorumState;

/// Records of one batch, which is what commits as a unit.
pub const RECORDS_MAX: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaftOptions {
    pub node_id: i32,
    pub directory_id: Uuid,
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
    role: Role,
    /// One past the last record appended, synced or not.
    log_end_offset: i64,
    high_watermark: i64,
    /// Where this leadership began: records before it are committed only together with it.
    epoch_start_offset: i64,
}

/// Why records were not appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    #[error("this node does not lead the metadata quorum")]
    NotLeader,
    #[error("{0} records are more than one batch holds")]
    TooManyRecords(usize),
    #[error("the records make no batch: {0}")]
    Batch(#[from] BatchError),
}

impl Raft {
    /// `log_end_offset` is where the recovered log ends; all of it is on the disk.
    #[must_use]
    pub fn new(options: RaftOptions, state: QuorumState, log_end_offset: i64) -> Self {
        Self {
            options,
            state,
            role: Role::Unattached,
            log_end_offset,
            high_watermark: 0,
            epoch_start_offset: log_end_offset,
        }
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

    /// The only voter elects itself: its vote in a new epoch goes to the disk first.
    pub fn on_start(&mut self, out: &mut Vec<Effect>) {
        self.state = QuorumState {
            leader_id: -1,
            leader_epoch: self.state.leader_epoch + 1,
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
        self.state.leader_id = self.options.node_id;
        self.epoch_start_offset = self.log_end_offset;
        out.push(self.persist());
        out.push(Effect::BecameLeader { epoch: self.epoch() });
        let batch = self.leader_change(now)?;
        self.push_batch(batch, 1, out);
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
        let mut builder = BatchBuilder::new(self.options_of_batch());
        for record in records {
            builder.append(&NewRecord {
                timestamp_ms: now.wall_ms,
                value: Some(record),
                ..Default::default()
            })?;
        }
        self.push_batch(builder.build(), records.len() as i64, out);
        Ok(self.log_end_offset - 1)
    }

    /// The log is synced below this offset. With one voter that commits it.
    pub fn on_synced(&mut self, offset: i64, out: &mut Vec<Effect>) {
        // A leader commits earlier epochs' records only by one of its own (Raft, section 5.4.2).
        if offset > self.epoch_start_offset && offset > self.high_watermark {
            self.high_watermark = offset;
            out.push(Effect::Committed { high_watermark: offset });
        }
    }

    fn persist(&self) -> Effect {
        Effect::PersistState { json: self.state.to_json(&[self.options.node_id]) }
    }

    fn push_batch(&mut self, batch: Vec<u8>, records: i64, out: &mut Vec<Effect>) {
        self.log_end_offset += records;
        out.push(Effect::Append { batch, end_offset: self.log_end_offset });
    }

    fn options_of_batch(&self) -> BatchOptions {
        BatchOptions {
            base_offset: self.log_end_offset,
            partition_leader_epoch: self.epoch(),
            ..Default::default()
        }
    }

    fn leader_change(&self, now: Now) -> Result<Vec<u8>, AppendError> {
        let this = Voter { voter_id: self.options.node_id, ..Default::default() };
        let message = LeaderChangeMessage {
            leader_id: self.options.node_id,
            voters: vec![this.clone()],
            granting_voters: vec![this],
            ..Default::default()
        };
        let value = message.to_bytes(0).map_err(|_| BatchError::ControlRecord)?;
        let records = [(ControlType::LeaderChange, value.as_slice())];
        Ok(control_batch(self.log_end_offset, self.epoch(), now.wall_ms, &records)?)
    }
}
