//! A node that is flooded, one that is not, and who floods.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::node::{Node, Place};
use crate::ordinary::{Ordinary, assert_served};
use crate::wire::Peer;

/// What the issue asks for; fewer where the system gives a process fewer sockets.
const CONNECTIONS: u64 = 10_000;
/// Descriptors of a process that are not those of a flood: of a node its files among others.
const OTHER_DESCRIPTORS: u64 = 5_000;

/// One flood at a time.
static TURN: Mutex<()> = Mutex::new(());

pub(crate) struct Nodes {
    flooded: (Node, Ordinary),
    quiet: (Node, Ordinary),
    before_bytes: u64,
    _places: [Place; 2],
    _turn: MutexGuard<'static, ()>,
}

impl Nodes {
    pub(crate) fn start() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut places = [Place::new(), Place::new()];
        for place in &mut places {
            // With Kafka's 50 who connects waits for a second whenever the node is 50 behind.
            place.set("socket.listen.backlog.size", "4096");
        }
        let [flooded, quiet] = [&places[0], &places[1]].map(|place| {
            let node = place.start();
            let ordinary = Ordinary::of(&node);
            (node, ordinary)
        });
        let before_bytes = flooded.0.anonymous_bytes();
        Self { flooded, quiet, before_bytes, _places: places, _turn: turn }
    }

    pub(crate) fn connect(&self) -> Peer {
        Peer::connect(self.flooded.0.address())
    }

    pub(crate) fn node(&self) -> &Node {
        &self.flooded.0
    }

    /// An ordinary client is served while all this goes on, and the node holds no more than so much.
    pub(crate) fn assert_served(&mut self, what: &str, grown_bytes_max: u64) {
        assert_served(what, &mut self.flooded.1, &mut self.quiet.1);
        self.assert_bounded(what, grown_bytes_max);
    }

    fn assert_bounded(&self, what: &str, grown_bytes_max: u64) {
        let grown = self.flooded.0.anonymous_bytes().saturating_sub(self.before_bytes);
        println!("{what}: {} KiB more held", grown >> 10);
        assert!(grown < grown_bytes_max, "{what}: {grown} bytes");
    }

    /// Both stop in order.
    pub(crate) fn stop(self) {
        self.flooded.0.stop();
        self.quiet.0.stop();
    }
}

/// How many connections a flood has. This process gets as many sockets as the system gives.
pub(crate) fn crowd_size() -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("a limit");
    let most = maximum.unwrap_or(u64::MAX).saturating_sub(OTHER_DESCRIPTORS);
    assert!(most >= 1000, "a process has {maximum:?} descriptors: too few for a flood");
    CONNECTIONS.min(most)
}

/// Threads that do the same over and over until they are told to end.
pub(crate) struct Flood {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<u64>>,
}

impl Flood {
    /// Each thread gets one of them.
    pub(crate) fn of<T: Send + 'static>(
        each: Vec<T>,
        act: impl Fn(&mut T) + Clone + Send + 'static,
    ) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let threads = each.into_iter().map(|mut own| {
            let (is_over, act) = (Arc::clone(&is_over), act.clone());
            std::thread::spawn(move || {
                let mut rounds = 0;
                while !is_over.load(Ordering::Relaxed) {
                    act(&mut own);
                    rounds += 1;
                }
                rounds
            })
        });
        let threads = threads.collect();
        Self { is_over, threads }
    }

    /// Ends it; how often all of them acted. One that did nothing was no flood.
    pub(crate) fn end(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        let rounds = self.threads.into_iter().map(|thread| thread.join().expect("a flood"));
        let rounds = rounds.sum();
        println!("{rounds} rounds");
        assert!(rounds > 0);
        rounds
    }
}

/// Does something for each of many, spread over so much time.
pub(crate) fn spread<T>(many: &mut [T], over: Duration, mut act: impl FnMut(&mut T)) {
    const AT_A_TIME: usize = 50;
    let started = Instant::now();
    let parts = many.len().div_ceil(AT_A_TIME).max(1) as u32;
    for (index, part) in (1..).zip(many.chunks_mut(AT_A_TIME)) {
        part.iter_mut().for_each(&mut act);
        std::thread::sleep((over * index / parts).saturating_sub(started.elapsed()));
    }
}
