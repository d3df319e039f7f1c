//! Sends records: one round of requests at a time, in order per partition.

use super::clock::seeded;
use super::{Attempts, Cluster};
use crate::core::batches::{Accumulator, BatchSettings, ReadyBatch};
use crate::core::connection::Answer;
use crate::core::record::ProducerRecord;
use crate::core::sequences::ProducerIdentity;
use crate::error::{ClientError, Refusal, Result};
use std::collections::BTreeMap;
use strom_protocol::compression::{Codec, Compression};
use strom_protocol::init_producer_id_request::InitProducerIdRequest;
use strom_protocol::init_producer_id_response::InitProducerIdResponse;
use strom_protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use strom_protocol::produce_response::ProduceResponse;
use strom_protocol::{ErrorCode, Records};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    None,
    Leader,
    All,
}

impl Acks {
    fn code(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct ProducerSettings {
    pub acks: Acks,
    pub idempotence: bool,
    pub compression: Compression,
    pub batch_bytes: usize,
    pub request_bytes_max: usize,
    /// Records wait in memory up to this; then they are sent.
    pub buffer_bytes: usize,
    pub request_timeout_ms: i32,
}

impl Default for ProducerSettings {
    fn default() -> Self {
        ProducerSettings {
            acks: Acks::All,
            idempotence: true,
            compression: Compression::from(Codec::None),
            batch_bytes: 16_384,
            request_bytes_max: 1_048_576,
            buffer_bytes: 4 << 20,
            request_timeout_ms: 30_000,
        }
    }
}

/// What became of a batch.
#[derive(Debug)]
pub struct Delivery {
    pub topic: String,
    pub partition: i32,
    pub record_count: i32,
    /// The offset of its first record; -1 when nobody told (acks=0, or a retry of a batch that had
    /// arrived).
    pub outcome: Result<i64>,
}

pub struct Producer {
    cluster: Cluster,
    settings: ProducerSettings,
    accumulator: Accumulator,
}

/// A batch of one round and what became of it; `None`: to be tried again.
type Judged = (ReadyBatch, Option<Result<i64>>);

impl Producer {
    #[must_use]
    pub fn new(cluster: Cluster, settings: ProducerSettings) -> Self {
        let batches = BatchSettings {
            batch_bytes: settings.batch_bytes,
            request_bytes_max: settings.request_bytes_max,
            compression: settings.compression,
        };
        let accumulator = Accumulator::new(batches, seeded());
        Producer { cluster, settings, accumulator }
    }

    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Puts a record into its batch; sends when much has gathered.
    ///
    /// # Errors
    /// When the record cannot be sent at all: its topic does not come to be, it is too large.
    pub async fn push(&mut self, record: &ProducerRecord) -> Result<Vec<Delivery>> {
        if self.settings.idempotence && self.accumulator.identity().is_none() {
            let identity = self.init_producer_id().await?;
            self.accumulator.set_identity(identity);
        }
        self.await_topic(&record.topic).await?;
        let topic = self.cluster.metadata().topics.get(&record.topic).ok_or_else(unknown_topic)?;
        self.accumulator.push(record, topic)?;
        if self.accumulator.buffered_bytes() >= self.settings.buffer_bytes {
            return self.flush().await;
        }
        Ok(Vec::new())
    }

    /// Bytes that wait to be sent.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.accumulator.buffered_bytes()
    }

    /// Sends everything and waits for the answers.
    ///
    /// # Errors
    /// `Unwritable` when a batch cannot be closed. What became of batches stands in the deliveries.
    pub async fn flush(&mut self) -> Result<Vec<Delivery>> {
        self.accumulator.close_all()?;
        let mut deliveries = Vec::new();
        let mut attempts = Attempts::new(self.cluster.settings());
        while self.accumulator.has_ready() {
            let round = self.accumulator.take_round();
            let (judged, trouble) = self.send_round(round).await;
            let mut again = Vec::new();
            for (batch, outcome) in judged {
                match outcome {
                    Some(outcome) => deliveries.push(delivery(&batch, outcome)),
                    None => again.push(batch),
                }
            }
            match trouble {
                None => attempts = Attempts::new(self.cluster.settings()),
                Some(error) => {
                    let text = error.to_string();
                    if let Err(error) = attempts.after(error).await {
                        let code = error.code();
                        deliveries.extend(again.iter().map(|batch| failed(batch, code, &text)));
                        again.clear();
                    }
                }
            }
            self.accumulator.put_back(again);
        }
        Ok(deliveries)
    }

    /// Sends one batch per partition, to all leaders at once. Gives the last retriable trouble.
    async fn send_round(&mut self, round: Vec<ReadyBatch>) -> (Vec<Judged>, Option<ClientError>) {
        let names: Vec<String> = round.iter().map(|batch| batch.topic.clone()).collect();
        if let Some(first) = round.first()
            && round.iter().any(|b| self.cluster.metadata().leader(&b.topic, b.partition).is_none())
        {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let error = match self.cluster.refresh(Some(&names)).await {
                Ok(metadata) if metadata.leader(&first.topic, first.partition).is_some() => None,
                Ok(_) => Some(refused(ErrorCode::LeaderNotAvailable)),
                Err(error) => Some(error),
            };
            if let Some(error) = error {
                return (round.into_iter().map(|batch| (batch, None)).collect(), Some(error));
            }
        }
        let mut by_leader: BTreeMap<i32, Vec<ReadyBatch>> = BTreeMap::new();
        let mut judged = Vec::new();
        for batch in round {
            match self.cluster.metadata().leader(&batch.topic, batch.partition) {
                Some(leader) => by_leader.entry(leader).or_default().push(batch),
                None => judged.push((batch, None)),
            }
        }
        let mut trouble = None;
        for (leader, batches) in by_leader {
            match self.send_to(leader, &batches).await {
                Ok(outcomes) => {
                    for (batch, outcome) in batches.into_iter().zip(outcomes) {
                        let (outcome, error) = judge(outcome);
                        trouble = error.or(trouble);
                        judged.push((batch, outcome));
                    }
                }
                Err(error) if error.is_retriable() => {
                    judged.extend(batches.into_iter().map(|batch| (batch, None)));
                    trouble = Some(error);
                }
                Err(error) => {
                    let text = error.to_string();
                    let failure = || Err(ClientError::Settings(text.clone()));
                    judged.extend(batches.into_iter().map(|batch| (batch, Some(failure()))));
                }
            }
        }
        if trouble.is_some() {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            // The attempt after the pause says whether this helped.
            let _ = self.cluster.refresh(Some(&names)).await;
        }
        (judged, trouble)
    }

    /// The outcome per batch, in the order of `batches`.
    async fn send_to(&mut self, leader: i32, batches: &[ReadyBatch]) -> Result<Vec<Result<i64>>> {
        let mut topics: Vec<TopicProduceData<'_>> = Vec::new();
        for batch in batches {
            let partition = PartitionProduceData {
                index: batch.partition,
                records: Some(Records::Inline(&batch.bytes)),
                ..Default::default()
            };
            match topics.last_mut() {
                Some(last) if last.name == batch.topic => last.partition_data.push(partition),
                _ => topics.push(TopicProduceData {
                    name: &batch.topic,
                    partition_data: vec![partition],
                    ..Default::default()
                }),
            }
        }
        let request = ProduceRequest {
            acks: self.settings.acks.code(),
            timeout_ms: self.settings.request_timeout_ms,
            topic_data: topics,
            ..Default::default()
        };
        if self.settings.acks == Acks::None {
            let outcome = self.cluster.node(leader).await?.post(&request).await;
            self.cluster.drop_if_lost(leader, outcome)?;
            return Ok(batches.iter().map(|_| Ok(-1)).collect());
        }
        let answer = self.cluster.call_node(leader, &request).await?;
        outcomes(&answer, batches)
    }

    /// Waits until the topic is known and some partition of it has a leader.
    async fn await_topic(&mut self, topic: &str) -> Result<()> {
        let mut attempts = Attempts::new(self.cluster.settings());
        loop {
            let known = self.cluster.metadata().topics.get(topic);
            let code = match known {
                Some(known) if known.partitions.iter().any(|p| p.leader_id.is_some()) => {
                    return Ok(());
                }
                Some(known) if known.error != ErrorCode::None => known.error,
                Some(_) => ErrorCode::LeaderNotAvailable,
                None => ErrorCode::UnknownTopicOrPartition,
            };
            let error = refused(code);
            if !error.is_retriable() {
                return Err(error);
            }
            let before = known.is_some();
            self.cluster.refresh_creating(&[topic]).await?;
            if before || !self.cluster.metadata().topics.contains_key(topic) {
                attempts.after(error).await?;
            }
        }
    }

    async fn init_producer_id(&mut self) -> Result<ProducerIdentity> {
        let mut attempts = Attempts::new(self.cluster.settings());
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            ..Default::default()
        };
        loop {
            let outcome = match self.cluster.call_any(&request).await {
                Ok(answer) => identity(&answer),
                Err(error) => Err(error),
            };
            match outcome {
                Ok(identity) => return Ok(identity),
                Err(error) => attempts.after(error).await?,
            }
        }
    }
}

