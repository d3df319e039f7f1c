//! A whole node on a disk in memory, with one client.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use bytes::BytesMut;
use strom_base::{Now, Random};
use strom_broker::boot::{BootOptions, boot};
use strom_broker::effect::Examination;
use strom_broker::effect::{ConnectionId, Effects, NetworkEffect, Turn};
use strom_broker::examinations::ExaminationLimits;
use strom_broker::settings::BrokerSettings;
use strom_broker::{Broker, BrokerStart, would_serve};
use strom_protocol::header::{RequestHeader, encode_request_header};
use strom_protocol::{ApiKey, Message, Writer};
use strom_storage::LogConfig;
use strom_storage::disk::{DirectoryId, ReadFiles};

use crate::allocations::counted;
use crate::memory_disk::MemoryDisk;

/// Little, so that a few batches exceed it.
pub(crate) const RECOVERY_BYTES_MAX: u64 = 100_000;
const SETTINGS: [(&str, &str); 5] = [
    ("node.id", "1"),
    ("listeners", "PLAINTEXT://127.0.0.1:9092"),
    ("offsets.topic.replication.factor", "1"),
    ("offsets.topic.num.partitions", "3"),
    ("group.initial.rebalance.delay.ms", "0"),
];

pub(crate) struct Node {
    broker: Broker,
    client: ConnectionId,
    pub(crate) disk: MemoryDisk,
    pub(crate) now: Now,
    answers: VecDeque<Vec<u8>>,
    closed: Option<String>,
    /// Who looks at records does it later.
    pub(crate) is_examiner_busy: bool,
    examinations: VecDeque<Examination>,
    /// Requests of the client that wait for the one before them.
    behind: VecDeque<BytesMut>,
    /// The broker is asked once, and tells when that is over.
    is_held: Rc<Cell<bool>>,
    /// What the operator was told.
    pub(crate) notices: Vec<String>,
    /// Why it had to stop.
    pub(crate) halted: Option<String>,
}

impl Node {
    /// A node that has started on what lies on the disk, or on nothing.
    pub(crate) fn start(disk: MemoryDisk) -> Self {
        let node = Self::try_start(disk, &[]).unwrap_or_else(|refused| panic!("{}", refused.0));
        assert_eq!(node.notices, [""; 0]);
        node
    }

    /// A new node with some keys set.
    pub(crate) fn with(keys: &[(&str, &str)]) -> Self {
        Self::start_with(MemoryDisk::default(), keys)
    }

    /// The same on what lies on the disk.
    pub(crate) fn start_with(disk: MemoryDisk, keys: &[(&str, &str)]) -> Self {
        Self::try_start(disk, keys).unwrap_or_else(|refused| panic!("{}", refused.0))
    }

    /// What a log goes by.
    pub(crate) fn log_config(&self, topic: &str, partition: i32) -> &LogConfig {
        self.broker.log_config(topic, partition).expect("a log")
    }

    /// The same with some keys set; without a node the sentence for the operator, and the disk.
    pub(crate) fn try_start(
        mut disk: MemoryDisk,
        keys: &[(&str, &str)],
    ) -> Result<Self, (String, Box<MemoryDisk>)> {
        let properties: BTreeMap<_, _> =
            SETTINGS.iter().chain(keys).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let settings = BrokerSettings::read(properties).expect("settings");
        let now = Now { monotonic_ms: 1_000, wall_ms: 1_700_000_000_000 };
        disk.starts += 1;
        let mut random = Random::new(disk.starts);
        let options = BootOptions {
            node_id: 1,
            directories: settings.node.folders.log_dirs.len() as u16,
            metadata_directory: DirectoryId(0),
            failed_directories: Vec::new(),
            format_empty: true,
            quorum: settings.quorum.clone(),
            log_config: settings.default_log_config(),
            now_ms: now.wall_ms,
        };
        let state = match boot(&mut disk, &options, &mut random) {
            Ok(state) => state,
            Err(error) => return Err((error.to_string(), Box::new(disk))),
        };
        let start = BrokerStart {
            settings,
            state,
            ports: vec![9092],
            random,
            now,
            recovery_bytes_max: RECOVERY_BYTES_MAX,
        };
        let broker = Broker::new(start).expect("starts");
        let mut node = Self {
            broker,
            client: ConnectionId(1),
            disk,
            now,
            answers: VecDeque::new(),
            closed: None,
            is_examiner_busy: false,
            examinations: VecDeque::new(),
            behind: VecDeque::new(),
            is_held: Rc::default(),
            notices: Vec::new(),
            halted: None,
        };
        node.input(Broker::start);
        assert!(node.broker.is_running());
        while node.broker.next_deadline().is_some_and(|due_ms| due_ms <= node.now.monotonic_ms) {
            node.input(Broker::on_deadline);
        }
        node.connect(0);
        Ok(node)
    }

