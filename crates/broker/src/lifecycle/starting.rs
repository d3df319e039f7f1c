//! The steps of the start that go through the metadata log: the first records of a new cluster, the
//! registrations of this node's controller and broker, and that the broker takes part.

use strom_base::Uuid;
use strom_metadata::controller::register_broker::{Registration, supported_features};
use strom_metadata::image::{ControllerRegistration, Endpoint};
use strom_storage::disk::LogId;

use super::Phase;
use crate::Broker;
use crate::effect::Turn;

impl Broker {
    /// Steps of the start, each when the one before is committed: bootstrap records, registration
    /// of this broker, its unfencing; then clients are served.
    pub(crate) fn continue_start(&mut self, turn: &mut Turn<'_>) {
        if self.phase != Phase::Starting {
            return;
        }
        let image = self.metadata.image();
        let id = self.identity.node_id;
        let registered = image.cluster.broker(id).map(|it| (it.incarnation_id, it.is_fenced));
        match registered {
            Some((incarnation, false)) if incarnation == self.incarnation_id => {
                self.phase = Phase::Running;
                let topics = self.metadata.image().topics.iter();
                let topics: Vec<Uuid> = topics.map(|topic| topic.id).collect();
                self.report_directories(turn, topics.into_iter());
                self.tell_failed_directories(turn);
                self.sync_what_was_scanned(turn);
            }
            Some((incarnation, true)) if incarnation == self.incarnation_id => {}
            _ if self.registration_asked => {}
            _ => self.register(turn),
        }
    }

    /// What recovery had to read is not to be read again at the next start, be it after as short a
    /// life as this one may be. Behind all that the start itself had to have synced.
    fn sync_what_was_scanned(&mut self, turn: &mut Turn<'_>) {
        let mut left = 0;
        let logs: Vec<LogId> = self.partitions.on_disk().map(|(id, _)| id).collect();
        for log in logs {
            if let Some(partition) = self.partitions.get_mut(log) {
                partition.log.sync_in_background(&mut turn.out.disk);
                left += partition.log.unsynced_bytes();
            }
        }
        self.owe(turn, left);
    }

    /// The controller of this node (KIP-919), if its folder or configuration says how it is reached.
    fn register_controller(&mut self, turn: &mut Turn<'_>) {
        let endpoints = self.settings.quorum.endpoints.iter().map(|endpoint| Endpoint {
            name: endpoint.name.clone(),
            host: endpoint.host.clone(),
            port: endpoint.port,
            // PLAINTEXT, the only protocol that is served.
            security_protocol: 0,
        });
        let registration = ControllerRegistration {
            id: self.identity.node_id,
            incarnation_id: self.random.uuid(),
            zk_migration_ready: false,
            endpoints: endpoints.collect(),
            features: supported_features(),
        };
        if !registration.endpoints.is_empty() {
            let decision = self.metadata.controller.register_controller(&registration);
            self.submit_of_start(turn, decision.records);
        }
    }

    /// A step of the start. One that is not written would be waited for without end.
    fn submit_of_start(&mut self, turn: &mut Turn<'_>, records: Vec<Vec<u8>>) {
        if !records.is_empty() && self.submit(turn, records).is_none() {
            let text = "this node cannot write its start to the metadata log: see the line before";
            turn.out.halt.get_or_insert_with(|| text.to_owned());
        }
    }

    /// One append after the other; raft keeps their order, so that none has to wait.
    fn register(&mut self, turn: &mut Turn<'_>) {
        self.registration_asked = true;
        let min_insync = self.settings.layers().text("min.insync.replicas");
        let min_insync = min_insync.map_or("1", str::trim).to_owned();
        match self.metadata.first_records(&min_insync) {
            Ok(records) => self.submit_of_start(turn, records),
            Err(error) => {
                turn.out.halt.get_or_insert(error);
                return;
            }
        }
        self.register_controller(turn);
        let mut directories: Vec<Uuid> = self.identity.directories.iter().map(|it| it.id).collect();
        directories.sort_unstable();
        let registration = Registration {
            broker_id: self.identity.node_id,
            incarnation_id: self.incarnation_id,
            endpoints: self.endpoints.clone(),
            features: supported_features(),
            rack: self.settings.node.identity.rack.clone(),
            directories,
            previous_broker_epoch: self.previous_broker_epoch,
        };
        let next_offset = self.metadata.raft().log_end_offset();
        let controller = &self.metadata.controller;
        let registered = controller.register_broker(&registration, next_offset);
        let unfenced = registered.and_then(|registered| {
            let epoch = registered.reply;
            self.submit_of_start(turn, registered.records);
            self.metadata.controller.unfence_broker(self.identity.node_id, epoch)
        });
        match unfenced {
            Ok(unfenced) => self.submit_of_start(turn, unfenced.records),
            Err(refusal) => {
                let text = format!("this broker cannot take part: {}", refusal.message);
                turn.out.halt.get_or_insert(text);
            }
        }
    }
}
