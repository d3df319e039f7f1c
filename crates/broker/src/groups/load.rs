//! Loading groups: a partition of `__consumer_offsets` read from its start to its end.
//!
//! Pieces of a bounded size are read, and each of their records is replayed. When the bytes are not
//! in memory the loading goes on a little later, so that a turn never blocks.

use strom_base::{Planted, planted};
use strom_coordinator::ShardId;
use strom_protocol::compression::Codecs;
use strom_protocol::records::{self, RawBatch};
use strom_storage::disk::{DiskError, ReadFiles};
use strom_storage::log::{ReadError, ReadRequest};

use crate::Broker;
use crate::effect::{Severity, Turn};
use crate::groups::withheld::Withheld;
use crate::groups::{Groups, OFFSETS_TOPIC};

const PIECE_BYTES: u32 = 1 << 20;
const RETRY_MS: i64 = 10;
/// Bytes that come wrong from the disk may come right the next time.
const WRONG_READS_MAX: u32 = 5;
/// No batch of a coordinator is larger: `max.message.bytes` bounds it, this bounds its inflation.
const INFLATED_LIMIT: usize = 64 << 20;

/// A partition that is not loaded yet.
#[derive(Debug)]
pub(crate) struct Loading {
    shard: ShardId,
    next_offset: i64,
    withheld: Withheld,
    /// How often what was read at `next_offset` was no sound batch.
    wrong_reads: u32,
    pub(crate) retry_at_ms: u64,
}

/// How far a step of loading came.
enum Progress {
    Finished,
    Blocked,
}

impl Broker {
    /// This node leads the partition from now on: its groups are read and then served.
    pub(crate) fn load_groups(&mut self, turn: &mut Turn<'_>, partition: i32, leader_epoch: i32) {
        let topics = &self.metadata.image().topics;
        let count = topics.by_name(OFFSETS_TOPIC).map_or(0, |topic| topic.partitions.len());
        let shard = ShardId { partition, leader_epoch };
        let groups = &mut self.groups;
        groups.coordinator().set_partition_count(i32::try_from(count).unwrap_or(i32::MAX));
        groups.led.insert(partition, leader_epoch);
        groups.loading.retain(|loading| loading.shard.partition != partition);
        let mut effects = Vec::new();
        groups.coordinator().on_elected(shard, &mut effects);
        self.perform_group_effects(turn, effects);
        // The files of a log that was opened in this turn can be read from the next one on.
        let retry_at_ms = turn.now.monotonic_ms;
        let withheld = Withheld::default();
        let loading =
            Loading { shard, next_offset: i64::MIN, withheld, wrong_reads: 0, retry_at_ms };
        if self.has_groups(partition) {
            self.groups.loading.push(loading);
        } else {
            self.load(turn, loading);
        }
    }

    fn has_groups(&self, partition: i32) -> bool {
        let known = self.partition_by_name(OFFSETS_TOPIC, partition);
        known.is_some_and(|it| it.log.log_end_offset() > it.log.log_start_offset())
    }

    /// The offsets topic is gone, and with it every group.
    pub(crate) fn unload_groups(&mut self, turn: &mut Turn<'_>) {
        self.groups.loading.clear();
        self.groups.creation_offset = None;
        self.groups.coordinator().set_partition_count(0);
        for (partition, leader_epoch) in std::mem::take(&mut self.groups.led) {
            self.resign_groups(turn, ShardId { partition, leader_epoch });
        }
    }

    /// A partition of the offsets topic is led here no longer: others may know its groups some day.
    pub(crate) fn unload_groups_of(&mut self, turn: &mut Turn<'_>, partition: i32) {
        self.groups.loading.retain(|loading| loading.shard.partition != partition);
        if let Some(leader_epoch) = self.groups.led.remove(&partition) {
            self.resign_groups(turn, ShardId { partition, leader_epoch });
        }
    }

    pub(super) fn continue_loading_groups(&mut self, turn: &mut Turn<'_>) {
        for loading in std::mem::take(&mut self.groups.loading) {
            if loading.retry_at_ms > turn.now.monotonic_ms {
                self.groups.loading.push(loading);
            } else {
                self.load(turn, loading);
            }
        }
    }

    fn load(&mut self, turn: &mut Turn<'_>, mut loading: Loading) {
        match self.load_pieces(turn.files, &mut loading) {
            Ok(Progress::Finished) => {
                let mut effects = Vec::new();
                self.groups.coordinator().on_loaded(turn.now, loading.shard, &mut effects);
                self.perform_group_effects(turn, effects);
            }
            Ok(Progress::Blocked) => {
                loading.retry_at_ms = turn.now.deadline_ms(RETRY_MS);
                self.groups.loading.push(loading);
            }
            Err(reason) => {
                let partition = loading.shard.partition;
                let text =
                    format!("the groups of {OFFSETS_TOPIC}-{partition} cannot be loaded: {reason}");
                turn.out.notice(Severity::Error, text);
                self.resign_groups(turn, loading.shard);
            }
        }
    }

