//! An ordinary client: one small produce after the other, and how long each takes.

use std::time::{Duration, Instant};

use strom_protocol::ErrorCode;
use strom_protocol::records::BatchOptions;

use crate::node::Node;
use crate::wire::{Peer, batch};

const TOPIC: &str = "ordinary";
/// Requests of one window, to each node.
const REQUESTS: usize = 700;
/// Fewer, where they take long.
const WINDOW: Duration = Duration::from_secs(4);
/// So many are looked at, and if the machine is busy with other things up to so many more until one is not
/// disturbed: a window may be shorter than a turn of the system's scheduler.
const WINDOWS: usize = 4;
const WINDOWS_MAX: usize = 12;
/// The bound for what others may take longer under a flood.
const RATIO_MAX: f64 = 5.0;
/// Below this it is the system's scheduler that is measured.
const LEAST: Duration = Duration::from_micros(500);

/// One client of one node.
pub(crate) struct Ordinary {
    peer: Peer,
    batch: Vec<u8>,
}

impl Ordinary {
    pub(crate) fn of(node: &Node) -> Self {
        let mut peer = Peer::connect(node.address());
        assert_eq!(peer.create_topic(TOPIC, 1, &[]), ErrorCode::None);
        let mut ordinary =
            Self { peer, batch: batch(BatchOptions::default(), &[b"value".to_vec()]) };
        (0..100).for_each(|_| {
            ordinary.produce();
        });
        ordinary
    }

    fn produce(&mut self) -> Duration {
        let started = Instant::now();
        let produced = self.peer.produce(TOPIC, 0, &self.batch).expect("the connection lives");
        assert_eq!(produced.error, ErrorCode::None);
        started.elapsed()
    }
}

/// The slowest hundredth of one window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    flooded: Duration,
    quiet: Duration,
}

impl Window {
    fn ratio(self) -> f64 {
        self.flooded.max(LEAST).as_secs_f64() / self.quiet.max(LEAST).as_secs_f64()
    }
}

/// Asks both nodes in turn, and panics when the flooded one is slower in every window than it may be.
pub(crate) fn assert_served(what: &str, flooded: &mut Ordinary, quiet: &mut Ordinary) {
    let mut windows: Vec<Window> = Vec::new();
    while windows.len() < WINDOWS
        || (windows.len() < WINDOWS_MAX && windows.iter().all(|it| it.ratio() >= RATIO_MAX))
    {
        windows.push(window(flooded, quiet));
    }
    let ratios: Vec<f64> = windows.iter().map(|window| window.ratio()).collect();
    println!("{what}: p99 in each window {windows:?}, {ratios:.1?} times");
    assert!(ratios.iter().any(|ratio| *ratio < RATIO_MAX), "{what}: {ratios:.1?} times as slow");
}

fn window(flooded: &mut Ordinary, quiet: &mut Ordinary) -> Window {
    let (mut of_flooded, mut of_quiet) = (Vec::new(), Vec::new());
    let started = Instant::now();
    while of_quiet.len() < REQUESTS && (of_quiet.len() < 100 || started.elapsed() < WINDOW) {
        of_flooded.push(flooded.produce());
        of_quiet.push(quiet.produce());
    }
    of_flooded.sort();
    of_quiet.sort();
    Window { flooded: p99(&of_flooded), quiet: p99(&of_quiet) }
}

fn p99(times: &[Duration]) -> Duration {
    times[times.len() * 99 / 100]
}
