//! Batches that are wrong inside: Kafka's error code for each, and none reaches the log.

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
    let count = |count: i32| changed(put(RECORD_COUNT_OFFSET, count.to_be_bytes()));
    let corrupt = &[ErrorCode::CorruptMessage][..];
    let invalid = &[ErrorCode::InvalidRecord][..];
    let either = &[ErrorCode::CorruptMessage, ErrorCode::InvalidRecord][..];
    let cases = [
        ("a bit of the CRC", wrong_crc, corrupt),
        ("a batch cut short", cut, either),
        ("a negative length", changed(put(LENGTH_OFFSET, (-1_i32).to_be_bytes())), either),
        ("a length beyond the bytes", changed(put(LENGTH_OFFSET, 9999_i32.to_be_bytes())), either),
        ("a length below the header", changed(put(LENGTH_OFFSET, 4_i32.to_be_bytes())), either),
        ("a negative count", count(-1), either),
        ("no records", count(0), either),
        ("more records than there are", count(i32::MAX), either),
        (
            "a negative delta",
            changed(put(LAST_OFFSET_DELTA_OFFSET, (-5_i32).to_be_bytes())),
            either,
        ),
        ("two batches", two, invalid),
        ("an unknown magic", changed(put(MAGIC_OFFSET, [9])), either),
        ("a control batch", changed(put(ATTRIBUTES_OFFSET, [0, 0x20])), invalid),
        ("more than is allowed", large, &[ErrorCode::MessageTooLarge]),
    ];
    for (what, bytes, expected) in cases {
        let mut peer = Peer::connect(node.address());
        if let Some(produced) = peer.produce(TOPIC, 0, &bytes) {
            println!("{what}: {:?}", produced.error);
            assert!(expected.contains(&produced.error), "{what}: {:?}", produced.error);
        }
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
            let produced = Peer::connect(node.address()).produce(TOPIC, 0, &bytes);
            let error = produced.map(|it| it.error);
            let is_fine =
                matches!(error, None | Some(ErrorCode::CorruptMessage | ErrorCode::InvalidRecord));
            assert!(is_fine, "{lie:?} at {at}: {error:?}");
        }
    }
    let (_, high_watermark) = peer.fetch(TOPIC, 0, 0);
    assert_eq!(high_watermark, 0);
    node.stop();
}

fn keyed(value: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let record = NewRecord { timestamp_ms: 1, key: Some(b"k"), value: Some(value), headers: &[] };
    builder.append(&record).expect("a record");
    builder.build()
}

/// A batch of a topic with defaults may unfold to 8 MiB, in a buffer that doubles on its way there;
/// the allocator gives that back later.
const GROWTH_BYTES_MAX: u64 = 48 << 20;

/// A batch whose small body unfolds to a large one.
fn bomb(codec: Codec, unfolded: usize) -> Vec<u8> {
    let mut body = Vec::new();
    compress(codec, None, &vec![0; unfolded], &mut body).expect("compresses");
    let mut bytes = keyed(b"v");
    bytes.truncate(HEADER_LENGTH);
    bytes.extend_from_slice(&body);
    let length = (bytes.len() - 12) as i32;
    bytes[LENGTH_OFFSET..LENGTH_OFFSET + 4].copy_from_slice(&length.to_be_bytes());
    bytes[ATTRIBUTES_OFFSET + 1] = codec.id() as u8;
    refresh_crc(&mut bytes);
    bytes
}

#[test]
fn decompression_bombs_do_not_unfold() {
    let place = Place::new();
    let node = place.start();
    let healthy = Healthy::start(node.address());
    let mut peer = Peer::connect(node.address());
    let mut largest = 0;
    // Snappy unfolds to twenty times at most.
    let bombs = [(Codec::Gzip, 64), (Codec::Lz4, 64), (Codec::Zstd, 64), (Codec::Snappy, 16)];
    for (codec, unfolded_mib) in bombs {
        let bytes = bomb(codec, unfolded_mib << 20);
        // Where the node has to look into batches: for the keys of a compacted topic, and to
        // convert to another codec.
        let target = if codec == Codec::Lz4 { "gzip" } else { "lz4" };
        for (key, value) in [("cleanup.policy", "compact"), ("compression.type", target)] {
            let topic = format!("{}-{value}", codec.name());
            assert_eq!(peer.create_topic(&topic, 1, &[(key, value)]), ErrorCode::None);
            let before = node.resident_bytes();
            let error = Peer::connect(node.address()).produce(&topic, 0, &bytes);
            let refused =
                [ErrorCode::CorruptMessage, ErrorCode::InvalidRecord, ErrorCode::MessageTooLarge];
            let is_refused = error.is_none_or(|it| refused.contains(&it.error));
            assert!(is_refused, "{topic}: {error:?}");
            let grown = node.resident_bytes().saturating_sub(before);
            println!("{topic}: {unfolded_mib} MiB in {} bytes, {grown} more held", bytes.len());
            largest = largest.max(grown);
            let (_, high_watermark) = peer.fetch(&topic, 0, 0);
            assert_eq!(high_watermark, 0);
        }
    }
    assert!(largest < GROWTH_BYTES_MAX, "{largest}");
    healthy.finish();
    node.stop();
}
