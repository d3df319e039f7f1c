//! How a node begins and how it ends.

use strom_broker::Broker;

use super::actor::Actor;
use super::event::{Event, Fault};
use super::node::Node;
use super::stage::World;
use super::view::view;
use crate::disk::SimDisk;

/// Disk operations of a start or a stop, more or less: one of them is the last before a crash.
const OPERATIONS_OF_A_START: u64 = 60;

/// What a crash at a disk operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The world's generator says, also whether starts and stops are cut off.
    Drawn,
    /// The process dies.
    Kill,
    PowerFailure,
}

impl World {
    pub(super) fn boot(&mut self) -> Result<(), String> {
        let is_cut_off = self.is_cut_off(10);
        let last = self.random.below(OPERATIONS_OF_A_START);
        let now = self.now();
        let (Some(mut disk), Some(settings)) = (self.disk.take(), &self.settings) else {
            return Ok(());
        };
        if is_cut_off {
            disk.faults.crash_at = Some(disk.operations() + last);
        }
        match Node::boot(&mut disk, settings, &mut self.random, now) {
            Ok((node, emitted)) => {
                self.life += 1;
                self.node = Some(node);
                self.take(emitted)
            }
            Err(_) if disk.has_crashed() => {
                self.crash(disk);
                Ok(())
            }
            Err(reason) => Err(format!("the node does not start: {reason}")),
        }
    }

    /// Whether a start or a stop is to be cut off, once in so many.
    fn is_cut_off(&mut self, once_in: u64) -> bool {
        self.ending == Ending::Drawn && self.faults_left > 0 && self.random.one_in(once_in)
    }

    pub(super) fn fault(&mut self, fault: Fault) -> Result<(), String> {
        self.faults_left = self.faults_left.saturating_sub(1);
        match fault {
            Fault::CleanStop => self.stop(),
            Fault::CutConnection => {
                self.cut_connection();
                Ok(())
            }
            Fault::Kill | Fault::PowerFailure => {
                if let Some(node) = self.node.take() {
                    self.remember(&node);
                    self.end(node.into_disk(), fault);
                }
                Ok(())
            }
        }
    }

    fn stop(&mut self) -> Result<(), String> {
        if self.is_stopping {
            return Ok(());
        }
        let is_cut_off = self.is_cut_off(3);
        let last = self.random.below(OPERATIONS_OF_A_START);
        let Some(mut node) = self.node.take() else { return Ok(()) };
        self.remember(&node);
        if is_cut_off {
            let disk = node.disk_mut();
            disk.faults.crash_at = Some(disk.operations() + last);
        }
        self.node = Some(node);
        self.is_stopping = true;
        self.input(Broker::shut_down)
    }

    /// After each event: the disk may have stopped obeying in the middle of it.
    pub(super) fn crash_if_due(&mut self) {
        let Some(mut node) = self.node.take() else { return };
        if node.disk_mut().has_crashed() {
            self.remember(&node);
            self.crash(node.into_disk());
        } else {
            self.node = Some(node);
        }
    }

    fn crash(&mut self, disk: SimDisk) {
        let is_kill = match self.ending {
            Ending::Drawn => self.random.one_in(2),
            Ending::Kill => true,
            Ending::PowerFailure => false,
        };
        self.end(disk, if is_kill { Fault::Kill } else { Fault::PowerFailure });
    }

    fn end(&mut self, mut disk: SimDisk, fault: Fault) {
        self.is_stopping = false;
        if fault == Fault::PowerFailure {
            disk.crash(&mut self.random);
            self.audit.on_power_failure();
            // Who has no connection at the moment will not be told that it broke.
            for it in self.actors.iter_mut().filter(|it| it.link.connection.is_none()) {
                it.on_disconnected(true);
            }
        } else {
            disk.kill();
        }
        self.go_down(disk);
    }

    /// A client loses its connection; the node sees it behind all that was sent on it.
    fn cut_connection(&mut self) {
        let count = self.connections.len().max(1) as u64;
        let index = self.random.below(count) as usize;
        let Some((connection, (actor, there_ms, _))) = self.connections.iter().nth(index) else {
            return;
        };
        let (connection, actor, there_ms) = (*connection, *actor, *there_ms);
        self.connections.remove(&connection);
        self.half_open.insert(connection);
        let gone_ms = there_ms.max(self.now_ms) + self.random.below(60);
        self.queue.push(gone_ms, Event::Gone { connection });
        self.queue.push(self.now_ms, Event::Closed { actor, connection });
    }

    /// What the cluster is has to be the same when the node is back.
    fn remember(&mut self, node: &Node) {
        if node.broker.is_running() {
            let is_changing = self.actors.iter().any(Actor::is_changing_metadata);
            self.view_before = (!is_changing).then(|| view(&node.broker));
        }
    }

    /// The node is gone: connections break, and after a while it starts again.
    pub(super) fn go_down(&mut self, disk: SimDisk) {
        self.disk = Some(disk);
        self.armed_ms = None;
        self.half_open.clear();
        for (connection, (actor, _, back_ms)) in std::mem::take(&mut self.connections) {
            let at_ms = back_ms.max(self.now_ms) + self.random.below(5);
            self.queue.push(at_ms, Event::Closed { actor, connection });
        }
        let delay_ms = self.random.below(100);
        self.queue.push(self.now_ms + delay_ms, Event::Boot);
    }
}
