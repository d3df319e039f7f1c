//! Network threads: connections that do not live on the broker's thread (`strom.network.threads`).
//!
//! A Kafka client has one connection to a node and asks on it for partitions of everywhere, so that
//! work is not split by partition: the broker and the disk engine stay on one thread, and what costs
//! most beside them, the sockets and their encryption, goes to others. There the same connection's task
//! runs ([`crate::connection`]) against a [`desk`], which has a lane of its own and hands requests over.
//!
//! ```text
//! network thread                                    broker's thread
//!   connection → desk ── ToBroker, by the batch ──→ mailbox → exchange → broker
//!        socket ← desk ← mailbox ←── ToNetwork, by the turn ──┘  (answers, resolved to what can be sent)
//! ```
//!
//! What crosses is charged and bounded: a thread that has given the broker much reads on only for those
//! who have had little ([`desk`]); small requests go by large ones on the broker's side, too
//! ([`exchange`]); of answers that lie in the arena or in files so many are out at a time.

mod desk;
mod exchange;
mod mailbox;
mod messages;
mod remote;
mod thread;
#[cfg(test)]
mod woken;

pub(crate) use exchange::{Exchange, ExchangeStart, Turned};
pub(crate) use messages::Asked;
pub(crate) use thread::thread_count;
