//! Record batches of any magic: sound ones that were damaged, often under a checksum that fits, and
//! bytes as they are.
//!
//! What must hold: nothing panics; a header is what its bytes say; the walk that passes over keys and
//! values finds the same records and faults as the one that reads them whole; a batch in another codec
//! holds the same records.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strom_fuzz::batches::{damaged, options};
use strom_fuzz::choices::Choices;
use strom_protocol::compression::{Codec, Codecs, ConversionLimits};
use strom_protocol::records::legacy::Message;
use strom_protocol::records::{
    BatchError, BatchHeader, EndTransactionMarker, HEADER_LENGTH, RawBatch, RecordDemands, batches,
    body_of, check_produced_header, control_type, verify_crc, walk_records,
};

/// What one batch may unfold to, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    match choices.byte() {
        0 => check(choices.rest()),
        1 => legacy(choices.rest()),
        _ => {
            let options = options(&mut choices);
            let mut bytes = damaged(options, &mut choices);
            bytes.extend_from_slice(choices.rest());
            check(&bytes);
        }
    }
});

fn check(bytes: &[u8]) {
    let mut walk = batches(bytes);
    let mut position = 0;
    for batch in walk.by_ref() {
        let Ok(batch) = batch else { break };
        assert_eq!(batch.bytes, &bytes[position..position + batch.header.size()]);
        position += batch.bytes.len();
        check_batch(&batch);
    }
    assert_eq!(walk.position() as usize, position);
}

fn check_batch(batch: &RawBatch<'_>) {
    let header = &batch.header;
    assert_eq!(header.to_bytes(), batch.bytes[..HEADER_LENGTH]);
    let _ = (verify_crc(batch.bytes), check_produced_header(header));
    let whole = read_whole(header, batch.bytes);
    let demands = RecordDemands { keys: true, timestamps: Some(0..=i64::MAX) };
    let outlined =
        walk_records(header, batch.bytes, (&mut Codecs::new(), BODY_BYTES_MAX), &demands);
    match (&whole, &outlined) {
        (Ok(records), Ok(summary)) => {
            let largest = records.iter().map(|(timestamp, _)| *timestamp).max();
            assert_eq!(summary.max_timestamp, largest.unwrap_or(-1).max(-1));
        }
        (Err(_), Err(_)) => {}
        (whole, outlined) => {
            panic!("{:?} but {outlined:?} in pieces", whole.as_ref().map(Vec::len));
        }
    }
    if let Ok(records) = whole {
        convert(header, batch.bytes, &records);
    }
}

/// Timestamps of the records, and all else of them in words, when each stands where it has to.
fn read_whole(header: &BatchHeader, batch: &[u8]) -> Result<Vec<(i64, String)>, BatchError> {
    let body = body_of(header, batch, &mut Codecs::new(), BODY_BYTES_MAX)?;
    let mut records = Vec::new();
    for (index, record) in (0..).zip(header.records(&body)) {
        let record = record?;
        let (_, _) = (control_type(&record), EndTransactionMarker::read(&record));
        let delta = record.offset_delta;
        if delta != index {
            return Err(BatchError::OffsetDelta { index, delta });
        }
        let headers: Vec<_> = record.headers.collect();
        records.push((
            header.timestamp_of(&record),
            format!("{:?} {:?} {headers:?}", record.key, record.value),
        ));
    }
    Ok(records)
}

fn convert(header: &BatchHeader, batch: &[u8], records: &[(i64, String)]) {
    let limits = ConversionLimits { unfolded: BODY_BYTES_MAX, converted: 2 * BODY_BYTES_MAX };
    for to in [Codec::None, Codec::Zstd] {
        let converted = converted_to(header, batch, to, limits);
        let again = BatchHeader::parse(&converted).expect("a header");
        assert_eq!(again.size(), converted.len());
        assert!(verify_crc(&converted));
        assert_eq!(read_whole(&again, &converted).as_deref(), Ok(records), "to {to:?}");
    }
}

fn converted_to(
    header: &BatchHeader,
    batch: &[u8],
    to: Codec,
    limits: ConversionLimits,
) -> Vec<u8> {
    let codecs = (&mut Codecs::new(), limits);
    strom_protocol::records::convert_batch(header, batch, to.into(), codecs).expect("converts")
}

fn legacy(bytes: &[u8]) {
    let Ok(message) = Message::parse(bytes) else { return };
    let _ = (message.verify_crc(), message.codec(), message.timestamp_type());
    let _ = message.for_each_record(&mut Codecs::new(), BODY_BYTES_MAX, &mut |_| {});
}
