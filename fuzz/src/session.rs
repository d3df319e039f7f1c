//! A session: what several clients do to a node, one operation after the other, as an input says.

use std::collections::{BTreeMap, VecDeque};
use std::sync::LazyLock;

use strom_base::Now;
use strom_broker::effect::ConnectionId;
use strom_broker::{EndpointType, would_serve};
use strom_protocol::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use strom_protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use strom_protocol::find_coordinator_request::FindCoordinatorRequest;
use strom_protocol::header::{RequestHeader, decode_response_header, encode_request_header};
use strom_protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use strom_protocol::sample::{Draw, Kind};
use strom_protocol::{ApiKey, Message, Reader, Records, Writer};
use strom_sim::disk::SimDisk;

use crate::allocations::peak_of;
use crate::batches::{MADE_AT_MS, damaged, options};
use crate::choices::Choices;
use crate::damage::damage;
use crate::messages::family;
use crate::node::{Got, Node};

const OPERATIONS_MAX: usize = 40;
const CLIENTS: u64 = 3;
/// What one request may make the node hold on its way, beside a small multiple of its bytes.
const REQUEST_BYTES_MAX: usize = 96 << 20;
const REQUEST_FACTOR: usize = 64;
/// Samples are short texts of few letters: this is the most frequent one.
const TOPIC: &str = "a";
const BEGIN: Now = Now { monotonic_ms: 1_000, wall_ms: MADE_AT_MS };

/// Requests that the node serves, with the version.
static SERVED: LazyLock<Vec<(&'static Kind, i16)>> = LazyLock::new(|| {
    let versions = |kind: &'static Kind| {
        let (low, high) = kind.versions();
        (low..=high).map(move |version| (kind, version))
    };
    let all = family(0).iter().flat_map(versions);
    all.filter(|(kind, version)| {
        let mut start = kind.api_key().unwrap_or(-1).to_be_bytes().to_vec();
        start.extend_from_slice(&version.to_be_bytes());
        start.extend_from_slice(&[0; 4]);
        would_serve(EndpointType::Broker, &start).is_ok()
    })
    .collect()
});

thread_local! {
    /// A node that was stopped: with a topic of two partitions and a coordinator of groups.
    static TEMPLATE: SimDisk = {
    let mut session = Session::on(Node::start(SimDisk::new(), BEGIN));
    let topic = CreatableTopic {
        name: TOPIC,
        num_partitions: 2,
        replication_factor: 1,
        ..Default::default()
    };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 1000, ..Default::default() };
    session.send(0, frame(ApiKey::CreateTopics, 7, &request));
    let request = FindCoordinatorRequest { key: TOPIC, ..Default::default() };
    session.send(0, frame(ApiKey::FindCoordinator, 3, &request));
    session.node.pass_time(1000);
    session.node.stop()
};
}

/// What one client has sent and not heard of yet.
#[derive(Default)]
struct Client {
    id: Option<ConnectionId>,
    /// Correlation id, api and version, in the order of sending.
    under_way: VecDeque<(u32, i16, i16)>,
    /// Requests that ended in silence, by what the node said and by what came after them.
    silenced: usize,
    passed_over: usize,
    is_closed: bool,
}

pub struct Session {
    node: Node,
    clients: BTreeMap<u64, Client>,
    connections: u64,
    correlation_id: u32,
}

/// Does what the input says to a node, and checks every answer.
///
/// # Panics
/// When an answer is out of order, given twice or not to be decoded; when a request makes the node hold
/// too much; when the node does not stop, or not start on what it left.
pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let mut session = Session::on(Node::start(TEMPLATE.with(SimDisk::clone), BEGIN));
    for _ in 0..OPERATIONS_MAX {
        if choices.is_over() {
            break;
        }
        session = session.operate(&mut choices);
    }
    let disk = session.node.stop();
    drop(Node::start(disk, BEGIN));
}

impl Session {
    fn on(node: Node) -> Self {
        Self { node, clients: BTreeMap::new(), connections: 0, correlation_id: 0 }
    }

    fn operate(mut self, choices: &mut Choices<'_>) -> Self {
        let operation = choices.byte();
        let client = choices.below(CLIENTS);
        match operation % 10 {
            0 => self.send(client, choices.piece().to_vec()),
            1..=4 => {
                let request = sampled(choices);
                self.send(client, request);
            }
            5 => {
                let request = self.produce(choices);
                self.send(client, request);
            }
            6 => {
                let request = self.fetch(choices);
                self.send(client, request);
            }
            7 => {
                self.node.pass_time(choices.number(2) * 8);
                self.hear();
            }
            8 => self.leave(client),
            _ => {
                let now = self.node.now;
                let is_clean = choices.byte() & 1 == 0;
                let disk = if is_clean { self.node.stop() } else { self.node.kill() };
                return Self::on(Node::start(disk, now));
            }
        }
        self
    }

    /// Sends a request, whose correlation id is set here.
    fn send(&mut self, client: u64, mut frame: Vec<u8>) {
        if self.clients.get(&client).is_some_and(|it| it.is_closed) {
            self.leave(client);
        }
        let Self { node, clients, connections, correlation_id } = self;
        let known = clients.entry(client).or_default();
        let connection = *known.id.get_or_insert_with(|| {
            *connections += 1;
            let connection = ConnectionId(*connections);
            node.connect(connection);
            connection
        });
        *correlation_id += 1;
        if let Some(place) = frame.get_mut(4..8) {
            place.copy_from_slice(&correlation_id.to_be_bytes());
            let number = |at: usize| i16::from_be_bytes([frame[at], frame[at + 1]]);
            known.under_way.push_back((*correlation_id, number(0), number(2)));
        }
        let (_, peak) = peak_of(|| node.send(connection, &frame));
        let allowed = REQUEST_BYTES_MAX + REQUEST_FACTOR * frame.len();
        assert!(peak <= allowed, "{peak} for a request of {} bytes", frame.len());
        self.hear();
    }