    /// Stops in order and leaves the disk.
    pub(crate) fn stop(mut self) -> MemoryDisk {
        self.input(Broker::shut_down);
        assert!(self.broker.is_stopped());
        self.kill()
    }

    /// Leaves the disk as it is.
    pub(crate) fn kill(mut self) -> MemoryDisk {
        self.disk.logs.clear();
        self.disk.failing = None;
        self.disk
    }

    /// Runs an input and everything that it brings about.
    fn input(&mut self, input: impl FnOnce(&mut Broker, &mut Turn<'_>)) {
        let mut out = Effects::default();
        input(&mut self.broker, &mut Turn { now: self.now, files: &self.disk, out: &mut out });
        while !out.is_empty() {
            let effects = std::mem::take(&mut out);
            if let Some(reason) = effects.halt {
                assert!(self.disk.failing.is_some(), "{reason}");
                self.halted = Some(reason);
                return;
            }
            self.notices.extend(effects.notices.into_iter().map(|notice| notice.text));
            let (placed, gone): (Vec<_>, Vec<_>) =
                effects.folders.into_iter().partition(|(_, folder)| folder.is_some());
            self.disk.logs.extend(placed.into_iter().filter_map(|(log, it)| Some((log, it?))));
            let completions: Vec<_> =
                effects.disk.into_iter().filter_map(|it| self.disk.perform(it)).collect();
            gone.iter().for_each(|(log, _)| drop(self.disk.logs.remove(log)));
            for effect in effects.network {
                self.take(effect);
            }
            for completion in completions {
                let mut turn = Turn { now: self.now, files: &self.disk, out: &mut out };
                self.broker.on_disk_completed(&mut turn, &completion);
            }
            self.examinations.extend(effects.examinations);
            if !self.is_examiner_busy {
                for examination in self.examinations.drain(..) {
                    let mut turn = Turn { now: self.now, files: &self.disk, out: &mut out };
                    self.broker.on_examined(&mut turn, examination.perform());
                }
            }
        }
    }

    /// Who looks at records has time for the first that waits.
    pub(crate) fn examine_first(&mut self) {
        let examination = self.examinations.pop_front().expect("records to be looked at");
        self.input(|broker, turn| broker.on_examined(turn, examination.perform()));
        self.serve_behind();
    }

    /// Whether the client's next requests wait for one whose records are looked at.
    pub(crate) fn is_held(&self) -> bool {
        self.is_held.get()
    }

    /// So much may wait for who looks at records.
    pub(crate) fn let_wait(&mut self, waiting_bytes: usize) {
        self.broker.limit_examinations(ExaminationLimits { waiting_bytes, ..Default::default() });
    }

    /// How many who looks at records has not come to.
    pub(crate) fn examinations(&self) -> usize {
        self.examinations.len()
    }

    /// Whether large produces may be sent.
    pub(crate) fn may_take_bulk(&self) -> bool {
        self.broker.may_take_bulk()
    }

    /// Serves what the client has sent, as far as that is taken now.
    fn serve_behind(&mut self) {
        let (client, mut behind) = (self.client, std::mem::take(&mut self.behind));
        let is_held = Rc::clone(&self.is_held);
        self.input(|broker, turn| {
            while !is_held.get()
                && let Some(frame) = behind.pop_front()
            {
                broker.on_frame(turn, client, frame);
                is_held.set(broker.is_held(client));
            }
        });
        if self.client == client {
            self.behind = behind;
        }
    }

    fn take(&mut self, effect: NetworkEffect) {
        match effect {
            NetworkEffect::Close { reason, .. } => self.closed = Some(reason),
            NetworkEffect::Silent { .. } => {}
            NetworkEffect::GoOn { connection } if connection != self.client => {}
            NetworkEffect::GoOn { .. } => {
                assert!(self.is_held.replace(false), "it was not held");
            }
            NetworkEffect::Send { response, .. } => {
                let is_cold = std::mem::take(&mut self.disk.is_cold);
                let mut bytes = Vec::new();
                let mut sent = 0;
                for range in &response.ranges {
                    bytes.extend_from_slice(&response.bytes[sent..range.at]);
                    sent = range.at;
                    let mut records = vec![0; range.length as usize];
                    self.disk.read_at(range.file, range.position, &mut records).expect("reads");
                    bytes.extend_from_slice(&records);
                }
                bytes.extend_from_slice(&response.bytes[sent..]);
                self.disk.is_cold = is_cold;
                self.answers.push_back(bytes);
            }
        }
    }

    /// Whether a request that begins so would be taken from the client.
    pub(crate) fn would_serve(&self, api: ApiKey, version: i16) -> bool {
        let mut writer = Writer::new();
        writer.write_i16(api.code());
        writer.write_i16(version);
        writer.write_i32(77);
        would_serve(self.broker.endpoint_type(self.client), &writer.bytes).is_ok()
    }

    /// What was asked of the disk is in memory now.
    pub(crate) fn warm(&mut self) {
        self.disk.is_cold = false;
        self.input(Broker::on_bytes_read);
    }

    /// Another client says something, and is answered.
    pub(crate) fn answers_somebody_else<'m>(
        &mut self,
        api: ApiKey,
        version: i16,
        request: &impl Message<'m>,
    ) -> bool {
        let somebody = ConnectionId(2);
        let before = self.answers.len();
        self.input(|broker, turn| broker.on_connected(turn, somebody, "10.0.0.2".into(), 0));
        let frame = frame(api, version, request);
        self.input(|broker, turn| broker.on_frame(turn, somebody, frame));
        self.input(|broker, turn| broker.on_disconnected(turn, somebody));
        let is_answered = self.answers.len() > before;
        self.answers.truncate(before);
        is_answered
    }

