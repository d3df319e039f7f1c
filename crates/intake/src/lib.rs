//! From a connection's bytes to requests: what is read, from whom, when, and what it may hold meanwhile.
//!
//! Owns: cutting requests out of bytes, the budget of unfinished requests, whose turn it is, outboxes,
//! who may connect. Never does: reads and writes of sockets, clock reads, sleeping; it names whom to wake.
//! Start at [`reading::Reading`], one for each connection; what they share is an [`intake::Intake`].
//!
//! Invariants: memory grows with bytes received, not with bytes claimed; all unfinished requests stay within
//! the budget, and beyond it by what [`budget`] says; nothing is read for who does not take its answers.
#![forbid(unsafe_code)]

pub mod admission;
pub mod budget;
pub mod ending;
pub mod intake;
pub mod peers;
pub mod reading;
pub mod receive;
pub mod takes;
pub mod turns;

pub use ending::Ending;
pub use intake::Intake;
pub use reading::{Reading, Step};
pub use takes::{Next, Takes};
