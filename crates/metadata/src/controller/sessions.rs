//! Who of the brokers was heard of lately: leases that heartbeats renew. None of it is in records.

use std::collections::BTreeMap;

use strom_base::Now;

use super::{Controller, Decision};

/// One broker's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) broker_epoch: i64,
    pub(super) heard_ms: u64,
    /// What of the metadata log the broker has applied, by its last word.
    pub(super) metadata_offset: i64,
    /// Where the log ended when the broker asked to stop: all others have to see that first.
    pub(super) shutdown_offset: Option<i64>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Sessions {
    by_broker: BTreeMap<i32, Session>,
}

impl Sessions {
    pub(super) fn get(&self, broker: i32) -> Option<&Session> {
        self.by_broker.get(&broker)
    }

    pub(super) fn insert(&mut self, broker: i32, session: Session) {
        self.by_broker.insert(broker, session);
    }

    pub(super) fn remove(&mut self, broker: i32) {
        self.by_broker.remove(&broker);
    }

    /// Brokers with their sessions, in the order of their ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i32, &Session)> {
        self.by_broker.iter().map(|(id, session)| (*id, session))
    }
}

impl Controller {
    /// A new leadership: every broker that takes part has a lease from now on.
    pub fn on_activated(&mut self, now: Now) {
        self.sessions = Sessions::default();
        for broker in self.image.cluster.brokers().filter(|broker| !broker.is_fenced) {
            let session = Session {
                broker_epoch: broker.epoch,
                heard_ms: now.monotonic_ms,
                metadata_offset: -1,
                shutdown_offset: None,
            };
            self.sessions.insert(broker.id, session);
        }
    }

    /// Whether the broker's lease of this epoch runs.
    pub(super) fn has_session(&self, now: Now, broker: i32, epoch: i64) -> bool {
        let session = self.sessions.get(broker).filter(|it| it.broker_epoch == epoch);
        session.is_some_and(|it| now.monotonic_ms < self.ends_ms(it))
    }

    fn ends_ms(&self, session: &Session) -> u64 {
        session.heard_ms.saturating_add(self.settings.session_timeout_ms.max(0) as u64)
    }

    /// When the first lease ends.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.sessions.iter().map(|(_, session)| self.ends_ms(session)).min()
    }

    /// Fences one broker whose lease has ended; its id. One at a time, for the records of the one
    /// are the ground for those of the next.
    #[must_use]
    pub fn on_deadline(&mut self, now: Now) -> Decision<Option<i32>> {
        let mut decision = Decision { records: Vec::new(), reply: None };
        let ended = self.sessions.iter().find(|(_, it)| self.ends_ms(it) <= now.monotonic_ms);
        let Some((id, _)) = ended else { return decision };
        self.sessions.remove(id);
        if let Some(broker) = self.image.cluster.broker(id).filter(|broker| !broker.is_fenced) {
            self.fence(broker, &mut decision.records);
            decision.reply = Some(id);
        }
        decision
    }
}

#[cfg(test)]
pub(super) mod tests {
    use strom_base::Uuid;

    use super::*;
    use crate::controller::heartbeat::Heartbeat;
    use crate::controller::register_broker::{Registration, supported_features};

    /// The directory of a broker.
    pub(in crate::controller) fn directory(broker: i32) -> Uuid {
        let mut bytes = [1; 16];
        bytes[15] = broker as u8;
        Uuid(bytes)
    }

    pub(in crate::controller) fn registration(id: i32, incarnation: u8) -> Registration {
        Registration {
            broker_id: id,
            incarnation_id: Uuid([incarnation; 16]),
            endpoints: Vec::new(),
            features: supported_features(),
            rack: None,
            directories: vec![directory(id)],
            previous_broker_epoch: -1,
        }
    }

    pub(in crate::controller) fn apply<R>(
        controller: &mut Controller,
        offset: i64,
        decision: &Decision<R>,
    ) {
        for (offset, record) in (offset..).zip(&decision.records) {
            assert_eq!(controller.replay(offset, record), Ok(()));
        }
    }

    /// A controller of the latest level with these brokers: id, rack, and whether it is fenced.
    pub(in crate::controller) fn cluster_of(brokers: &[(i32, Option<&str>, bool)]) -> Controller {
        let mut controller = Controller::default();
        let records = crate::bootstrap::records("1");
        apply(&mut controller, 0, &Decision { records, reply: () });
        for (id, rack, is_fenced) in brokers {
            let rack = rack.map(str::to_owned);
            let asked = Registration { rack, ..registration(*id, 1) };
            let offset = 100 * i64::from(*id);
            let decision = controller.register_broker(Now::default(), &asked, offset);
            apply(&mut controller, offset, &decision.expect("registered"));
            if !is_fenced {
                let decision = controller.unfence_broker(*id, offset).expect("known");
                apply(&mut controller, offset + 1, &decision);
            }
        }
        controller
    }

    fn at(monotonic_ms: u64) -> Now {
        Now { monotonic_ms, wall_ms: 0 }
    }

    fn beat(id: i32) -> Heartbeat {
        let epoch = 100 * i64::from(id);
        let metadata_offset = i64::MAX;
        Heartbeat { broker_id: id, broker_epoch: epoch, metadata_offset, ..Default::default() }
    }

    #[test]
    fn a_silent_broker_is_fenced_and_one_that_speaks_is_not() {
        let mut controller = cluster_of(&[(1, None, false), (2, None, false)]);
        controller.on_activated(at(0));
        assert_eq!(controller.next_deadline(), Some(9000));
        let reply = controller.heartbeat(at(8000), &beat(1), 1000).expect("known");
        assert!(reply.records.is_empty() && !reply.reply.is_fenced);
        assert!(controller.on_deadline(at(8999)).records.is_empty());
        let decision = controller.on_deadline(at(9000));
        assert_eq!(decision.reply, Some(2));
        apply(&mut controller, 1000, &decision);
        let cluster = &controller.image().cluster;
        assert!(cluster.is_active(1) && !cluster.is_active(2));
        assert_eq!(controller.next_deadline(), Some(17_000));
    }

    #[test]
    fn a_second_process_has_to_wait_for_the_end_of_the_first_ones_lease() {
        let mut controller = cluster_of(&[(1, None, false)]);
        controller.on_activated(at(0));
        let other = registration(1, 2);
        let refused = controller.register_broker(at(100), &other, 1000).expect_err("refused");
        assert_eq!(refused.error, strom_protocol::ErrorCode::DuplicateBrokerRegistration);
        let accepted = controller.register_broker(at(9000), &other, 1000).expect("accepted");
        assert_eq!(accepted.reply, 1000);
        let same = controller.register_broker(at(100), &registration(1, 1), 1000).expect("same");
        assert_eq!(same.reply, 100);
    }

    #[test]
    fn a_fenced_broker_takes_part_once_it_has_caught_up() {
        let mut controller = cluster_of(&[(1, None, true)]);
        let behind = Heartbeat { metadata_offset: 99, ..beat(1) };
        let decision = controller.heartbeat(at(0), &behind, 1000).expect("known");
        assert!(decision.records.is_empty() && !decision.reply.is_caught_up);
        let decision = controller.heartbeat(at(1), &beat(1), 1000).expect("known");
        assert!(!decision.reply.is_fenced && decision.reply.is_caught_up);
        apply(&mut controller, 1000, &decision);
        assert!(controller.image().cluster.is_active(1));
        let stale = Heartbeat { broker_epoch: 7, ..beat(1) };
        assert!(controller.heartbeat(at(2), &stale, 1001).is_err());
    }
}