    /// How often the machine allocates memory for a request, until its answer is given out or waits.
    /// The effects' lists are used again, and answers are given back, as a shell does.
    pub(crate) fn allocations_of<'m>(
        &mut self,
        out: &mut Effects,
        api: ApiKey,
        version: i16,
        request: &impl Message<'m>,
    ) -> u64 {
        // A frame is a piece of the buffer that was read into.
        let mut buffer = frame(api, version, request);
        let frame = buffer.split_to(buffer.len());
        let mut turn = Turn { now: self.now, files: &self.disk, out };
        let mut count = counted(|| self.broker.on_frame(&mut turn, self.client, frame));
        while !out.is_empty() {
            let performed = out.disk.drain(..).filter_map(|effect| self.disk.perform(effect));
            let completions: Vec<_> = performed.collect();
            let sent: Vec<_> = out.network.drain(..).collect();
            for effect in sent {
                if let NetworkEffect::Send { response, .. } = effect {
                    out.recycle(response);
                }
            }
            for completion in completions {
                let mut turn = Turn { now: self.now, files: &self.disk, out };
                count += counted(|| self.broker.on_disk_completed(&mut turn, &completion));
            }
        }
        count
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, milliseconds: u64) {
        self.now.monotonic_ms += milliseconds;
        self.now.wall_ms += milliseconds as i64;
        self.input(Broker::on_deadline);
    }

    /// Sends a request; the body of its answer, if that came already.
    pub(crate) fn send<'m>(
        &mut self,
        api: ApiKey,
        version: i16,
        request: &impl Message<'m>,
    ) -> Option<Vec<u8>> {
        self.send_times(1, api, version, request);
        self.answer(api, version)
    }

    /// Why the connection is closed over a request.
    pub(crate) fn refusal<'m>(
        &mut self,
        api: ApiKey,
        version: i16,
        request: &impl Message<'m>,
    ) -> String {
        let frame = frame(api, version, request);
        self.refusal_of_frame(frame)
    }

    /// The same for a body that is not known in its version.
    pub(crate) fn refusal_of_bytes(&mut self, api: ApiKey, version: i16, body: &[u8]) -> String {
        let mut writer = Writer::new();
        writer.write_i16(api.code());
        writer.write_i16(version);
        writer.write_i32(77);
        writer.bytes.extend_from_slice(body);
        self.refusal_of_frame(BytesMut::from(writer.bytes.as_slice()))
    }

    /// The client leaves and comes back by another listener.
    pub(crate) fn reconnect_by(&mut self, listener: usize) {
        let gone = self.client;
        self.behind.clear();
        self.is_held.set(false);
        self.input(|broker, turn| broker.on_disconnected(turn, gone));
        self.client = ConnectionId(gone.0 + 1);
        self.connect(listener);
    }

    fn connect(&mut self, listener: usize) {
        let client = self.client;
        self.input(|broker, turn| {
            broker.on_connected(turn, client, "127.0.0.1".into(), listener);
        });
    }

    fn refusal_of_frame(&mut self, frame: BytesMut) -> String {
        let client = self.client;
        self.input(|broker, turn| broker.on_frame(turn, client, frame));
        self.reconnect_by(0);
        self.closed.take().expect("the connection was closed")
    }

    /// Sends the same request so often before the disk has done anything for the first.
    pub(crate) fn send_times<'m>(
        &mut self,
        times: usize,
        api: ApiKey,
        version: i16,
        request: &impl Message<'m>,
    ) {
        let frame = frame(api, version, request);
        self.behind.extend((0..times).map(|_| frame.clone()));
        self.serve_behind();
        assert_eq!(self.closed, None, "{} v{version}", api.name());
    }

    /// Sends requests before the disk has done anything for the first; why the connection was closed.
    pub(crate) fn send_until_refused<'m>(
        &mut self,
        api: ApiKey,
        version: i16,
        requests: &[impl Message<'m>],
    ) -> String {
        self.behind.extend(requests.iter().map(|it| frame(api, version, it)));
        self.serve_behind();
        self.closed.take().expect("the connection was closed")
    }

    /// The body of an answer that was waited for.
    pub(crate) fn answer(&mut self, api: ApiKey, version: i16) -> Option<Vec<u8>> {
        let frame = self.answers.pop_front()?;
        let length = u32::from_be_bytes(*frame.first_chunk()?) as usize;
        assert_eq!(length + 4, frame.len(), "{} v{version}", api.name());
        let header = if api.response_header_version(version) == 0 { 4 } else { 5 };
        frame.get(4 + header..).map(<[u8]>::to_vec)
    }
}

fn frame<'m>(api: ApiKey, version: i16, request: &impl Message<'m>) -> BytesMut {
    let header = RequestHeader {
        request_api_key: api.code(),
        request_api_version: version,
        correlation_id: 77,
        client_id: Some("test"),
        ..Default::default()
    };
    let mut writer = Writer::new();
    encode_request_header(&mut writer, api, &header).expect("encodes");
    request.encode(&mut writer, version).expect("encodes");
    BytesMut::from(writer.bytes.as_slice())
}