    fn resign_groups(&mut self, turn: &mut Turn<'_>, shard: ShardId) {
        let mut effects = Vec::new();
        self.groups.coordinator().on_resigned(shard, &mut effects);
        self.perform_group_effects(turn, effects);
    }

    fn load_pieces(
        &mut self,
        files: &dyn ReadFiles,
        loading: &mut Loading,
    ) -> Result<Progress, String> {
        let shard = loading.shard;
        let Self { partitions, metadata, groups, .. } = self;
        let topics = &metadata.image().topics;
        let partition = topics
            .by_name(OFFSETS_TOPIC)
            .and_then(|topic| partitions.find(topic.id, shard.partition))
            .and_then(|log| partitions.get(log))
            .ok_or("the partition is not here")?;
        let log = &partition.log;
        let (mut buffer, mut codecs) = (Vec::new(), Codecs::new());
        loading.next_offset = loading.next_offset.max(log.log_start_offset());
        let is_left_out = i64::from(planted(Planted::LoadedHalf));
        while loading.next_offset + is_left_out < log.log_end_offset() {
            let written_offset = log.written_offset();
            if loading.next_offset >= written_offset {
                // On its way to the disk, or about to be taken back.
                return Ok(Progress::Blocked);
            }
            let request = ReadRequest {
                offset: loading.next_offset,
                max_bytes: PIECE_BYTES,
                upper_bound_offset: written_offset - is_left_out,
                at_least_one_batch: true,
            };
            let slice = match log.read(files, &request) {
                // A gap that compaction left at the end of a segment.
                Ok(slice) if slice.length == 0 => {
                    loading.next_offset = written_offset;
                    continue;
                }
                Ok(slice) => slice,
                Err(ReadError::WouldBlock) => return Ok(Progress::Blocked),
                Err(error) => return Err(error.to_string()),
            };
            buffer.resize(slice.length as usize, 0);
            match files.read_at(slice.file, slice.position, &mut buffer) {
                Ok(length) => buffer.truncate(length),
                Err(DiskError::WouldBlock) => return Ok(Progress::Blocked),
                Err(error) => return Err(error.to_string()),
            }
            match loading.withheld.look_ahead(log, files, loading.next_offset) {
                Ok(()) => {}
                Err(ReadError::WouldBlock) => return Ok(Progress::Blocked),
                Err(error) => return Err(error.to_string()),
            }
            let withheld = &mut loading.withheld;
            let next_offset = groups.replay_piece(shard, &buffer, withheld, &mut codecs)?;
            if next_offset <= loading.next_offset {
                loading.wrong_reads += 1;
                if loading.wrong_reads < WRONG_READS_MAX {
                    return Ok(Progress::Blocked);
                }
                return Err(format!("no sound batch at offset {}", loading.next_offset));
            }
            (loading.next_offset, loading.wrong_reads) = (next_offset, 0);
        }
        Ok(Progress::Finished)
    }
}

impl Groups {
    /// Replays the batches of a piece as far as they are whole and fit their checksums; the offset after
    /// the last of them, `i64::MIN` when there is none.
    fn replay_piece(
        &mut self,
        shard: ShardId,
        piece: &[u8],
        withheld: &mut Withheld,
        codecs: &mut Codecs,
    ) -> Result<i64, String> {
        let mut next_offset = i64::MIN;
        for batch in records::batches(piece) {
            let batch = batch.map_err(|error| error.to_string())?;
            if !records::verify_crc(batch.bytes) && !planted(Planted::WrongReadBelieved) {
                break;
            }
            if withheld.passes(&batch.header) {
                self.replay_batch(shard, &batch, codecs)?;
            }
            next_offset = batch.header.next_offset();
        }
        Ok(next_offset)
    }

    fn replay_batch(
        &mut self,
        shard: ShardId,
        batch: &RawBatch<'_>,
        codecs: &mut Codecs,
    ) -> Result<(), String> {
        let body = records::body_of(&batch.header, batch.bytes, codecs, INFLATED_LIMIT)
            .map_err(|error| error.to_string())?;
        for record in batch.header.records(&body) {
            let record = record.map_err(|error| error.to_string())?;
            let Some(key) = record.key else { continue };
            self.coordinator.replay(shard, key, record.value).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}
