//! Members of a consumer group of librdkafka, which read and commit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};

use super::{Shared, client};
use crate::crash::book::{Place, Seen};
use crate::crash::plan::Plan;

pub(crate) const GROUP: &str = "readers";
const COMMIT_EVERY: Duration = Duration::from_millis(60);

/// What comes next in the partitions of this member, and whether that is to be committed.
#[derive(Default)]
struct Positions(Mutex<BTreeMap<Place, (i64, bool)>>);

impl Positions {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, (i64, bool)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Positions {
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for Positions {
    /// Another member may be further by now: what this one has read is no longer its own to commit.
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, _: &Rebalance<'_>) {
        self.lock().clear();
    }
}

/// # Errors
/// When the client cannot be made.
pub(super) fn run(port: u16, plan: &Plan, shared: &Arc<Shared>) -> Result<()> {
    let consumer: BaseConsumer<Positions> = client(port)
        .set("group.id", GROUP)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "300")
        .set("fetch.wait.max.ms", "50")
        .set("fetch.error.backoff.ms", "20")
        .create_with_context(Positions::default())?;
    let topics: Vec<&str> = plan.topics.iter().map(|topic| topic.name).collect();
    consumer.subscribe(&topics)?;
    let mut committed_at = Instant::now();
    while !shared.is_over() {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(20)) {
            let place = (message.topic().to_owned(), message.partition());
            let offset = message.offset();
            let value = message.payload().unwrap_or_default();
            shared.book.on_read(&place, offset, Seen::read(value, &place, "the group"));
            let before = consumer.context().lock().insert(place.clone(), (offset + 1, true));
            if before.is_some_and(|(next, _)| offset < next) {
                shared.book.contradict(format!("{place:?}: after {before:?} {offset} comes"));
            }
        }
        if committed_at.elapsed() > COMMIT_EVERY {
            commit(&consumer, shared);
            committed_at = Instant::now();
        }
    }
    Ok(())
}

/// Partition by partition: of several the client says only whether all have failed.
fn commit(consumer: &BaseConsumer<Positions>, shared: &Shared) {
    let due: Vec<(Place, i64)> = {
        let positions = consumer.context().lock();
        let due = positions.iter().filter(|(_, (_, is_due))| *is_due);
        due.map(|(place, (next, _))| (place.clone(), *next)).collect()
    };
    for (place, next) in due {
        let mut list = TopicPartitionList::new();
        let is_named = list.add_partition_offset(&place.0, place.1, Offset::Offset(next)).is_ok();
        // A commit that fails is made again with the next one, or by another member.
        if !is_named || consumer.commit(&list, CommitMode::Sync).is_err() {
            return;
        }
        shared.book.on_committed(&place, next);
        if let Some(position) = consumer.context().lock().get_mut(&place) {
            position.1 = position.0 > next;
        }
    }
}
