//! What a seed makes of a world: topics, clients, faults.

use std::collections::BTreeMap;

use strom_base::Random;
use strom_broker::settings::BrokerSettings;

use super::actor::{Actor, Admin, Role, Topic};
use super::audit::{Audit, Kind, Place};
use super::churn::Churner;
use super::consumer::Consumer;
use super::crash::Ending;
use super::event::Fault;
use super::group::Member;
use super::producer::Producer;
use super::trimmer::Trimmer;

/// Faults come while clients work, which is about as long as this.
const WORK_MS: u64 = 1500;

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) settings: BrokerSettings,
    pub(super) places: Vec<Place>,
    pub(super) actors: Vec<Actor>,
    /// By time.
    pub(super) faults: Vec<(u64, Fault)>,
    /// Knows what is promised to whom.
    pub(super) audit: Audit,
    /// The disk operation before which the node ends, and how it does.
    pub(super) crash_at: Option<u64>,
    pub(super) ending: Ending,
}

/// A topic and what it promises.
struct PlannedTopic {
    topic: Topic,
    is_strict: bool,
    /// Retention may let its records go.
    is_kept_by_size: bool,
}

impl PlannedTopic {
    fn places(&self) -> Vec<Place> {
        (0..self.topic.partitions).map(|index| (self.topic.name.clone(), index)).collect()
    }
}

impl Plan {
    /// # Errors
    /// When the broker does not take the settings.
    pub(super) fn new(random: &mut Random) -> Result<Plan, String> {
        // Only what is synced before it is acknowledged promises anything to who pulls the plug.
        let is_strict = random.one_in(2);
        let planned: Vec<PlannedTopic> =
            ["driver-location", "orders"].map(|name| topic(name, random, is_strict)).into();
        let mut audit = Audit::default();
        audit.committed.is_strict = is_strict;
        for topic in &planned {
            if topic.is_strict {
                audit.set_strict(topic.places());
            }
            if topic.is_kept_by_size {
                topic.places().iter().for_each(|place| audit.trim(place, i64::MAX));
            }
        }
        let topics = planned.iter().map(|it| it.topic.clone()).collect();
        let mut actors = vec![Actor::new(Role::Admin(Admin::new(topics)))];
        actors.extend(producers(random, &planned).into_iter().map(Role::Producer).map(Actor::new));
        let places: Vec<Place> = planned.iter().flat_map(PlannedTopic::places).collect();
        actors.extend(others(random, &places).into_iter().map(Actor::new));
        let faults = faults(random);
        let settings = settings(random, is_strict)?;
        let (crash_at, ending) = (None, Ending::Drawn);
        Ok(Plan { settings, places, actors, faults, audit, crash_at, ending })
    }

    /// A short life that touches every file of a node: topics come and go, the metadata log is cut
    /// behind snapshots, records and offsets are written. Everything is synced before it is
    /// acknowledged, so that nothing may be lost.
    ///
    /// # Errors
    /// When the broker does not take the settings.
    pub(super) fn script(crash_at: Option<u64>, ending: Ending) -> Result<Plan, String> {
        let mut random = Random::new(1);
        let configs = vec![("segment.ms", "40".to_owned()), ("flush.ms", "30".to_owned())];
        let topic = Topic { name: "orders".to_owned(), partitions: 1, configs };
        let planned = [PlannedTopic { topic, is_strict: true, is_kept_by_size: false }];
        let places: Vec<Place> = planned.iter().flat_map(PlannedTopic::places).collect();
        let mut audit = Audit::default();
        audit.committed.is_strict = true;
        audit.set_strict(places.clone());
        let topics = planned.iter().map(|it| it.topic.clone()).collect();
        let producer = Producer::new(Kind::Idempotent, 0, &places, &mut random).with_batches(12);
        let churned = vec![("file.delete.delay.ms", "50".to_owned())];
        let roles = [
            Role::Admin(Admin::new(topics)),
            Role::Producer(producer),
            Role::Churner(Churner::new(2, churned)),
            Role::Member(Member::new(&places)),
        ];
        let mut settings = properties(0, true);
        settings.push(("metadata.log.max.record.bytes.between.snapshots", "700".to_owned()));
        Ok(Plan {
            settings: read(settings)?,
            places,
            actors: roles.into_iter().map(Actor::new).collect(),
            faults: Vec::new(),
            audit,
            crash_at,
            ending,
        })
    }
}

