//! The broker's thread as network threads see it: their requests are taken up in turns, and their
//! connections opened and forgotten.

use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use strom_broker::effect::{Response, Turn};
use strom_intake::Takes;

use super::{Shard, SharedShard};
use crate::connection::Accepted;
use crate::network::{Asked, Exchange, Turned};
use crate::stream::Incoming;

impl Shard {
    /// From now on connections live on network threads.
    pub(crate) fn use_network(&mut self, exchange: Exchange) {
        self.exchange = Some(exchange);
    }

    /// Whether new connections live on network threads.
    #[must_use]
    pub(crate) fn has_network(&self) -> bool {
        self.exchange.is_some()
    }

    /// Opens a connection and gives it to a network thread.
    pub(crate) fn give_away(&mut self, stream: Incoming, address: SocketAddr, listener: usize) {
        let Some(exchange) = &mut self.exchange else { return };
        let id = exchange.open();
        let now = self.lane.clock.now();
        let mut turn = Turn { now, files: &self.engine, out: &mut self.effects };
        self.broker.on_connected(&mut turn, id, address.ip().to_string(), listener);
        let endpoint = self.broker.endpoint_type(id);
        exchange.accept(Accepted { id, stream, address, listener, endpoint });
        self.conclude(now);
    }

    /// Network threads send what they have, and end.
    pub(crate) fn stop_network(&mut self) {
        if let Some(mut exchange) = self.exchange.take() {
            exchange.stop();
        }
    }

    /// A turn of what network threads have brought, and all that follows from it. Ready when there is
    /// more.
    fn poll_network(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let may_take_bulk = self.may_take_bulk();
        let Some(exchange) = &mut self.exchange else { return Poll::Pending };
        exchange.hold_bulk_up(!may_take_bulk);
        ready!(exchange.poll_arrived(context));
        self.now = self.lane.clock.now();
        let mut turned = Turned::default();
        while let Some(asked) = self.exchange.as_mut().and_then(|it| it.next(&mut turned)) {
            self.take_up(asked, &mut turned);
        }
        if let Some(exchange) = &mut self.exchange {
            exchange.end_turn(&turned);
        }
        self.conclude(self.now);
        self.exchange.as_mut().map_or(Poll::Pending, |exchange| exchange.poll_arrived(context))
    }

    fn take_up(&mut self, asked: Asked, turned: &mut Turned) {
        match asked {
            Asked::Request { id, frame, .. } => {
                let work_bytes = self.serve(id, frame);
                let is_held = self.broker.is_held(id);
                if let Some(exchange) = &mut self.exchange {
                    exchange.charge(id, work_bytes, turned);
                    exchange.on_served(id, is_held);
                }
            }
            Asked::Collected { id, parts } => {
                if let Some(exchange) = &mut self.exchange {
                    exchange.on_collected((id, parts), (&self.engine, &mut self.effects));
                }
            }
            Asked::Closed(closed) => {
                if let Some(exchange) = &mut self.exchange {
                    exchange.forget(closed.id);
                }
                self.forget_connection(&closed);
            }
            Asked::Spent(bytes) => self.effects.recycle(Response { bytes, ranges: Vec::new() }),
            Asked::Lost { thread } => {
                self.effects.halt = Some(format!(
                    "network thread {thread} has ended, which is a defect of this program: start \
                     the node again"
                ));
            }
        }
    }
}

/// Serves what network threads bring, for as long as the node lives.
pub(crate) async fn serve_network(shard: SharedShard) {
    loop {
        std::future::poll_fn(|context| shard.borrow_mut().poll_network(context)).await;
        // In between the others have their turn: the disk's reports, deadlines.
        tokio::task::yield_now().await;
    }
}
