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
    let mut turned = Turned::default();
    assert!(exchange.poll_arrived(&mut context).is_ready());
    let asked = std::iter::from_fn(|| exchange.next(&mut turned));
    asked
        .filter_map(|asked| match asked {
            Asked::Request { id, frame, .. } => Some((id, frame.len())),
            Asked::Closed(closed) => Some((closed.id, 0)),
            _ => None,
        })
        .collect()
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
