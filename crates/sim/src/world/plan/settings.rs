//! The node's configuration in a world.

use std::collections::BTreeMap;

use strom_base::Random;
use strom_broker::settings::BrokerSettings;

use crate::world::clock::{MILLISECOND, Nanos};

type Properties = Vec<(&'static str, String)>;

pub(super) fn draw(
    random: &mut Random,
    is_strict: bool,
    pace: Nanos,
    directories: usize,
) -> Result<BrokerSettings, String> {
    let mut properties = basic(directories);
    // What is done at intervals is done often, or as by default.
    if !random.one_in(4) {
        hurry(&mut properties, (pace / MILLISECOND).max(1));
    }
    let delay_ms = random.below(60).to_string();
    properties.push(("group.initial.rebalance.delay.ms", delay_ms));
    if is_strict {
        properties.push(("log.flush.interval.messages", "1".to_owned()));
    }
    if random.one_in(2) {
        let bytes = (500 + random.below(4000)).to_string();
        properties.push(("metadata.log.max.record.bytes.between.snapshots", bytes));
        let bytes = (1000 + random.below(4000)).to_string();
        properties.push(("internal.metadata.log.segment.bytes", bytes));
    }
    read(properties)
}

/// Of the scripted life: everything is synced before it is acknowledged, and snapshots are frequent.
pub(super) fn scripted(directories: usize) -> Result<BrokerSettings, String> {
    let mut properties = basic(directories);
    hurry(&mut properties, 1);
    properties.extend([
        ("group.initial.rebalance.delay.ms", "0".to_owned()),
        ("log.flush.interval.messages", "1".to_owned()),
        ("metadata.log.max.record.bytes.between.snapshots", "700".to_owned()),
    ]);
    read(properties)
}

/// As by default.
pub(super) fn plain() -> Result<BrokerSettings, String> {
    read(basic(1))
}

fn basic(directories: usize) -> Properties {
    let mut properties = vec![
        ("node.id", "1".to_owned()),
        ("listeners", "PLAINTEXT://127.0.0.1:9092".to_owned()),
        ("offsets.topic.num.partitions", "2".to_owned()),
        ("offsets.topic.replication.factor", "1".to_owned()),
        ("group.min.session.timeout.ms", "50".to_owned()),
    ];
    if directories > 1 {
        let named: Vec<String> = (0..directories).map(|it| format!("volume-{it}")).collect();
        properties.push(("log.dirs", named.join(",")));
    }
    properties
}

fn hurry(properties: &mut Properties, times: u64) {
    let often = [
        ("log.initial.task.delay.ms", 150),
        ("log.retention.check.interval.ms", 150),
        ("replica.high.watermark.checkpoint.interval.ms", 40),
        ("log.flush.offset.checkpoint.interval.ms", 60),
    ];
    properties.extend(often.map(|(key, ms)| (key, (ms * times).to_string())));
}

fn read(properties: Properties) -> Result<BrokerSettings, String> {
    let properties: BTreeMap<String, String> =
        properties.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    BrokerSettings::read(properties)
}
