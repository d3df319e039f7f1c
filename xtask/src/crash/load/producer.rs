//! Producers of librdkafka: two idempotent ones, and one that repeats after an error as it comes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientContext, Message};
use strom_base::Random;

use super::{Shared, client};
use crate::crash::book::{self, Place, Token};
use crate::crash::plan::{Plan, Topic};

/// Records that wait in one client at most.
const IN_FLIGHT_MAX: i32 = 300;
/// Records that one client is given in a second: what a busy machine does slowly is not to grow meanwhile.
const PER_SECOND: u64 = 1_500;

/// A record that was given to the client.
struct Given {
    place: Place,
    token: Token,
    hash: u64,
    /// Seconds since the epoch.
    at: f64,
}

struct Reports(Arc<Shared>);

impl ClientContext for Reports {
    /// Brokers go down here all the time; what matters comes with a delivery.
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Given>;

    fn delivery(&self, result: &DeliveryResult<'_>, given: Box<Given>) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
        let book = &self.0.book;
        match result {
            Ok(message) => {
                let told = (message.offset(), given.hash);
                book.on_acknowledged(&given.place, told, given.token, given.at);
            }
            // The client is thrown away with what it holds.
            Err(_) if self.0.is_over() => {}
            Err((error, _)) => {
                let Given { place, token, .. } = *given;
                book.contradict(format!("{place:?}: {token:?} was given up: {error}"));
            }
        }
    }
}

/// Producer number 2 is the one without idempotence, and has a topic of its own.
///
/// # Errors
/// When the client gives up.
pub(super) fn run(
    port: u16,
    number: u32,
    plan: &Plan,
    shared: &Arc<Shared>,
    mut random: Random,
) -> Result<()> {
    let is_exactly_once = number < 2;
    let mut config = client(port);
    config
        .set("message.timeout.ms", "0")
        .set("message.send.max.retries", "2147483647")
        .set("compression.codec", plan.codec)
        .set("linger.ms", random.below(6).to_string())
        // A batch fits into the smallest segments.
        .set("batch.size", "15000")
        .set("batch.num.messages", (1 + random.below(50)).to_string())
        .set("enable.idempotence", is_exactly_once.to_string());
    if !is_exactly_once {
        config.set("acks", "1");
    }
    let producer: BaseProducer<Reports> =
        config.create_with_context(Reports(Arc::clone(shared)))?;
    let mine = |topic: &&Topic| topic.is_exactly_once == is_exactly_once;
    let topics: Vec<&Topic> = plan.topics.iter().filter(mine).collect();
    let mut numbers: BTreeMap<Place, u64> = BTreeMap::new();
    let (begun, mut given) = (Instant::now(), 0);
    while !shared.is_over() {
        let burst = if random.one_in(3) { random.below(60) } else { random.below(4) };
        for _ in 0..burst {
            let is_early = given > begun.elapsed().as_millis() as u64 * PER_SECOND / 1_000;
            let is_full = is_early || producer.in_flight_count() >= IN_FLIGHT_MAX;
            let Some(topic) = topics.get(random.below(topics.len() as u64) as usize) else { break };
            if is_full || shared.is_draining() {
                break;
            }
            let partition = random.below(u64::from(topic.partitions.unsigned_abs())) as i32;
            let place = (topic.name.to_owned(), partition);
            let count = numbers.entry(place.clone()).or_default();
            give(&producer, shared, place, (number, *count), random.below(plan.value_bytes_max))?;
            *count += 1;
            given += 1;
        }
        producer.poll(Duration::from_millis(random.below(12)));
        if let Some((code, reason)) = producer.client().fatal_error() {
            bail!("producer {number} has ended: {code:?}, {reason}");
        }
    }
    Ok(())
}

fn give(
    producer: &BaseProducer<Reports>,
    shared: &Shared,
    place: Place,
    token: Token,
    noise_bytes: u64,
) -> Result<()> {
    let (topic, partition) = (place.0.clone(), place.1);
    let head = format!("{topic}/{partition}/{}/{}/", token.0, token.1);
    // Noise that is another one in each record, and that kcat can print.
    let mut noise = Random::new(token.1 << 8 | u64::from(token.0));
    let letters = (0..noise_bytes).map(|_| char::from(b'a' + noise.below(26) as u8));
    let value = letters.fold(head, |mut value, letter| {
        value.push(letter);
        value
    });
    let hash = book::hash(value.as_bytes());
    let given = Box::new(Given { place, token, hash, at: book::clock() });
    let mut record = BaseRecord::with_opaque_to(&topic, given).payload(&value).partition(partition);
    record = record.key("k");
    shared.in_flight.fetch_add(1, Ordering::AcqRel);
    while let Err((error, again)) = producer.send(record) {
        if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
            bail!("a record was not taken: {error}");
        }
        producer.poll(Duration::from_millis(5));
        thread::yield_now();
        record = again;
    }
    Ok(())
}
