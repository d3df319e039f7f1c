//! In which order the broker's thread takes up what network threads bring.

use std::task::Waker;

use bytes::BytesMut;

use super::*;
use crate::network::woken::waker;
use crate::serves::Closed;
use strom_intake::turns::REQUEST_CHARGE;

/// With threads that are not there.
fn exchange(threads: usize) -> Exchange {
    let mut exchange = Exchange::without_threads();
    (0..threads).for_each(|_| exchange.add(Arc::default(), None));
    exchange
}

/// Requests of so many bytes cost half a share.
const DEAR_BYTES: usize = 77;
/// Somebody looks at the records of those.
const HELD_BYTES: usize = 78;

fn request(id: ConnectionId, bytes: usize) -> Asked {
    let is_bulk = bytes > 16 * 1024;
    Asked::Request { id, frame: BytesMut::zeroed(bytes), is_bulk }
}

fn closed(id: ConnectionId) -> Asked {
    let address = "127.0.0.1:1".parse().expect("an address");
    Asked::Closed(Closed { id, address, listener: 0 })
}

/// Bytes of the requests that one turn takes up, by connection; 0 for an end.
fn turn(exchange: &mut Exchange) -> Vec<(ConnectionId, usize)> {
    let mut context = Context::from_waker(Waker::noop());
    let (mut turned, mut taken) = (Turned::default(), Vec::new());
    assert!(exchange.poll_arrived(&mut context).is_ready());
    while let Some(asked) = exchange.next(&mut turned) {
        match asked {
            Asked::Request { id, frame, .. } => {
                taken.push((id, frame.len()));
                if frame.len() == DEAR_BYTES {
                    exchange.charge(id, SHARE_BYTES / 4, &mut turned);
                }
                exchange.on_served(id, frame.len() == HELD_BYTES);
            }
            Asked::Closed(closed) => taken.push((closed.id, 0)),
            _ => {}
        }
    }
    exchange.end_turn(&turned);
    taken
}

#[test]
fn small_requests_go_by_large_ones_of_others() {
    let mut exchange = exchange(2);
    let (bulk, small) = (exchange.open(), exchange.open());
    assert_ne!(thread_of(bulk), thread_of(small));
    let asked = [request(bulk, 20_000), request(bulk, 1), closed(bulk), request(small, 2)];
    exchange.inbox.put(&mut asked.into());
    assert_eq!(turn(&mut exchange), [(small, 2), (bulk, 20_000), (bulk, 1), (bulk, 0)]);
    let mut context = Context::from_waker(Waker::noop());
    assert!(exchange.poll_arrived(&mut context).is_pending());
}

#[test]
fn a_turn_ends_and_what_has_arrived_meanwhile_goes_first() {
    let mut exchange = exchange(1);
    let (bulk, small) = (exchange.open(), exchange.open());
    exchange.inbox.put(&mut (0..4).map(|_| request(bulk, SHARE_BYTES)).collect());
    assert_eq!(turn(&mut exchange), [(bulk, SHARE_BYTES)]);
    exchange.inbox.put(&mut [request(small, 1)].into());
    assert_eq!(turn(&mut exchange), [(small, 1), (bulk, SHARE_BYTES)]);
    exchange.inbox.put(&mut (0..1000).map(|_| request(small, 1)).collect());
    assert_eq!(turn(&mut exchange).len(), TURN_REQUESTS_MAX);
}

#[test]
fn a_connection_gets_the_thread_that_has_the_fewest() {
    let mut exchange = exchange(3);
    let ids: Vec<_> = (0..6).map(|_| exchange.open()).collect();
    let threads: Vec<_> = ids.iter().map(|id| thread_of(*id)).collect();
    assert_eq!(threads, [0, 1, 2, 0, 1, 2].map(Some));
    exchange.forget(ids[1]);
    exchange.forget(ids[1]);
    assert_eq!(thread_of(exchange.open()), Some(1));
}

#[test]
fn large_requests_wait_for_the_disk_and_small_ones_go_by() {
    let mut exchange = exchange(1);
    let (bulk, small) = (exchange.open(), exchange.open());
    exchange.inbox.put(&mut [request(bulk, 20_000), request(bulk, 1), request(small, 2)].into());
    exchange.hold_bulk_up(true);
    assert_eq!(turn(&mut exchange), [(small, 2)]);
    let (woken, waker) = waker();
    assert!(exchange.poll_arrived(&mut Context::from_waker(&waker)).is_pending());
    exchange.let_bulk_go_on();
    assert_eq!(woken.count(), 1);
    assert_eq!(turn(&mut exchange), [(bulk, 20_000), (bulk, 1)]);
}

#[test]
fn who_has_had_its_share_lets_others_go_first() {
    let mut exchange = exchange(1);
    let (dear, small) = (exchange.open(), exchange.open());
    let mut asked: VecDeque<_> = (0..5).map(|_| request(dear, DEAR_BYTES)).collect();
    asked.push_back(request(small, 2));
    exchange.inbox.put(&mut asked);
    // Two end the turn.
    let first = [(dear, DEAR_BYTES), (small, 2), (dear, DEAR_BYTES)];
    assert_eq!(turn(&mut exchange), first);
    assert_eq!(turn(&mut exchange), [(dear, DEAR_BYTES); 2]);
    assert_eq!(turn(&mut exchange), [(dear, DEAR_BYTES)]);
    // What it has taken is forgotten after a while.
    for _ in 0..100 {
        exchange.inbox.put(&mut [request(small, 1)].into());
        assert_eq!(turn(&mut exchange), [(small, 1)]);
    }
    exchange.inbox.put(&mut [request(dear, DEAR_BYTES), request(small, 1)].into());
    assert_eq!(turn(&mut exchange), [(dear, DEAR_BYTES), (small, 1)]);
}

