//! What a network thread may hand over, and whom that holds up.

use tokio::sync::mpsc::unbounded_channel;

use super::*;
use crate::clock::Clock;
use crate::network::messages::id_on;
use crate::network::woken::waker;
use strom_intake::Next;
use strom_intake::budget::ReceiveBudget;

fn desk() -> (Desk, Arc<Mailbox<Asked>>) {
    let inbox = Arc::default();
    let lane = Lane::new(Clock::default(), ReceiveBudget::new(1 << 20));
    (Desk::new(lane, ColdReads::new(unbounded_channel().0), Arc::clone(&inbox)), inbox)
}

fn ask(desk: &mut Desk, id: ConnectionId, bytes: usize) {
    desk.begin_requests(bytes);
    desk.on_frame(id, BytesMut::zeroed(bytes));
    desk.end_requests(id);
}

#[test]
fn who_sends_much_waits_for_its_turn_and_then_everybody() {
    let (mut desk, _inbox) = desk();
    let (flood, small) = (id_on(0, 1), id_on(0, 2));
    desk.open(flood);
    desk.open(small);
    let (woken, waker) = waker();
    ask(&mut desk, flood, BULK_IN_FLIGHT_BYTES_MAX);
    assert!(!desk.may_give_turns());
    assert!(matches!(desk.next_of(small, &waker), Next::Receive));
    ask(&mut desk, flood, IN_FLIGHT_BYTES_MAX);
    assert!(matches!(desk.next_of(small, &waker), Next::Wait));
    desk.on_told(Told::Taken { bytes: IN_FLIGHT_BYTES_MAX });
    assert_eq!(woken.count(), 1);
    assert!(matches!(desk.next_of(small, &waker), Next::Receive) && !desk.may_give_turns());
    desk.on_told(Told::Taken { bytes: BULK_IN_FLIGHT_BYTES_MAX });
    assert!(desk.may_give_turns());
}

#[test]
fn a_connection_with_as_many_requests_as_it_may_have_waits_for_silent_ones_too() {
    let (mut desk, _inbox) = desk();
    let id = id_on(0, 1);
    desk.open(id);
    let (woken, waker) = waker();
    (0..OUTSTANDING_MAX).for_each(|_| ask(&mut desk, id, 10));
    assert_eq!(desk.room_for_requests(id), 0);
    assert!(matches!(desk.next_of(id, &waker), Next::Wait));
    desk.on_told(Told::Silent { id, requests: 3 });
    assert_eq!((woken.count(), desk.room_for_requests(id)), (1, 3));
    assert!(matches!(desk.next_of(id, &waker), Next::Receive));
    desk.on_told(Told::Silent { id, requests: 3 });
    assert_eq!(woken.count(), 1, "it waits for its socket alone");
}

#[test]
fn what_was_sent_goes_back_with_the_next_request() {
    let (mut desk, inbox) = desk();
    let id = id_on(0, 1);
    desk.open(id);
    desk.recycle(&mut (0..SPARES_MAX).map(|_| Vec::with_capacity(100)).collect());
    let (mut spent, mut taken) = (vec![Vec::with_capacity(100)], VecDeque::new());
    desk.recycle(&mut spent);
    let mut context = Context::from_waker(Waker::noop());
    assert!(desk.poll_hand_over(&mut context).is_pending());
    assert!(inbox.poll_take(&mut context, &mut taken).is_pending());
    ask(&mut desk, id, 10);
    assert!(desk.poll_hand_over(&mut context).is_pending());
    assert!(inbox.poll_take(&mut context, &mut taken).is_ready());
    let both = (taken.pop_front(), taken.pop_front());
    assert!(matches!(both, (Some(Asked::Spent(_)), Some(Asked::Request { .. }))), "{both:?}");
}

#[test]
fn who_was_held_brings_one_request_at_a_time() {
    let (mut desk, _inbox) = desk();
    let (id, other) = (id_on(0, 1), id_on(0, 2));
    desk.open(id);
    desk.open(other);
    let (woken, waker) = waker();
    (0..3).for_each(|_| ask(&mut desk, id, 10));
    assert!(matches!(desk.next_of(id, &waker), Next::Receive));
    desk.on_told(Told::Hold { id });
    assert_eq!(woken.count(), 1, "it was waiting for its socket");
    for round in 1..4 {
        assert!(desk.is_overfull(id) && !desk.is_overfull(other));
        assert!(matches!(desk.next_of(id, &waker), Next::Wait));
        desk.on_told(Told::GoOn { id });
        assert_eq!(woken.count(), 1 + round);
        assert!(matches!(desk.next_of(id, &waker), Next::Receive));
        ask(&mut desk, id, 10);
    }
}
