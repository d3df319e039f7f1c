//! Who may connect: `max.connections`, of the node and of each listener, and `max.connections.per.ip`.

use core::net::IpAddr;
use std::collections::{BTreeMap, HashMap};

/// Limits that the configuration sets.
#[derive(Clone, Debug, Default)]
pub struct ConnectionLimits {
    /// `max.connections`
    pub node: u32,
    /// `listener.name.NAME.max.connections`, in the order of the listeners; one that is not here has
    /// no limit of its own.
    pub listeners: BTreeMap<usize, u32>,
    /// `max.connections.per.ip`
    pub per_address: u32,
    /// `max.connections.per.ip.overrides`
    pub addresses: BTreeMap<IpAddr, u32>,
}

/// Counts connections against the limits.
#[derive(Debug, Default)]
pub struct Admission {
    limits: ConnectionLimits,
    node: u32,
    listeners: BTreeMap<usize, u32>,
    addresses: HashMap<IpAddr, u32>,
}

impl Admission {
    #[must_use]
    pub fn new(limits: ConnectionLimits) -> Self {
        Self { limits, ..Default::default() }
    }

    /// From now on; who is connected stays, also above a limit.
    pub fn set_limits(&mut self, limits: ConnectionLimits) {
        self.limits = limits;
    }

    /// Whether a listener may accept at all. Else connections wait at the operating system until
    /// others end, as with Apache Kafka (KIP-402).
    #[must_use]
    pub fn has_room(&self, listener: usize) -> bool {
        let limit = self.limits.listeners.get(&listener);
        let open = self.listeners.get(&listener).copied().unwrap_or_default();
        self.node < self.limits.node && limit.is_none_or(|limit| open < *limit)
    }

    /// Counts a connection.
    ///
    /// # Errors
    /// Its address has as many as it may have: why it is closed.
    pub fn admit(&mut self, address: IpAddr, listener: usize) -> Result<(), String> {
        let address = address.to_canonical();
        let limit = self.limits.addresses.get(&address).unwrap_or(&self.limits.per_address);
        let open = self.addresses.get(&address).copied().unwrap_or_default();
        if open >= *limit {
            return Err(format!("{address} has {open} connections, {limit} are allowed"));
        }
        self.addresses.insert(address, open + 1);
        *self.listeners.entry(listener).or_default() += 1;
        self.node += 1;
        Ok(())
    }

    /// A connection that was admitted has ended.
    pub fn release(&mut self, address: IpAddr, listener: usize) {
        let address = address.to_canonical();
        if let Some(open) = self.addresses.get_mut(&address) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                self.addresses.remove(&address);
            }
        }
        if let Some(open) = self.listeners.get_mut(&listener) {
            *open = open.saturating_sub(1);
        }
        self.node = self.node.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(node: u32, per_address: u32) -> ConnectionLimits {
        ConnectionLimits { node, per_address, ..Default::default() }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_its_limit_and_gets_room_back() {
        let mut limits = limits(100, 1);
        limits.addresses.insert(address("10.0.0.2"), 2);
        let mut admission = Admission::new(limits);
        assert!(admission.admit(address("10.0.0.1"), 0).is_ok());
        let refused = admission.admit(address("::ffff:10.0.0.1"), 0);
        assert_eq!(refused, Err("10.0.0.1 has 1 connections, 1 are allowed".into()));
        assert!(admission.admit(address("10.0.0.2"), 0).is_ok());
        assert!(admission.admit(address("10.0.0.2"), 0).is_ok());
        assert!(admission.admit(address("10.0.0.2"), 0).is_err());
        admission.release(address("10.0.0.1"), 0);
        assert!(admission.admit(address("10.0.0.1"), 0).is_ok());
    }

    #[test]
    fn a_full_node_or_listener_accepts_nobody() {
        let mut limits = limits(2, 100);
        limits.listeners.insert(1, 1);
        let mut admission = Admission::new(limits);
        admission.admit(address("10.0.0.1"), 1).expect("room");
        assert!(!admission.has_room(1) && admission.has_room(0));
        admission.admit(address("10.0.0.1"), 0).expect("room");
        assert!(!admission.has_room(0));
        admission.release(address("10.0.0.1"), 1);
        assert!(admission.has_room(0) && admission.has_room(1));
        admission.set_limits(ConnectionLimits { node: 1, per_address: 100, ..Default::default() });
        assert!(!admission.has_room(0));
    }
}
