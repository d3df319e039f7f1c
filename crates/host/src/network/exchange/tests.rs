//! In which order the broker's thread takes up what network threads bring.

use std::task::Waker;

use bytes::BytesMut;

use super::*;
use crate::network::woken::waker;
use crate::serves::Closed;

/// With threads that are not there.
fn exchange(threads: usize) -> Exchange {
    let mut exchange = Exchange::without_threads();
    (0..threads).for_each(|_| exchange.add(Arc::default(), None));
    exchange
}

/// Requests of so many bytes cost half a share.
const DEAR_BYTES: usize = 77;

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
