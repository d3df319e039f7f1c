//! Batches that are wrong inside: Kafka's error code for each, and none reaches the log.

use std::time::SystemTime;

use strom_protocol::ErrorCode;
use strom_protocol::compression::{Codec, compress};
use strom_protocol::records::{
    ATTRIBUTES_OFFSET, BatchBuilder, BatchOptions, CRC_OFFSET, HEADER_LENGTH,
    LAST_OFFSET_DELTA_OFFSET, LENGTH_OFFSET, MAGIC_OFFSET, NewRecord, RECORD_COUNT_OFFSET,
    refresh_crc,
};

use crate::healthy::Healthy;
use crate::node::Place;
use crate::wire::{Peer, batch};

const TOPIC: &str = "wrong";

/// A valid batch of two records with one change and a fitting CRC.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = batch(BatchOptions::default(), &[b"one".to_vec(), b"two".to_vec()]);
    change(&mut bytes);
    refresh_crc(&mut bytes);
    bytes
}

/// The same, said to hold so many records in as many offsets.
fn claiming(count: i32) -> Vec<u8> {
    let mut bytes = changed(put(RECORD_COUNT_OFFSET, count.to_be_bytes()));
    let last = count.wrapping_sub(1);
    put(LAST_OFFSET_DELTA_OFFSET, last.to_be_bytes())(&mut bytes);
    refresh_crc(&mut bytes);
    bytes
}

fn put<const N: usize>(at: usize, value: [u8; N]) -> impl FnOnce(&mut Vec<u8>) {
    move |bytes| bytes[at..at + N].copy_from_slice(&value)
}

#[test]
fn wrong_batches_get_kafkas_errors_and_leave_no_trace() {
    let place = Place::new();
    let node = place.start();
    let healthy = Healthy::start(node.address());
    let mut peer = Peer::connect(node.address());
    assert_eq!(peer.create_topic(TOPIC, 1, &[]), ErrorCode::None);
    let mut wrong_crc = changed(|_| {});
    wrong_crc[CRC_OFFSET] ^= 1;
    let cut = changed(|_| {})[..HEADER_LENGTH + 2].to_vec();
    let two = changed(|_| {}).repeat(2);
    let large = batch(BatchOptions::default(), &[vec![0; 2 << 20]]);
    let (corrupt, invalid) = (ErrorCode::CorruptMessage, ErrorCode::InvalidRecord);
    let cases = [
        ("a bit of the CRC", wrong_crc, corrupt),
        ("a batch cut short", cut, invalid),
        ("a negative length", changed(put(LENGTH_OFFSET, (-1_i32).to_be_bytes())), corrupt),
        ("a length beyond the bytes", changed(put(LENGTH_OFFSET, 9999_i32.to_be_bytes())), invalid),
        ("a length below the header", changed(put(LENGTH_OFFSET, 4_i32.to_be_bytes())), corrupt),
        ("a negative count", claiming(-1), invalid),
        ("no records", claiming(0), invalid),
        ("another count than offsets", changed(put(RECORD_COUNT_OFFSET, [0, 0, 0, 3])), invalid),
        ("more records than bytes", claiming(i32::MAX), invalid),
        ("a negative delta", changed(put(LAST_OFFSET_DELTA_OFFSET, [0xff; 4])), invalid),
        ("two batches", two, invalid),
        ("an old magic", changed(put(MAGIC_OFFSET, [1])), invalid),
        ("an unknown magic", changed(put(MAGIC_OFFSET, [9])), corrupt),
        ("a control batch", changed(put(ATTRIBUTES_OFFSET, [0, 0x20])), invalid),
        ("more than is allowed", large, ErrorCode::MessageTooLarge),
    ];
    for (what, bytes, expected) in cases {
        let produced = peer.produce(TOPIC, 0, &bytes).expect(what);
        assert_eq!(produced.error, expected, "{what}");
    }
    let (records, high_watermark) = peer.fetch(TOPIC, 0, 0);
    assert_eq!((records.len(), high_watermark), (0, 0));
    healthy.finish();
    node.stop();
}

