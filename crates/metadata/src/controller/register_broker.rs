//! BrokerRegistration: a process takes a broker's id for its life (KIP-631, KIP-858, KIP-966).

use std::collections::BTreeSet;

use strom_base::Uuid;
use strom_protocol::ErrorCode;

use super::{Controller, Decision, Refusal};
use crate::features::{METADATA_VERSION, SUPPORTED};
use crate::image::snapshot::broker_record;
use crate::image::{BrokerRegistration, Endpoint};

/// A broker that begins a new life, or changes what it said of its present one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub broker_id: i32,
    /// Random at each start of the process.
    pub incarnation_id: Uuid,
    pub endpoints: Vec<Endpoint>,
    /// Feature, lowest and highest level it can run with.
    pub features: Vec<(String, i16, i16)>,
    pub rack: Option<String>,
    /// The ids of its log directories, sorted.
    pub directories: Vec<Uuid>,
    /// The epoch of its last life if that ended in a clean shutdown, else -1.
    pub previous_broker_epoch: i64,
}

/// The ranges of this software, as a registration names them.
#[must_use]
pub fn supported_features() -> Vec<(String, i16, i16)> {
    SUPPORTED.iter().map(|it| (it.name.to_owned(), it.min_level, it.max_level)).collect()
}

impl Controller {
    /// The reply is the broker's epoch: at most the offset of its record, and greater than all
    /// before. `next_offset` is where the decision's first record will stand. The broker is fenced
    /// until [`Controller::unfence_broker`].
    ///
    /// # Errors
    /// When the broker does not fit the cluster.
    pub fn register_broker(
        &self,
        asked: &Registration,
        next_offset: i64,
    ) -> Result<Decision<i64>, Refusal> {
        let known = self.image.cluster.broker(asked.broker_id);
        let same = known.filter(|known| known.incarnation_id == asked.incarnation_id);
        self.check_features(&asked.features)?;
        self.check_directories(asked)?;
        let mut records = Vec::new();
        if let Some(known) = known.filter(|_| same.is_none()) {
            self.end_last_life(known, asked, &mut records);
        }
        let epoch = same.map_or(next_offset, |same| same.epoch);
        let broker = BrokerRegistration {
            id: asked.broker_id,
            epoch,
            incarnation_id: asked.incarnation_id,
            endpoints: asked.endpoints.clone(),
            features: asked.features.clone(),
            rack: asked.rack.clone(),
            is_fenced: same.is_none_or(|same| same.is_fenced),
            in_controlled_shutdown: same.is_some_and(|same| same.in_controlled_shutdown),
            directories: asked.directories.clone(),
            cordoned_directories: same.and_then(|same| same.cordoned_directories.clone()),
        };
        records.push(broker_record(&broker, self.versions()));
        Ok(Decision { records, reply: epoch })
    }

    /// The broker has caught up and takes part.
    ///
    /// # Errors
    /// For a broker that is not registered at this epoch.
    pub fn unfence_broker(&self, id: i32, epoch: i64) -> Result<Decision<()>, Refusal> {
        let broker = self.registered(id, epoch)?;
        let mut records = Vec::new();
        self.unfence(broker, &mut records);
        Ok(Decision { records, reply: () })
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

    /// With eligible leader replicas it counts whether the broker has synced all it had (KIP-966).
    fn end_last_life(
        &self,
        known: &BrokerRegistration,
        asked: &Registration,
        records: &mut Vec<Vec<u8>>,
    ) {
        if self.has_eligible_leaders() && asked.previous_broker_epoch != known.epoch {
            self.shut_down_unclean(known, &asked.directories, records);
        } else {
            self.fence(known, &asked.directories, records);
        }
    }

    fn check_features(&self, asked: &[(String, i16, i16)]) -> Result<(), Refusal> {
        if !asked.iter().any(|(name, ..)| name == METADATA_VERSION) {
            let text = "The broker does not say which metadata.version it supports.";
            return Err(Refusal::new(ErrorCode::InvalidRegistration, text));
        }
        for (name, level) in self.image.features.levels() {
            let range = asked.iter().find(|(known, ..)| known == name);
            let (min, max) = range.map_or((0, 0), |(_, min, max)| (*min, *max));
            if !(min..=max).contains(&level) {
                let text = format!(
                    "Unable to register because the broker does not support finalized version \
                     {level} of {name}. The broker wants a version between {min} and {max}, \
                     inclusive."
                );
                return Err(Refusal::new(ErrorCode::UnsupportedVersion, text));
            }
        }
        Ok(())
    }

    fn check_directories(&self, asked: &Registration) -> Result<(), Refusal> {
        let refuse = |text: String| Err(Refusal::new(ErrorCode::InvalidRegistration, text));
        if !self.versions().has_directories() {
            return Ok(());
        }
        if asked.directories.is_empty() {
            return refuse("No directories specified in request".to_owned());
        }
        if asked.directories.iter().any(Uuid::is_reserved) {
            return refuse("Reserved directory ID in request".to_owned());
        }
        let own: BTreeSet<_> = asked.directories.iter().collect();
        if own.len() < asked.directories.len() {
            return refuse("Duplicate directory ID in request".to_owned());
        }
        let others = self.image.cluster.brokers().filter(|it| it.id != asked.broker_id);
        for other in others {
            if let Some(shared) = other.directories.iter().find(|it| own.contains(it)) {
                let id = other.id;
                return refuse(format!(
                    "Broker {id} is already registered with directory {shared}"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

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
            let decision = controller.register_broker(&asked, offset);
            apply(&mut controller, offset, &decision.expect("registered"));
            if !is_fenced {
                let decision = controller.unfence_broker(*id, offset).expect("known");
                apply(&mut controller, offset + 1, &decision);
            }
        }
        controller
    }

    #[test]
    fn a_new_life_of_a_broker_gets_a_new_epoch_and_the_same_life_keeps_its_own() {
        let controller = cluster_of(&[(1, None, false)]);
        let accepted = controller.register_broker(&registration(1, 2), 1000).expect("accepted");
        assert_eq!(accepted.reply, 1000);
        let same = controller.register_broker(&registration(1, 1), 1000).expect("same");
        assert_eq!(same.reply, 100);
        assert!(controller.unfence_broker(1, 7).is_err(), "of another epoch");
    }
}
