//! The record-and-reply runtime: which partitions of a coordinator's topic this node leads, and how
//! far each is loaded. What a shard decides is the machine's business.

use std::collections::BTreeMap;

use strom_base::Now;
use strom_base::time::earlier;

use crate::{AppendFailure, Effect, ErrorCode, ReplayError, ShardId};

/// The state behind one partition of a coordinator's topic.
///
/// Records are its truth: it is built by replaying them, its own appends included. It emits
/// `Effect::Append` with rising tickets and parks what depends on them.
pub trait Machine {
    type Response;

    /// One record read while loading.
    ///
    /// # Errors
    /// The record cannot be understood.
    fn replay(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), ReplayError>;
    fn on_loaded(&mut self, now: Now, out: &mut Vec<Effect<Self::Response>>);
    /// The end: everybody who waits is answered NOT_COORDINATOR.
    fn on_unloaded(&mut self, out: &mut Vec<Effect<Self::Response>>);
    fn on_committed(&mut self, now: Now, ticket: u64, out: &mut Vec<Effect<Self::Response>>);
    fn on_append_failed(
        &mut self,
        now: Now,
        failure: AppendFailure,
        out: &mut Vec<Effect<Self::Response>>,
    );
    fn next_deadline(&self) -> Option<u64>;
    fn on_deadline(&mut self, now: Now, out: &mut Vec<Effect<Self::Response>>);
}

struct Slot<M> {
    leader_epoch: i32,
    is_loaded: bool,
    machine: M,
}

/// The shards of one coordinator on this node, by partition.
pub struct Runtime<M> {
    slots: BTreeMap<i32, Slot<M>>,
}

impl<M> Default for Runtime<M> {
    fn default() -> Self {
        Self { slots: BTreeMap::new() }
    }
}

impl<M: Machine> Runtime<M> {
    /// A machine begins to load. An older leadership of the partition ends; news of one that is not
    /// newer than the present is ignored.
    pub fn on_elected(&mut self, id: ShardId, machine: M, out: &mut Vec<Effect<M::Response>>) {
        let known = self.slots.get(&id.partition);
        if known.is_some_and(|slot| slot.leader_epoch >= id.leader_epoch) {
            return;
        }
        let slot = Slot { leader_epoch: id.leader_epoch, is_loaded: false, machine };
        if let Some(mut old) = self.slots.insert(id.partition, slot) {
            old.machine.on_unloaded(out);
        }
    }

    /// The partition is led elsewhere since `id.leader_epoch`, or gone.
    pub fn on_resigned(&mut self, id: ShardId, out: &mut Vec<Effect<M::Response>>) {
        let known = self.slots.get(&id.partition);
        if known.is_some_and(|slot| slot.leader_epoch <= id.leader_epoch)
            && let Some(mut slot) = self.slots.remove(&id.partition)
        {
            slot.machine.on_unloaded(out);
        }
    }

    /// # Errors
    /// The machine's; the shard must then be given up by `on_resigned`.
    pub fn replay(
        &mut self,
        id: ShardId,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), ReplayError> {
        match self.slot(id) {
            Some(slot) if !slot.is_loaded => slot.machine.replay(key, value),
            _ => Ok(()),
        }
    }

    pub fn on_loaded(&mut self, now: Now, id: ShardId, out: &mut Vec<Effect<M::Response>>) {
        if let Some(slot) = self.slot(id)
            && !slot.is_loaded
        {
            slot.is_loaded = true;
            slot.machine.on_loaded(now, out);
        }
    }

    pub fn on_committed(
        &mut self,
        now: Now,
        id: ShardId,
        ticket: u64,
        out: &mut Vec<Effect<M::Response>>,
    ) {
        if let Some(slot) = self.slot(id) {
            slot.machine.on_committed(now, ticket, out);
        }
    }

    pub fn on_append_failed(
        &mut self,
        now: Now,
        failure: AppendFailure,
        out: &mut Vec<Effect<M::Response>>,
    ) {
        if let Some(slot) = self.slot(failure.shard) {
            slot.machine.on_append_failed(now, failure, out);
        }
    }

    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        let deadlines = self.slots.values().filter(|slot| slot.is_loaded);
        deadlines.map(|slot| slot.machine.next_deadline()).fold(None, earlier)
    }

    pub fn on_deadline(&mut self, now: Now, out: &mut Vec<Effect<M::Response>>) {
        for machine in self.loaded_mut() {
            if machine.next_deadline().is_some_and(|due_ms| due_ms <= now.monotonic_ms) {
                machine.on_deadline(now, out);
            }
        }
    }

    /// The machine of a partition that answers requests.
    ///
    /// # Errors
    /// NOT_COORDINATOR or COORDINATOR_LOAD_IN_PROGRESS.
    pub fn active(&mut self, partition: i32) -> Result<&mut M, ErrorCode> {
        match self.slots.get_mut(&partition) {
            None => Err(ErrorCode::NotCoordinator),
            Some(slot) if !slot.is_loaded => Err(ErrorCode::CoordinatorLoadInProgress),
            Some(slot) => Ok(&mut slot.machine),
        }
    }

    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.slots.values().any(|slot| !slot.is_loaded)
    }

    pub fn loaded(&self) -> impl Iterator<Item = &M> {
        self.slots.values().filter(|slot| slot.is_loaded).map(|slot| &slot.machine)
    }

    pub fn loaded_mut(&mut self) -> impl Iterator<Item = &mut M> {
        self.slots.values_mut().filter(|slot| slot.is_loaded).map(|slot| &mut slot.machine)
    }

    fn slot(&mut self, id: ShardId) -> Option<&mut Slot<M>> {
        self.slots.get_mut(&id.partition).filter(|slot| slot.leader_epoch == id.leader_epoch)
    }
}
