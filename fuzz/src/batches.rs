//! Record batches by choice, built as a producer builds them.

use strom_protocol::compression::{Codec, Codecs};
use strom_protocol::records::{BatchBuilder, BatchOptions, NewRecord, refresh_crc};
use strom_protocol::sample::Draw;

use crate::choices::Choices;
use crate::damage::damage;

const RECORDS_MAX: u64 = 12;
/// Values that compress are this often repeated at most.
const REPEATED_MAX: usize = 40;
/// When the records of all inputs were made: wall clock in milliseconds.
pub const MADE_AT_MS: i64 = 1_700_000_000_000;

/// A sound batch with the base offset and leader epoch of `options`.
pub fn sound(options: BatchOptions, choices: &mut Choices<'_>) -> Vec<u8> {
    let mut builder = BatchBuilder::new(options);
    for _ in 0..=choices.below(RECORDS_MAX) {
        append(&mut builder, choices);
    }
    let codec = Codec::ALL[choices.place(Codec::ALL.len())];
    builder.build_compressed(codec.into(), &mut Codecs::new()).expect("a small batch")
}

fn append(builder: &mut BatchBuilder, choices: &mut Choices<'_>) {
    let shape = choices.byte();
    let length = usize::from(choices.byte() % 32);
    let key = choices.take(length);
    let length = usize::from(choices.byte() % 64);
    let value = choices.take(length).repeat(1 + choices.place(REPEATED_MAX));
    let headers: &[(&[u8], Option<&[u8]>)] = &[(key, Some(&value)), (b"", None)];
    let record = NewRecord {
        timestamp_ms: if shape & 1 == 0 { MADE_AT_MS } else { choices.some_i64().max(-1) },
        key: (shape & 2 == 0).then_some(key),
        value: (shape & 4 == 0).then_some(&value),
        headers: &headers[..usize::from(shape >> 6).min(2)],
    };
    builder.append(&record).expect("a small record");
}

/// What the batch says of itself, by choice.
pub fn options(choices: &mut Choices<'_>) -> BatchOptions {
    let shape = choices.byte();
    let has_producer = shape & 1 != 0;
    BatchOptions {
        base_offset: if shape & 2 == 0 { 0 } else { choices.some_i64().clamp(0, 1 << 40) },
        partition_leader_epoch: i32::from(choices.byte() % 8) - 1,
        log_append_time_ms: (shape & 4 != 0).then_some(MADE_AT_MS),
        producer_id: if has_producer { i64::from(choices.byte() % 4) } else { -1 },
        producer_epoch: if has_producer { i16::from(choices.byte() % 3) } else { -1 },
        base_sequence: if has_producer { i32::from(choices.byte()) } else { -1 },
        is_transactional: has_producer && shape & 8 != 0,
        is_control: shape & 0x30 == 0x30,
        delete_horizon_ms: (shape & 0xc0 == 0xc0).then_some(MADE_AT_MS),
    }
}

/// A batch that may be damaged, often with a checksum that fits the damage.
pub fn damaged(options: BatchOptions, choices: &mut Choices<'_>) -> Vec<u8> {
    let mut batch = sound(options, choices);
    let has_checksum = choices.byte() & 3 != 0;
    damage(&mut batch, choices);
    if has_checksum {
        refresh_crc(&mut batch);
    }
    batch
}
