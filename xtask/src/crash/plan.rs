//! One life, drawn from its seed: how the node is set up, its topics, and what happens to it.

use strom_base::Random;

use super::kind::Kind;

/// What may take records off the beginning of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trimming {
    Never,
    /// Whoever asks for it: DeleteRecords.
    Asked,
    /// So many bytes are kept.
    Retention {
        bytes: u64,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub name: &'static str,
    pub partitions: i32,
    pub configs: Vec<(&'static str, String)>,
    /// Records are synced before they are acknowledged.
    pub is_strict: bool,
    /// Written by idempotent producers alone.
    pub is_exactly_once: bool,
    pub trimming: Trimming,
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The volume of its own that the data folder is on.
    pub mounted: Option<Kind>,
    /// `KEY=VALUE` of the node.
    pub settings: Vec<String>,
    pub topics: Vec<Topic>,
    /// One for each round.
    pub rounds: Vec<Kind>,
    /// `compression.codec` of the producers.
    pub codec: &'static str,
    /// The largest value; bytes.
    pub value_bytes_max: u64,
    pub random: Random,
}

fn choose<T: Copy>(random: &mut Random, among: &[T]) -> Option<T> {
    among.get(random.below(among.len() as u64) as usize).copied()
}

impl Plan {
    #[must_use]
    pub(crate) fn draw(seed: u64, only: Option<Kind>) -> Plan {
        let mut random = Random::new(seed);
        // Every fifth life has a volume of its own.
        let mounted = match seed % 10 {
            3 => Some(Kind::SmallDisk),
            8 => Some(Kind::Power),
            _ => None,
        };
        let mounted = only.map_or(mounted, |kind| Some(kind).filter(|kind| kind.is_mounted()));
        // Those with a volume of its own take their time.
        let count = if mounted.is_some() { 2 + random.below(3) } else { 6 + random.below(7) };
        let rounds = (0..count).map(|_| match (only, mounted) {
            (Some(kind), _) | (None, Some(kind)) => kind,
            (None, None) => draw_kind(&mut random),
        });
        let rounds = rounds.collect();
        let settings = settings(&mut random);
        let codec = choose(&mut random, &["none", "none", "snappy", "lz4"]).unwrap_or("none");
        let value_bytes_max = choose(&mut random, &[100, 1_000, 6_000]).unwrap_or(1_000);
        let topics = topics(&mut random);
        Plan { mounted, settings, topics, rounds, codec, value_bytes_max, random }
    }
}

fn draw_kind(random: &mut Random) -> Kind {
    match random.below(12) {
        0 | 1 => Kind::Load,
        2..=4 => Kind::Start,
        5 | 6 => Kind::Stop,
        7 | 8 => Kind::Call,
        9 => Kind::FailedSync,
        10 => Kind::FailedWrite,
        _ => Kind::NoRoom,
    }
}

fn settings(random: &mut Random) -> Vec<String> {
    let mut settings: Vec<String> = [
        "process.roles=broker,controller",
        "controller.listener.names=CONTROLLER",
        "auto.create.topics.enable=false",
        "offsets.topic.replication.factor=1",
        "group.initial.rebalance.delay.ms=0",
        "group.min.session.timeout.ms=1000",
        // What a plan deletes is to be gone while it lives.
        "log.retention.check.interval.ms=300",
        "log.segment.delete.delay.ms=200",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut draw = |key: &str, values: &[u64]| {
        let value = choose(random, values).unwrap_or_default();
        settings.push(format!("{key}={value}"));
    };
    draw("strom.network.threads", &[0, 0, 1, 2]);
    draw("strom.arena.bytes", &[1 << 20, 4 << 20, 40 << 20]);
    draw("offsets.topic.num.partitions", &[1, 3]);
    draw("offsets.topic.segment.bytes", &[1 << 20, 100 << 20]);
    draw("log.flush.offset.checkpoint.interval.ms", &[100, 1_000, 60_000]);
    draw("log.flush.start.offset.checkpoint.interval.ms", &[100, 60_000]);
    draw("metadata.log.max.record.bytes.between.snapshots", &[2_000, 20_000, 20 << 20]);
    draw("metadata.max.idle.interval.ms", &[50, 500]);
    let engine = choose(random, &["direct", "buffered"]).unwrap_or("auto");
    settings.push(format!("strom.disk.engine={engine}"));
    settings
}

fn topics(random: &mut Random) -> Vec<Topic> {
    let mut topic = |name, partitions_max, trimming, configs: &[(&'static str, &str)]| {
        let segment_bytes = choose(random, &[20_000, 200_000, 1 << 20]).unwrap_or(200_000);
        let mut configs: Vec<(&'static str, String)> =
            configs.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        configs.push(("internal.segment.bytes", segment_bytes.to_string()));
        if random.one_in(4) {
            configs.push(("message.timestamp.type", "LogAppendTime".to_owned()));
        }
        let partitions = 1 + random.below(partitions_max) as i32;
        let is_exactly_once = name != "leader";
        Topic { name, partitions, configs, is_strict: false, is_exactly_once, trimming }
    };
    let strict = topic("strict", 3, Trimming::Never, &[("flush.messages", "1")]);
    let plain = topic("plain", 4, Trimming::Never, &[]);
    let leader = topic("leader", 2, Trimming::Never, &[]);
    let cut = topic("cut", 2, Trimming::Asked, &[]);
    let bytes = 300_000;
    let kept = bytes.to_string();
    let retention = Trimming::Retention { bytes };
    let retained = topic("retained", 2, retention, &[("retention.bytes", &kept)]);
    vec![Topic { is_strict: true, ..strict }, plain, leader, cut, retained]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_plan() {
        for seed in 0..50 {
            let plans = [(); 2].map(|()| format!("{:?}", Plan::draw(seed, None)));
            assert_eq!(plans[0], plans[1]);
        }
        let plan = Plan::draw(3, Some(Kind::Stop));
        assert!(plan.mounted.is_none() && plan.rounds.iter().all(|kind| *kind == Kind::Stop));
        assert_eq!(Plan::draw(4, Some(Kind::Power)).mounted, Some(Kind::Power));
    }
}
