//! The topics of a world and what they promise.

use strom_base::Random;

use crate::world::audit::Audit;
use crate::world::clients::Topic;
use crate::world::clock::{MILLISECOND, Nanos};
use crate::world::places::Places;

const NAMES: [&str; 4] = ["driver-location", "orders", "payments", "parcels"];

/// Of topics whose node folds records up.
const CODECS: [&str; 4] = ["gzip", "snappy", "lz4", "zstd"];

/// A topic and what it promises.
#[derive(Clone, Debug)]
pub(super) struct PlannedTopic {
    topic: Topic,
    pub(super) is_strict: bool,
    /// Retention may let its records go.
    is_kept_by_size: bool,
}

impl PlannedTopic {
    /// Of a node's scripted life.
    pub(super) fn scripted(partitions: i32) -> Self {
        let configs = vec![("segment.ms", "40".to_owned()), ("flush.ms", "30".to_owned())];
        let topic = Topic { name: "orders", partitions, configs };
        Self { topic, is_strict: true, is_kept_by_size: false }
    }
}

/// Without anything special.
pub(super) fn plain_ones(partitions: i32) -> Vec<PlannedTopic> {
    let topic = |name| Topic { name, partitions, configs: Vec::new() };
    let names = NAMES.iter().take(2);
    let planned = |name: &&'static str| PlannedTopic {
        topic: topic(name),
        is_strict: false,
        is_kept_by_size: false,
    };
    names.map(planned).collect()
}

pub(super) fn plain(planned: &[PlannedTopic]) -> Vec<Topic> {
    planned.iter().map(|it| it.topic.clone()).collect()
}

/// Who knows what these topics promise.
pub(super) fn audit(planned: &[PlannedTopic], is_strict: bool) -> Audit {
    let topics = planned.iter().map(|it| (it.topic.name, it.topic.partitions));
    let mut audit = Audit::new(Places::new(topics.collect()));
    audit.committed.is_strict = is_strict;
    for (index, topic) in planned.iter().enumerate() {
        for place in audit.places.of_topics(|it| it == index) {
            if topic.is_strict {
                audit.set_strict(place);
            }
            if topic.is_kept_by_size {
                audit.trim(place, i64::MAX);
            }
        }
    }
    audit
}

pub(super) fn draw(random: &mut Random, world_is_strict: bool, pace: Nanos) -> Vec<PlannedTopic> {
    let count = if random.one_in(4) { NAMES.len() } else { 2 };
    NAMES.iter().take(count).map(|name| one(name, random, world_is_strict, pace)).collect()
}

fn one(
    name: &'static str,
    random: &mut Random,
    world_is_strict: bool,
    pace: Nanos,
) -> PlannedTopic {
    let is_strict = world_is_strict || random.one_in(3);
    let is_kept_by_size = random.one_in(8);
    // Rolls by time: virtual time is cheap, bytes are not.
    let pace_ms = (pace / MILLISECOND).max(1);
    let mut configs = vec![
        ("segment.ms", ((50 + random.below(500)) * pace_ms).to_string()),
        ("index.interval.bytes", random.below(5000).to_string()),
        ("retention.ms", "-1".to_owned()),
    ];
    if random.one_in(3) {
        // Syncs in the background come after 16 KiB of these.
        configs.push(("internal.segment.bytes", (150_000 + random.below(200_000)).to_string()));
    }
    if is_kept_by_size {
        configs.push(("retention.bytes", random.below(60_000).to_string()));
    }
    if is_strict && !world_is_strict {
        configs.push(("flush.messages", "1".to_owned()));
    } else if random.one_in(2) {
        configs.push(("flush.ms", ((10 + random.below(200)) * pace_ms).to_string()));
    }
    if random.one_in(4) {
        configs.push(("file.delete.delay.ms", random.below(300).to_string()));
    }
    if random.one_in(4) {
        // No record is that old, but the node has to look at each.
        configs.push(("message.timestamp.before.max.ms", (i64::MAX / 2).to_string()));
    }
    if random.one_in(8) {
        let codec = CODECS.get(random.below(CODECS.len() as u64) as usize).unwrap_or(&"producer");
        configs.push(("compression.type", (*codec).to_owned()));
    }
    let partitions = 1 + random.below(3) as i32;
    let topic = Topic { name, partitions, configs };
    PlannedTopic { topic, is_strict, is_kept_by_size }
}
