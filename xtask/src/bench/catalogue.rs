//! The workloads by name, as in the plan of measurements: what each does and what its cost is told for.

use anyhow::Result;
use strom_protocol::compression::Codec;

use super::bare_sync;
use super::consume::{Consume, Place};
use super::open_loop::OpenLoop;
use super::produce::Produce;
#[cfg(feature = "real-client")]
use super::real_client::RealClient;
use super::sample::{Per, Sample};
use crate::load::batch::BatchShape;
use crate::load::system::{Kind, System};
use crate::load::target::PARTITIONS;

pub(super) enum Work {
    Produce(Produce, Per),
    Open(OpenLoop),
    Consume(Consume),
    #[cfg(feature = "real-client")]
    RealClient(RealClient, Per),
}

/// A load on a running node.
pub(super) struct Workload {
    pub name: &'static str,
    pub title: &'static str,
    pub work: Work,
}

impl Workload {
    /// Of as many rounds as are asked for: Apache Kafka takes minutes for one over many partitions.
    #[must_use]
    pub(super) fn rounds(&self, asked_for: usize) -> usize {
        match self.work {
            Work::Produce(produce, _) if produce.partitions > PARTITIONS => asked_for.min(2),
            _ => asked_for,
        }
    }

    /// The floor program takes produces and never syncs.
    #[must_use]
    pub(super) fn suits(&self, kind: Kind) -> bool {
        let never_syncs_or_reads = match self.work {
            Work::Produce(produce, _) => !produce.is_synced && produce.partitions == PARTITIONS,
            Work::Open(_) => true,
            Work::Consume(_) => false,
            #[cfg(feature = "real-client")]
            Work::RealClient(..) => false,
        };
        !kind.is_floor() || never_syncs_or_reads
    }

    /// Whether our own load program brings it.
    #[must_use]
    pub(super) fn is_our_own(&self) -> bool {
        #[cfg(feature = "real-client")]
        if matches!(self.work, Work::RealClient(..)) {
            return false;
        }
        true
    }

    /// Whether its client speaks TLS.
    #[must_use]
    pub(super) fn has_tls(&self) -> bool {
        #[cfg(feature = "real-client")]
        if let Work::RealClient(client, _) = self.work {
            return client.has_tls;
        }
        false
    }

    /// # Errors
    /// When a request fails.
    pub(super) fn run(&self, system: &System, round: usize, scale: f64) -> Result<Sample> {
        let topic = format!("{}-{round}", self.name.to_lowercase());
        let (mut moved, per, more) = match &self.work {
            Work::Produce(produce, per) => {
                let moved = produce.run(system, &topic, scale)?;
                let more = match produce.is_synced {
                    true => bare_sync::figures(system.folder(), moved.requests)?,
                    false => Vec::new(),
                };
                (moved, *per, more)
            }
            Work::Open(open) => (open.run(system, &topic, scale)?, Per::Request, Vec::new()),
            Work::Consume(consume) => {
                let (moved, more) = consume.run(system, &topic, scale)?;
                (moved, Consume::PER, more)
            }
            #[cfg(feature = "real-client")]
            Work::RealClient(client, per) => (client.run(system, &topic, scale)?, *per, Vec::new()),
        };
        let mut figures = moved.figures(per);
        figures.extend(more);
        let latencies = moved.latencies;
        let row = system.row().clone();
        Ok(Sample { workload: self.name, row, round, figures, latencies })
    }
}

const KIB_BATCH: BatchShape = BatchShape::plain(63, 1010);
const KEYED_BATCH: BatchShape =
    BatchShape { records: 140, key_bytes: 8, value_bytes: 100, codec: Codec::None };

fn closed_loop(shape: BatchShape, requests: usize, in_flight: usize) -> Produce {
    let (connections, partitions) = (1, PARTITIONS);
    Produce { shape, requests, connections, in_flight, is_synced: false, partitions }
}

fn produce(shape: BatchShape, requests: usize, in_flight: usize, per: Per) -> Work {
    Work::Produce(closed_loop(shape, requests, in_flight), per)
}

fn open(requests_per_second: u32, bulk_mb_per_second: u32) -> Work {
    Work::Open(OpenLoop { requests_per_second, seconds: 6.0, bulk_mb_per_second })
}

fn consume(fan_out: usize, place: Place, batches: usize) -> Work {
    Work::Consume(Consume { fan_out, place, shape: KIB_BATCH, batches })
}

fn compressed(codec: Codec) -> BatchShape {
    BatchShape { records: 200, key_bytes: 0, value_bytes: 1010, codec }
}

