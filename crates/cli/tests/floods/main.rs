//! Floods of hostile peers against the real binary: many connections, and few that ask for much. Beside
//! each an ordinary client goes on, of whose answers the slowest hundredth is compared with what the same
//! client gets at the same moment from a node that is left alone.
//!
//! A process of its own, and one flood at a time: each needs ten thousand sockets.

#[path = "../faults/node.rs"]
#[expect(dead_code, reason = "a part of the tests uses a part of it")]
mod node;
#[path = "../faults/wire.rs"]
#[expect(dead_code, reason = "a part of the tests uses a part of it")]
mod wire;

mod connections;
mod flood;
mod look_ups;
mod ordinary;
mod requests;

/// All on one thread: what one peer takes there nobody else has.
const NETWORK_THREADS: &str = "0";
