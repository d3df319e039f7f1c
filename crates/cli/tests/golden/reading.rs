//! All that a node holds, told in the lines of `expected.tsv`.

use std::collections::{BTreeSet, HashSet};
use std::net::SocketAddr;

use strom_base::Uuid;
use strom_protocol::compression::Codecs;
use strom_protocol::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use strom_protocol::describe_configs_response::DescribeConfigsResponse;
use strom_protocol::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use strom_protocol::fetch_response::FetchResponse;
use strom_protocol::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use strom_protocol::list_offsets_response::ListOffsetsResponse;
use strom_protocol::metadata_request::MetadataRequest;
use strom_protocol::metadata_response::MetadataResponse;
use strom_protocol::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestGroup};
use strom_protocol::offset_fetch_response::OffsetFetchResponse;
use strom_protocol::records::{
    BatchHeader, EndTransactionMarker, Record, batches, body_of, verify_crc,
};
use strom_protocol::{Message, Records};

use crate::expected::{Told, lines};
use crate::wire::{FETCH_VERSION, Peer};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
/// By `DescribeConfigs`: kinds of resources, and where a value comes from.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const OF_TOPIC: i8 = 1;
const OF_ALL_BROKERS: i8 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Isolation {
    ReadUncommitted,
    ReadCommitted,
}

/// One partition's batches and who has aborted what in them.
struct Fetched {
    batches: Vec<u8>,
    aborted: Vec<(i64, i64)>,
    next_offset: Option<i64>,
}

pub(crate) fn tell(address: SocketAddr, groups: &BTreeSet<String>) -> Told {
    let mut peer = Peer::connect(address);
    let mut told = Vec::new();
    tell_configs(&mut peer, (BROKER, "broker", "1"), OF_ALL_BROKERS, &mut told);
    for (topic, id, partitions) in topics(&mut peer) {
        told.push(format!("topic\t{topic}\t{id}\t{partitions}"));
        tell_configs(&mut peer, (TOPIC, "topic", &topic), OF_TOPIC, &mut told);
        for partition in 0..partitions {
            tell_records(&mut peer, &topic, partition, &mut told);
        }
    }
    for group in groups {
        tell_group(&mut peer, group, &mut told);
    }
    lines(told.iter().map(String::as_str))
}

fn topics(peer: &mut Peer) -> Vec<(String, Uuid, i32)> {
    let request = MetadataRequest { topics: None, ..Default::default() };
    let topics = peer.call(12, &request, |reader, version| {
        let response = MetadataResponse::decode(reader, version).expect("an answer");
        let topics = response.topics.iter().filter(|topic| !topic.is_internal);
        let topics = topics.map(|topic| {
            let name = topic.name.expect("a name").to_owned();
            for partition in &topic.partitions {
                assert_eq!((partition.error_code, partition.leader_id), (0, 1), "{name}");
            }
            (name, topic.topic_id, i32::try_from(topic.partitions.len()).expect("few"))
        });
        topics.collect()
    });
    topics.expect("an answer")
}

