//! A whole node on a simulated disk that does everything at once.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::BytesMut;
use strom_base::{Now, Random};
use strom_broker::boot::{BootOptions, boot};
use strom_broker::effect::{ConnectionId, Effects, NetworkEffect, Response, Severity, Turn};
use strom_broker::settings::BrokerSettings;
use strom_broker::{Broker, BrokerStart};
use strom_sim::disk::SimDisk;
use strom_sim::engine::Engine;
use strom_storage::disk::DirectoryId;

/// Little, so that an input of a few batches exceeds it.
const RECOVERY_BYTES_MAX: u64 = 10_000;
const SETTINGS: [(&str, &str); 8] = [
    ("node.id", "1"),
    ("listeners", "PLAINTEXT://127.0.0.1:9092"),
    ("log.index.interval.bytes", "200"),
    ("offsets.topic.replication.factor", "1"),
    ("offsets.topic.num.partitions", "2"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.min.session.timeout.ms", "1"),
    ("num.partitions", "2"),
];

static PARSED: LazyLock<BrokerSettings> = LazyLock::new(|| {
    let pairs = SETTINGS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    BrokerSettings::read(pairs.collect::<BTreeMap<_, _>>()).expect("settings")
});

/// What a connection got.
#[derive(Debug)]
pub enum Got {
    /// An answer with its length prefix.
    Answer(ConnectionId, Vec<u8>),
    /// So many requests are done without an answer.
    Silence(ConnectionId, usize),
    Closed(ConnectionId),
}

pub struct Node {
    broker: Broker,
    engine: Engine,
    pub now: Now,
    /// In the order in which it left the node.
    pub got: Vec<Got>,
}

impl Node {
    /// Starts on what lies on the disk, or on nothing.
    ///
    /// # Panics
    /// When the node does not start, or asks for what a disk that works cannot do.
    #[must_use]
    pub fn start(mut disk: SimDisk, now: Now) -> Self {
        let settings = &*PARSED;
        let mut random = Random::new(disk.operations());
        let options = BootOptions {
            node_id: 1,
            directories: 1,
            metadata_directory: DirectoryId(0),
            failed_directories: Vec::new(),
            format_empty: true,
            quorum: settings.quorum.clone(),
            log_config: settings.default_log_config(),
            now_ms: now.wall_ms,
        };
        let state = boot(&mut disk, &options, &mut random).expect("the node boots");
        let start = BrokerStart {
            settings: settings.clone(),
            state,
            ports: vec![9092],
            random,
            now,
            recovery_bytes_max: RECOVERY_BYTES_MAX,
        };
        let broker = Broker::new(start).expect("the node starts");
        let mut node = Self { broker, engine: Engine::new(disk), now, got: Vec::new() };
        node.input(Broker::start);
        assert!(node.broker.is_running());
        node.pass_time(0);
        node
    }

    /// Stops in order and leaves the disk.
    ///
    /// # Panics
    /// When the node does not come to its end.
    #[must_use]
    pub fn stop(mut self) -> SimDisk {
        self.input(Broker::shut_down);
        for _ in 0..10 {
            if self.broker.is_stopped() {
                return self.kill();
            }
            self.pass_time(60_000);
        }
        panic!("the node does not stop");
    }

    /// Leaves the disk as it is.
    #[must_use]
    pub fn kill(self) -> SimDisk {
        self.engine.disk
    }

    #[must_use]
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    pub fn connect(&mut self, connection: ConnectionId) {
        self.input(|broker, turn| broker.on_connected(turn, connection, "10.0.0.1".into(), 0));
    }

    pub fn disconnect(&mut self, connection: ConnectionId) {
        self.input(|broker, turn| broker.on_disconnected(turn, connection));
    }

    /// A request without its length prefix.
    pub fn send(&mut self, connection: ConnectionId, frame: &[u8]) {
        let frame = BytesMut::from(frame);
        self.input(|broker, turn| broker.on_frame(turn, connection, frame));
    }

    /// Lets time pass, and everything happen that is due by then.
    ///
    /// # Panics
    /// When something is due again and again.
    pub fn pass_time(&mut self, milliseconds: u64) {
        self.now.monotonic_ms += milliseconds;
        self.now.wall_ms += milliseconds as i64;
        for _ in 0..1000 {
            if self.broker.next_deadline().is_none_or(|due_ms| due_ms > self.now.monotonic_ms) {
                return;
            }
            self.input(Broker::on_deadline);
        }
        panic!("a deadline is due for ever");
    }

    /// Runs an input and everything that it brings about.
    fn input(&mut self, input: impl FnOnce(&mut Broker, &mut Turn<'_>)) {
        let mut out = Effects::default();
        input(&mut self.broker, &mut Turn { now: self.now, files: &self.engine, out: &mut out });
        while !out.is_empty() {
            let effects = std::mem::take(&mut out);
            assert_eq!(effects.halt, None);
            for notice in effects.notices {
                assert_ne!(notice.severity, Severity::Error, "{}", notice.text);
            }
            for (log, folder) in effects.folders {
                self.engine.place(log, folder);
            }
            let performed = effects.disk.into_iter().filter_map(|it| self.engine.perform(it));
            let completions: Vec<_> = performed.collect();
            assert!(self.engine.refused.is_empty(), "{:?}", self.engine.refused);
            for effect in effects.network {
                let got = match effect {
                    NetworkEffect::Send { connection, response } => {
                        Got::Answer(connection, self.assemble(&response))
                    }
                    NetworkEffect::Silent { connection, requests } => {
                        Got::Silence(connection, requests)
                    }
                    NetworkEffect::Close { connection, .. } => Got::Closed(connection),
                    NetworkEffect::GoOn { .. } => continue,
                };
                self.got.push(got);
            }
            for completion in completions {
                let mut turn = Turn { now: self.now, files: &self.engine, out: &mut out };
                self.broker.on_disk_completed(&mut turn, &completion);
            }
            for examination in effects.examinations {
                let mut turn = Turn { now: self.now, files: &self.engine, out: &mut out };
                self.broker.on_examined(&mut turn, examination.perform());
            }
        }
    }

    /// An answer with its file ranges read.
    fn assemble(&self, response: &Response) -> Vec<u8> {
        let (mut bytes, mut taken) = (Vec::new(), 0);
        for range in &response.ranges {
            bytes.extend_from_slice(&response.bytes[taken..range.at]);
            taken = range.at;
            let mut records = vec![0; range.length as usize];
            let read = self.engine.read_patiently(range.file, range.position, &mut records);
            assert_eq!(read, Ok(records.len()));
            bytes.extend_from_slice(&records);
        }
        bytes.extend_from_slice(&response.bytes[taken..]);
        let length = u32::from_be_bytes(*bytes.first_chunk().expect("a length"));
        assert_eq!(length as usize + 4, bytes.len());
        bytes
    }
}