    fn leave(&mut self, client: u64) {
        if let Some(Client { id: Some(connection), .. }) = self.clients.remove(&client) {
            self.node.disconnect(connection);
        }
        self.hear();
    }

    /// Takes what has come: answers in the order of their requests, each once, each as its API's
    /// response of its version.
    fn hear(&mut self) {
        for got in std::mem::take(&mut self.node.got) {
            let (Got::Answer(id, _) | Got::Silence(id, _) | Got::Closed(id)) = got;
            let Some(client) = self.clients.values_mut().find(|it| it.id == Some(id)) else {
                continue;
            };
            match got {
                Got::Answer(_, bytes) => client.hear(&bytes),
                Got::Silence(_, requests) => client.silenced += requests,
                Got::Closed(_) => client.is_closed = true,
            }
        }
        for client in self.clients.values() {
            let unheard = client.silenced.checked_sub(client.passed_over);
            let unheard = unheard.expect("nobody is passed over without a word");
            assert!(unheard <= client.under_way.len(), "{unheard} silent requests");
        }
    }

    fn produce(&mut self, choices: &mut Choices<'_>) -> Vec<u8> {
        let version = 3 + choices.below(11) as i16;
        let index = choices.below(3) as i32;
        let acks = [-1, 1, 0][choices.place(3)];
        let options = options(choices);
        let batch = damaged(options, choices);
        let records = Some(Records::Inline(&batch));
        let part = PartitionProduceData { index, records, ..Default::default() };
        let topic = TopicProduceData {
            name: if version < 13 { TOPIC } else { "" },
            topic_id: if version < 13 { Default::default() } else { self.topic_id() },
            partition_data: vec![part],
            ..Default::default()
        };
        let request = ProduceRequest {
            acks,
            timeout_ms: 1000,
            topic_data: vec![topic],
            ..Default::default()
        };
        frame(ApiKey::Produce, version, &request)
    }

    fn fetch(&mut self, choices: &mut Choices<'_>) -> Vec<u8> {
        let version = 4 + choices.below(15) as i16;
        let partition = FetchPartition {
            partition: choices.below(3) as i32,
            fetch_offset: choices.some_i64(),
            partition_max_bytes: choices.some_i64() as i32,
            ..Default::default()
        };
        let topic = FetchTopic {
            topic: if version < 13 { TOPIC } else { "" },
            topic_id: if version < 13 { Default::default() } else { self.topic_id() },
            partitions: vec![partition; choices.place(3)],
            ..Default::default()
        };
        let mut request = FetchRequest {
            max_wait_ms: choices.number(2) as i32,
            min_bytes: choices.some_i64() as i32,
            max_bytes: choices.some_i64() as i32,
            isolation_level: (choices.byte() & 1) as i8,
            topics: vec![topic],
            ..Default::default()
        };
        if version >= 7 {
            request.session_id = choices.below(3) as i32;
            request.session_epoch = choices.below(4) as i32 - 1;
        }
        frame(ApiKey::Fetch, version, &request)
    }

    fn topic_id(&self) -> strom_base::Uuid {
        let topics = &self.node.broker().image().topics;
        topics.iter().find(|topic| &*topic.name == TOPIC).map(|topic| topic.id).unwrap_or_default()
    }
}

impl Client {
    fn hear(&mut self, answer: &[u8]) {
        let correlation_id = u32::from_be_bytes(*answer[4..].first_chunk().expect("a header"));
        // Whoever was passed over was not answered, and is not any more.
        let (api_key, version) = loop {
            let next = self.under_way.pop_front();
            let (asked, api_key, version) = next.expect("a request that was not answered before");
            if asked == correlation_id {
                break (api_key, version);
            }
            let is_silent = api_key == ApiKey::Produce.code();
            assert!(is_silent, "request {asked} of api {api_key} was passed over");
            self.passed_over += 1;
        };
        let api = ApiKey::from_code(api_key).expect("an api that is served");
        let kind = family(1).iter().find(|kind| kind.api_key() == Some(api_key)).expect("a kind");
        let is_unknown = api == ApiKey::ApiVersions && version > kind.versions().1 || version < 0;
        let version = if is_unknown { 0 } else { version };
        let mut reader = Reader::new(&answer[4..]);
        decode_response_header(&mut reader, api, version).expect("a header");
        let body = &answer[answer.len() - reader.remaining()..];
        let decoded = kind.decode(body, version);
        assert_eq!(decoded, Ok(()), "{} version {version}", kind.name());
    }
}

/// A request that is served, sampled and perhaps damaged.
fn sampled(choices: &mut Choices<'_>) -> Vec<u8> {
    let (kind, version) = *choices.one_of(&SERVED).expect("something is served");
    let api = kind.api_key().and_then(ApiKey::from_code).expect("an api");
    let mut bytes = header(api, version);
    bytes.extend_from_slice(&kind.sample(version, choices));
    damage(&mut bytes, choices);
    bytes
}

fn header(api: ApiKey, version: i16) -> Vec<u8> {
    let header = RequestHeader {
        request_api_key: api.code(),
        request_api_version: version,
        client_id: Some("fuzz"),
        ..Default::default()
    };
    let mut writer = Writer::new();
    encode_request_header(&mut writer, api, &header).expect("a header");
    writer.bytes
}

fn frame<'m>(api: ApiKey, version: i16, request: &impl Message<'m>) -> Vec<u8> {
    let mut bytes = header(api, version);
    bytes.extend_from_slice(&request.to_bytes(version).expect("a request"));
    bytes
}
