//! The same three records as Apache Kafka 4.3.1's own builder wrote them, in every magic and codec.

use strom_protocol::compression::{Codec, Codecs};
use strom_protocol::records::legacy::{LegacyRecord, Message};
use strom_protocol::records::{
    BatchBuilder, BatchHeader, BatchOptions, NewRecord, batches, body_of, entry_size, verify_crc,
};

const LIMIT: usize = 1 << 20;
const POSITION: &[u8] = b"{\"lat\":1,\"lng\":2}";

fn batch(name: &str) -> Vec<u8> {
    let line = include_str!("java_batches.txt")
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .unwrap_or_else(|| panic!("no batch {name}"));
    (0..line.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&line[at..at + 2], 16).unwrap())
        .collect()
}

fn options() -> BatchOptions {
    BatchOptions {
        base_offset: 5,
        partition_leader_epoch: 4,
        producer_id: 77,
        producer_epoch: 3,
        base_sequence: 11,
        ..BatchOptions::default()
    }
}

fn same_records(with_headers: bool) -> BatchBuilder {
    let position = POSITION.repeat(3);
    let headers: [(&[u8], Option<&[u8]>); 2] = [(b"trace", Some(&[1, 2])), (b"none", None)];
    let records = [
        NewRecord {
            timestamp_ms: 1_700_000_000_000,
            key: Some(b"driver-1"),
            value: Some(POSITION),
            headers: if with_headers { &headers } else { &[] },
        },
        NewRecord {
            timestamp_ms: 1_700_000_000_005,
            value: Some(&position),
            ..NewRecord::default()
        },
        NewRecord {
            timestamp_ms: 1_700_000_000_003,
            key: Some(b"driver-1"),
            ..NewRecord::default()
        },
    ];
    let mut builder = BatchBuilder::new(options());
    for record in &records {
        builder.append(record).unwrap();
    }
    builder
}

#[test]
fn an_uncompressed_batch_is_the_one_java_writes() {
    assert_eq!(same_records(true).build(), batch("v2_none"));
}

#[test]
fn a_snappy_batch_of_java_has_our_framing_and_records() {
    let ours =
        same_records(true).build_compressed(Codec::Snappy.into(), &mut Codecs::new()).unwrap();
    assert_eq!(ours[61..77], batch("v2_snappy")[61..77], "magic and versions of the framing");
}

#[test]
fn batches_of_java_are_read_in_every_codec() {
    let mut codecs = Codecs::new();
    let plain = same_records(true).build();
    for codec in Codec::ALL {
        let bytes = batch(&format!("v2_{}", codec.name()));
        assert!(verify_crc(&bytes));
        let raw = batches(&bytes).next().unwrap().unwrap();
        let body = body_of(&raw.header, raw.bytes, &mut codecs, LIMIT).unwrap();
        assert_eq!(*body, plain[61..], "{}", codec.name());
        assert_eq!(raw.header.codec(), Ok(codec));
        let header = BatchHeader { crc: 0, batch_length: 0, attributes: 0, ..raw.header };
        let mine = BatchHeader::parse(&plain).unwrap();
        assert_eq!(header, BatchHeader { crc: 0, batch_length: 0, ..mine });
    }
}

#[test]
fn old_message_sets_of_java_are_read_in_every_codec() {
    let mut codecs = Codecs::new();
    for magic in 0..=1 {
        for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4] {
            let bytes = batch(&format!("v{magic}_{}", codec.name()));
            let mut offsets = Vec::new();
            let mut rest = bytes.as_slice();
            while let Some(size) = entry_size(rest) {
                let message = Message::parse(rest).unwrap();
                assert!(message.verify_crc());
                let visit = &mut |record: LegacyRecord<'_>| {
                    assert_eq!(record.key.is_none(), record.offset == 6);
                    assert_eq!(record.value.is_none(), record.offset == 7);
                    offsets.push((record.offset, record.timestamp));
                };
                message.for_each_record(&mut codecs, LIMIT, visit).unwrap();
                rest = &rest[size.unwrap()..];
            }
            let time = |delta: i64| if magic == 0 { -1 } else { 1_700_000_000_000 + delta };
            assert_eq!(offsets, [(5, time(0)), (6, time(5)), (7, time(3))], "{codec:?} {magic}");
        }
    }
}

#[test]
fn mutated_message_sets_never_panic() {
    let mut codecs = Codecs::new();
    for line in include_str!("java_batches.txt").lines() {
        let bytes = batch(line.split(' ').next().unwrap());
        for at in 0..bytes.len() {
            for value in [0, 0x7f, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] = value;
                if let Ok(message) = Message::parse(&bytes) {
                    let _ = message.for_each_record(&mut codecs, LIMIT, &mut |_| ());
                }
                for batch in batches(&bytes).flatten() {
                    if let Ok(body) = body_of(&batch.header, batch.bytes, &mut codecs, LIMIT) {
                        let _ = batch.header.records(&body).count();
                    }
                }
            }
            let _ = Message::parse(&bytes[..at]);
        }
    }
}
