//! What connections hold of requests that are not whole.

use std::task::Context;

use super::*;
use crate::budget::{COMPLETION_MS, ReceiveBudget};
use crate::intake::Intake;
use crate::peers::Answer;

#[derive(Debug)]
struct Nothing;

impl Answer for Nothing {
    fn own_bytes(&self) -> usize {
        0
    }
}

/// Of a request behind which the connection has to wait.
const LOOKED_AT_BYTES: usize = 77;

/// Takes requests and answers none.
struct Recorder {
    intake: Intake<Nothing>,
    now_ms: u64,
    /// Connection and length of each.
    frames: Vec<(u64, usize)>,
    is_disk_full: bool,
    /// Whose last request is looked at.
    looked_at: Option<u64>,
    /// What each of them costs.
    work_bytes: usize,
}

impl Recorder {
    fn new(bytes_max: usize) -> Self {
        let intake = Intake::new(ReceiveBudget::new(bytes_max));
        let frames = Vec::new();
        Self { intake, now_ms: 0, frames, is_disk_full: false, looked_at: None, work_bytes: 0 }
    }

    fn open(&mut self, id: u64) -> Reading {
        self.intake.peers.open(ConnectionId(id), 0);
        Reading::new(ConnectionId(id), EndpointType::Broker, 100 << 20)
    }

    fn held(&self) -> usize {
        self.intake.budget.bytes()
    }
}

impl Takes for Recorder {
    type Answer = Nothing;

    fn intake(&self) -> &Intake<Nothing> {
        &self.intake
    }

    fn intake_mut(&mut self) -> &mut Intake<Nothing> {
        &mut self.intake
    }

    fn now_ms(&self) -> u64 {
        self.now_ms
    }

    fn arm_deadlines(&mut self) {}

    fn outstanding(&self, _id: ConnectionId) -> usize {
        0
    }

    fn is_overfull(&mut self, id: ConnectionId) -> bool {
        self.looked_at == Some(id.0)
    }

    fn may_take_bulk(&self) -> bool {
        !self.is_disk_full
    }

    fn begin_requests(&mut self, _bytes: usize) {}

    fn on_frame(&mut self, id: ConnectionId, frame: BytesMut) -> usize {
        self.frames.push((id.0, frame.len()));
        if frame.len() == LOOKED_AT_BYTES {
            self.looked_at = Some(id.0);
        }
        self.work_bytes
    }

    fn end_requests(&mut self, _id: ConnectionId) {}
}

fn idle() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// As far as the connection reads what has arrived; what is left of it.
fn read<'b>(reading: &mut Reading, takes: &mut Recorder, mut bytes: &'b [u8]) -> &'b [u8] {
    loop {
        match reading.next_step(takes, Waker::noop(), false) {
            Step::Read if !bytes.is_empty() => {
                let mut target = reading.target(takes);
                let count = target.chunk_mut().len().min(bytes.len());
                let (now, later) = bytes.split_at(count);
                target.put_slice(now);
                bytes = later;
                reading.on_read(takes, count, 0).expect("a request");
            }
            Step::Read => {
                reading.target(takes);
                reading.on_nothing_read(takes, 0);
                return bytes;
            }
            Step::TakeHeldBack => reading.take_held_back(takes, 0).expect("a request"),
            // Nobody else asks for a turn.
            Step::Wait
                if takes.intake.poll_give_turn(Line::Share, true, &mut idle()).is_ready() => {}
            Step::Wait => return bytes,
            other => panic!("{other:?}"),
        }
    }
}

/// Where its unfinished request stands.
fn place_of(reading: &Reading) -> *const u8 {
    reading.partial.buffer.as_ref().expect("a request that has begun").as_ptr()
}

/// A produce of so many bytes behind its length; only its header is looked at.
fn request(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; 4 + length];
    bytes[..4].copy_from_slice(&(length as u32).to_be_bytes());
    // Its version is 11.
    bytes[7] = 11;
    bytes
}

#[test]
fn where_memory_is_short_who_begins_a_request_holds_what_has_arrived_of_it() {
    let mut takes = Recorder::new(10_000);
    let large = request(1 << 20);
    let mut readings: Vec<_> = (0..50).map(|id| takes.open(id)).collect();
    for reading in &mut readings {
        assert_eq!(read(reading, &mut takes, &large[..SCARCE_READ_BYTES]).len(), 0);
    }
    assert!(takes.held() <= 10_000 + 50 * SCARCE_READ_BYTES, "{}", takes.held());
    // The first one goes on, and nobody else.
    let more = &large[SCARCE_READ_BYTES..];
    assert_eq!(read(&mut readings[1], &mut takes, more).len(), more.len());
    assert_eq!(read(&mut readings[0], &mut takes, more).len(), 0);
    assert_eq!(takes.frames, [(0, 1 << 20)]);
    assert!(takes.held() <= 10_000 + 50 * SCARCE_READ_BYTES, "{}", takes.held());
}