fn tell_configs(
    peer: &mut Peer,
    (resource_type, kind, resource_name): (i8, &str, &str),
    source: i8,
    told: &mut Vec<String>,
) {
    let resource = DescribeConfigsResource {
        resource_type,
        resource_name,
        configuration_keys: None,
        ..Default::default()
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let configs = peer.call(4, &request, |reader, version| {
        let response = DescribeConfigsResponse::decode(reader, version).expect("an answer");
        assert_eq!(response.results[0].error_code, 0);
        let configs = response.results[0].configs.iter();
        let configs = configs.filter(|config| config.config_source == source).map(|config| {
            let value = config.value.expect("a value");
            format!("config\t{kind}\t{resource_name}\t{}\t{value}", config.name)
        });
        configs.collect::<Vec<_>>()
    });
    told.extend(configs.expect("an answer"));
}

fn offset(peer: &mut Peer, place: (&str, i32), timestamp: i64, isolation: Isolation) -> i64 {
    let (name, partition_index) = place;
    let partition = ListOffsetsPartition {
        partition_index,
        timestamp,
        current_leader_epoch: -1,
        ..Default::default()
    };
    let topic = ListOffsetsTopic { name, partitions: vec![partition], ..Default::default() };
    let request = ListOffsetsRequest {
        replica_id: -1,
        isolation_level: i8::from(isolation == Isolation::ReadCommitted),
        topics: vec![topic],
        ..Default::default()
    };
    let offset = peer.call(6, &request, |reader, version| {
        let response = ListOffsetsResponse::decode(reader, version).expect("an answer");
        let partition = &response.topics[0].partitions[0];
        assert_eq!(partition.error_code, 0, "{place:?}");
        partition.offset
    });
    offset.expect("an answer")
}

fn fetch(
    peer: &mut Peer,
    (topic, partition): (&str, i32),
    fetch_offset: i64,
    isolation: Isolation,
) -> Fetched {
    let partition = FetchPartition {
        partition,
        fetch_offset,
        partition_max_bytes: 4 << 20,
        current_leader_epoch: -1,
        ..Default::default()
    };
    let request = FetchRequest {
        max_bytes: 4 << 20,
        isolation_level: i8::from(isolation == Isolation::ReadCommitted),
        topics: vec![FetchTopic { topic, partitions: vec![partition], ..Default::default() }],
        session_epoch: -1,
        ..Default::default()
    };
    let fetched = peer.call(FETCH_VERSION, &request, |reader, version| {
        let response = FetchResponse::decode(reader, version).expect("an answer");
        let part = &response.responses[0].partitions[0];
        assert_eq!(part.error_code, 0, "{topic} from {fetch_offset}");
        let bytes = match part.records {
            Some(Records::Inline(bytes)) => bytes.to_vec(),
            _ => Vec::new(),
        };
        let aborted = part.aborted_transactions.iter().flatten();
        let aborted = aborted.map(|it| (it.first_offset, it.producer_id)).collect();
        let last = batches(&bytes).last();
        let next_offset = last.map(|batch| batch.expect("a batch").header.next_offset());
        Fetched { batches: bytes, aborted, next_offset }
    });
    fetched.expect("an answer")
}

/// Offsets that somebody reads who wants only what is committed, as clients find them.
fn committed_offsets(peer: &mut Peer, place: (&str, i32), start: i64, stable: i64) -> HashSet<i64> {
    let (mut offsets, mut offset) = (HashSet::new(), start);
    while offset < stable {
        let mut fetched = fetch(peer, place, offset, Isolation::ReadCommitted);
        let next = fetched.next_offset;
        fetched.aborted.sort_unstable();
        let mut aborted = fetched.aborted.iter().peekable();
        let mut aborting = HashSet::new();
        for_each_batch(&fetched.batches, |header, records| {
            while let Some((_, id)) = aborted.next_if(|(first, _)| *first <= header.last_offset()) {
                aborting.insert(*id);
            }
            if header.is_control() {
                let marker = EndTransactionMarker::read(&records[0]).expect("a marker");
                if marker.is_some_and(|marker| !marker.is_commit) {
                    aborting.remove(&header.producer_id);
                }
            } else if !header.is_transactional() || !aborting.contains(&header.producer_id) {
                offsets.extend(records.iter().map(|record| header.offset_of(record)));
            }
        });
        offset = next.filter(|next| *next > offset).unwrap_or_else(|| {
            panic!("{place:?}: nothing is read at {offset}, all up to {stable} is stable")
        });
        assert!(offset <= stable, "{place:?}: {offset} is beyond what is stable, {stable}");
    }
    offsets
}

fn for_each_batch(bytes: &[u8], mut look: impl FnMut(&BatchHeader, &[Record<'_>])) {
    for batch in batches(bytes) {
        let batch = batch.expect("a whole batch");
        assert!(verify_crc(batch.bytes), "a checksum at {}", batch.header.base_offset);
        let body = body_of(&batch.header, batch.bytes, &mut Codecs::new(), 1 << 20);
        let body = body.expect("a body");
        let records = batch.header.records(&body).collect::<Result<Vec<_>, _>>();
        look(&batch.header, &records.expect("records"));
    }
}

fn tell_records(peer: &mut Peer, topic: &str, partition: i32, told: &mut Vec<String>) {
    let place = (topic, partition);
    let start = offset(peer, place, EARLIEST, Isolation::ReadUncommitted);
    let end = offset(peer, place, LATEST, Isolation::ReadUncommitted);
    let stable = offset(peer, place, LATEST, Isolation::ReadCommitted);
    for (what, offset) in [("start", start), ("end", end), ("stable", stable)] {
        told.push(format!("{what}\t{topic}\t{partition}\t{offset}"));
    }
    let committed = committed_offsets(peer, place, start, stable);
    let mut next = start;
    while next < end {
        let fetched = fetch(peer, place, next, Isolation::ReadUncommitted);
        for_each_batch(&fetched.batches, |header, records| {
            let records = if header.is_control() { &[] } else { records };
            for record in records {
                let offset = header.offset_of(record);
                if offset >= start {
                    let state =
                        if committed.contains(&offset) { "committed" } else { "uncommitted" };
                    let text = tell_record(header, record);
                    told.push(format!("record\t{topic}\t{partition}\t{offset}\t{state}\t{text}"));
                }
            }
        });
        next = fetched.next_offset.filter(|it| *it > next).expect("records up to the end");
    }
}

fn tell_record(header: &BatchHeader, record: &Record<'_>) -> String {
    let timestamp = header.timestamp_of(record);
    let text = |bytes: Option<&[u8]>| {
        bytes.map_or("null".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
    };
    let headers: Vec<String> = record
        .headers
        .map(|header| format!("{}={}", text(Some(header.key)), text(header.value)))
        .collect();
    let headers = if headers.is_empty() { "-".to_owned() } else { headers.join(",") };
    format!("{timestamp}\t{}\t{}\t{headers}", text(record.key), text(record.value))
}

fn tell_group(peer: &mut Peer, group: &str, told: &mut Vec<String>) {
    let asked = OffsetFetchRequestGroup {
        group_id: group,
        member_epoch: -1,
        topics: None,
        ..Default::default()
    };
    let request = OffsetFetchRequest { groups: vec![asked], ..Default::default() };
    let found = peer.call(8, &request, |reader, version| {
        let response = OffsetFetchResponse::decode(reader, version).expect("an answer");
        assert_eq!(response.groups[0].error_code, 0, "{group}");
        let mut found = Vec::new();
        for topic in &response.groups[0].topics {
            for partition in &topic.partitions {
                let (number, offset) = (partition.partition_index, partition.committed_offset);
                let note = partition.metadata.filter(|it| !it.is_empty()).unwrap_or("-");
                let topic = topic.name;
                found.push(format!("committed\t{group}\t{topic}\t{number}\t{offset}\t{note}"));
            }
        }
        found
    });
    told.extend(found.expect("an answer"));
}
