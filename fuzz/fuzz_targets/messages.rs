//! Every message in every version, requests and responses above all: sampled ones that were damaged,
//! and bytes as they are.
//!
//! What must hold: decoding is total and holds no more than the reader's budget for the bytes that it
//! got; a valid message comes back as the same bytes; what is decoded can be encoded, and is then
//! itself again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strom_fuzz::allocations::peak_of;
use strom_fuzz::choices::Choices;
use strom_fuzz::messages::{FAMILIES, bytes_for, choose};
use strom_protocol::sample::{Fault, Kind};

/// The reader's budget for a message of this length, as the protocol's tests have it.
fn allowed(length: usize) -> usize {
    24 * length + 4096
}

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    let family = choices.place(FAMILIES.len());
    let (kind, version) = choose(family, &mut choices);
    let sound = kind.sample(version, &mut choices.clone());
    assert_eq!(kind.round_trip(&sound, version).as_deref(), Ok(&sound[..]), "{}", kind.name());
    check(kind, version, &bytes_for(kind, version, &mut choices));
});

fn check(kind: &Kind, version: i16, bytes: &[u8]) {
    let (decoded, peak) = peak_of(|| kind.decode(bytes, version));
    let length = bytes.len();
    assert!(peak <= allowed(length), "{} {version}: {peak} for {length} bytes", kind.name());
    match kind.round_trip(bytes, version) {
        Ok(again) => {
            assert!(decoded.is_ok());
            let third = kind.round_trip(&again, version);
            assert_eq!(third.as_deref(), Ok(&again[..]), "{} {version}", kind.name());
        }
        Err(Fault::Decode(_)) => assert!(decoded.is_err()),
        Err(Fault::Encode(error)) => panic!("{} {version} is not encoded: {error}", kind.name()),
    }
}
