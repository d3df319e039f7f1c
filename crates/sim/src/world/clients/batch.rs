//! A batch of a producer on its way.

use strom_protocol::Records;
use strom_protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use strom_protocol::records::{BatchBuilder, BatchOptions, NewRecord};

use super::wire::PRODUCE;
use super::{Context, Link};
use crate::world::order::Asked;
use crate::world::places::{Mark, Place, identity};

/// No record takes more beside its padding.
const RECORD_BYTES: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Unsent,
    /// With this correlation id.
    Sent(i32),
    Refused,
}

#[derive(Debug)]
pub(super) struct Batch {
    /// As if sequences never began at 0 again; negative for none.
    pub(super) base_sequence: i64,
    pub(super) timestamp_ms: i64,
    /// Bytes of each value behind its identity.
    pub(super) padding: usize,
    /// The first record; the others follow it.
    pub(super) first: Mark,
    pub(super) count: u32,
    pub(super) state: State,
    /// When it was sent: the first time, if it is taken once only.
    pub(super) asked: Option<Asked>,
}

/// How a producer sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    /// Producer id and epoch of an idempotent one.
    pub(super) identity: Option<(i64, i16)>,
    pub(super) acks: i16,
}

impl Batch {
    /// Sends it to a partition: whose records they are, and the topic and partition to name.
    pub(super) fn send(
        &mut self,
        (place, topic, partition): (Place, &str, i32),
        sender: Sender,
        link: &mut Link,
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        let records = self.build(place, sender)?;
        let data = PartitionProduceData {
            index: partition,
            records: Some(Records::Inline(&records)),
            ..Default::default()
        };
        let topic =
            TopicProduceData { name: topic, partition_data: vec![data], ..Default::default() };
        let request = ProduceRequest {
            transactional_id: None,
            acks: sender.acks,
            timeout_ms: 30_000,
            topic_data: vec![topic],
            ..Default::default()
        };
        let asked = self.asked.filter(|_| sender.identity.is_some());
        self.asked = asked.or_else(|| Some(context.audit.ask(place)));
        self.state = State::Sent(link.send(PRODUCE, &request, context)?);
        Ok(())
    }

    fn build(&self, place: Place, sender: Sender) -> Result<Vec<u8>, String> {
        let options = match sender.identity {
            Some((producer_id, producer_epoch)) => BatchOptions {
                producer_id,
                producer_epoch,
                base_sequence: (self.base_sequence % (i64::from(i32::MAX) + 1)) as i32,
                ..BatchOptions::default()
            },
            None => BatchOptions::default(),
        };
        let room = self.count as usize * (self.padding + RECORD_BYTES);
        let mut builder = BatchBuilder::with_room(options, room);
        let mut value = Vec::with_capacity(self.padding + 8);
        for index in 0..self.count {
            let mark = self.first.plus(index);
            value.clear();
            value.extend_from_slice(&identity(place, mark));
            value.resize(value.len() + self.padding, b'x');
            // Not in the order of their times.
            let timestamp_ms = self.timestamp_ms + i64::from(index * 5 % 7);
            let key = mark.to_bytes();
            let record =
                NewRecord { timestamp_ms, key: Some(&key), value: Some(&value), headers: &[] };
            builder.append(&record).map_err(|error| error.to_string())?;
        }
        Ok(builder.build())
    }
}
