//! How often a whole node allocates memory for a small produce, from the socket to the socket.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;

use strom_broker::settings::BrokerSettings;
use strom_host::server::{Ready, ServerSettings, run};
use strom_protocol::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use strom_protocol::header::{RequestHeader, encode_request_header};
use strom_protocol::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use strom_protocol::records::{BatchBuilder, BatchOptions, NewRecord};
use strom_protocol::{ApiKey, Message, Records, Writer};

const WARM_UP: usize = 1000;
const REQUESTS: usize = 1000;
/// What comes with time and with the log's growth, not with the requests: checkpoints, the index.
const GROWTH_MAX: u64 = 100;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_CLIENT: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

#[expect(unsafe_code, reason = "every allocator is; this one counts and passes on")]
// SAFETY: all calls are passed on to the system's allocator as they are.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !IS_CLIENT.with(Cell::get) {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn settings(folder: &std::path::Path, network_threads: &str) -> ServerSettings {
    let folder_text = folder.display().to_string();
    let keys = [
        ("node.id", "1"),
        ("listeners", "PLAINTEXT://127.0.0.1:0"),
        ("log.dirs", folder_text.as_str()),
        ("strom.network.threads", network_threads),
    ];
    let keys: BTreeMap<_, _> =
        keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    ServerSettings {
        log_directories: vec![folder.to_owned()],
        metadata_directory: 0,
        listen: vec!["127.0.0.1:0".to_owned()],
        format_empty: true,
        request_bytes_max: 1 << 20,
        connections_max_idle_ms: 0,
        broker: BrokerSettings::read(keys).expect("settings"),
    }
}

fn frame<'m>(api: ApiKey, version: i16, request: &impl Message<'m>) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.write_i32(0);
    let header = RequestHeader {
        request_api_key: api.code(),
        request_api_version: version,
        client_id: Some("test"),
        ..Default::default()
    };
    encode_request_header(&mut writer, api, &header).expect("encodes");
    request.encode(&mut writer, version).expect("encodes");
    let length = (writer.bytes.len() - 4) as u32;
    writer.bytes[..4].copy_from_slice(&length.to_be_bytes());
    writer.bytes
}

fn ask(stream: &mut TcpStream, frame: &[u8]) {
    stream.write_all(frame).expect("sent");
    read_answer(stream);
}

fn read_answer(stream: &mut TcpStream) {
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("an answer");
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).expect("an answer");
}

fn produce_frame() -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a time").as_millis() as i64;
    let value = Some(&b"value"[..]);
    let record = NewRecord { timestamp_ms: now, key: None, value, headers: &[] };
    builder.append(&record).expect("a record");
    let batch = builder.build();
    let records = Some(Records::Inline(&batch));
    let partition = PartitionProduceData { index: 0, records, ..Default::default() };
    let name = "counted";
    let partition_data = vec![partition];
    let topic = TopicProduceData { name, partition_data, ..Default::default() };
    let topic_data = vec![topic];
    let request = ProduceRequest { acks: 1, timeout_ms: 1000, topic_data, ..Default::default() };
    frame(ApiKey::Produce, 11, &request)
}

/// One after the other: allocations are counted for the whole process.
#[test]
fn a_node_allocates_nothing_for_a_small_produce() {
    let folders = ["0", "1"].map(allocates_nothing);
    drop(folders);
}

/// The folder is to be kept as long as the node runs, which is to the end.
fn allocates_nothing(network_threads: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(folder.path(), network_threads);
    let (sender, ready) = channel::<SocketAddr>();
    std::thread::spawn(move || {
        let on_ready = move |ready: &Ready| sender.send(ready.addresses[0]).expect("told");
        run(settings, on_ready).expect("runs")
    });
    IS_CLIENT.set(true);
    let address = ready.recv().expect("an address");
    let mut stream = TcpStream::connect(address).expect("connects");
    stream.set_nodelay(true).expect("set");
    stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).expect("set");
    let topic = CreatableTopic {
        name: "counted",
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    let create =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    ask(&mut stream, &frame(ApiKey::CreateTopics, 7, &create));
    let produce = produce_frame();
    (0..WARM_UP).for_each(|_| ask(&mut stream, &produce));
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (0..REQUESTS).for_each(|_| ask(&mut stream, &produce));
    let count = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert!(
        count <= GROWTH_MAX,
        "{count} allocations for {REQUESTS} requests, {network_threads} threads"
    );
    // However many requests come at once, the node goes on behind them.
    for together in 1..=300 {
        stream.write_all(&produce.repeat(together)).expect("sent");
        (0..together).for_each(|_| read_answer(&mut stream));
    }
    folder
}
