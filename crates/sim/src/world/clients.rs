//! The clients of a world: what they are told and what they do about it.

mod admin;
mod asker;
mod batch;
mod churner;
mod consumer;
mod list_offsets;
mod member;
mod producer;
mod session;
mod times;
mod trimmer;
mod wire;

use bytes::BytesMut;
use strom_base::{Now, Random};
use strom_broker::effect::ConnectionId;
use strom_protocol::Message;

use super::audit::Audit;
use super::clock::{MILLISECOND, Nanos};
pub(super) use admin::{Admin, Topic};
pub(super) use asker::Asker;
pub(super) use churner::Churner;
pub(super) use consumer::Consumer;
pub(super) use member::Member;
pub(super) use producer::{Kind, Producer};
pub(super) use trimmer::Trimmer;
use wire::Dialect;
pub(super) use wire::{describe, harmless};

/// What a client wants of its world.
#[derive(Debug)]
pub(super) enum Act {
    Send(BytesMut),
    WakeAfter(Nanos),
    /// It has waited for too long and leaves its connection, with all that is under way on it.
    GiveUp,
}

pub(super) struct Context<'a> {
    pub(super) now: Now,
    pub(super) random: &'a mut Random,
    pub(super) audit: &'a mut Audit,
    /// How hasty clients are: they wait for some of these.
    pub(super) pace: Nanos,
    pub(super) acts: &'a mut Vec<Act>,
}

impl Context<'_> {
    pub(super) fn wake_after(&mut self, delay: Nanos) {
        self.acts.push(Act::WakeAfter(delay));
    }

    /// Comes back after at most so many paces.
    pub(super) fn pause(&mut self, paces: u64) {
        let delay = self.random.below(paces * self.pace);
        self.wake_after(delay);
    }

    /// Tries again what was refused.
    pub(super) fn retry(&mut self) {
        self.wake_after((20 * self.pace).clamp(MILLISECOND, 100 * MILLISECOND));
    }
}

/// A client's side of its connection.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) connection: Option<ConnectionId>,
    last_correlation_id: i32,
}

impl Link {
    fn send<'m>(
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

#[derive(Debug)]
pub(super) enum Role {
    Admin(Admin),
    Producer(Producer),
    Consumer(Consumer),
    Member(Member),
    Churner(Churner),
    Trimmer(Trimmer),
    Asker(Asker),
}

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) link: Link,
    pub(super) role: Role,
    pub(super) random: Random,
    /// When it is woken next, if it waits for that.
    pub(super) wakes: Option<Nanos>,
}

impl Client {
    pub(super) fn new(role: Role, random: Random) -> Self {
        Self { link: Link::default(), role, random, wakes: None }
    }

    /// How it is called in a timeline.
    pub(super) fn name(&self) -> &'static str {
        match &self.role {
            Role::Admin(_) => "admin",
            Role::Producer(_) => "producer",
            Role::Consumer(_) => "consumer",
            Role::Member(_) => "member",
            Role::Churner(_) => "churner",
            Role::Trimmer(_) => "trimmer",
            Role::Asker(_) => "asker",
        }
    }

    /// Whether it has asked for a change of the metadata and does not know what became of it.
    pub(super) fn is_changing_metadata(&self) -> bool {
        match &self.role {
            Role::Admin(admin) => !admin.is_done(),
            Role::Churner(churner) => churner.is_changing(),
            // The next id is no part of what the cluster is.
            Role::Producer(_)
            | Role::Consumer(_)
            | Role::Member(_)
            | Role::Trimmer(_)
            | Role::Asker(_) => false,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        match &self.role {
            Role::Admin(admin) => admin.is_done(),
            Role::Producer(producer) => producer.is_done(),
            Role::Churner(churner) => churner.is_done(),
            Role::Asker(asker) => asker.is_done(),
            Role::Consumer(_) | Role::Member(_) | Role::Trimmer(_) => true,
        }
    }

    /// What was read may be gone when the power failed: then it is read again.
    pub(super) fn on_disconnected(&mut self, power_failed: bool) {
        self.link.connection = None;
        match &mut self.role {
            Role::Admin(admin) => admin.on_disconnected(),
            Role::Producer(producer) => producer.on_disconnected(),
            Role::Consumer(consumer) => consumer.on_disconnected(power_failed),
            Role::Member(member) => member.on_disconnected(),
            Role::Churner(churner) => churner.on_disconnected(),
            Role::Trimmer(trimmer) => trimmer.on_disconnected(),
            Role::Asker(asker) => asker.on_disconnected(),
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
            Role::Asker(asker) => asker.act(&mut self.link, context),
        }
    }

    /// An answer without its length.
    pub(super) fn on_answer(
        &mut self,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) -> Result<(), String> {
        let id = bytes.first_chunk().copied().ok_or("an answer without a correlation id")?;
        let id = i32::from_be_bytes(id);
        match &mut self.role {
            Role::Admin(admin) => admin.on_answer(bytes, context)?,
            Role::Producer(producer) => producer.on_answer(id, bytes, context)?,
            Role::Consumer(consumer) => consumer.on_answer(id, bytes, context)?,
            Role::Member(member) => member.on_answer(id, bytes, context)?,
            Role::Churner(churner) => churner.on_answer(id, bytes, context)?,
            Role::Trimmer(trimmer) => trimmer.on_answer(id, bytes, context)?,
            Role::Asker(asker) => asker.on_answer(bytes, context)?,
        }
        // Who wants to wait is not hurried.
        if context.acts.is_empty() { self.act(context) } else { Ok(()) }
    }
}