#[test]
fn where_memory_is_short_the_first_request_has_its_room_once() {
    let mut takes = Recorder::new(10_000);
    let large = request(3 << 20);
    let (mut first, mut second) = (takes.open(1), takes.open(2));
    let (begin, rest) = large.split_at(100_000);
    read(&mut first, &mut takes, begin);
    read(&mut second, &mut takes, &begin[..SCARCE_READ_BYTES]);
    let mut moves = 0;
    for part in rest[..rest.len() - 1].chunks(50_000) {
        let before = place_of(&first);
        read(&mut first, &mut takes, part);
        moves += usize::from(place_of(&first) != before);
    }
    // To where all of it has room, and never back.
    assert!(moves <= 1, "{moves}");
}

#[test]
fn where_memory_is_short_nobody_reads_ahead_of_its_request() {
    let mut takes = Recorder::new(1);
    let (mut first, mut second) = (takes.open(1), takes.open(2));
    let stream = request(1000).repeat(500);
    read(&mut second, &mut takes, &stream[..1500]);
    read(&mut first, &mut takes, &stream[..1500]);
    // It stands behind the other one.
    assert_eq!(read(&mut first, &mut takes, &stream[1500..]).len(), stream.len() - 1500);
    read(&mut second, &mut takes, &stream[1500..]);
    assert!(takes.held() <= 4 * SCARCE_READ_BYTES, "{}", takes.held());
}

#[test]
fn who_ends_in_the_midst_of_a_request_leaves_nothing_behind() {
    let mut takes = Recorder::new(1 << 20);
    let mut reading = takes.open(1);
    read(&mut reading, &mut takes, &request(100_000)[..5000]);
    assert!(takes.held() >= 5000 && reading.held_bytes() == takes.held());
    reading.end(&mut takes);
    assert_eq!(takes.intake.close(COMPLETION_MS, ConnectionId(1)), Some(false));
    assert_eq!((takes.held(), takes.intake.close(0, ConnectionId(1))), (0, None));
}

#[test]
fn of_a_pipeline_of_dear_requests_a_share_is_taken_at_a_time() {
    let mut takes = Recorder::new(1 << 20);
    takes.work_bytes = SHARE_BYTES / 8;
    let mut reading = takes.open(1);
    let pipeline = request(100).repeat(20);
    reading.target(&mut takes).put_slice(&pipeline);
    reading.on_read(&mut takes, pipeline.len(), 0).expect("requests");
    // Each counts for twice its work, and a little for itself.
    assert_eq!(takes.frames.len(), 4);
    assert_eq!(reading.next_step(&mut takes, Waker::noop(), false), Step::Wait);
    assert!(takes.intake.poll_give_turn(Line::Share, true, &mut idle()).is_ready());
    assert_eq!(reading.next_step(&mut takes, Waker::noop(), false), Step::TakeHeldBack);
    reading.take_held_back(&mut takes, 0).expect("requests");
    assert_eq!(takes.frames.len(), 8);
    read(&mut reading, &mut takes, &[]);
    assert_eq!(takes.frames.len(), 20);
}

#[test]
fn what_stands_behind_a_request_that_is_looked_at_waits_in_the_buffer() {
    let mut takes = Recorder::new(1 << 20);
    let (mut reading, mut other) = (takes.open(1), takes.open(2));
    let looked_at = request(LOOKED_AT_BYTES);
    let stream = [request(10), looked_at.clone(), request(11), looked_at, request(12)].concat();
    let (arrived, rest) = stream.split_at(stream.len() - 5);
    assert_eq!(read(&mut reading, &mut takes, arrived).len(), 0);
    read(&mut other, &mut takes, &request(20));
    assert_eq!(takes.frames, [(1, 10), (1, LOOKED_AT_BYTES), (2, 20)]);
    assert!(takes.held() > 0);
    // That is not the peer's fault.
    assert_eq!(takes.intake.close_overdue(2 * COMPLETION_MS), 0);
    assert_eq!(reading.next_step(&mut takes, Waker::noop(), false), Step::Wait);
    for _ in 0..2 {
        takes.looked_at = None;
        read(&mut reading, &mut takes, rest);
    }
    let expected = [(1, 11), (1, LOOKED_AT_BYTES), (1, 12)];
    assert_eq!((&takes.frames[3..], takes.held()), (&expected[..], 0));
}
