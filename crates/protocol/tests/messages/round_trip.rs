//! Every message in every version: decoding and encoding again gives the same bytes.

use strom_base::Random;
use strom_protocol::sample::kinds;

const SAMPLES: u64 = 12;

#[test]
fn every_message_survives_a_round_trip_in_every_version() {
    for kind in kinds() {
        let (low, high) = kind.versions();
        for version in low..=high {
            for seed in 0..SAMPLES {
                let sample = kind.sample(version, &mut Random::new(seed));
                let place = format!("{} version {version} seed {seed}", kind.name());
                match kind.round_trip(&sample, version) {
                    Ok(again) => assert_eq!(again, sample, "{place}"),
                    Err(fault) => panic!("{place}: {fault:?} in {sample:02x?}"),
                }
            }
        }
    }
}

#[test]
fn a_default_message_can_be_written_in_every_version() {
    for kind in kinds() {
        let (low, high) = kind.versions();
        for version in low..=high {
            assert_eq!(kind.encode_default(version), Ok(()), "{} {version}", kind.name());
        }
    }
}

#[test]
fn versions_outside_the_schema_are_refused_both_ways() {
    for kind in kinds() {
        let (low, high) = kind.versions();
        for version in [i16::MIN, -1, low - 1, high + 1, i16::MAX] {
            assert!(kind.decode(&[0; 64], version).is_err(), "{} {version}", kind.name());
            assert!(kind.encode_default(version).is_err(), "{} {version}", kind.name());
        }
    }
}

#[test]
fn every_prefix_of_a_frame_is_refused() {
    for kind in kinds() {
        let (_, version) = kind.versions();
        let sample = kind.sample(version, &mut Random::new(1));
        for length in 0..sample.len().min(600) {
            let refused = kind.decode(&sample[..length], version).is_err();
            assert!(refused, "{} version {version} length {length}", kind.name());
        }
    }
}
