//! The sockets that are listened on: bound before anything else, accepted from while there is room.

use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::time::Duration;

use strom_base::config::node_settings::NetworkSettings;
use strom_broker::settings::BrokerSettings;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::descriptors::Descriptors;
use crate::reception::Reception;
use crate::serves::Serves;
use crate::shard::SharedShard;
use crate::stream::Incoming;
use crate::tls::{Handshakes, Outcome, Wanted};
use strom_intake::Ending;
use strom_intake::admission::ConnectionLimits;

/// Binds all addresses, `host:port` each; an empty host is every address.
///
/// # Errors
/// One sentence for the operator.
pub(crate) async fn bind_all(
    addresses: &[String],
    settings: &NetworkSettings,
) -> Result<Vec<TcpListener>, String> {
    let mut listeners = Vec::new();
    for address in addresses {
        listeners.push(bind(address, settings).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => format!(
                "the address {address} is in use: stop the program that listens there, or change \
                 listeners"
            ),
            _ => format!("cannot listen on {address} ({error}): change listeners"),
        })?);
    }
    Ok(listeners)
}

async fn bind(listen: &str, settings: &NetworkSettings) -> std::io::Result<TcpListener> {
    let listen =
        if listen.starts_with(':') { format!("0.0.0.0{listen}") } else { listen.to_owned() };
    let mut last = std::io::Error::other("the host name has no address");
    for address in tokio::net::lookup_host(&listen).await? {
        let socket = if address.is_ipv4() {
            tokio::net::TcpSocket::new_v4()?
        } else {
            tokio::net::TcpSocket::new_v6()?
        };
        socket.set_reuseaddr(true)?;
        // Connections have what their listener has. A size that is set stays: the system's own grows and
        // shrinks with what flows.
        if let Some(bytes) = settings.send_buffer_bytes {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = settings.receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        match socket.bind(address).and_then(|()| socket.listen(settings.listen_backlog_size)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// What the configuration and the process's descriptors allow.
///
/// # Errors
/// One sentence for the operator.
pub(crate) fn connection_limits(
    settings: &BrokerSettings,
    descriptors: Descriptors,
) -> Result<ConnectionLimits, String> {
    let network = &settings.node.network;
    let mut limits = ConnectionLimits {
        node: network.max_connections.min(descriptors.connections),
        per_address: network.max_connections_per_ip,
        ..Default::default()
    };
    let layers = settings.layers();
    for (index, listener) in settings.node.client_listeners().enumerate() {
        let key = format!("listener.name.{}.max.connections", listener.name.to_lowercase());
        if let Some(text) = layers.text(&key) {
            let limit = text.trim().parse().map_err(|_| {
                format!("Invalid value {text} for configuration {key}: it must be a number")
            })?;
            limits.listeners.insert(index, limit);
        }
    }
    for (host, limit) in &network.max_connections_per_ip_overrides {
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = (name, 0).to_socket_addrs().map_err(|error| {
            format!(
                "max.connections.per.ip.overrides names {host}, which has no address ({error}): \
                 name hosts that exist"
            )
        })?;
        limits.addresses.extend(addresses.map(|it| (it.ip().to_canonical(), *limit)));
    }
    Ok(limits)
}

/// What becomes of the connections of one listener.
pub(crate) struct Acceptor {
    pub(crate) reception: Rc<Reception>,
    /// The listener's place among the node's.
    pub(crate) index: usize,
    /// Of a node with TLS listeners.
    pub(crate) handshakes: Option<Rc<Handshakes>>,
}

/// Accepts for as long as the node lives.
pub(crate) async fn accept(acceptor: Acceptor, listener: TcpListener) {
    let (shard, index) = (&acceptor.reception.shard, acceptor.index);
    let room = shard.borrow().room();
    let mut failures = 0_u64;
    loop {
        await_room(shard, &room, index).await;
        match listener.accept().await {
            Ok((stream, address)) => {
                failures = 0;
                // The limit may have been lowered since.
                await_room(shard, &room, index).await;
                acceptor.admit(stream, address);
            }
            Err(error) => {
                // Once per trouble, not once per attempt.
                if failures == 0 {
                    tracing::warn!(%error, "connections are not accepted");
                }
                failures += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn await_room(shard: &SharedShard, room: &Notify, index: usize) {
    while !shard.borrow().admission.has_room(index) {
        room.notified().await;
    }
}

impl Acceptor {
    fn admit(&self, stream: TcpStream, address: SocketAddr) {
        let Self { reception, index, .. } = self;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone before it was served");
            return;
        }
        let admitted = reception.shard.borrow_mut().admission.admit(address.ip(), *index);
        if let Err(reason) = admitted {
            let mut shard = reception.shard.borrow_mut();
            shard.lane_mut().say_ending(&address.to_string(), &Ending::Notable(reason));
            return;
        }
        let tls = self.handshakes.as_ref().and_then(|handshakes| {
            let config = reception.shard.borrow().tls.of(*index)?;
            Some((handshakes, config))
        });
        let Some((handshakes, config)) = tls else {
            return reception.welcome(stream, address, *index);
        };
        let is_submitted = stream.into_std().is_ok_and(|socket| {
            handshakes.submit(Wanted { socket, address, listener: *index, config })
        });
        if !is_submitted {
            reception.dismiss(address, *index, &Ending::Usual("the node stops".to_owned()));
        }
    }
}

/// Serves the connections whose handshakes are done.
pub(crate) async fn serve_shaken(
    reception: Rc<Reception>,
    mut outcomes: UnboundedReceiver<Outcome>,
) {
    while let Some(Outcome { address, listener, result }) = outcomes.recv().await {
        match result {
            Ok(shaken) => reception.take_over(Incoming::Tls(Box::new(shaken)), address, listener),
            Err(ending) => reception.dismiss(address, listener, &ending),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::sockopt::{socket_recv_buffer_size, socket_send_buffer_size};

    use super::*;

    /// The buffers of a connection that is accepted, to send and to receive.
    async fn buffers(settings: &NetworkSettings) -> (usize, usize) {
        let listener = bind("127.0.0.1:0", settings).await.expect("bound");
        let address = listener.local_addr().expect("an address");
        let (_client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (accepted, _) = accepted.expect("accepted");
        let sent = socket_send_buffer_size(&accepted).expect("told");
        (sent, socket_recv_buffer_size(&accepted).expect("told"))
    }

    #[tokio::test]
    async fn connections_have_the_buffers_that_are_set() {
        let unset = NetworkSettings { listen_backlog_size: 4, ..Default::default() };
        let set = NetworkSettings {
            send_buffer_bytes: Some(50_000),
            receive_buffer_bytes: Some(60_000),
            ..unset.clone()
        };
        // Linux counts its own part, too, and doubles what is asked for.
        assert_eq!(buffers(&set).await, (100_000, 120_000));
        assert_ne!(buffers(&unset).await, (100_000, 120_000));
    }
}
