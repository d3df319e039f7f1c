//! Topics that the node creates by itself: those that clients name before they are there, and
//! `__consumer_offsets`.

use std::sync::Arc;

use strom_metadata::Refusal;
use strom_metadata::controller::TopicDefaults;
use strom_metadata::controller::create_topics::NewTopic;

use crate::Broker;
use crate::config_rules::Rules;
use crate::effect::{Severity, Turn};
use crate::groups::OFFSETS_TOPIC;

impl Broker {
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
}
