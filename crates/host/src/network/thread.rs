//! One network thread, from its start to its end.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::mpsc::unbounded_channel;
use tokio::task::LocalSet;

use super::desk::Desk;
use super::mailbox::Mailbox;
use super::messages::{Asked, Told};
use crate::clock::Clock;
use crate::cold_reads::ColdReads;
use crate::connection::{Accepted, ReceiveLimits, ending_of, serve};
use crate::lane::{Lane, look_after};
use crate::serves::{Closed, Serves, Shared};
use crate::stream::Incoming;
use crate::tls::{SharedBuffers, TlsBuffers};
use strom_intake::budget::ReceiveBudget;

/// Up to so many cores one thread does it all …
const CORES_FOR_ONE: usize = 2;
/// … and so many are enough for one broker.
const THREADS_MAX: usize = 8;
/// Laps of a thread that ends, in which outboxes are sent as far as sockets take them at once.
const LAST_LAPS: usize = 4;

/// How many network threads a node has: `strom.network.threads`, of which `None` is `auto`.
#[must_use]
pub(crate) fn thread_count(wanted: Option<u32>, cores: usize) -> usize {
    match wanted {
        Some(wanted) => wanted as usize,
        None if cores <= CORES_FOR_ONE => 0,
        None => (cores / 2).min(THREADS_MAX),
    }
}

/// What a network thread is made from.
pub(super) struct ThreadStart {
    pub(super) index: usize,
    pub(super) told: Arc<Mailbox<Told>>,
    pub(super) inbox: Arc<Mailbox<Asked>>,
    pub(super) clock: Clock,
    pub(super) receive_bytes: usize,
    pub(super) limits: ReceiveLimits,
    pub(super) idle_ms: u64,
}

/// Tells the broker's thread when this one ends without having been told to.
struct Alarm {
    index: usize,
    inbox: Arc<Mailbox<Asked>>,
    is_off: bool,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if !self.is_off {
            self.inbox.put(&mut VecDeque::from([Asked::Lost { thread: self.index }]));
        }
    }
}

/// # Errors
/// When the system gives no thread.
pub(super) fn start(start: ThreadStart) -> io::Result<JoinHandle<()>> {
    let name = format!("network-{}", start.index);
    std::thread::Builder::new().name(name).spawn(move || {
        let (index, inbox) = (start.index, Arc::clone(&start.inbox));
        let mut alarm = Alarm { index, inbox, is_off: false };
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(%error, "a network thread cannot begin"),
        };
        let local = LocalSet::new();
        let life = local.spawn_local(live(start));
        alarm.is_off = local.block_on(&runtime, life).is_ok();
    })
}

async fn live(start: ThreadStart) {
    let ThreadStart { told: mailbox, inbox, clock, receive_bytes, limits, idle_ms, .. } = start;
    let (brought, mut ranges) = unbounded_channel();
    let lane = Lane::new(clock, ReceiveBudget::new(receive_bytes));
    let desk = Rc::new(RefCell::new(Desk::new(lane, ColdReads::new(brought), inbox)));
    look_after(&desk, idle_ms);
    let for_ranges = Rc::clone(&desk);
    tokio::task::spawn_local(async move {
        while let Some(range) = ranges.recv().await {
            for_ranges.borrow_mut().on_brought(range);
        }
    });
    let messenger = Rc::clone(&desk);
    tokio::task::spawn_local(poll_fn(move |it| messenger.borrow_mut().poll_hand_over(it)));
    let buffers = TlsBuffers::shared();
    let mut arrived = VecDeque::new();
    loop {
        poll_fn(|context| mailbox.poll_take(context, &mut arrived)).await;
        for told in arrived.drain(..) {
            match told {
                Told::Accepted(accepted) => admit(&desk, *accepted, &buffers, limits),
                Told::Stop => return send_what_is_left().await,
                other => desk.borrow_mut().on_told(other),
            }
        }
    }
}

/// What was answered before the stop goes out as far as the sockets take it.
async fn send_what_is_left() {
    for _ in 0..LAST_LAPS {
        tokio::task::yield_now().await;
    }
}

fn admit(
    desk: &Shared<Desk>,
    accepted: Accepted<Incoming>,
    buffers: &SharedBuffers,
    limits: ReceiveLimits,
) {
    let Accepted { id, stream, address, listener, endpoint } = accepted;
    desk.borrow_mut().open(id);
    match stream.into_stream(buffers) {
        Ok(stream) => {
            let accepted = Accepted { id, stream, address, listener, endpoint };
            tokio::task::spawn_local(serve(Rc::clone(desk), accepted, limits));
        }
        Err(error) => {
            let mut desk = desk.borrow_mut();
            desk.lane_mut().say_ending(&address.to_string(), &ending_of(&error));
            desk.on_closed(Closed { id, address, listener });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_threads_follows_the_cores_unless_it_is_set() {
        let auto = |cores| thread_count(None, cores);
        assert_eq!((auto(1), auto(2), auto(3), auto(8), auto(64)), (0, 0, 1, 4, 8));
        assert_eq!((thread_count(Some(0), 64), thread_count(Some(64), 1)), (0, 64));
    }

    #[test]
    fn a_thread_that_ends_by_a_defect_is_told_of() {
        let inbox: Arc<Mailbox<Asked>> = Arc::default();
        let alarm = Alarm { index: 3, inbox: Arc::clone(&inbox), is_off: false };
        let ended = std::thread::spawn(move || {
            let _alarm = alarm;
            assert!(std::thread::panicking(), "a defect");
        });
        assert!(ended.join().is_err());
        let mut told = VecDeque::new();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(inbox.poll_take(&mut context, &mut told).is_ready());
        assert!(matches!(told.pop_front(), Some(Asked::Lost { thread: 3 })));
    }
}
