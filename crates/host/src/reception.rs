//! Who was let in gets a place: on the broker's thread, or on a network thread.

use std::net::SocketAddr;
use std::rc::Rc;

use tokio::net::TcpStream;

use crate::connection::{Accepted, ReceiveLimits, ending_of, serve};
use crate::serves::Serves;
use crate::shard::SharedShard;
use crate::stream::{Incoming, Stream};
use crate::tls::{SharedBuffers, TlsBuffers};
use strom_intake::Ending;

pub(crate) struct Reception {
    pub(crate) shard: SharedShard,
    limits: ReceiveLimits,
    /// Of TLS connections on the broker's thread.
    buffers: SharedBuffers,
}

impl Reception {
    #[must_use]
    pub(crate) fn new(shard: SharedShard, limits: ReceiveLimits) -> Self {
        Self { shard, limits, buffers: TlsBuffers::shared() }
    }

    /// A connection of which nothing has been read.
    pub(crate) fn welcome(&self, stream: TcpStream, address: SocketAddr, listener: usize) {
        if !self.shard.borrow().has_network() {
            return self.serve_here(Stream::Plain(stream), address, listener);
        }
        match stream.into_std() {
            Ok(stream) => {
                let mut shard = self.shard.borrow_mut();
                shard.give_away(Incoming::Plain(stream), address, listener);
            }
            Err(error) => self.dismiss(address, listener, &ending_of(&error)),
        }
    }

    /// A connection that comes from another thread.
    pub(crate) fn take_over(&self, incoming: Incoming, address: SocketAddr, listener: usize) {
        if self.shard.borrow().has_network() {
            return self.shard.borrow_mut().give_away(incoming, address, listener);
        }
        match incoming.into_stream(&self.buffers) {
            Ok(stream) => self.serve_here(stream, address, listener),
            Err(error) => {
                self.dismiss(address, listener, &Ending::Notable(error.to_string()));
            }
        }
    }

    fn serve_here(&self, stream: Stream, address: SocketAddr, listener: usize) {
        let accepted = {
            let mut shard = self.shard.borrow_mut();
            let id = shard.open_connection(address.ip().to_string(), listener);
            let endpoint = shard.broker.endpoint_type(id);
            Accepted { id, stream, address, listener, endpoint }
        };
        tokio::task::spawn_local(serve(Rc::clone(&self.shard), accepted, self.limits));
    }

    /// Ends what was admitted and will not be served.
    pub(crate) fn dismiss(&self, address: SocketAddr, listener: usize, ending: &Ending) {
        let mut shard = self.shard.borrow_mut();
        shard.lane_mut().say_ending(&address.to_string(), ending);
        shard.admission.release(address.ip(), listener);
        shard.room().notify_waiters();
    }
}
