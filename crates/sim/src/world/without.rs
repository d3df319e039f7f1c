//! Work is over and a log directory has failed: all that does not need it has to go on to its end, before
//! an operator mends the directory and starts the node anew.

use super::clients::Role;
use super::places::Place;
use super::stage::World;

impl World {
    /// Whether the node runs and has left a log directory out.
    pub(super) fn is_without_a_directory(&self) -> bool {
        let node = self.machine.node.as_ref();
        node.is_some_and(|it| it.broker.is_running() && it.broker.has_failed_directories())
    }

    /// Nothing goes wrong any more, but that the directory is not mended.
    pub(super) fn heal_but_for_directories(&mut self) {
        self.timeline.tell(self.clock.at, "world", || "is healed, but for a log directory");
        self.clock.set_right();
        self.machine.spare_but_for_directories();
    }

    /// Whether every producer has got every batch through that a partition of this node can take.
    pub(super) fn is_done_without(&self) -> bool {
        let Some(node) = self.machine.node.as_ref().filter(|it| it.broker.is_running()) else {
            return false;
        };
        let is_there = |place: Place| {
            let (topic, partition) = self.audit.places.at(place);
            node.broker.log_config(topic, partition).is_some()
        };
        self.clients.iter().all(|client| match &client.role {
            Role::Producer(producer) => producer.is_done_where(&is_there),
            _ => true,
        })
    }
}
