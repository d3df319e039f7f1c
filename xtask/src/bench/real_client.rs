//! The same work through librdkafka, so that no figure depends on the load program of this bench alone.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use super::sample::Moved;
use crate::load::batch::BatchShape;
use crate::load::system::{System, certificate};
use crate::load::target::{PARTITIONS, Target};
use crate::load::usage::{Meter, Usage};

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
pub(super) struct RealClient {
    pub records: usize,
    pub key_bytes: usize,
    pub value_bytes: usize,
    /// `batch.size`.
    pub batch_bytes: usize,
    /// Whether reading is measured, not writing.
    pub reads: bool,
    /// Through the TLS listener; certificate and version are the same for all brokers.
    pub has_tls: bool,
}

impl RealClient {
    /// # Errors
    /// When the client reports one.
    pub(super) fn run(&self, system: &System, topic: &str, scale: f64) -> Result<Moved> {
        let target = Target::prepare(system, topic, &BatchShape::plain(1, 100), &[])?;
        let records = (self.records as f64 * scale) as usize;
        let written = self.write(system, topic, records)?;
        let usage = if self.reads { self.read(system, topic, records)? } else { written };
        target.remove(system)?;
        let bytes = (records * (self.key_bytes + self.value_bytes)) as u64;
        Ok(Moved { usage, requests: 0, records, bytes, latencies: Vec::new() })
    }

    fn config(&self, system: &System) -> Result<ClientConfig> {
        let mut config = ClientConfig::new();
        let mut port = system.port();
        if self.has_tls {
            port = system.tls_port().context("a system without a TLS listener")?;
            config.set("security.protocol", "ssl");
            config.set("ssl.ca.location", certificate().display().to_string());
        }
        config.set("bootstrap.servers", format!("127.0.0.1:{port}"));
        Ok(config)
    }

    fn write(&self, system: &System, topic: &str, records: usize) -> Result<Usage> {
        let producer: BaseProducer = self
            .config(system)?
            .set("acks", "1")
            .set("linger.ms", "20")
            .set("batch.size", self.batch_bytes.to_string())
            .set("batch.num.messages", "100000")
            .set("queue.buffering.max.kbytes", "65536")
            .create()?;
        let value = vec![b'v'; self.value_bytes];
        let meter = Meter::start(system.pid()?)?;
        for index in 0..records {
            let key = format!("{index:0width$}", width = self.key_bytes);
            let mut record =
                BaseRecord::to(topic).payload(&value).partition((index / 64) as i32 % PARTITIONS);
            if self.key_bytes > 0 {
                record = record.key(&key);
            }
            while let Err((error, again)) = producer.send(record) {
                if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                    return Err(error.into());
                }
                producer.poll(Duration::from_millis(5));
                record = again;
            }
            if index % 1000 == 0 {
                producer.poll(Duration::ZERO);
            }
        }
        producer.flush(PATIENCE)?;
        meter.stop()
    }

    fn read(&self, system: &System, topic: &str, records: usize) -> Result<Usage> {
        let consumer: BaseConsumer = self.config(system)?.set("group.id", "bench").create()?;
        let mut assignment = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
        let meter = Meter::start(system.pid()?)?;
        consumer.assign(&assignment)?;
        for _ in 0..records {
            let message = consumer.poll(PATIENCE).context("no record came")??;
            if message.payload().is_none() {
                bail!("a record without its value");
            }
        }
        meter.stop()
    }
}
