//! Making this node follow the configurations in the image: its own settings, and those of its logs.

use std::sync::Arc;

use strom_base::config::ConfigMap;
use strom_metadata::image::{ConfigResource, ResourceType};

use crate::Broker;
use crate::effect::{Severity, Turn};

impl Broker {
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
        let all = of(ConfigResource::cluster());
        let settings = match self.settings.are_with(own, all) {
            true => Ok(Arc::clone(&self.settings)),
            false => self.settings.with_dynamic(own, all).map(Arc::new),
        };
        match settings {
            Ok(settings) => {
                self.settings = settings;
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

    /// Applies a topic's configuration to its logs.
    fn reconfigure_topic(&mut self, name: &str) {
        let Some(topic_id) = self.metadata.image().topics.by_name(name).map(|topic| topic.id)
        else {
            return;
        };
        let config = self.log_config_of(name);
        for log in self.partitions.of_topic(topic_id) {
            if let Some(partition) = self.partitions.get_mut(log) {
                partition.log.set_config(Arc::clone(&config));
            }
        }
    }
}
