//! Golden folders (`fixtures/golden`): data folders of each format version, written by Apache Kafka and by
//! Strom, opened by this binary, read whole, compared with what a client of Apache Kafka read when they were
//! written, and scanned. `cargo xtask golden` writes them.

mod expected;
mod folder;
#[path = "../faults/node.rs"]
#[expect(dead_code, reason = "a part of the tests uses a part of it")]
mod node;
mod reading;
#[path = "../faults/wire.rs"]
#[expect(dead_code, reason = "a part of the tests uses a part of it")]
mod wire;

const NETWORK_THREADS: &str = "0";