/// All loads, in the order in which they run: first those of small requests. The files of a topic are
/// removed a minute after its round, and where many megabytes are, that shows in the latencies of others.
#[must_use]
pub(super) fn workloads() -> Vec<Workload> {
    let large = BatchShape::plain(1000, 1010);
    let single = BatchShape::plain(1, 100);
    let many = Produce { connections: 64, ..closed_loop(single, 60_000, 1) };
    let synced = Produce { is_synced: true, ..closed_loop(single, 1_500, 1) };
    let all = [
        ("W3-64", "one record a request, 64 connections", Work::Produce(many, Per::Request)),
        ("W3", "one record a request, one in flight", produce(single, 30_000, 1, Per::Request)),
        (
            "synced",
            "one record a request, synced before its answer",
            Work::Produce(synced, Per::Request),
        ),
        ("W8-500", "500 requests a second, open loop", open(500, 0)),
        ("W8-10k", "10,000 requests a second, open loop", open(10_000, 0)),
        (
            "W2",
            "produce, 100 B keyed records, 16 KiB batches",
            produce(KEYED_BATCH, 20_000, 5, Per::MillionRecords),
        ),
        (
            "W1-64KB",
            "produce, 1 KiB records, 64 KiB batches",
            produce(KIB_BATCH, 12_000, 5, Per::Gigabyte),
        ),
        ("W1-1MB", "produce, 1 KiB records, 1 MB batches", produce(large, 1000, 4, Per::Gigabyte)),
        (
            "W4-lz4",
            "produce, lz4, bytes on the wire",
            produce(compressed(Codec::Lz4), 6_000, 5, Per::Gigabyte),
        ),
        (
            "W4-zstd",
            "produce, zstd, bytes on the wire",
            produce(compressed(Codec::Zstd), 6_000, 5, Per::Gigabyte),
        ),
        ("W6-1", "produce and one consumer at the tail", consume(1, Place::Tail, 6_000)),
        ("W6-4", "produce and 4 consumers at the tail", consume(4, Place::Tail, 6_000)),
        ("W6-16", "produce and 16 consumers at the tail", consume(16, Place::Tail, 3_000)),
        ("W6-behind", "one consumer, 500 MB behind", consume(1, Place::Cached, 8_000)),
        ("W7", "a cold read beside small produces", consume(1, Place::Cold, 16_000)),
        ("W8-500-bulk", "500 requests a second beside 100 MB/s", open(500, 100)),
        ("W8-10k-bulk", "10,000 requests a second beside 100 MB/s", open(10_000, 100)),
    ];
    let all = all.into_iter();
    #[cfg(feature = "real-client")]
    let all = all.chain(through_librdkafka());
    let all = all.chain(over_many_partitions());
    all.map(|(name, title, work)| Workload { name, title, work }).collect()
}

/// Last: what comes after them finds brokers with many partitions.
fn over_many_partitions() -> [(&'static str, &'static str, Work); 2] {
    let over_1_000 = Produce { partitions: 1_000, ..closed_loop(KIB_BATCH, 6_000, 5) };
    // One topic may not have more: making it is one batch of 10,000 metadata records.
    let over_10_000 = Produce { partitions: 9_999, ..closed_loop(KEYED_BATCH, 20_000, 5) };
    [
        (
            "W1-1000",
            "produce, 64 KiB batches over 1,000 partitions",
            Work::Produce(over_1_000, Per::Gigabyte),
        ),
        (
            "W2-10000",
            "produce, 100 B keyed records over 9,999 partitions",
            Work::Produce(over_10_000, Per::MillionRecords),
        ),
    ]
}

#[cfg(feature = "real-client")]
fn through_librdkafka() -> [(&'static str, &'static str, Work); 6] {
    let large = RealClient {
        records: 500_000,
        key_bytes: 0,
        value_bytes: 1010,
        batch_bytes: 1_000_000,
        reads: false,
        has_tls: false,
    };
    let keyed = RealClient {
        records: 1_500_000,
        key_bytes: 8,
        value_bytes: 100,
        batch_bytes: 16_384,
        ..large
    };
    let medium = RealClient { batch_bytes: 65_536, ..large };
    let read = RealClient { reads: true, ..medium };
    let with_tls = |client| RealClient { has_tls: true, ..client };
    [
        ("W1-rdkafka", "librdkafka produces 1 KiB records", Work::RealClient(large, Per::Gigabyte)),
        (
            "W2-rdkafka",
            "librdkafka produces 100 B keyed records",
            Work::RealClient(keyed, Per::MillionRecords),
        ),
        ("W6-rdkafka", "librdkafka consumes 1 KiB records", Work::RealClient(read, Per::Gigabyte)),
        (
            "W18-1MB",
            "librdkafka produces 1 MB batches through TLS 1.3",
            Work::RealClient(with_tls(large), Per::Gigabyte),
        ),
        (
            "W18-64KB",
            "the same with 64 KiB batches",
            Work::RealClient(with_tls(medium), Per::Gigabyte),
        ),
        (
            "W18-consume",
            "librdkafka consumes 1 KiB records through TLS 1.3",
            Work::RealClient(with_tls(read), Per::Gigabyte),
        ),
    ]
}
