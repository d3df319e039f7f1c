//! What the node knows of its cluster, in the words of the APIs.

use std::sync::Arc;

use strom_metadata::image::{ConfigResource, Endpoint};
use strom_replica::Partition;
use strom_storage::LogConfig;
use strom_storage::disk::LogId;

use crate::Broker;
use crate::effect::ConnectionId;
use crate::groups::OFFSETS_TOPIC;

/// Topics that clients may not write to.
const INTERNAL_TOPICS: [&str; 3] = [OFFSETS_TOPIC, "__transaction_state", "__share_group_state"];

/// Whom a listener is for, with Kafka's codes (KIP-919).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointType {
    Broker = 1,
    Controller = 2,
}

impl EndpointType {
    #[must_use]
    pub(crate) fn from_code(code: i8) -> Option<Self> {
        [Self::Broker, Self::Controller].into_iter().find(|it| *it as i8 == code)
    }

    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Broker => "BROKER",
            Self::Controller => "CONTROLLER",
        }
    }
}

impl Broker {
    pub(crate) fn is_internal_topic(&self, name: &str) -> bool {
        INTERNAL_TOPICS.contains(&name)
    }

    pub(crate) fn log_by_name(&self, topic: &str, partition: i32) -> Option<LogId> {
        let topic = self.metadata.image().topics.by_name(topic)?;
        self.partitions.find(topic.id, partition)
    }

    pub(crate) fn partition_by_name(&self, topic: &str, partition: i32) -> Option<&Partition> {
        self.partitions.get(self.log_by_name(topic, partition)?)
    }

    /// What the log of a partition on this node goes by.
    #[must_use]
    pub fn log_config(&self, topic: &str, partition: i32) -> Option<&LogConfig> {
        self.partition_by_name(topic, partition).map(|it| &**it.log.config())
    }

    /// The name of the listener a connection came by.
    pub(crate) fn listener_of(&self, connection: ConnectionId) -> String {
        let index = self.connections.get(connection).map_or(0, |it| it.listener);
        let mut listeners = self.settings.node.open_listeners();
        listeners.nth(index).map(|it| it.name.clone()).unwrap_or_default()
    }

    /// Whom the listener is for that a connection came by.
    #[must_use]
    pub fn endpoint_type(&self, connection: ConnectionId) -> EndpointType {
        if self.settings.quorum.endpoints.is_empty() {
            return EndpointType::Broker;
        }
        let index = self.connections.get(connection).map_or(0, |it| it.listener);
        match self.settings.node.open_listeners().nth(index) {
            Some(listener) if listener.is_for_controllers => EndpointType::Controller,
            _ => EndpointType::Broker,
        }
    }

    /// Brokers that clients may be told of, with their endpoint on a listener, and their rack.
    pub(crate) fn alive_brokers<'a>(
        &'a self,
        listener: &str,
    ) -> impl Iterator<Item = (i32, &'a Endpoint, Option<&'a str>)> {
        let listener = listener.to_owned();
        let alive = self.metadata.image().cluster.brokers().filter(|broker| !broker.is_fenced);
        alive.filter_map(move |broker| {
            let endpoint = broker.endpoints.iter().find(|it| it.name == listener)?;
            Some((broker.id, endpoint, broker.rack.as_deref()))
        })
    }

    /// Whether a replica's broker takes part, and has the log directory that it lies in.
    pub(crate) fn is_online(&self, id: i32, partition: &strom_metadata::image::Partition) -> bool {
        let broker = self.metadata.image().cluster.broker(id);
        broker.is_some_and(|it| !it.is_fenced && it.has_replica_online(partition))
    }

    /// Clients send requests for the controller to any broker; this one will do.
    pub(crate) fn controller_id(&self) -> i32 {
        self.identity.node_id
    }

    pub(crate) fn broker_epoch(&self) -> i64 {
        let broker = self.metadata.image().cluster.broker(self.identity.node_id);
        broker.map_or(-1, |broker| broker.epoch)
    }

    pub(crate) fn log_config_of(&self, topic: &str) -> Arc<LogConfig> {
        match self.metadata.image().configs.of(&ConfigResource::topic(topic)) {
            Some(own) => self.settings.log_config(own),
            None => self.settings.default_log_config(),
        }
    }
}