/// Each to topics that promise the same: who has lost something begins anew everywhere.
fn producers(random: &mut Random, planned: &[PlannedTopic]) -> Vec<Producer> {
    let mut producers = Vec::new();
    for index in 0..1 + random.below(4) {
        let kind = match random.below(6) {
            0 => Kind::Repeating,
            1 => Kind::Unacknowledged,
            _ => Kind::Idempotent,
        };
        let first = usize::from(random.one_in(2));
        let is_strict = planned.get(first).is_some_and(|it| it.is_strict);
        let alike = planned.iter().filter(|it| it.is_strict == is_strict);
        let places: Vec<Place> = alike.flat_map(PlannedTopic::places).collect();
        producers.push(Producer::new(kind, index, &places, random));
    }
    producers
}

fn others(random: &mut Random, places: &[Place]) -> Vec<Role> {
    let mut others = Vec::new();
    for _ in 0..1 + random.below(2) {
        others.push(Role::Consumer(Consumer::new(places, random.one_in(2))));
    }
    if random.one_in(2) {
        for _ in 0..1 + random.below(3) {
            others.push(Role::Member(Member::new(places)));
        }
    }
    if random.one_in(3) {
        let configs = match random.one_in(2) {
            true => vec![("file.delete.delay.ms", random.below(300).to_string())],
            false => Vec::new(),
        };
        others.push(Role::Churner(Churner::new(1 + random.below(4), configs)));
    }
    if random.one_in(4) {
        others.push(Role::Trimmer(Trimmer::new(places)));
    }
    others
}

fn faults(random: &mut Random) -> Vec<(u64, Fault)> {
    let mut faults: Vec<(u64, Fault)> = (0..random.below(5))
        .map(|_| {
            let fault = match random.below(6) {
                0 => Fault::CleanStop,
                1 | 2 => Fault::Kill,
                3 => Fault::CutConnection,
                _ => Fault::PowerFailure,
            };
            (30 + random.below(WORK_MS), fault)
        })
        .collect();
    faults.sort_by_key(|(at_ms, _)| *at_ms);
    faults
}

fn topic(name: &str, random: &mut Random, world_is_strict: bool) -> PlannedTopic {
    let is_strict = world_is_strict || random.one_in(3);
    let is_kept_by_size = random.one_in(8);
    let mut configs = vec![
        // Rolls by time: virtual time is cheap, bytes are not.
        ("segment.ms", (50 + random.below(500)).to_string()),
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
        configs.push(("flush.ms", (10 + random.below(200)).to_string()));
    }
    if random.one_in(4) {
        configs.push(("file.delete.delay.ms", random.below(300).to_string()));
    }
    let partitions = 1 + random.below(3) as i32;
    let topic = Topic { name: name.to_owned(), partitions, configs };
    PlannedTopic { topic, is_strict, is_kept_by_size }
}

fn settings(random: &mut Random, is_strict: bool) -> Result<BrokerSettings, String> {
    let mut properties = properties(random.below(60), is_strict);
    if random.one_in(2) {
        let bytes = (500 + random.below(4000)).to_string();
        properties.push(("metadata.log.max.record.bytes.between.snapshots", bytes));
    }
    read(properties)
}

/// Everything that is done at intervals is done often.
fn properties(rebalance_delay_ms: u64, is_strict: bool) -> Vec<(&'static str, String)> {
    let mut properties = vec![
        ("node.id", "1".to_owned()),
        ("listeners", "PLAINTEXT://127.0.0.1:9092".to_owned()),
        ("log.initial.task.delay.ms", "150".to_owned()),
        ("log.retention.check.interval.ms", "150".to_owned()),
        ("replica.high.watermark.checkpoint.interval.ms", "40".to_owned()),
        ("log.flush.offset.checkpoint.interval.ms", "60".to_owned()),
        ("offsets.topic.num.partitions", "2".to_owned()),
        ("offsets.topic.replication.factor", "1".to_owned()),
        ("group.min.session.timeout.ms", "50".to_owned()),
        ("group.initial.rebalance.delay.ms", rebalance_delay_ms.to_string()),
    ];
    if is_strict {
        properties.push(("log.flush.interval.messages", "1".to_owned()));
    }
    properties
}

fn read(properties: Vec<(&'static str, String)>) -> Result<BrokerSettings, String> {
    let properties: BTreeMap<String, String> =
        properties.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    BrokerSettings::read(properties)
}
