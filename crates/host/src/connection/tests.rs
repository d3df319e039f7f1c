//! Large requests wait for the disk, and nobody else does.

use std::cell::RefCell;
use std::time::Duration;

use strom_broker::effect::Response;
use strom_storage::disk::DiskError;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::LocalSet;

use super::*;
use crate::clock::Clock;
use crate::cold_reads::ColdReads;
use crate::lane::{Lane, look_after};
use bytes::BytesMut;
use strom_intake::budget::ReceiveBudget;
use strom_intake::reading::BULK_REQUEST_BYTES;
use strom_intake::{Intake, Takes};

/// Takes frames and answers none.
struct Recorder {
    lane: Lane<Response>,
    cold: ColdReads,
    is_disk_full: bool,
    /// Connection and length of each.
    frames: Vec<(u64, usize)>,
}

impl Takes for Recorder {
    type Answer = Response;

    fn intake(&self) -> &Intake<Response> {
        &self.lane.intake
    }

    fn intake_mut(&mut self) -> &mut Intake<Response> {
        &mut self.lane.intake
    }

    fn now_ms(&self) -> u64 {
        self.lane.now_ms()
    }

    fn arm_deadlines(&mut self) {
        self.lane.arm_deadlines();
    }

    fn outstanding(&self, _id: ConnectionId) -> usize {
        0
    }

    fn is_overfull(&mut self, _id: ConnectionId) -> bool {
        false
    }

    fn may_take_bulk(&self) -> bool {
        !self.is_disk_full
    }

    fn begin_requests(&mut self, _bytes: usize) {}

    fn on_frame(&mut self, id: ConnectionId, frame: BytesMut) -> usize {
        self.frames.push((id.0, frame.len()));
        0
    }

    fn end_requests(&mut self, _id: ConnectionId) {}
}

impl Serves for Recorder {
    fn lane(&self) -> &Lane<Response> {
        &self.lane
    }

    fn lane_mut(&mut self) -> &mut Lane<Response> {
        &mut self.lane
    }

    fn cold(&self) -> &ColdReads {
        &self.cold
    }

    fn may_give_turns(&self) -> bool {
        true
    }

    fn collect(&mut self, _id: ConnectionId, _outgoing: &mut Outgoing) -> Result<(), DiskError> {
        Ok(())
    }

    fn recycle(&mut self, _spent: &mut Vec<Vec<u8>>) {}

    fn on_closed(&mut self, closed: Closed) {
        self.lane.close(closed.id);
    }
}

/// A produce of so many bytes behind its length; only its header is looked at.
fn request(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; 4 + length];
    bytes[..4].copy_from_slice(&(length as u32).to_be_bytes());
    // Its version is 11.
    bytes[7] = 11;
    bytes
}

/// A served connection's other end.
async fn connect(shared: &Shared<Recorder>, id: u64) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let client = TcpStream::connect(address).await.expect("connected");
    let (stream, address) = listener.accept().await.expect("accepted");
    let id = ConnectionId(id);
    shared.borrow_mut().lane.open(id);
    let endpoint = EndpointType::Broker;
    let accepted = Accepted { id, stream: Stream::Plain(stream), address, listener: 0, endpoint };
    let limits = ReceiveLimits { request_bytes_max: 1 << 24 };
    tokio::task::spawn_local(serve(Rc::clone(shared), accepted, limits));
    client
}

/// Waits until so many frames were taken.
async fn frames(shared: &Shared<Recorder>, count: usize) -> Vec<(u64, usize)> {
    while shared.borrow().frames.len() < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    shared.borrow().frames.clone()
}

fn shared(is_disk_full: bool) -> Shared<Recorder> {
    Rc::new(RefCell::new(Recorder {
        lane: Lane::new(Clock::default(), ReceiveBudget::new(64 << 20)),
        cold: ColdReads::new(unbounded_channel().0),
        is_disk_full,
        frames: Vec::new(),
    }))
}

#[tokio::test]
async fn who_waits_for_the_disk_keeps_its_place_where_memory_is_short() {
    let shared = shared(true);
    shared.borrow_mut().lane.intake.budget = ReceiveBudget::new(100_000);
    let served = async {
        look_after(&shared, 0);
        let (mut first, mut second) = (connect(&shared, 1).await, connect(&shared, 2).await);
        let large = request(1 << 20);
        for peer in [&mut first, &mut second] {
            peer.write_all(&large[..150_000]).await.expect("sent");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        shared.borrow_mut().is_disk_full = false;
        shared.borrow_mut().lane.intake.bulk.go_on();
        for (count, peer) in [first, second].iter_mut().enumerate() {
            peer.write_all(&large[150_000..]).await.expect("sent");
            assert_eq!(frames(&shared, count + 1).await.last(), Some(&(count as u64 + 1, 1 << 20)));
        }
    };
    LocalSet::new().run_until(served).await;
}

#[tokio::test]
async fn who_sends_in_small_pieces_is_never_waited_for_in_vain() {
    let shared = shared(false);
    let served = async {
        look_after(&shared, 0);
        let mut client = connect(&shared, 1).await;
        client.set_nodelay(true).expect("an option");
        for (index, length) in
            [100_000, 10, 40_000, 16_500, 65_536, 200_000].into_iter().enumerate()
        {
            let bytes = request(length);
            for piece in bytes.chunks(999) {
                client.write_all(piece).await.expect("sent");
                tokio::task::yield_now().await;
            }
            assert_eq!(frames(&shared, index + 1).await.last(), Some(&(1, length)));
        }
    };
    LocalSet::new().run_until(served).await;
}

#[tokio::test]
async fn large_requests_wait_for_the_disk_and_small_ones_go_by() {
    let shared = shared(true);
    let served = async {
        look_after(&shared, 0);
        let (mut whole, mut parts) = (connect(&shared, 1).await, connect(&shared, 2).await);
        let mut small = connect(&shared, 3).await;
        // One arrives with what goes before and behind it, the other one begins.
        let all = [request(10), request(BULK_REQUEST_BYTES), request(11)].concat();
        whole.write_all(&all).await.expect("sent");
        let large = request(4 << 20);
        parts.write_all(&large[..100_000]).await.expect("sent");
        frames(&shared, 1).await;
        // What brings no records goes by, too, however large it is.
        let mut other = request(BULK_REQUEST_BYTES);
        (other[5], other[7]) = (3, 12);
        small.write_all(&other).await.expect("sent");
        frames(&shared, 2).await;
        for count in 3..200 {
            small.write_all(&request(100)).await.expect("sent");
            assert_eq!(frames(&shared, count).await.last(), Some(&(3, 100)));
        }
        let frames_before = frames(&shared, 199).await;
        assert_eq!(frames_before.iter().filter(|(id, _)| *id < 3).collect::<Vec<_>>(), [&(1, 10)]);
        // Neither is overdue: it is not their peers who are slow.
        assert_eq!(shared.borrow_mut().lane.intake.budget.next_deadline(), None);
        shared.borrow_mut().is_disk_full = false;
        shared.borrow_mut().lane.intake.bulk.go_on();
        frames(&shared, 201).await;
        // Now it is the peer's turn who has not sent all.
        while shared.borrow_mut().lane.intake.budget.next_deadline().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        parts.write_all(&large[100_000..]).await.expect("sent");
        let last = frames(&shared, 202).await.split_off(199);
        assert_eq!(last, [(1, BULK_REQUEST_BYTES), (1, 11), (2, 4 << 20)]);
    };
    LocalSet::new().run_until(served).await;
}
