//! BrokerHeartbeat: a broker is fenced, takes part, stops in good order (kraft-interop 3.4).

use strom_base::{Now, Uuid};
use strom_protocol::ErrorCode;

use super::sessions::Session;
use super::{Controller, Decision, Refusal};
use crate::image::BrokerRegistration;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heartbeat {
    pub broker_id: i32,
    pub broker_epoch: i64,
    /// The last offset of the metadata log that the broker has applied.
    pub metadata_offset: i64,
    pub wants_fence: bool,
    pub wants_shutdown: bool,
    /// Directories that have failed.
    pub offline_directories: Vec<Uuid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatReply {
    /// Whether the broker has applied its own registration.
    pub is_caught_up: bool,
    pub is_fenced: bool,
    pub should_shut_down: bool,
}

/// What a broker is to the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fenced,
    Unfenced,
    ControlledShutdown,
    ShutdownNow,
}

impl Controller {
    /// Renews the broker's lease and decides what it is from now on. `next_offset` is where the
    /// decision's first record will stand.
    ///
    /// # Errors
    /// For a broker that is not registered at this epoch.
    pub fn heartbeat(
        &mut self,
        now: Now,
        beat: &Heartbeat,
        next_offset: i64,
    ) -> Result<Decision<HeartbeatReply>, Refusal> {
        let broker = self.registered(beat.broker_id, beat.broker_epoch)?;
        let before = state_of(broker);
        let after = self.next_state(broker, beat);
        let mut records = Vec::new();
        if before != after {
            match after {
                State::Fenced | State::ShutdownNow if broker.is_fenced => {}
                State::Fenced | State::ShutdownNow => self.fence(broker, &mut records),
                State::Unfenced => self.unfence(broker, &mut records),
                State::ControlledShutdown => self.begin_shutdown(broker, &mut records),
            }
        }
        if self.versions().has_directories() {
            self.lose_directories(broker, &beat.offline_directories, &mut records);
        }
        let reply = HeartbeatReply {
            is_caught_up: beat.metadata_offset >= broker.epoch,
            is_fenced: matches!(after, State::Fenced | State::ShutdownNow),
            should_shut_down: after == State::ShutdownNow,
        };
        self.renew(now, beat, after, next_offset + records.len() as i64);
        Ok(Decision { records, reply })
    }

    fn renew(&mut self, now: Now, beat: &Heartbeat, state: State, end_offset: i64) {
        if matches!(state, State::Fenced | State::ShutdownNow) {
            self.sessions.remove(beat.broker_id);
            return;
        }
        let known = self.sessions.get(beat.broker_id);
        let shutdown_offset = known.and_then(|session| session.shutdown_offset);
        let session = Session {
            broker_epoch: beat.broker_epoch,
            heard_ms: now.monotonic_ms,
            metadata_offset: beat.metadata_offset,
            shutdown_offset: match state {
                State::ControlledShutdown => shutdown_offset.or(Some(end_offset - 1)),
                _ => None,
            },
        };
        self.sessions.insert(beat.broker_id, session);
    }

    fn next_state(&self, broker: &BrokerRegistration, beat: &Heartbeat) -> State {
        match state_of(broker) {
            State::Fenced if beat.wants_shutdown => State::ShutdownNow,
            State::Fenced if !beat.wants_fence && beat.metadata_offset >= broker.epoch => {
                State::Unfenced
            }
            State::Unfenced if beat.wants_fence && beat.wants_shutdown => State::ShutdownNow,
            State::Unfenced if beat.wants_fence => State::Fenced,
            State::Unfenced if beat.wants_shutdown && self.leads_any(broker.id) => {
                State::ControlledShutdown
            }
            State::Unfenced if beat.wants_shutdown => State::ShutdownNow,
            State::ControlledShutdown
                if !self.leads_any(broker.id) && self.others_have_seen_shutdown(broker.id) =>
            {
                State::ShutdownNow
            }
            state => state,
        }
    }

    fn leads_any(&self, broker: i32) -> bool {
        let mut partitions = self.image.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.any(|partition| partition.leader == broker)
    }

    /// Whether all active brokers know that the leaderships have moved.
    fn others_have_seen_shutdown(&self, broker: i32) -> bool {
        let session = self.sessions.get(broker);
        let Some(offset) = session.and_then(|session| session.shutdown_offset) else { return true };
        let others = self.sessions.iter();
        let mut others = others.filter(|(id, _)| self.image.cluster.is_active(*id));
        others.all(|(_, session)| session.metadata_offset >= offset)
    }

    /// The registration of a broker at an epoch.
    pub(super) fn registered(&self, id: i32, epoch: i64) -> Result<&BrokerRegistration, Refusal> {
        let stale = |text: String| Refusal::new(ErrorCode::StaleBrokerEpoch, text);
        let broker = self.image.cluster.broker(id);
        let broker = broker
            .ok_or_else(|| stale(format!("No broker registration found for broker id {id}")))?;
        if broker.epoch != epoch {
            let known = broker.epoch;
            return Err(stale(format!(
                "Expected broker epoch {epoch}, but got broker epoch {known}"
            )));
        }
        Ok(broker)
    }
}

fn state_of(broker: &BrokerRegistration) -> State {
    if broker.is_fenced {
        State::Fenced
    } else if broker.in_controlled_shutdown {
        State::ControlledShutdown
    } else {
        State::Unfenced
    }
}
