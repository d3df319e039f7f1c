//! BrokerRegistration: a process takes a broker's id for its life (KIP-631, KIP-858, KIP-966).

use std::collections::BTreeSet;

use strom_base::{Now, Uuid};
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
    /// until its heartbeats say that it has caught up.
    ///
    /// # Errors
    /// While another process with this id lives, or when the broker does not fit the cluster.
    pub fn register_broker(
        &self,
        now: Now,
        asked: &Registration,
        next_offset: i64,
    ) -> Result<Decision<i64>, Refusal> {
        let known = self.image.cluster.broker(asked.broker_id);
        let same = known.filter(|known| known.incarnation_id == asked.incarnation_id);
        if let Some(known) = known.filter(|_| same.is_none())
            && self.has_session(now, known.id, known.epoch)
            && !known.in_controlled_shutdown
        {
            let text = "Another broker is registered with that broker id. If the broker was \
                        recently restarted this should self-resolve once the heartbeat manager \
                        expires the broker's session.";
            return Err(Refusal::new(ErrorCode::DuplicateBrokerRegistration, text));
        }
        self.check_features(&asked.features)?;
        self.check_directories(asked)?;
        let mut records = Vec::new();
        if let Some(known) = known.filter(|_| same.is_none()) {
            self.end_last_life(known, asked.previous_broker_epoch, &mut records);
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

    /// The broker has caught up and takes part: for a broker in the controller's own process, which
    /// sends no heartbeats.
    ///
    /// # Errors
    /// For a broker that is not registered at this epoch.
    pub fn unfence_broker(&self, id: i32, epoch: i64) -> Result<Decision<()>, Refusal> {
        let broker = self.registered(id, epoch)?;
        let mut records = Vec::new();
        self.unfence(broker, &mut records);
        Ok(Decision { records, reply: () })
    }

    /// With eligible leader replicas it counts whether the broker has synced all it had (KIP-966).
    fn end_last_life(
        &self,
        known: &BrokerRegistration,
        previous_broker_epoch: i64,
        records: &mut Vec<Vec<u8>>,
    ) {
        if self.has_eligible_leaders() && previous_broker_epoch != known.epoch {
            self.shut_down_unclean(known, records);
        } else {
            self.fence(known, records);
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