/// Records whose lengths lie, in a topic where the node looks at every record.
#[test]
fn lengths_of_records_that_lie_are_refused() {
    let place = Place::new();
    let node = place.start();
    let mut peer = Peer::connect(node.address());
    assert_eq!(peer.create_topic(TOPIC, 1, &[("cleanup.policy", "compact")]), ErrorCode::None);
    // The zigzag varints of -1, of 63 and of -2^31.
    for lie in [&[0x01][..], &[0x7e], &[0xff, 0xff, 0xff, 0xff, 0x0f]] {
        for at in [HEADER_LENGTH, HEADER_LENGTH + 4, HEADER_LENGTH + 6] {
            let mut bytes = keyed(b"value");
            bytes.splice(at..=at, lie.iter().copied());
            let length = (bytes.len() - 12) as i32;
            bytes[LENGTH_OFFSET..LENGTH_OFFSET + 4].copy_from_slice(&length.to_be_bytes());
            refresh_crc(&mut bytes);
            let produced = peer.produce(TOPIC, 0, &bytes).expect("an answer");
            assert_eq!(produced.error, ErrorCode::InvalidRecord, "{lie:?} at {at}");
        }
    }
    let (_, high_watermark) = peer.fetch(TOPIC, 0, 0);
    assert_eq!(high_watermark, 0);
    node.stop();
}

fn keyed(value: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    // Of today: retention takes what is older than a week.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock");
    let timestamp_ms = now.as_millis() as i64;
    let record = NewRecord { timestamp_ms, key: Some(b"k"), value: Some(value), headers: &[] };
    builder.append(&record).expect("a record");
    builder.build()
}

/// What a node may hold more than before while a batch unfolds: a window or a block of each codec, and
/// what the allocator keeps of it.
const GROWTH_BYTES_MAX: u64 = 12 << 20;

/// A batch said to hold one record, whose small body unfolds to this.
fn folded(codec: Codec, body: &[u8]) -> Vec<u8> {
    let mut bytes = keyed(b"v");
    bytes.truncate(HEADER_LENGTH);
    compress(codec, None, body, &mut bytes).expect("compresses");
    let length = (bytes.len() - 12) as i32;
    bytes[LENGTH_OFFSET..LENGTH_OFFSET + 4].copy_from_slice(&length.to_be_bytes());
    bytes[ATTRIBUTES_OFFSET + 1] = codec.id() as u8;
    refresh_crc(&mut bytes);
    bytes
}

/// Zeros are no record. One record of zeros is, as long as it may unfold; what would be too large in
/// the codec that it is converted to is not taken.
#[test]
fn decompression_bombs_do_not_unfold() {
    const MIB: usize = 1 << 20;
    let place = Place::new();
    let node = place.start();
    let healthy = Healthy::start(node.address());
    let mut peer = Peer::connect(node.address());
    let mut largest = 0;
    // Snappy unfolds to twenty times at most.
    let bombs = [(Codec::Gzip, 32), (Codec::Lz4, 32), (Codec::Zstd, 32), (Codec::Snappy, 14)];
    for (codec, unfolded_mib) in bombs {
        let zeros = folded(codec, &vec![0; unfolded_mib * MIB]);
        // Compressing takes its time in a test's binary.
        let [read, converted] = [14, 9].map(|mib| {
            let record = keyed(&vec![0; mib * MIB]).split_off(HEADER_LENGTH);
            folded(codec, &record)
        });
        // Where the node has to look into batches: for the keys of a compacted topic, and to
        // convert to another codec.
        let target = if codec == Codec::Lz4 { "gzip" } else { "lz4" };
        let (fine, large) = (ErrorCode::None, ErrorCode::MessageTooLarge);
        for (key, value, record, expected) in [
            ("cleanup.policy", "compact", &read, fine),
            ("compression.type", target, &converted, fine),
            ("compression.type", "uncompressed", &converted, large),
        ] {
            let topic = format!("{}-{value}", codec.name());
            assert_eq!(peer.create_topic(&topic, 1, &[(key, value)]), ErrorCode::None);
            let before = node.resident_bytes();
            let mut produce = |batch| peer.produce(&topic, 0, batch).expect("an answer").error;
            assert_eq!(produce(&zeros), ErrorCode::InvalidRecord, "{topic}");
            assert_eq!(produce(record), expected, "{topic}");
            let grown = node.resident_bytes().saturating_sub(before);
            println!("{topic}: {unfolded_mib} MiB in {} bytes, {grown} more held", zeros.len());
            largest = largest.max(grown);
            let taken = i64::from(expected == ErrorCode::None);
            let (_, high_watermark) = peer.fetch(&topic, 0, 0);
            assert_eq!(high_watermark, taken, "{topic}");
        }
    }
    assert!(largest < GROWTH_BYTES_MAX, "{largest}");
    healthy.finish();
    node.stop();
}
