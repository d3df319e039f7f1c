//! What of the configured listeners this version serves, and what it tells clients of them.

use strom_base::config::{Listener, NodeSettings, SecurityProtocol};

/// # Errors
/// One sentence: a listener asks for what is not served yet.
pub(super) fn check(node: &NodeSettings) -> Result<(), String> {
    let is_served =
        |it: &&Listener| matches!(it.protocol, SecurityProtocol::Plaintext | SecurityProtocol::Ssl);
    match node.open_listeners().find(|it| !is_served(it)) {
        None => Ok(()),
        Some(Listener { name, protocol, .. }) => Err(format!(
            "listener {name} asks for {}, which this version does not serve yet: use PLAINTEXT or \
             SSL",
            protocol.name()
        )),
    }
}

/// The host that others are told: this machine, where the configuration names no other.
pub(crate) fn reachable_host(listener: &Listener) -> String {
    match listener.advertised_host.as_str() {
        "" | "0.0.0.0" | "::" => "localhost".to_owned(),
        host => host.to_owned(),
    }
}
