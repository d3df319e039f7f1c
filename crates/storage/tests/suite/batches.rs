//! Batches to append.

use strom_protocol::compression::{Codec, Codecs};
use strom_protocol::records::{BatchBuilder, BatchOptions, EndTransactionMarker, NewRecord};

use crate::world::START_MS;

pub(crate) fn plain(records: usize) -> Vec<u8> {
    timed(&vec![START_MS; records])
}

pub(crate) fn timed(timestamps: &[i64]) -> Vec<u8> {
    built(BatchOptions::default(), timestamps, 10).build()
}

pub(crate) fn sized(value_length: usize) -> Vec<u8> {
    built(BatchOptions::default(), &[START_MS], value_length).build()
}

pub(crate) fn compressed(codec: Codec, records: usize) -> Vec<u8> {
    let builder = built(BatchOptions::default(), &vec![START_MS; records], 100);
    builder.build_compressed(codec.into(), &mut Codecs::new()).unwrap()
}

pub(crate) fn built(
    options: BatchOptions,
    timestamps: &[i64],
    value_length: usize,
) -> BatchBuilder {
    let mut builder = BatchBuilder::new(options);
    for timestamp_ms in timestamps {
        let record = NewRecord {
            timestamp_ms: *timestamp_ms,
            key: Some(b"key"),
            value: Some(&vec![b'v'; value_length]),
            headers: &[],
        };
        builder.append(&record).unwrap();
    }
    builder
}

pub(crate) fn keyless() -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let record =
        NewRecord { timestamp_ms: START_MS, key: None, value: Some(b"value"), headers: &[] };
    builder.append(&record).unwrap();
    builder.build()
}

pub(crate) fn of_producer(producer_id: i64, producer_epoch: i16, base_sequence: i32) -> Vec<u8> {
    let options =
        BatchOptions { producer_id, producer_epoch, base_sequence, ..BatchOptions::default() };
    built(options, &[START_MS, START_MS], 10).build()
}

pub(crate) fn transactional(producer_id: i64, base_sequence: i32) -> Vec<u8> {
    let options = BatchOptions {
        producer_id,
        producer_epoch: 0,
        base_sequence,
        is_transactional: true,
        ..BatchOptions::default()
    };
    built(options, &[START_MS], 10).build()
}

pub(crate) fn marker(producer_id: i64, is_commit: bool) -> Vec<u8> {
    let options = BatchOptions { producer_id, producer_epoch: 0, ..BatchOptions::default() };
    let marker = EndTransactionMarker { is_commit, coordinator_epoch: 1 };
    marker.batch(START_MS, &options).unwrap()
}

/// As a leader stamped it.
pub(crate) fn stamped(base_offset: i64, partition_leader_epoch: i32, records: usize) -> Vec<u8> {
    let options = BatchOptions { base_offset, partition_leader_epoch, ..BatchOptions::default() };
    built(options, &vec![START_MS; records], 10).build()
}
