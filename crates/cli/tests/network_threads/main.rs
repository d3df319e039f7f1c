//! Connections on network threads against the real binary: what `tests/faults` asks of connections, of
//! nodes that die and of nodes that stop, and what is new with several threads.

#[path = "../faults/frames.rs"]
mod frames;
#[path = "../faults/healthy.rs"]
mod healthy;
#[path = "../faults/kill.rs"]
mod kill;
#[path = "../faults/limits.rs"]
mod limits;
#[path = "../faults/looked_at.rs"]
mod looked_at;
#[path = "../faults/memory.rs"]
mod memory;
#[path = "../faults/node.rs"]
#[expect(dead_code, reason = "a part of the tests uses a part of it")]
mod node;
#[path = "../faults/silent.rs"]
mod silent;
#[path = "../faults/slow_reader.rs"]
mod slow_reader;
#[path = "../faults/wire.rs"]
mod wire;

mod together;

const NETWORK_THREADS: &str = "2";
