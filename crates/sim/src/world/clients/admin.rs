//! Creates the topics.

use strom_protocol::ErrorCode;
use strom_protocol::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use strom_protocol::create_topics_response::CreateTopicsResponse;

use super::wire::CREATE_TOPICS;
use super::{Context, Link};

/// A topic that a world has.
#[derive(Clone, Debug)]
pub(in crate::world) struct Topic {
    pub(in crate::world) name: &'static str,
    pub(in crate::world) partitions: i32,
    pub(in crate::world) configs: Vec<(&'static str, String)>,
}

/// The request that creates topics.
pub(super) fn creation(topics: &[Topic]) -> CreateTopicsRequest<'_> {
    let topics = topics.iter().map(|topic| CreatableTopic {
        name: topic.name,
        num_partitions: topic.partitions,
        replication_factor: 1,
        configs: topic
            .configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig {
                name,
                value: Some(value),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    CreateTopicsRequest { topics: topics.collect(), timeout_ms: 30_000, ..Default::default() }
}

#[derive(Debug)]
pub(in crate::world) struct Admin {
    topics: Vec<Topic>,
    asked: Option<i32>,
    is_done: bool,
}

impl Admin {
    pub(in crate::world) fn new(topics: Vec<Topic>) -> Self {
        Self { topics, asked: None, is_done: false }
    }

    pub(super) fn is_done(&self) -> bool {
        self.is_done
    }

    pub(super) fn on_disconnected(&mut self) {
        self.asked = None;
    }

    pub(super) fn act(&mut self, link: &mut Link, context: &mut Context<'_>) -> Result<(), String> {
        if self.asked.is_some() || self.is_done {
            return Ok(());
        }
        let request = creation(&self.topics);
        self.asked = Some(link.send(CREATE_TOPICS, &request, context)?);
        Ok(())
    }

    pub(super) fn on_answer(
        &mut self,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        self.asked = None;
        let answer: CreateTopicsResponse<'_> = CREATE_TOPICS.answer(bytes)?;
        self.is_done = true;
        for topic in &answer.topics {
            match ErrorCode::from_code(topic.error_code) {
                ErrorCode::None | ErrorCode::TopicAlreadyExists => {}
                error if error.is_retriable() => self.is_done = false,
                error => {
                    return Err(format!(
                        "topic {} was not created: {} {:?}",
                        topic.name,
                        error.name(),
                        topic.error_message
                    ));
                }
            }
        }
        context.retry();
        Ok(())
    }
}
