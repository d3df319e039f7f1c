//! A batch of a producer on its way.

use strom_protocol::Records;
use strom_protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use strom_protocol::records::{BatchBuilder, BatchOptions, NewRecord};

use super::actor::{Context, Link};
use super::audit::Place;
use super::wire::PRODUCE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Unsent,
    /// With this correlation id.
    Sent(i32),
    Refused,
}

#[derive(Debug)]
pub(super) struct Batch {
    pub(super) base_sequence: i32,
    pub(super) timestamp_ms: i64,
    pub(super) padding: usize,
    /// One for each record: its key, and what its value begins with.
    pub(super) texts: Vec<String>,
    pub(super) state: State,
    pub(super) attempts: u32,
}

/// How a producer sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    /// Producer id and epoch of an idempotent one.
    pub(super) identity: Option<(i64, i16)>,
    pub(super) acks: i16,
}

impl Batch {
    pub(super) fn send(
        &mut self,
        place: &Place,
        sender: Sender,
        link: &mut Link,
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        let records = self.build(sender)?;
        let data = PartitionProduceData {
            index: place.1,
            records: Some(Records::Inline(&records)),
            ..Default::default()
        };
        let topic =
            TopicProduceData { name: &place.0, partition_data: vec![data], ..Default::default() };
        let request = ProduceRequest {
            transactional_id: None,
            acks: sender.acks,
            timeout_ms: 30_000,
            topic_data: vec![topic],
            ..Default::default()
        };
        self.state = State::Sent(link.send(PRODUCE, &request, context)?);
        Ok(())
    }

    fn build(&self, sender: Sender) -> Result<Vec<u8>, String> {
        let options = match sender.identity {
            Some((producer_id, producer_epoch)) => BatchOptions {
                producer_id,
                producer_epoch,
                base_sequence: self.base_sequence,
                ..BatchOptions::default()
            },
            None => BatchOptions::default(),
        };
        let mut builder = BatchBuilder::new(options);
        for text in &self.texts {
            let mut value = text.clone().into_bytes();
            value.push(b'\n');
            value.resize(value.len() + self.padding, b'x');
            let timestamp_ms = self.timestamp_ms;
            let key = Some(text.as_bytes());
            builder
                .append(&NewRecord { timestamp_ms, key, value: Some(&value), headers: &[] })
                .map_err(|error| error.to_string())?;
        }
        Ok(builder.build())
    }
}