fn identity(answer: &Answer) -> Result<ProducerIdentity> {
    let response: InitProducerIdResponse<'_> = answer.decode()?;
    Refusal::check(response.error_code, None)?;
    let (producer_id, producer_epoch) = (response.producer_id, response.producer_epoch);
    Ok(ProducerIdentity { producer_id, producer_epoch })
}

fn outcomes(answer: &Answer, batches: &[ReadyBatch]) -> Result<Vec<Result<i64>>> {
    let response: ProduceResponse<'_> = answer.decode()?;
    let mut found: BTreeMap<(String, i32), Result<i64>> = BTreeMap::new();
    for topic in &response.responses {
        for partition in &topic.partition_responses {
            let message = partition.error_message;
            let outcome = Refusal::check(partition.error_code, message);
            let outcome = outcome.map(|()| partition.base_offset).map_err(ClientError::from);
            found.insert((topic.name.to_owned(), partition.index), outcome);
        }
    }
    let silent = || Err(refused(ErrorCode::UnknownServerError));
    let outcome = |batch: &ReadyBatch| found.remove(&(batch.topic.clone(), batch.partition));
    Ok(batches.iter().map(outcome).map(|outcome| outcome.unwrap_or_else(silent)).collect())
}

/// Splits an outcome into a final one and a reason to try again.
fn judge(outcome: Result<i64>) -> (Option<Result<i64>>, Option<ClientError>) {
    match outcome {
        // The first attempt had arrived, only its answer was lost.
        Err(error) if error.code() == Some(ErrorCode::DuplicateSequenceNumber) => {
            (Some(Ok(-1)), None)
        }
        Err(error) if error.is_retriable() => (None, Some(error)),
        outcome => (Some(outcome), None),
    }
}

fn delivery(batch: &ReadyBatch, outcome: Result<i64>) -> Delivery {
    Delivery {
        topic: batch.topic.clone(),
        partition: batch.partition,
        record_count: batch.record_count,
        outcome,
    }
}

fn failed(batch: &ReadyBatch, code: Option<ErrorCode>, text: &str) -> Delivery {
    let message = Some(text.to_owned());
    let error = match code {
        Some(code) => ClientError::from(Refusal { code, message }),
        None => ClientError::Settings(text.to_owned()),
    };
    delivery(batch, Err(error))
}

fn refused(code: ErrorCode) -> ClientError {
    Refusal { code, message: None }.into()
}

fn unknown_topic() -> ClientError {
    refused(ErrorCode::UnknownTopicOrPartition)
}
