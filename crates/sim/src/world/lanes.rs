//! The order in which a disk obeys: what concerns one folder in turn, the slow behind the fast.

use std::collections::{BTreeMap, VecDeque};

use strom_storage::disk::{Completion, DiskEffect, DiskPath};

use crate::engine::{Engine, is_slow};

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
    lanes: BTreeMap<String, Lane>,
    /// New names of renamed folders, so that they stay in their lane.
    aliases: BTreeMap<String, String>,
}

fn top(path: &DiskPath) -> String {
    let first = path.path.split('/').next().unwrap_or_default();
    format!("{}:{first}", path.directory.0)
}

impl Lanes {
    /// Takes an effect in; which lane may go on now, and at what speed.
    pub(super) fn push(
        &mut self,
        engine: &mut Engine,
        effect: DiskEffect,
        done: &mut Vec<Completion>,
    ) -> (String, Speed) {
        let name = self.lane_of(engine, &effect);
        let lane = self.lanes.entry(name.clone()).or_default();
        if is_slow(&effect) {
            lane.slow.push_back((lane.next, effect));
            return (name, Speed::Slow);
        }
        // What concerns the same path keeps its order.
        let met = lane.slow.iter().rposition(|(_, other)| engine.meet(other, &effect));
        for _ in 0..met.map_or(0, |index| index + 1) {
            lane.run_slow(engine, done);
        }
        lane.fast.push_back((lane.next, effect));
        lane.next += 1;
        (name, Speed::Fast)
    }

    fn lane_of(&mut self, engine: &Engine, effect: &DiskEffect) -> String {
        let path = match effect {
            DiskEffect::Write { file, .. }
            | DiskEffect::Truncate { file, .. }
            | DiskEffect::Fill { file, .. }
            | DiskEffect::Trim { file, .. } => engine.path_of(*file).ok(),
            DiskEffect::Sync { files, .. } => {
                files.first().and_then(|file| engine.path_of(*file).ok())
            }
            DiskEffect::Replace { path, .. }
            | DiskEffect::CreateFolder { path, .. }
            | DiskEffect::RemoveFile { path, .. }
            | DiskEffect::RemoveDirectory { path } => Some(path.clone()),
            DiskEffect::Rename { from, .. } => Some(from.clone()),
        };
        let name = path.as_ref().map(top).unwrap_or_default();
        let name = self.aliases.get(&name).cloned().unwrap_or(name);
        if let DiskEffect::Rename { to, .. } = effect
            && !to.path.contains('/')
        {
            self.aliases.insert(top(to), name.clone());
        }
        name
    }

    /// Does the next thing of a lane.
    pub(super) fn run(
        &mut self,
        engine: &mut Engine,
        lane: &str,
        speed: Speed,
        done: &mut Vec<Completion>,
    ) {
        let Some(lane) = self.lanes.get_mut(lane) else { return };
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
