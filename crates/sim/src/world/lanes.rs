//! The order in which a disk obeys: what concerns one folder in turn, the slow behind the fast.

use std::collections::{BTreeMap, VecDeque};

use strom_base::IdMap;
use strom_storage::disk::{Completion, DiskEffect, DiskPath, LogId};

use crate::engine::{Engine, is_slow};

/// One folder in a log directory, by whatever name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LaneId(u32);

impl LaneId {
    pub(super) fn number(self) -> u64 {
        u64::from(self.0)
    }
}

/// The effects of one folder that are not done yet.
#[derive(Debug, Default)]
struct Lane {
    /// Writes, truncations, renames, with their numbers.
    fast: VecDeque<(u64, DiskEffect)>,
    /// Syncs, whole files, removals: each covers the fast ones below its number.
    slow: VecDeque<(u64, DiskEffect)>,
    next: u64,
}

/// Which part of a lane is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speed {
    Fast,
    Slow,
}

/// All folders of one disk.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    /// By directory and name, so also by a new name of a folder that was renamed.
    by_folder: BTreeMap<(u16, String), LaneId>,
    by_log: IdMap<LogId, LaneId>,
}

fn top(path: &DiskPath) -> (u16, String) {
    let first = path.path.split('/').next().unwrap_or_default();
    (path.directory.0, first.to_owned())
}

impl Lanes {
    /// Takes an effect in; which lane may go on now, and at what speed.
    pub(super) fn push(
        &mut self,
        engine: &mut Engine,
        effect: DiskEffect,
        done: &mut Vec<Completion>,
    ) -> (LaneId, Speed) {
        let id = self.lane_of(engine, &effect);
        let Some(lane) = self.lanes.get_mut(id.0 as usize) else { return (id, Speed::Fast) };
        if is_slow(&effect) {
            lane.slow.push_back((lane.next, effect));
            return (id, Speed::Slow);
        }
        // What concerns the same path keeps its order.
        let met = lane.slow.iter().rposition(|(_, other)| engine.meet(other, &effect));
        for _ in 0..met.map_or(0, |index| index + 1) {
            lane.run_slow(engine, done);
        }
        lane.fast.push_back((lane.next, effect));
        lane.next += 1;
        (id, Speed::Fast)
    }

    fn lane_of(&mut self, engine: &Engine, effect: &DiskEffect) -> LaneId {
        match effect {
            DiskEffect::Write { file, .. }
            | DiskEffect::Truncate { file, .. }
            | DiskEffect::Fill { file, .. }
            | DiskEffect::Trim { file, .. } => self.lane_of_log(engine, file.log),
            DiskEffect::Sync { files, .. } => match files.first() {
                Some(file) => self.lane_of_log(engine, file.log),
                None => self.lane_of_folder((0, String::new())),
            },
            DiskEffect::Replace { path, .. }
            | DiskEffect::CreateFolder { path, .. }
            | DiskEffect::RemoveFile { path, .. }
            | DiskEffect::RemoveDirectory { path } => self.lane_of_folder(top(path)),
            DiskEffect::Rename { from, to, .. } => {
                let id = self.lane_of_folder(top(from));
                if !to.path.contains('/') {
                    self.by_folder.insert(top(to), id);
                }
                id
            }
        }
    }

    fn lane_of_log(&mut self, engine: &Engine, log: LogId) -> LaneId {
        if let Some(id) = self.by_log.get(&log) {
            return *id;
        }
        let id = self.lane_of_folder(engine.folder_of(log).map_or((0, String::new()), top));
        self.by_log.insert(log, id);
        id
    }

    fn lane_of_folder(&mut self, folder: (u16, String)) -> LaneId {
        let lanes = &mut self.lanes;
        *self.by_folder.entry(folder).or_insert_with(|| {
            lanes.push(Lane::default());
            LaneId(lanes.len() as u32 - 1)
        })
    }

    /// Does all that is fast: what a shell does before it looks at anything else.
    pub(super) fn run_all_fast(&mut self, engine: &mut Engine, done: &mut Vec<Completion>) {
        for lane in &mut self.lanes {
            lane.run_fast(engine, u64::MAX, usize::MAX, done);
        }
    }

    /// Does the next thing of a lane.
    pub(super) fn run(
        &mut self,
        engine: &mut Engine,
        lane: LaneId,
        speed: Speed,
        done: &mut Vec<Completion>,
    ) {
        let Some(lane) = self.lanes.get_mut(lane.0 as usize) else { return };
        match speed {
            Speed::Fast => lane.run_fast(engine, u64::MAX, 1, done),
            Speed::Slow => lane.run_slow(engine, done),
        }
    }
}

impl Lane {
    fn run_fast(
        &mut self,
        engine: &mut Engine,
        below: u64,
        most: usize,
        done: &mut Vec<Completion>,
    ) {
        for _ in 0..most {
            match self.fast.front() {
                Some((number, _)) if *number < below => {}
                _ => return,
            }
            if let Some((_, effect)) = self.fast.pop_front() {
                done.extend(engine.perform(effect));
            }
        }
    }

    fn run_slow(&mut self, engine: &mut Engine, done: &mut Vec<Completion>) {
        let Some((below, effect)) = self.slow.pop_front() else { return };
        self.run_fast(engine, below, usize::MAX, done);
        done.extend(engine.perform(effect));
    }
}
