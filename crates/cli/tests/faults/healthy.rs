//! A producer that minds its own business while others misbehave.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use strom_protocol::ErrorCode;
use strom_protocol::records::BatchOptions;

use crate::node::PATIENCE;
use crate::wire::{Peer, batch};

const TOPIC: &str = "healthy";

pub(crate) struct Healthy {
    address: SocketAddr,
    /// Acknowledged records, one per batch.
    acknowledged: Arc<AtomicI64>,
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Healthy {
    /// Begins to produce, on one connection for its whole life.
    pub(crate) fn start(address: SocketAddr) -> Healthy {
        let mut peer = Peer::connect(address);
        assert_eq!(peer.create_topic(TOPIC, 1, &[]), ErrorCode::None);
        let (acknowledged, is_over) =
            (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, over) = (Arc::clone(&acknowledged), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let expected = count.load(Ordering::Relaxed);
                let value = batch(BatchOptions::default(), &[expected.to_be_bytes().to_vec()]);
                let produced = peer.produce(TOPIC, 0, &value).expect("the connection lives");
                assert_eq!((produced.error, produced.base_offset), (ErrorCode::None, expected));
                count.store(expected + 1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        Healthy { address, acknowledged, is_over, thread }
    }

    /// Waits until more was acknowledged: the node still serves.
    pub(crate) fn assert_served(&self) {
        let before = self.acknowledged.load(Ordering::Relaxed);
        let deadline = Instant::now() + PATIENCE;
        while self.acknowledged.load(Ordering::Relaxed) < before + 3 {
            assert!(!self.thread.is_finished(), "the healthy producer failed");
            assert!(Instant::now() < deadline, "the healthy producer waits for ever");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends it and looks whether everything is there.
    pub(crate) fn finish(self) {
        self.assert_served();
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("every batch was acknowledged in its turn");
        let (_, high_watermark) = Peer::connect(self.address).fetch(TOPIC, 0, 0);
        assert_eq!(high_watermark, self.acknowledged.load(Ordering::Relaxed));
    }
}
