//! Bad input and faults against the real binary: operator's mistakes, hostile peers, kill -9, a full
//! disk. Each test has a node of its own on a free port of the loopback and a folder of its own.

mod failed_directory;
mod frames;
mod full_disk;
mod healthy;
mod kill;
mod limits;
mod looked_at;
mod many_partitions;
mod memory;
mod node;
mod operator;
mod records;
mod silent;
mod slow_reader;
mod snapshots;
mod wire;

/// All on one thread; `tests/network_threads` has a part of this with several.
const NETWORK_THREADS: &str = "0";
