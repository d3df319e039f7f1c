//! Work for a broker: what the bench and the cost gate send, and the systems they send it to.

pub(crate) mod batch;
pub(crate) mod fetch;
pub(crate) mod system;
pub(crate) mod target;
pub(crate) mod usage;
pub(crate) mod wire;