#[test]
fn small_requests_without_end_do_not_keep_a_large_one_waiting() {
    let mut exchange = exchange(1);
    let (bulk, small) = (exchange.open(), exchange.open());
    exchange.inbox.put(&mut [request(bulk, 20_000)].into());
    let turns: Vec<_> = (0..2)
        .flat_map(|_| {
            exchange.inbox.put(&mut (0..1000).map(|_| request(small, 1)).collect());
            turn(&mut exchange)
        })
        .collect();
    assert!(turns.contains(&(bulk, 20_000)));
}

/// What a thread is told: whether the connection is held, or bytes that were taken up.
fn told(exchange: &mut Exchange, thread: usize) -> Vec<(Option<bool>, usize)> {
    exchange.hand_over();
    let (mut context, mut told) = (Context::from_waker(Waker::noop()), VecDeque::new());
    let _ = exchange.posts[thread].mailbox.poll_take(&mut context, &mut told);
    let words = told.into_iter().map(|told| match told {
        Told::Hold { .. } => (Some(true), 0),
        Told::GoOn { .. } => (Some(false), 0),
        Told::Taken { bytes } => (None, bytes),
        other => panic!("{other:?}"),
    });
    words.collect()
}

#[test]
fn what_comes_behind_a_request_that_is_looked_at_waits_for_that_alone() {
    let mut exchange = exchange(1);
    let (held, other) = (exchange.open(), exchange.open());
    let asked = [request(held, HELD_BYTES), request(held, 1), request(other, 2), closed(held)];
    exchange.inbox.put(&mut asked.into());
    assert_eq!(turn(&mut exchange), [(held, HELD_BYTES), (other, 2)]);
    // What is kept does not count as on its way.
    let all_bytes = HELD_BYTES + 1 + 2 + 3 * REQUEST_CHARGE;
    assert_eq!(told(&mut exchange, 0), [(Some(true), 0), (None, all_bytes)]);
    let (woken, waker) = waker();
    assert!(exchange.poll_arrived(&mut Context::from_waker(&waker)).is_pending());
    exchange.go_on(held);
    assert_eq!(woken.count(), 1);
    assert_eq!(turn(&mut exchange), [(held, 1), (held, 0)]);
    assert_eq!((told(&mut exchange, 0), exchange.behind_bytes), (vec![], 0));
}

#[test]
fn its_order_is_kept_whatever_else_it_has_to_wait_for() {
    let mut exchange = exchange(1);
    let id = exchange.open();
    let bulk = 20_000;
    let sizes = [bulk, HELD_BYTES, 1, bulk, HELD_BYTES, 2, HELD_BYTES, bulk];
    let mut taken = Vec::new();
    for size in sizes {
        exchange.inbox.put(&mut [request(id, size)].into());
        taken.extend(turn(&mut exchange));
    }
    assert_eq!(taken, [(id, bulk), (id, HELD_BYTES)]);
    exchange.inbox.put(&mut [request(id, 3)].into());
    for expected in [&[1, bulk, HELD_BYTES][..], &[2, HELD_BYTES], &[bulk, 3]] {
        exchange.go_on(id);
        let sizes: Vec<_> = turn(&mut exchange).into_iter().map(|(_, size)| size).collect();
        assert_eq!(sizes, expected);
    }
    let is_held: Vec<_> = told(&mut exchange, 0).into_iter().filter_map(|it| it.0).collect();
    assert_eq!(is_held, [true, false]);
    // From now on each is told of.
    exchange.inbox.put(&mut [request(id, 4)].into());
    assert_eq!(turn(&mut exchange), [(id, 4)]);
    assert_eq!(told(&mut exchange, 0), [(Some(false), 0), (None, 4 + REQUEST_CHARGE)]);
}

#[test]
fn of_what_is_kept_only_so_much_passes_for_taken_up() {
    let mut exchange = exchange(1);
    let id = exchange.open();
    exchange.inbox.put(&mut [request(id, HELD_BYTES)].into());
    assert_eq!(turn(&mut exchange), [(id, HELD_BYTES)]);
    told(&mut exchange, 0);
    let size = BEHIND_BYTES_MAX / 4;
    for _ in 0..6 {
        exchange.inbox.put(&mut [request(id, size)].into());
        assert_eq!(turn(&mut exchange), []);
    }
    let kept = 3 * (size + REQUEST_CHARGE);
    assert_eq!((told(&mut exchange, 0), exchange.behind_bytes), (vec![(None, kept)], kept));
    exchange.go_on(id);
    let taken: Vec<_> = (0..6).flat_map(|_| turn(&mut exchange)).collect();
    assert_eq!(taken, [(id, size); 6]);
    assert_eq!(told(&mut exchange, 0), [(Some(false), 0), (None, kept)]);
    assert_eq!(exchange.behind_bytes, 0);
}
