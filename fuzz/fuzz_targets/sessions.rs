//! Several clients and a whole node: requests of every API that is served, sound, sampled and damaged,
//! with time passing between them, connections that go, kills, stops and starts.
//!
//! What must hold: nothing panics or asks for the impossible; every request gets at most one answer, in
//! the order of the requests, and it is the API's response of that version; what one request makes the
//! node hold is bounded; the node stops, and starts again on what it left.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| strom_fuzz::session::run(input));
