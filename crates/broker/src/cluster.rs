//! What the node knows of its cluster, in the words of the APIs; and what it asks the controller by itself.

use std::sync::Arc;

use strom_base::Uuid;
use strom_base::config::ConfigMap;
use strom_metadata::Refusal;
use strom_metadata::controller::TopicDefaults;
use strom_metadata::controller::create_topics::NewTopic;
use strom_metadata::controller::register_broker::{Registration, supported_features};
use strom_metadata::image::{ConfigResource, ControllerRegistration, Endpoint, ResourceType};
use strom_protocol::ErrorCode;
use strom_replica::Partition;
use strom_storage::LogConfig;
use strom_storage::disk::LogId;

use crate::Broker;
use crate::config_rules::Rules;
use crate::effect::{ConnectionId, Severity, Turn};
use crate::groups::OFFSETS_TOPIC;
use crate::lifecycle::Phase;

/// Topics that clients may not write to.
const INTERNAL_TOPICS: [&str; 3] = [OFFSETS_TOPIC, "__transaction_state", "__share_group_state"];

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
        let mut listeners = self.settings.node.client_listeners();
        listeners.nth(index).map(|it| it.name.clone()).unwrap_or_default()
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

    pub(crate) fn is_alive(&self, id: i32) -> bool {
        self.metadata.image().cluster.broker(id).is_some_and(|broker| !broker.is_fenced)
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

    /// Follows a changed configuration.
    pub(crate) fn reconfigure(&mut self, turn: &mut Turn<'_>, resource: &ConfigResource) {
        match resource.kind {
            ResourceType::Topic => self.reconfigure_topic(&resource.name),
            ResourceType::Broker => self.reconfigure_node(turn),
            _ => {}
        }
    }

    /// Obeys what was set for this broker and for all, in all its logs too.
    pub(crate) fn reconfigure_node(&mut self, turn: &mut Turn<'_>) {
        let configs = &self.metadata.image().configs;
        let nothing = ConfigMap::new();
        let of = |resource: ConfigResource| configs.of(&resource).unwrap_or(&nothing);
        let own = of(ConfigResource::broker(self.identity.node_id));
        match self.settings.with_dynamic(own, of(ConfigResource::cluster())) {
            Ok(settings) => {
                self.settings = Arc::new(settings);
                turn.out.has_new_settings = true;
            }
            Err(error) => {
                // The controller checks single values; together they may still not fit.
                turn.out
                    .notice(Severity::Error, format!("a changed setting is not obeyed: {error}"));
                return;
            }
        }
        let topics: Vec<Box<str>> =
            self.metadata.image().topics.iter().map(|topic| topic.name.clone()).collect();
        for topic in topics {
            self.reconfigure_topic(&topic);
        }
    }

    pub(crate) fn on_topics_removed(&mut self, turn: &mut Turn<'_>, names: &[String]) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.on_group_topics_deleted(turn, &names);
        if names.contains(&OFFSETS_TOPIC) {
            self.unload_groups(turn);
        }
    }

    pub(crate) fn topic_defaults(&self) -> TopicDefaults {
        TopicDefaults {
            partitions: self.settings.node.topics.num_partitions,
            replication_factor: self.settings.node.topics.default_replication_factor,
        }
    }

    /// Creates topics that clients named and that are not committed, with the default shape; the
    /// offset to await.
    pub(crate) fn create_topics_by_default(
        &mut self,
        turn: &mut Turn<'_>,
        names: &[&str],
    ) -> Option<i64> {
        let topics: Vec<NewTopic<'_>> = names
            .iter()
            .filter(|name| !self.is_internal_topic(name))
            .map(|name| NewTopic {
                name,
                partitions: -1,
                replication_factor: -1,
                ..NewTopic::default()
            })
            .collect();
        let settings = Arc::clone(&self.settings);
        let decision = self.metadata.controller.create_topics(
            &topics,
            self.topic_defaults(),
            &Rules(&settings),
            &mut self.random,
        );
        let offset = self.submit(turn, decision.records);
        // Somebody else may have asked for one just before: that is on its way.
        let written = &self.metadata.controller.image().topics;
        offset.or_else(|| {
            let is_pending = names.iter().any(|name| written.by_name(name).is_some());
            is_pending.then(|| self.metadata.raft().log_end_offset() - 1)
        })
    }

    /// Creates `__consumer_offsets`; the offset to await, `None` when that was refused.
    pub(crate) fn create_offsets_topic(&mut self, turn: &mut Turn<'_>) -> Option<i64> {
        if let Some(offset) = self.groups.creation_offset {
            return Some(offset).filter(|offset| *offset >= self.metadata.committed_offset());
        }
        let settings = Arc::clone(&self.settings);
        let segment_bytes = settings.node.offsets.topic_segment_bytes.to_string();
        let topic = NewTopic {
            name: OFFSETS_TOPIC,
            partitions: settings.node.offsets.topic_partitions,
            replication_factor: settings.node.offsets.topic_replication_factor,
            assignments: Vec::new(),
            configs: vec![
                ("cleanup.policy", Some("compact")),
                ("compression.type", Some("producer")),
                ("segment.bytes", Some(&segment_bytes)),
            ],
        };
        let decision = self.metadata.controller.create_topics(
            &[topic],
            self.topic_defaults(),
            &Rules(&settings),
            &mut self.random,
        );
        if let Some(Err(Refusal { message, .. })) = decision.reply.first() {
            let text = format!("{OFFSETS_TOPIC} cannot be created: {message}");
            turn.out.notice(Severity::Error, text);
        }
        let offset = self.submit(turn, decision.records);
        self.groups.creation_offset = offset;
        offset
    }

    /// A block of producer ids: its first id, its length and the offset of its record.
    pub(crate) fn allocate_producer_ids(
        &mut self,
        turn: &mut Turn<'_>,
    ) -> Result<(i64, i32, i64), ErrorCode> {
        let epoch = self.broker_epoch();
        let decision = self
            .metadata
            .controller
            .allocate_producer_ids(self.identity.node_id, epoch)
            .map_err(|refusal| refusal.error)?;
        let block = decision.reply;
        let offset =
            self.submit(turn, decision.records).ok_or(ErrorCode::CoordinatorNotAvailable)?;
        Ok((block.first, block.length, offset))
    }

    /// Steps of the start, each when the one before is committed: bootstrap records, registration
    /// of this broker, its unfencing; then clients are served.
    pub(crate) fn continue_start(&mut self, turn: &mut Turn<'_>) {
        if self.phase != Phase::Starting {
            return;
        }
        let image = self.metadata.image();
        let id = self.identity.node_id;
        let registered = image.cluster.broker(id).map(|it| (it.incarnation_id, it.is_fenced));
        match registered {
            Some((incarnation, false)) if incarnation == self.incarnation_id => {
                self.phase = Phase::Running;
                let topics = self.metadata.image().topics.iter();
                let topics: Vec<Uuid> = topics.map(|topic| topic.id).collect();
                self.report_directories(turn, topics.into_iter());
            }
            Some((incarnation, true)) if incarnation == self.incarnation_id => {}
            _ if self.registration_asked => {}
            _ => self.register(turn),
        }
    }

    /// The controller of this node (KIP-919), if its folder or configuration says how it is reached.
    fn register_controller(&mut self, turn: &mut Turn<'_>) {
        let endpoints = self.settings.quorum.endpoints.iter().map(|endpoint| Endpoint {
            name: endpoint.name.clone(),
            host: endpoint.host.clone(),
            port: endpoint.port,
            // PLAINTEXT, the only protocol that is served.
            security_protocol: 0,
        });
        let registration = ControllerRegistration {
            id: self.identity.node_id,
            incarnation_id: self.random.uuid(),
            zk_migration_ready: false,
            endpoints: endpoints.collect(),
            features: supported_features(),
        };
        if !registration.endpoints.is_empty() {
            let decision = self.metadata.controller.register_controller(&registration);
            self.submit_of_start(turn, decision.records);
        }
    }

    /// A step of the start. One that is not written would be waited for without end.
    fn submit_of_start(&mut self, turn: &mut Turn<'_>, records: Vec<Vec<u8>>) {
        if !records.is_empty() && self.submit(turn, records).is_none() {
            let text = "this node cannot write its start to the metadata log: see the line before";
            turn.out.halt.get_or_insert_with(|| text.to_owned());
        }
    }

    /// One append after the other; raft keeps their order, so that none has to wait.
    fn register(&mut self, turn: &mut Turn<'_>) {
        self.registration_asked = true;
        let min_insync = self.settings.layers().text("min.insync.replicas");
        let min_insync = min_insync.map_or("1", str::trim).to_owned();
        match self.metadata.first_records(&min_insync) {
            Ok(records) => self.submit_of_start(turn, records),
            Err(error) => {
                turn.out.halt.get_or_insert(error);
                return;
            }
        }
        self.register_controller(turn);
        let mut directories: Vec<Uuid> = self.identity.directories.iter().map(|it| it.id).collect();
        directories.sort_unstable();
        let registration = Registration {
            broker_id: self.identity.node_id,
            incarnation_id: self.incarnation_id,
            endpoints: self.endpoints.clone(),
            features: supported_features(),
            rack: self.settings.node.identity.rack.clone(),
            directories,
            previous_broker_epoch: self.previous_broker_epoch,
        };
        let next_offset = self.metadata.raft().log_end_offset();
        let controller = &self.metadata.controller;
        let registered = controller.register_broker(turn.now, &registration, next_offset);
        let unfenced = registered.and_then(|registered| {
            let epoch = registered.reply;
            self.submit_of_start(turn, registered.records);
            self.metadata.controller.unfence_broker(self.identity.node_id, epoch)
        });
        match unfenced {
            Ok(unfenced) => self.submit_of_start(turn, unfenced.records),
            Err(refusal) => {
                let text = format!("this broker cannot take part: {}", refusal.message);
                turn.out.halt.get_or_insert(text);
            }
        }
    }
}
