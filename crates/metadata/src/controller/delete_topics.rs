//! DeleteTopics: one record removes a topic, its partitions and its configuration.

use strom_base::Uuid;
use strom_protocol::remove_topic_record::RemoveTopicRecord;
use strom_protocol::{ErrorCode, MetadataRecord};

use super::{Controller, Decision, Refusal, encode};

/// A topic by its name, or by its id where no name is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicReference<'a> {
    pub name: Option<&'a str>,
    pub id: Uuid,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    /// As far as they are known.
    pub name: Option<String>,
    pub id: Uuid,
    pub outcome: Result<(), Refusal>,
}

impl Controller {
    /// Decides on each topic by itself; one that is named twice is removed once.
    #[must_use]
    pub fn delete_topics(&self, topics: &[TopicReference<'_>]) -> Decision<Vec<DeletedTopic>> {
        let mut decision = Decision { records: Vec::new(), reply: Vec::new() };
        let mut removed = Vec::new();
        for reference in topics {
            let found = match reference.name {
                Some(name) => self.image.topics.by_name(name),
                None => self.image.topics.by_id(reference.id),
            };
            let found = found.filter(|topic| !removed.contains(&topic.id));
            decision.reply.push(match found {
                Some(topic) => {
                    removed.push(topic.id);
                    let record = RemoveTopicRecord { topic_id: topic.id, ..Default::default() };
                    decision.records.push(encode(&MetadataRecord::RemoveTopic(record), 0));
                    let name = Some(topic.name.to_string());
                    DeletedTopic { name, id: topic.id, outcome: Ok(()) }
                }
                None => DeletedTopic {
                    name: reference.name.map(str::to_owned),
                    id: reference.id,
                    outcome: Err(unknown(reference)),
                },
            });
        }
        decision
    }
}

fn unknown(reference: &TopicReference<'_>) -> Refusal {
    match reference.name {
        Some(_) => Refusal::new(
            ErrorCode::UnknownTopicOrPartition,
            "This server does not host this topic-partition.",
        ),
        None => Refusal::new(ErrorCode::UnknownTopicId, "This server does not host this topic ID."),
    }
}
