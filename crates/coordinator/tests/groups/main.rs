//! Groups through their public face: requests and time in, effects out.

mod admin;
mod durability;
mod format;
mod membership;
mod offsets;
mod properties;
mod rebalance;
mod static_members;
mod world;
