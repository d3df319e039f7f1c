//! Properties of record batches: what is built is read back, what is broken is an error.

use proptest::prelude::*;
use strom_protocol::compression::{Codec, Codecs};
use strom_protocol::records::{
    BatchBuilder, BatchError, BatchHeader, BatchOptions, HEADER_LENGTH, NewRecord, RecordDemands,
    RecordOutline, batches, body_of, check_produced_header, crc_of, outline_records, verify_crc,
    walk_records,
};

const LIMIT: usize = 1 << 20;

type Nullable = Option<Vec<u8>>;

#[derive(Clone, Debug)]
struct Sample {
    timestamp_ms: i64,
    key: Nullable,
    value: Nullable,
    headers: Vec<(Vec<u8>, Nullable)>,
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40)
}

fn sample() -> impl Strategy<Value = Sample> {
    let headers = prop::collection::vec((bytes(), prop::option::of(bytes())), 0..3);
    (any::<i64>(), prop::option::of(bytes()), prop::option::of(bytes()), headers).prop_map(
        |(timestamp_ms, key, value, headers)| Sample { timestamp_ms, key, value, headers },
    )
}

fn batch(samples: &[Sample], options: BatchOptions, codec: Codec) -> Vec<u8> {
    let mut builder = BatchBuilder::new(options);
    for sample in samples {
        let headers: Vec<_> =
            sample.headers.iter().map(|(key, value)| (&key[..], value.as_deref())).collect();
        builder
            .append(&NewRecord {
                timestamp_ms: sample.timestamp_ms,
                key: sample.key.as_deref(),
                value: sample.value.as_deref(),
                headers: &headers,
            })
            .unwrap();
    }
    builder.build_compressed(codec.into(), &mut Codecs::new()).unwrap()
}

/// What any reader does with a batch from outside.
fn read_all(bytes: &[u8]) -> Result<usize, BatchError> {
    let mut count = 0;
    let demands = RecordDemands { keys: true, timestamps: Some(0..=1) };
    for batch in batches(bytes) {
        let batch = batch?;
        let body = body_of(&batch.header, batch.bytes, &mut Codecs::new(), LIMIT)?;
        for record in batch.header.records(&body) {
            count += 1 + record?.headers.count();
        }
        check_produced_header(&batch.header)?;
        walk_records(&batch.header, batch.bytes, (&mut Codecs::new(), LIMIT), &demands)?;
    }
    Ok(count)
}

proptest! {
    #[test]
    fn what_is_built_is_read_back(
        samples in prop::collection::vec(sample(), 1..12),
        base_offset in 0..i64::MAX / 2,
        codec in prop::sample::select(&Codec::ALL[..]),
    ) {
        let options = BatchOptions { base_offset, ..BatchOptions::default() };
        let bytes = batch(&samples, options, codec);
        prop_assert!(verify_crc(&bytes));
        prop_assert_eq!(crc_of(&bytes), crc32c::crc32c(&bytes[21..]));
        let mut walk = batches(&bytes);
        let raw = walk.next().unwrap().unwrap();
        prop_assert!(walk.next().is_none() && walk.tail().is_empty());
        let header = raw.header;
        prop_assert_eq!(header.record_count as usize, samples.len());
        prop_assert_eq!(header.next_offset(), base_offset + samples.len() as i64);
        let latest = samples.iter().map(|sample| sample.timestamp_ms).max().unwrap();
        prop_assert_eq!(header.max_timestamp, latest.max(-1));
        let body = body_of(&header, raw.bytes, &mut Codecs::new(), LIMIT).unwrap();
        let mut read = header.records(&body);
        for (index, sample) in samples.iter().enumerate() {
            let record = read.next().unwrap().unwrap();
            prop_assert_eq!(header.offset_of(&record), base_offset + index as i64);
            let timestamp = header.base_timestamp.wrapping_add(record.timestamp_delta);
            prop_assert_eq!(timestamp, sample.timestamp_ms);
            prop_assert_eq!(record.key, sample.key.as_deref());
            prop_assert_eq!(record.value, sample.value.as_deref());
            let headers: Vec<_> =
                record.headers.map(|h| (h.key.to_vec(), h.value.map(<[u8]>::to_vec))).collect();
            prop_assert_eq!(&headers, &sample.headers);
        }
        prop_assert!(read.next().is_none());
    }

    #[test]
    fn a_walk_in_pieces_sees_what_whole_records_are(
        samples in prop::collection::vec(sample(), 1..20),
        codec in prop::sample::select(&Codec::ALL[..]),
        change in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        count in prop::option::of(0..25i32),
    ) {
        // Changed before it is compressed, so that every codec gives the change back.
        let mut bytes = batch(&samples, BatchOptions::default(), Codec::None);
        if let Some((at, value)) = change {
            let at = HEADER_LENGTH + at.index(bytes.len() - HEADER_LENGTH);
            bytes[at] = value;
        }
        let mut header = BatchHeader::parse(&bytes).unwrap();
        header.record_count = count.unwrap_or(header.record_count);
        let whole: Result<Vec<_>, _> = header
            .records(&bytes[HEADER_LENGTH..])
            .map(|record| record.as_ref().map(RecordOutline::from).map_err(|error| *error))
            .collect();
        let mut packed = header.to_bytes().to_vec();
        let body = &bytes[HEADER_LENGTH..];
        Codecs::new().compress(codec.into(), body, &mut packed).unwrap();
        header.attributes |= codec.id();
        header.batch_length = (packed.len() - 12) as i32;
        let mut seen = Vec::new();
        let walked = outline_records(&header, &packed, (&mut Codecs::new(), LIMIT), &mut |it| {
            seen.push(it);
            true
        });
        match (walked, whole) {
            (Ok(()), Ok(whole)) => prop_assert_eq!(seen, whole),
            (walked, whole) => prop_assert!(walked.is_err() && whole.is_err(), "{walked:?} {whole:?}"),
        }
    }

    #[test]
    fn mutated_and_cut_batches_never_panic(
        samples in prop::collection::vec(sample(), 1..6),
        codec in prop::sample::select(&Codec::ALL[..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = batch(&samples, BatchOptions::default(), codec);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = read_all(&bytes);
        let _ = read_all(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn any_flipped_bit_behind_the_crc_is_noticed(
        samples in prop::collection::vec(sample(), 1..4),
        at in any::<prop::sample::Index>(),
        bit in 0..8,
    ) {
        let mut bytes = batch(&samples, BatchOptions::default(), Codec::None);
        let at = 17 + at.index(bytes.len() - 17);
        bytes[at] ^= 1u8 << bit;
        prop_assert!(!verify_crc(&bytes));
    }

    #[test]
    fn garbage_is_never_read_as_more_than_it_is(
        mut bytes in prop::collection::vec(any::<u8>(), 0..200)
    ) {
        let _ = read_all(&bytes);
        if bytes.len() > 61 {
            let length = (bytes.len() - 12) as i32;
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
            bytes[16] = 2;
            bytes[21..23].fill(0);
            let _ = read_all(&bytes);
            let _ = BatchHeader::parse(&bytes);
        }
    }
}
