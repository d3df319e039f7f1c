//! What is committed of the metadata log: applied to the image, followed by the node, and answered.

use strom_base::{Planted, planted};
use strom_metadata::controller::replay_bytes;
use strom_metadata::{Delta, Image};
use strom_protocol::compression::Codecs;
use strom_protocol::records::{RawBatch, batches, body_of};

use super::Waiting;
use crate::Broker;
use crate::effect::Turn;

/// Uncompressed records of one batch; the metadata log is never compressed by us or Kafka.
const BODY_BYTES_MAX: usize = 64 << 20;

/// Applies the data records of one batch; control records say nothing about the cluster. The time
/// of its append.
pub(super) fn apply_batch(
    image: &mut Image,
    batch: &[u8],
    delta: &mut Delta,
) -> Result<i64, String> {
    let mut timestamp_ms = -1;
    for raw in batches(batch) {
        let RawBatch { header, bytes, .. } = raw.map_err(|error| error.to_string())?;
        timestamp_ms = header.max_timestamp;
        if header.is_control() {
            continue;
        }
        let body = body_of(&header, bytes, &mut Codecs::new(), BODY_BYTES_MAX)
            .map_err(|error| error.to_string())?;
        for record in header.records(&body) {
            let record = record.map_err(|error| error.to_string())?;
            let value = record.value.unwrap_or_default();
            let offset = header.offset_of(&record);
            replay_bytes(image, offset, value, delta).map_err(|error| error.to_string())?;
        }
    }
    Ok(timestamp_ms)
}

impl Broker {
    /// Applies what is committed, follows it, and lets waiting answers go.
    pub(super) fn on_metadata_committed(&mut self, turn: &mut Turn<'_>) {
        let mut delta = Delta::default();
        let plane = &mut self.metadata;
        let high_watermark = match planted(Planted::MetadataAppliedEarly) {
            true => i64::MAX,
            false => plane.raft.high_watermark(),
        };
        while let Some((_, batch)) =
            plane.uncommitted.pop_front_if(|(end_offset, _)| *end_offset <= high_watermark)
        {
            match apply_batch(&mut plane.image, &batch, &mut delta) {
                Ok(timestamp_ms) => plane.applied_timestamp_ms = timestamp_ms,
                Err(error) => {
                    turn.out.halt.get_or_insert(error);
                    return;
                }
            }
        }
        self.follow(turn, delta);
        self.continue_start(turn);
        for waiting in self.metadata.take_committed() {
            match waiting {
                Waiting::Answer(to, response) => self.connections.reply(to, response, turn.out),
                Waiting::Retry(to, frame) => self.dispatch(turn, to, frame),
            }
        }
    }

    /// Makes the node follow what has changed: what is gone goes first, for its name may be back.
    fn follow(&mut self, turn: &mut Turn<'_>, delta: Delta) {
        let mut removed = Vec::new();
        for (id, name) in delta.removed_topics {
            self.reconcile_topic(turn, id);
            removed.push(name);
        }
        if !removed.is_empty() {
            self.on_topics_removed(turn, &removed);
            // At once: who makes a topic by such a name again need not wait then.
            self.write_due_checkpoints(turn.now, &mut turn.out.disk);
        }
        for id in delta.topics.keys() {
            self.reconcile_topic(turn, *id);
        }
        self.report_directories(turn, delta.topics.into_keys());
        for resource in delta.configs {
            self.reconfigure(turn, &resource);
        }
    }
}
