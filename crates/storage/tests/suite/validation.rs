//! What a leader refuses, and as what.

use strom_protocol::compression::Codec;
use strom_protocol::records::{
    BatchHeader, BatchOptions, HEADER_LENGTH, TimestampType, body_of, refresh_crc, verify_crc,
};
use strom_storage::config::{CleanupPolicy, CompressionType, LogConfig};
use strom_storage::log::{AppendError, AppendOrigin};

use crate::batches::{compressed, keyless, marker, plain, sized, stamped, timed};
use crate::world::{START_MS, World};

fn refusal(config: LogConfig, batch: Vec<u8>) -> AppendError {
    let mut world = World::new(config);
    let error = world.try_append(batch, AppendOrigin::Client).unwrap_err();
    assert_eq!(world.log.log_end_offset(), 0);
    assert!(!world.log.has_pending());
    error
}

fn with_header(change: impl Fn(&mut BatchHeader)) -> Vec<u8> {
    let mut batch = plain(2);
    let mut header = BatchHeader::parse(&batch).unwrap();
    change(&mut header);
    batch[..HEADER_LENGTH].copy_from_slice(&header.to_bytes());
    refresh_crc(&mut batch);
    batch
}

#[test]
fn a_batch_is_refused_for_what_its_header_says() {
    let invalid = |batch| {
        let error = refusal(LogConfig::default(), batch);
        assert!(matches!(error, AppendError::InvalidRecord { .. }), "{error:?}");
    };
    invalid(Vec::new());
    invalid(plain(2)[..20].to_vec());
    invalid([plain(1), plain(1)].concat());
    invalid(stamped(5, 0, 1));
    invalid(marker(1, true));
    invalid(with_header(|header| header.record_count = 3));
    invalid(with_header(|header| header.record_count = 0));
    invalid(with_header(|header| header.last_offset_delta = -1));
    invalid(with_header(|header| header.attributes = 7));
    invalid(with_header(|header| header.producer_id = 4));
    let mut old = plain(1);
    old[16] = 1;
    invalid(old);
}

#[test]
fn a_flipped_bit_is_a_corrupt_message() {
    let mut batch = plain(2);
    *batch.last_mut().unwrap() ^= 1;
    assert!(matches!(refusal(LogConfig::default(), batch), AppendError::Corrupt(_)));
}

#[test]
fn sizes_are_limited() {
    let config = LogConfig { max_message_bytes: 500, ..Default::default() };
    let error = refusal(config, sized(1000));
    assert!(matches!(error, AppendError::BatchTooLarge { limit: 500, .. }));
    let config = LogConfig { segment_bytes: 500, ..Default::default() };
    let error = refusal(config, sized(1000));
    assert!(matches!(error, AppendError::SegmentTooSmall { limit: 500, .. }));
}

#[test]
fn timestamps_out_of_range_are_named_each() {
    let late = START_MS + 3_600_001;
    let error = refusal(LogConfig::default(), timed(&[START_MS, late]));
    let AppendError::InvalidTimestamp { records } = error else { panic!("{error:?}") };
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].batch_index, 1);
    assert!(records[0].message.contains(&late.to_string()));
    let config = LogConfig { timestamp_before_max_ms: 1000, ..Default::default() };
    let error = refusal(config.clone(), timed(&[START_MS, START_MS - 1001]));
    assert!(matches!(error, AppendError::InvalidTimestamp { .. }));
    World::new(config).append(timed(&[START_MS, START_MS - 1000, -1]));
}

#[test]
fn a_compacted_topic_wants_keys() {
    let cleanup = CleanupPolicy { delete: false, compact: true };
    let config = LogConfig { cleanup, ..Default::default() };
    let error = refusal(config.clone(), keyless());
    let AppendError::InvalidRecord { records, .. } = error else { panic!("{error:?}") };
    assert_eq!(records[0].batch_index, 0);
    World::new(config).append(plain(3));
}

#[test]
fn a_topic_may_want_another_codec() {
    let targets = [
        (CompressionType::Uncompressed, Codec::None),
        (CompressionType::Gzip, Codec::Gzip),
        (CompressionType::Snappy, Codec::Snappy),
        (CompressionType::Lz4, Codec::Lz4),
        (CompressionType::Zstd, Codec::Zstd),
    ];
    for (compression, target) in targets {
        for source in Codec::ALL {
            let mut world = World::new(LogConfig { compression, ..Default::default() });
            world.append(compressed(source, 20));
            let batch = world.bytes_of(&world.read(0, 1 << 20));
            let header = BatchHeader::parse(&batch).unwrap();
            assert_eq!(header.codec(), Ok(target));
            assert!(verify_crc(&batch));
            let body = body_of(&header, &batch, &mut Default::default(), 1 << 20).unwrap();
            assert_eq!(header.records(&body).filter(Result::is_ok).count(), 20);
        }
    }
}

