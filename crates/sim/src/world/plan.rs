//! What a seed makes of a world: topics, clients, faults.

use std::collections::BTreeMap;

use strom_base::Random;
use strom_broker::settings::BrokerSettings;

use super::actor::{Actor, Admin, Role, Topic};
use super::audit::Place;
use super::consumer::Consumer;
use super::event::Fault;
use super::producer::Producer;

/// Faults come while clients work, which is about as long as this.
const WORK_MS: u64 = 1500;

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) settings: BrokerSettings,
    pub(super) places: Vec<Place>,
    pub(super) actors: Vec<Actor>,
    /// By time.
    pub(super) faults: Vec<(u64, Fault)>,
}

impl Plan {
    /// # Errors
    /// When the broker does not take the settings.
    pub(super) fn new(random: &mut Random) -> Result<Plan, String> {
        // Only a topic that syncs before it acknowledges promises anything to who pulls the plug.
        let is_strict = random.one_in(2);
        let topics = topics(random, is_strict);
        let places: Vec<Place> = topics
            .iter()
            .flat_map(|topic| (0..topic.partitions).map(|index| (topic.name.clone(), index)))
            .collect();
        let mut actors = vec![Actor::new(Role::Admin(Admin::new(topics)))];
        for index in 0..1 + random.below(3) {
            let batches = 20 + random.below(60);
            let producer = Producer::new(format!("producer-{index}"), &places, batches);
            actors.push(Actor::new(Role::Producer(producer)));
        }
        for _ in 0..1 + random.below(2) {
            actors.push(Actor::new(Role::Consumer(Consumer::new(&places, false))));
        }
        let mut faults: Vec<(u64, Fault)> = (0..random.below(4))
            .map(|_| {
                let fault = match random.below(4) {
                    0 => Fault::CleanStop,
                    1 => Fault::Kill,
                    _ if is_strict => Fault::PowerFailure,
                    _ => Fault::Kill,
                };
                (30 + random.below(WORK_MS), fault)
            })
            .collect();
        faults.sort_by_key(|(at_ms, _)| *at_ms);
        Ok(Plan { settings: settings()?, places, actors, faults })
    }
}

fn topics(random: &mut Random, is_strict: bool) -> Vec<Topic> {
    let mut topics = Vec::new();
    for name in ["driver-location", "orders"] {
        let mut configs = vec![
            // Rolls by time: virtual time is cheap, bytes are not.
            ("segment.ms", (50 + random.below(500)).to_string()),
            ("index.interval.bytes", random.below(5000).to_string()),
            ("retention.ms", "-1".to_owned()),
        ];
        if is_strict {
            configs.push(("flush.messages", "1".to_owned()));
        } else if random.one_in(2) {
            configs.push(("flush.ms", (10 + random.below(200)).to_string()));
        }
        let partitions = 1 + random.below(3) as i32;
        topics.push(Topic { name: name.to_owned(), partitions, configs });
    }
    topics
}

/// Everything that is done at intervals is done often.
fn settings() -> Result<BrokerSettings, String> {
    let properties = [
        ("node.id", "1"),
        ("listeners", "PLAINTEXT://127.0.0.1:9092"),
        ("log.retention.check.interval.ms", "150"),
        ("replica.high.watermark.checkpoint.interval.ms", "40"),
        ("log.flush.offset.checkpoint.interval.ms", "60"),
    ];
    let properties: BTreeMap<String, String> =
        properties.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    BrokerSettings::read(properties)
}
