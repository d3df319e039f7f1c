//! Bytes that Kafka writes, as they are known from its documents and tests.

use strom_base::Uuid;
use strom_protocol::broker_registration_change_record::BrokerRegistrationChangeRecord;
use strom_protocol::feature_level_record::FeatureLevelRecord;
use strom_protocol::kraft_version_record::KRaftVersionRecord;
use strom_protocol::leader_change_message::{LeaderChangeMessage, Voter};
use strom_protocol::no_op_record::NoOpRecord;
use strom_protocol::partition_change_record::PartitionChangeRecord;
use strom_protocol::snapshot_footer_record::SnapshotFooterRecord;
use strom_protocol::snapshot_header_record::SnapshotHeaderRecord;
use strom_protocol::voters_record::{self, VotersRecord};
use strom_protocol::{Message, MetadataRecord, Writer};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |digit: u8| char::from(digit).to_digit(16).expect("a hex digit") as u8;
    digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// The bytes of a control record: its version goes first, as a field of the message.
fn assert_control<'a, M: Message<'a> + PartialEq + std::fmt::Debug>(message: M, bytes: &'a [u8]) {
    assert_eq!(message.to_bytes(0).expect("encodes"), bytes);
    assert_eq!(M::from_bytes(bytes, 0), Ok(message));
}

fn assert_metadata<'a>(record: impl Into<MetadataRecord<'a>>, version: i16, text: &str) {
    let record = record.into();
    let bytes = hex(text);
    let mut writer = Writer::new();
    record.encode(&mut writer, version).expect("encodes");
    assert_eq!(writer.bytes, bytes);
    assert_eq!(MetadataRecord::decode(&bytes), Ok((record, version)));
}

#[test]
fn a_leader_change_is_written_as_kafka_writes_it() {
    let voter = |voter_id| Voter { voter_id, ..Voter::default() };
    let message = LeaderChangeMessage {
        version: 0,
        leader_id: 1,
        voters: vec![voter(1), voter(2), voter(3)],
        granting_voters: vec![voter(1), voter(2)],
        ..LeaderChangeMessage::default()
    };
    let bytes =
        hex("0000 00000001 04 00000001 00 00000002 00 00000003 00 03 00000001 00 00000002 00 00");
    assert_control(message, &bytes);
}

#[test]
fn small_control_records_are_written_as_kafka_writes_them() {
    let version = KRaftVersionRecord { kraft_version: 1, ..KRaftVersionRecord::default() };
    assert_control(version, &hex("0000 0001 00"));
    assert_control(SnapshotHeaderRecord::default(), &hex("0000 0000000000000000 00"));
    assert_control(SnapshotFooterRecord::default(), &hex("0000 00"));
}

#[test]
fn voters_are_written_as_kafka_writes_them() {
    let endpoint = voters_record::Endpoint {
        name: "CONTROLLER",
        host: "c1",
        port: 9093,
        ..voters_record::Endpoint::default()
    };
    let range = voters_record::KRaftVersionFeature {
        min_supported_version: 0,
        max_supported_version: 1,
        ..voters_record::KRaftVersionFeature::default()
    };
    let voter = voters_record::Voter {
        voter_id: 1,
        voter_directory_id: Uuid::ZERO,
        endpoints: vec![endpoint],
        kraft_version_feature: range,
        ..voters_record::Voter::default()
    };
    let record = VotersRecord { version: 0, voters: vec![voter], ..VotersRecord::default() };
    let bytes = hex(concat!(
        "0000 02 00000001 00000000000000000000000000000000 02 0b434f4e54524f4c4c4552 036331 2385",
        " 00 0000 0001 00 00 00"
    ));
    assert_control(record, &bytes);
}

#[test]
fn metadata_records_are_framed_as_kafka_frames_them() {
    let level = FeatureLevelRecord {
        name: "metadata.version",
        feature_level: 27,
        ..FeatureLevelRecord::default()
    };
    assert_metadata(level, 0, "01 0c 00 11 6d657461646174612e76657273696f6e 001b 00");
    assert_metadata(NoOpRecord::default(), 0, "01 14 00 00");
    let unfenced = BrokerRegistrationChangeRecord {
        broker_id: 5,
        broker_epoch: 1000,
        fenced: -1,
        ..BrokerRegistrationChangeRecord::default()
    };
    assert_metadata(unfenced, 0, "01 11 00 00000005 00000000000003e8 01 00 01 ff");
}

#[test]
fn a_partition_change_carries_only_what_changed() {
    let change = PartitionChangeRecord {
        partition_id: 0,
        topic_id: Uuid(std::array::from_fn(|index| index as u8)),
        isr: Some(vec![1, 2]),
        leader: 1,
        ..PartitionChangeRecord::default()
    };
    let text = concat!(
        "01 05 02 00000000 000102030405060708090a0b0c0d0e0f 02",
        " 00 09 03 00000001 00000002 01 04 00000001"
    );
    assert_metadata(change, 2, text);
}
