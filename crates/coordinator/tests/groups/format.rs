//! Records byte for byte: what Apache Kafka 4.3.1 wrote, captured from its `__consumer_offsets`.

use strom_base::Uuid;
use strom_coordinator::request::{CommitPartition, OffsetCommitRequest, OffsetDeleteRequest};
use strom_coordinator::{GroupConfig, OwnedRecord, Request};

use crate::world::{World, commit};

const T1_ID: &str = "109c554c348abe440b869b13978b901ad1";
const CREATED: &str = "0003000000000000ffffffff000001a1fd0f780700000000";
const EMPTY: &str = "00030008636f6e73756d657200000002ffffffff000001a1fd0f7a0000000000";
const ONE_MEMBER: &str = "00030008636f6e73756d657200000001000572616e6765002a70726f6265\
    2d30663638326436662d353463622d343633352d396534352d313361333433333763353731000001a1fd0f78\
    e500000001002a70726f62652d30663638326436662d353463622d343633352d396534352d31336133343333\
    3763353731ffff000570726f6265000a2f3132372e302e302e3100002710000017700000000e000000000001\
    00027431ffffffff0000000641535349474e";
const STATIC_MEMBERS: &str = "00030008636f6e73756d657200000002000572616e6765002769312d6335\
    6438333234352d373631302d346663662d383362302d333530323032613939366231000001a1fd100f7b0000\
    0002002769312d63356438333234352d373631302d346663662d383362302d33353032303261393936623100\
    02693100027374000a2f3132372e302e302e3100002710000017700000000e00000000000100027431ffffff\
    ff000000024131002769322d65386266346264382d376136662d343064352d623361322d3632343431306363\
    3265336600026932000364796e000a2f3132372e302e302e3100002710000017700000000e00000000000100\
    027431ffffffff000000024132";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

fn record(key: &str, value: Option<&str>) -> OwnedRecord {
    OwnedRecord { key: bytes(key), value: value.map(bytes) }
}

fn at(wall_ms: i64) -> World {
    let mut world = World::new(GroupConfig::default());
    world.now.wall_ms = wall_ms;
    world
}

fn simple_commit(partitions: Vec<CommitPartition<'_>>) -> OffsetCommitRequest<'_> {
    let mut request = commit("", -1, 0);
    request.group_id = "simple";
    request.topics[0].topic_id = Uuid(bytes(&T1_ID[2..]).try_into().unwrap());
    request.topics[0].partitions = partitions;
    request
}

#[test]
fn a_commit_is_written_as_kafka_writes_it() {
    let mut world = at(0x1a1_fd0f_7728);
    let meta =
        CommitPartition { partition: 0, offset: 42, leader_epoch: -1, metadata: Some("meta") };
    let none = CommitPartition { partition: 1, offset: 43, leader_epoch: 7, metadata: None };
    world.ask(&Request::OffsetCommit(simple_commit(vec![meta, none])));
    let first = "0004000000000000002affffffff056d657461000001a1fd0f77280100";
    let second = "0004000000000000002b0000000701000001a1fd0f77280100";
    assert_eq!(
        world.log,
        [
            record("0001000673696d706c650002743100000000", Some(&format!("{first}{T1_ID}"))),
            record("0001000673696d706c650002743100000001", Some(&format!("{second}{T1_ID}"))),
        ]
    );
}

#[test]
fn a_commit_with_a_retention_is_written_in_the_version_that_knows_one() {
    let mut world = at(0x1a1_fd0f_775e);
    let meta = CommitPartition { partition: 0, offset: 44, leader_epoch: -1, metadata: Some("m2") };
    let request =
        OffsetCommitRequest { retention_time_ms: 100_000_000, ..simple_commit(vec![meta]) };
    world.ask(&Request::OffsetCommit(request));
    let value = "0001000000000000002c00026d32000001a1fd0f775e000001a20305585e";
    assert_eq!(world.log, [record("0001000673696d706c650002743100000000", Some(value))]);
}

#[test]
fn what_is_deleted_gets_tombstones() {
    let mut world = at(0);
    let partition = CommitPartition { offset: 1, ..Default::default() };
    world.ask(&Request::OffsetCommit(simple_commit(vec![partition])));
    world.log.clear();
    let topics =
        vec![strom_coordinator::request::DeleteTopic { name: "t1", partitions: vec![3, 0] }];
    world.ask(&Request::OffsetDelete(OffsetDeleteRequest { group_id: "simple", topics }));
    // The group outlives its last offset until it is deleted or expires.
    world.ask(&Request::DeleteGroups(vec!["simple"]));
    assert_eq!(
        world.log,
        [
            record("0001000673696d706c650002743100000000", None),
            record("0002000673696d706c65", None),
        ]
    );
}

#[test]
fn a_new_group_is_written_as_kafka_writes_it() {
    let mut world = at(0x1a1_fd0f_7807);
    let request =
        strom_coordinator::request::JoinRequest { group_id: "cg", ..crate::world::join("") };
    world.send(&Request::Join(request));
    assert_eq!(world.log, [record("000200026367", Some(CREATED))]);
}

#[test]
fn groups_that_kafka_wrote_are_written_the_same_again() {
    for value in [CREATED, EMPTY, ONE_MEMBER, STATIC_MEMBERS] {
        let log = vec![record("000200026367", Some(value))];
        let world = World::with_log(GroupConfig::default(), log.clone());
        let stored: Vec<OwnedRecord> =
            world.coordinator.shards().flat_map(|shard| shard.stored_records()).collect();
        assert_eq!(stored, log);
    }
}

#[test]
fn older_versions_are_read() {
    let offset_v0 = "0000 0000000000000005 0001 6d 0000000000000009";
    let offset_v1 = "0001 0000000000000005 0001 6d 0000000000000009 7fffffffffffffff";
    let offset_v2 = "0002 0000000000000005 0001 6d 0000000000000009";
    let offset_v3 = "0003 0000000000000005 00000004 0001 6d 0000000000000009";
    let offset_key = "0001 0005 67726f7570 0002 7431 00000000";
    let legacy_key = "0000 0005 67726f7570 0002 7431 00000000";
    let read = |key: &str, value: &str| {
        let log = vec![record(key, Some(value))];
        let mut world = World::with_log(GroupConfig::default(), log);
        let mut fetched = world.fetch_all(false);
        let partition = fetched.topics.remove(0).partitions.remove(0);
        (partition.offset, partition.leader_epoch, partition.metadata)
    };
    assert_eq!(read(offset_key, offset_v0), (5, -1, "m".to_owned()));
    assert_eq!(read(offset_key, offset_v1), (5, -1, "m".to_owned()));
    assert_eq!(read(offset_key, offset_v2), (5, -1, "m".to_owned()));
    assert_eq!(read(offset_key, offset_v3), (5, 4, "m".to_owned()));
    assert_eq!(read(legacy_key, offset_v0), (5, -1, "m".to_owned()));
}

#[test]
fn the_oldest_group_record_has_one_timeout_for_both() {
    let member = "0001 6d 0001 63 0001 68 00002710 00000000 00000001 41";
    let value = format!("0000 0001 74 00000003 0001 70 0001 6d 00000001 {member}");
    let log = vec![record("0002 0005 67726f7570", Some(&value))];
    let mut world = World::with_log(GroupConfig::default(), log);
    let described = world.describe();
    assert_eq!((described.state, described.protocol_type.as_str()), ("Stable", "t"));
    assert_eq!(&described.members[0].assignment[..], b"A");
    world.advance(10_000);
    assert_eq!(world.describe().state, "Empty", "the session ended with the one timeout");
}
