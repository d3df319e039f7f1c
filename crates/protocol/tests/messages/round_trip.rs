//! Every message in every version: decoding and encoding again gives the same bytes.

use crate::catalog::catalog;
use crate::sampler::frame;

const SAMPLES: u64 = 12;

#[test]
fn every_message_survives_a_round_trip_in_every_version() {
    for (schema, entry) in catalog() {
        for version in schema.versions.low..=schema.versions.high {
            for seed in 0..SAMPLES {
                let sample = frame(&schema, version, seed);
                let place = format!("{} version {version} seed {seed}", entry.name);
                match (entry.round_trip)(&sample, version) {
                    Ok(again) => assert_eq!(again, sample, "{place}"),
                    Err(fault) => panic!("{place}: {fault:?} in {sample:02x?}"),
                }
            }
        }
    }
}

#[test]
fn a_default_message_can_be_written_in_every_version() {
    for (schema, entry) in catalog() {
        for version in schema.versions.low..=schema.versions.high {
            assert_eq!((entry.encode_default)(version), Ok(()), "{} {version}", entry.name);
        }
    }
}

#[test]
fn versions_outside_the_schema_are_refused_both_ways() {
    for (schema, entry) in catalog() {
        for version in [i16::MIN, -1, schema.versions.low - 1, schema.versions.high + 1, i16::MAX] {
            assert!((entry.decode)(&[0; 64], version).is_err(), "{} {version}", entry.name);
            assert!((entry.encode_default)(version).is_err(), "{} {version}", entry.name);
        }
    }
}

#[test]
fn every_prefix_of_a_frame_is_refused() {
    for (schema, entry) in catalog() {
        let version = schema.versions.high;
        let sample = frame(&schema, version, 1);
        for length in 0..sample.len().min(600) {
            let refused = (entry.decode)(&sample[..length], version).is_err();
            assert!(refused, "{} version {version} length {length}", entry.name);
        }
    }
}
