//! Bytes that nobody honest sends: decoding never panics and takes memory in proportion.

use strom_base::Random;
use strom_protocol::sample::{Kind, kinds};
use strom_protocol::{
    ApiKey, DecodeReason, GroupRecordKey, GroupRecordValue, MetadataRecord, Reader, Request, header,
};

use crate::allocations::peak_of;

/// What decoding may hold for a frame of this length: the reader's budget.
fn allowed(length: usize) -> usize {
    24 * length + 4096
}

fn decode_within_bounds(kind: &Kind, bytes: &[u8], version: i16) {
    let peak = peak_of(|| {
        let _ = kind.decode(bytes, version);
    });
    let length = bytes.len();
    assert!(peak <= allowed(length), "{} {version}: {peak} for {length} bytes", kind.name());
}

/// Changes a valid frame: some bytes replaced, often by those that claim a lot; or cut; or grown.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            return;
        }
        let place = random.below(bytes.len() as u64) as usize;
        match random.below(6) {
            0 => bytes.truncate(place),
            1 => bytes[place] = 0xff,
            2 => bytes[place] = 0x7f,
            3 => bytes.insert(place, random.next_u64() as u8),
            4 => bytes[place] ^= 1 << random.below(8),
            _ => {
                let end = (place + 4).min(bytes.len());
                bytes[place..end].fill(0x7f);
            }
        }
    }
}

#[test]
fn mutated_frames_never_panic_nor_take_more_than_they_justify() {
    let mut random = Random::new(3);
    for kind in kinds() {
        let (low, high) = kind.versions();
        for version in low..=high {
            for seed in 0..6 {
                let valid = kind.sample(version, &mut Random::new(100 + seed));
                for _ in 0..8 {
                    let mut bytes = valid.clone();
                    mutate(&mut bytes, &mut random);
                    decode_within_bounds(&kind, &bytes, version);
                }
            }
        }
    }
}

#[test]
fn random_bytes_never_panic_nor_take_more_than_they_justify() {
    let mut random = Random::new(4);
    for kind in kinds() {
        let (low, high) = kind.versions();
        for version in low..=high {
            for _ in 0..40 {
                let length = random.below(200) as usize;
                // Small numbers get further than evenly spread ones.
                let bound = if random.one_in(2) { 256 } else { 4 };
                let bytes: Vec<u8> = (0..length).map(|_| random.below(bound) as u8).collect();
                decode_within_bounds(&kind, &bytes, version);
            }
        }
    }
}

#[test]
fn dense_arrays_are_stopped_by_the_budget() {
    // Zeros decode as many empty things: the largest memory per byte of a frame.
    for kind in kinds() {
        let (_, version) = kind.versions();
        for first in [0x01, 0x7f, 0xff] {
            let mut bytes = vec![0; 100_000];
            for place in 0..32 {
                bytes[place] = first;
                decode_within_bounds(&kind, &bytes, version);
            }
        }
    }
}

#[test]
fn a_tiny_body_that_claims_a_huge_array_is_refused_at_once() {
    let claims = [0x7f, 0xff, 0xff, 0xff];
    let error = Request::decode(ApiKey::Metadata, 0, &mut Reader::new(&claims)).map(drop);
    let reason = DecodeReason::ArrayTooLong { count: i32::MAX as u32 };
    assert_eq!(error.map_err(|error| error.reason), Err(reason));
}

#[test]
fn the_frames_around_records_and_requests_never_panic() {
    let mut random = Random::new(5);
    for _ in 0..200_000 {
        let length = random.below(40) as usize;
        let bytes: Vec<u8> = (0..length).map(|_| random.below(24) as u8).collect();
        let _ = MetadataRecord::decode(&bytes);
        let _ = GroupRecordKey::decode(&bytes);
        let _ = GroupRecordValue::decode(random.below(8) as i16, &bytes);
        let mut reader = Reader::new(&bytes);
        if let Ok((api_key, header)) = header::decode_request_header(&mut reader) {
            let _ = Request::decode(api_key, header.request_api_version, &mut reader);
        }
    }
}

#[test]
fn a_group_value_of_an_unknown_type_is_refused() {
    let error = GroupRecordValue::decode(999, &[0, 0, 0, 0]).map(drop);
    let reason = DecodeReason::UnknownRecordType { record_type: 999 };
    assert_eq!(error.map_err(|error| error.reason), Err(reason));
}
