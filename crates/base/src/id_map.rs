//! Maps by numbers that we gave out ourselves.
//!
//! The standard library's hasher defends against keys that a peer has chosen, and is seeded by the
//! operating system: neither belongs in a machine that is to repeat itself from one seed. Ids of
//! connections, files, logs and topics are ours, so a plain multiplication will do. Look-ups only: the
//! order of iteration must not reach an effect.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

/// A `HashMap` whose keys no peer can choose.
pub type IdMap<K, V> = HashMap<K, V, FxBuildHasher>;
