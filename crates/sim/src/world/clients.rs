//! The clients of a world: what they are told and what they do about it.

use bytes::BytesMut;
use strom_base::{Now, Random};
use strom_broker::effect::ConnectionId;
use strom_protocol::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use strom_protocol::create_topics_response::CreateTopicsResponse;
use strom_protocol::{ErrorCode, Message};

use super::audit::Audit;
use super::churn::Churner;
use super::consumer::Consumer;
use super::group::Member;
use super::producer::Producer;
use super::trimmer::Trimmer;
use super::wire::{CREATE_TOPICS, Dialect};

/// What a client wants of its world.
#[derive(Debug)]
pub(super) enum Act {
    Send(BytesMut),
    WakeAfter(u64),
}

pub(super) struct Context<'a> {
    pub(super) now: Now,
    pub(super) random: &'a mut Random,
    pub(super) audit: &'a mut Audit,
    pub(super) acts: Vec<Act>,
}

impl Context<'_> {
    pub(super) fn wake_after(&mut self, delay_ms: u64) {
        self.acts.push(Act::WakeAfter(delay_ms));
    }
}

/// A client's side of its connection.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) connection: Option<ConnectionId>,
    last_correlation_id: i32,
}

impl Link {
    pub(super) fn send<'m>(
        &mut self,
        dialect: Dialect,
        message: &impl Message<'m>,
        context: &mut Context<'_>,
    ) -> Result<i32, String> {
        self.last_correlation_id += 1;
        let frame = dialect.request(self.last_correlation_id, message)?;
        context.acts.push(Act::Send(frame));
        Ok(self.last_correlation_id)
    }
}

/// A topic that a world has.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) partitions: i32,
    pub(super) configs: Vec<(&'static str, String)>,
}

/// The request that creates topics.
pub(super) fn creation(topics: &[Topic]) -> CreateTopicsRequest<'_> {
    let topics = topics.iter().map(|topic| CreatableTopic {
        name: &topic.name,
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

/// Creates the topics.
#[derive(Debug)]
pub(super) struct Admin {
    topics: Vec<Topic>,
    asked: Option<i32>,
    is_done: bool,
}

impl Admin {
    pub(super) fn new(topics: Vec<Topic>) -> Self {
        Self { topics, asked: None, is_done: false }
    }

    fn act(&mut self, link: &mut Link, context: &mut Context<'_>) -> Result<(), String> {
        if self.asked.is_some() || self.is_done {
            return Ok(());
        }
        let request = creation(&self.topics);
        self.asked = Some(link.send(CREATE_TOPICS, &request, context)?);
        Ok(())
    }

    fn on_answer(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Result<(), String> {
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
        context.wake_after(5);
        Ok(())
    }
}

#[derive(Debug)]
pub(super) enum Role {
    Admin(Admin),
    Producer(Producer),
    Consumer(Consumer),
    Member(Member),
    Churner(Churner),
    Trimmer(Trimmer),
}

/// One client.
#[derive(Debug)]
pub(super) struct Actor {
    pub(super) link: Link,
    pub(super) role: Role,
    /// When it is woken next, if it waits for that.
    pub(super) wakes_ms: Option<u64>,
}

impl Actor {
    pub(super) fn new(role: Role) -> Self {
        Self { link: Link::default(), role, wakes_ms: None }
    }

    /// Whether it has asked for a change of the metadata and does not know what became of it.
    pub(super) fn is_changing_metadata(&self) -> bool {
        match &self.role {
            Role::Admin(admin) => !admin.is_done,
            Role::Churner(churner) => churner.is_changing(),
            Role::Producer(_) | Role::Consumer(_) | Role::Member(_) | Role::Trimmer(_) => false,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        match &self.role {
            Role::Admin(admin) => admin.is_done,
            Role::Producer(producer) => producer.is_done(),
            Role::Churner(churner) => churner.is_done(),
            Role::Consumer(_) | Role::Member(_) | Role::Trimmer(_) => true,
        }
    }

    /// What was read may be gone when the power failed: then it is read again.
    pub(super) fn on_disconnected(&mut self, power_failed: bool) {
        self.link.connection = None;
        match &mut self.role {
            Role::Admin(admin) => admin.asked = None,
            Role::Producer(producer) => producer.on_disconnected(),
            Role::Consumer(consumer) => consumer.on_disconnected(power_failed),
            Role::Member(member) => member.on_disconnected(),
            Role::Churner(churner) => churner.on_disconnected(),
            Role::Trimmer(trimmer) => trimmer.on_disconnected(),
        }
    }

    pub(super) fn act(&mut self, context: &mut Context<'_>) -> Result<(), String> {
        match &mut self.role {
            Role::Admin(admin) => admin.act(&mut self.link, context),
            Role::Producer(producer) => producer.act(&mut self.link, context),
            Role::Consumer(consumer) => consumer.act(&mut self.link, context),
            Role::Member(member) => member.act(&mut self.link, context),
            Role::Churner(churner) => churner.act(&mut self.link, context),
            Role::Trimmer(trimmer) => trimmer.act(&mut self.link, context),
        }
    }

    /// An answer without its length.
    pub(super) fn on_answer(
        &mut self,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        let id = bytes.first_chunk().copied().ok_or("an answer without a correlation id")?;
        let correlation_id = i32::from_be_bytes(id);
        match &mut self.role {
            Role::Admin(admin) => admin.on_answer(bytes, context)?,
            Role::Producer(producer) => producer.on_answer(correlation_id, bytes, context)?,
            Role::Consumer(consumer) => consumer.on_answer(correlation_id, bytes, context)?,
            Role::Member(member) => member.on_answer(correlation_id, bytes, context)?,
            Role::Churner(churner) => churner.on_answer(correlation_id, bytes, context)?,
            Role::Trimmer(trimmer) => trimmer.on_answer(correlation_id, bytes, context)?,
        }
        // Who wants to wait is not hurried.
        if context.acts.is_empty() { self.act(context) } else { Ok(()) }
    }
}
