//! How often the machine allocates memory for a request once it has seen some of its kind.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use strom_broker::effect::Effects;
use strom_protocol::ApiKey;
use strom_protocol::compression::Codec;
use strom_protocol::fetch_request::FetchRequest;
use strom_protocol::records::{BatchBuilder, BatchOptions, NewRecord};

use crate::exchange::{PRODUCED_AT_MS, Topic, batch, fetch, fetch_request, produce_request};
use crate::node::Node;
use crate::produce::with_topic;

const WARM_UP: usize = 600;
const REQUESTS: usize = 400;
/// Requests of all these that may allocate more than they should: what grows with the log, not with
/// the requests. An index has 8 bytes for each 4 KiB, the recovery point moves at times.
const GROWING_MAX: usize = 6;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

#[expect(unsafe_code, reason = "every allocator is; this one counts and passes on")]
// SAFETY: all calls are passed on to the system's allocator as they are.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `act` allocates, moves by growth counted, too.
pub(crate) fn counted(act: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    act();
    ALLOCATIONS.get() - before
}

/// Each request allocates so often, and few of them more.
fn check(counts: &[u64], expected: u64) {
    assert_eq!(counts.len(), REQUESTS);
    let more: Vec<u64> = counts.iter().copied().filter(|count| *count > expected).collect();
    assert!(more.len() <= GROWING_MAX, "{} allocate more: {more:?}", more.len());
    assert!(counts.contains(&expected), "fewer than expected: {counts:?}");
}

fn allocations_of_produces(version: i16, partitions: usize) -> Vec<u64> {
    let (mut node, topic) = with_topic("counted");
    let bytes = batch(Codec::None, b"value");
    let parts: Vec<(i32, &[u8])> =
        (0..partitions).map(|index| (index as i32, bytes.as_slice())).collect();
    let mut out = Effects::default();
    let mut produce = |node: &mut Node| {
        let request = produce_request(topic, &parts);
        node.allocations_of(&mut out, ApiKey::Produce, version, &request)
    };
    let counts = (0..WARM_UP + REQUESTS).map(|_| produce(&mut node));
    counts.skip(WARM_UP).collect()
}

#[test]
fn a_produce_allocates_nothing() {
    for version in [3, 9, 12, 13] {
        for partitions in 1..=3 {
            let counts = allocations_of_produces(version, partitions);
            check(&counts, 0);
        }
    }
}

/// How the producer's state was before the batch is kept until the batch is written, to be put back if
/// it is not: a list of one and the state.
#[test]
fn a_produce_with_a_sequence_allocates_twice() {
    let (mut node, topic) = with_topic("counted");
    let mut out = Effects::default();
    let mut produce = |node: &mut Node, sequence: usize| {
        let options = BatchOptions {
            producer_id: 7,
            producer_epoch: 0,
            base_sequence: sequence as i32,
            ..Default::default()
        };
        let mut builder = BatchBuilder::new(options);
        let value = Some(&b"value"[..]);
        let record = NewRecord { timestamp_ms: PRODUCED_AT_MS, key: None, value, headers: &[] };
        builder.append(&record).expect("a record");
        let bytes = builder.build();
        let request = produce_request(topic, &[(0, &bytes)]);
        node.allocations_of(&mut out, ApiKey::Produce, 13, &request)
    };
    let counts = (0..WARM_UP + REQUESTS).map(|sequence| produce(&mut node, sequence));
    check(&counts.skip(WARM_UP).collect::<Vec<_>>(), 2);
}

/// A consumer at the tail: its fetch waits, a produce sets it free, and so on.
fn allocations_at_the_tail(version: i16, topic: Topic<'_>, node: &mut Node) -> Vec<u64> {
    let first = FetchRequest { session_epoch: 0, ..fetch_request(topic, &[(0, 0)]) };
    let session_id = fetch(node, version, topic, &first).session_id;
    assert!(session_id > 0);
    let bytes = batch(Codec::None, b"value");
    let mut out = Effects::default();
    let round = |epoch: usize| {
        let mut request = fetch_request(topic, &[(0, epoch as i64 - 1)]);
        (request.session_id, request.session_epoch) = (session_id, epoch as i32);
        (request.max_wait_ms, request.min_bytes) = (500, 1);
        let waiting = node.allocations_of(&mut out, ApiKey::Fetch, version, &request);
        let produced = produce_request(topic, &[(0, &bytes)]);
        waiting + node.allocations_of(&mut out, ApiKey::Produce, 13, &produced)
    };
    (1..=WARM_UP + REQUESTS).map(round).skip(WARM_UP).collect()
}

#[test]
fn a_fetch_that_waits_at_the_tail_allocates_nothing() {
    let (mut node, topic) = with_topic("counted");
    check(&allocations_at_the_tail(13, topic, &mut node), 0);
}

/// A name is kept with its session as it was told last.
#[test]
fn a_fetch_by_name_allocates_once() {
    let (mut node, topic) = with_topic("counted");
    check(&allocations_at_the_tail(12, topic, &mut node), 1);
}
