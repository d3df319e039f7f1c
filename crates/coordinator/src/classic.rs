//! The classic protocol of one group, as Kafka's ClassicGroup speaks it.
//!
//! [`ClassicGroup`] is soft state: who is a member, who waits for whom. It outlives nothing; what
//! must is a [`StoredGroup`](crate::record::StoredGroup), written when a generation is assigned,
//! when a static member is replaced and when the last member has gone.

mod check;
mod group;
mod heartbeat;
mod join;
mod leave;
mod lifetime;
mod member;
mod offsets;
mod protocols;
mod rebalance;
mod rejoin;
mod state;
mod store;
mod sync;
mod turn;

pub(crate) use group::ClassicGroup;
pub(crate) use leave::leave_refused;
pub(crate) use state::State;
pub(crate) use turn::{GroupTimer, Turn, Write};