#[test]
fn a_producers_word_for_whose_time_it_is_does_not_count() {
    let claims = |header: &mut BatchHeader| header.attributes |= 8;
    let mut world = World::new(LogConfig::default());
    world.append(with_header(claims));
    let stored = world.bytes_of(&world.read(0, 1 << 20));
    assert_eq!(BatchHeader::parse(&stored).unwrap().timestamp_type(), TimestampType::CreateTime);
    assert!(verify_crc(&stored));
}

fn compacted(max_message_bytes: u32) -> LogConfig {
    let cleanup = CleanupPolicy { delete: false, compact: true };
    LogConfig { cleanup, max_message_bytes, ..Default::default() }
}

/// A batch of one record of so many bytes.
fn unfolding_to(codec: Codec, bytes: usize) -> Vec<u8> {
    let builder = crate::batches::built(BatchOptions::default(), &[START_MS], bytes);
    builder.build_compressed(codec.into(), &mut Default::default()).unwrap()
}

#[test]
fn a_batch_that_compresses_well_is_taken_where_records_are_walked() {
    const SMALL: u32 = 25_000;
    for codec in [Codec::Gzip, Codec::Zstd, Codec::Lz4] {
        // Up to 255 times what it weighs.
        let batch = unfolding_to(codec, 4 << 20);
        assert!(batch.len() < SMALL as usize, "{codec:?}: {}", batch.len());
        let mut world = World::new(compacted(SMALL));
        world.append(batch.clone());
        let mut world = World::new(LogConfig {
            compression: CompressionType::Zstd,
            max_message_bytes: SMALL,
            ..Default::default()
        });
        world.append(batch.clone());
        let mut config = LogConfig { max_message_bytes: SMALL, ..Default::default() };
        config.compression = CompressionType::Snappy;
        let error = refusal(config, batch);
        assert_eq!(error, AppendError::ConvertedTooLarge { limit: SMALL }, "{codec:?}");
    }
}

#[test]
fn a_bomb_is_refused_where_records_are_walked() {
    for codec in [Codec::Gzip, Codec::Zstd, Codec::Lz4, Codec::Snappy] {
        let mut batch = unfolding_to(codec, 1);
        batch.truncate(HEADER_LENGTH);
        let zeros = vec![0; 4 << 20];
        strom_protocol::compression::compress(codec, None, &zeros, &mut batch).unwrap();
        let mut header = BatchHeader::parse(&unfolding_to(codec, 1)).unwrap();
        header.batch_length = (batch.len() - 12) as i32;
        batch[..HEADER_LENGTH].copy_from_slice(&header.to_bytes());
        refresh_crc(&mut batch);
        let mut converting = LogConfig { max_message_bytes: 3 << 20, ..Default::default() };
        converting.compression = CompressionType::Uncompressed;
        for config in [compacted(3 << 20), converting] {
            let error = refusal(config, batch.clone());
            assert!(matches!(error, AppendError::InvalidRecord { .. }), "{codec:?} {error:?}");
        }
    }
    let error = refusal(compacted(3 << 20), unfolding_to(Codec::Zstd, 49 << 20));
    assert!(matches!(error, AppendError::InvalidRecord { .. }), "{error:?}");
}

#[test]
fn a_batch_cannot_hold_more_records_than_its_bytes() {
    let claims = |batch: &[u8], count: i32| {
        let mut header = BatchHeader::parse(batch).unwrap();
        (header.record_count, header.last_offset_delta) = (count, count - 1);
        let mut batch = batch.to_vec();
        batch[..HEADER_LENGTH].copy_from_slice(&header.to_bytes());
        refresh_crc(&mut batch);
        batch
    };
    for codec in Codec::ALL {
        let error = refusal(LogConfig::default(), claims(&compressed(codec, 20), i32::MAX));
        assert!(matches!(error, AppendError::InvalidRecord { .. }), "{codec:?} {error:?}");
    }
    let batch = plain(2);
    let most = (batch.len() - HEADER_LENGTH) / 7;
    let error = refusal(LogConfig::default(), claims(&batch, most as i32 + 1));
    assert!(matches!(error, AppendError::InvalidRecord { .. }), "{error:?}");
}
