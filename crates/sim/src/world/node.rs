//! The machine that is simulated: a broker on a simulated disk, and what it asks of its shell.

use strom_base::{Now, Random};
use strom_broker::boot::{BootOptions, FailedDirectory, boot};
use strom_broker::effect::Examination;
use strom_broker::effect::{ConnectionId, Effects, NetworkEffect, Response, Severity, Turn};
use strom_broker::examinations::ExaminationLimits;
use strom_broker::settings::BrokerSettings;
use strom_broker::{Broker, BrokerStart};
use strom_storage::disk::{Completion, DirectoryId, DiskError};

use super::lanes::{LaneId, Lanes, Speed};
use super::out_of_service::OutOfService;
use crate::arena::restore_arena;
use crate::disk::SimDisk;
use crate::engine::Engine;

const PORT: u16 = 9092;

pub(super) struct Node {
    pub(super) broker: Broker,
    engine: Engine,
    lanes: Lanes,
    effects: Effects,
    /// Answers that were read and are too long for the broker to keep: their memory is used again.
    spare: Vec<Vec<u8>>,
    pub(super) out_of_service: OutOfService,
}

/// As many long answers as are under way at a time, more or less.
const SPARE_MAX: usize = 16;

/// What one life of the node is given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Equipment {
    /// Blocks of an arena that the system grants; `None` for the buffered engine.
    pub(super) arena_blocks: Option<usize>,
    /// How much may be unsynced.
    pub(super) recovery_bytes_max: u64,
    /// Reads are refused at times, because the bytes are not in memory.
    pub(super) has_cold_reads: bool,
    /// All records that topics want looked at are looked at elsewhere, however few, and few wait for that.
    pub(super) examinations: Option<ExaminationLimits>,
    /// What the disk does is told.
    pub(super) is_told: bool,
}

/// What one input led to.
#[derive(Debug, Default)]
pub(super) struct Emitted {
    /// Lanes that have got work.
    pub(super) runs: Vec<(LaneId, Speed)>,
    /// What was kept or broken on the way.
    pub(super) done: Vec<Completion>,
    /// Answers with their length; `None` closes the connection.
    pub(super) network: Vec<(ConnectionId, Option<Vec<u8>>)>,
    /// Connections that may bring more requests, without an answer that would tell.
    pub(super) silent: Vec<ConnectionId>,
    /// Produces whose records somebody has to look at.
    pub(super) examinations: Vec<Examination>,
    pub(super) notices: Vec<String>,
    pub(super) halt: Option<String>,
    /// Where the disk has failed what no ticket tells of, and why.
    pub(super) failed: Vec<(DirectoryId, String)>,
    /// Changes without a ticket that the disk did not make, though it works.
    pub(super) refused: Vec<DiskError>,
    /// A read has to be repeated when its bytes are in memory.
    pub(super) awaits_bytes: bool,
    /// What the disk did, in words.
    pub(super) told: Vec<String>,
    /// What the broker may not ask for, in words.
    pub(super) forbidden: Option<String>,
}

impl Emitted {
    /// # Errors
    /// What nothing that goes wrong excuses.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(error) = self.refused.first() {
            return Err(format!("the disk refuses what nobody waits for: {error}"));
        }
        self.forbidden.clone().map_or(Ok(()), Err)
    }
}

impl Node {
    /// Starts on what lies on the disk, as the shell does.
    pub(super) fn boot(
        disk: &mut SimDisk,
        settings: &BrokerSettings,
        equipment: Equipment,
        random: &mut Random,
        now: Now,
        emitted: &mut Emitted,
    ) -> Result<Node, String> {
        let mut options = BootOptions {
            node_id: settings.node.identity.node_id,
            directories: settings.node.folders.log_dirs.len() as u16,
            metadata_directory: DirectoryId(0),
            failed_directories: Vec::new(),
            format_empty: true,
            log_config: settings.default_log_config(),
            quorum: settings.quorum.clone(),
            now_ms: now.wall_ms,
        };
        for directory in directories(settings) {
            match restore_arena(disk, directory) {
                Ok(left_out) => emitted.notices.extend(left_out),
                Err(DiskError::Io(reason)) if directory != options.metadata_directory => {
                    options.failed_directories.push(FailedDirectory { directory, reason });
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        let state = boot(disk, &options, random).map_err(|error| error.to_string())?;
        let notes = state.notes.clone();
        let failed: Vec<_> = state.failed_directories.iter().map(|it| it.directory).collect();
        let mut broker = Broker::new(BrokerStart {
            settings: settings.clone(),
            state,
            ports: vec![PORT],
            random: Random::new(random.next_u64()),
            now,
            recovery_bytes_max: equipment.recovery_bytes_max,
        })?;
        if let Some(limits) = equipment.examinations {
            broker.limit_examinations(limits);
        }
        let mut engine = Engine::new(std::mem::take(disk));
        engine.told = equipment.is_told.then(Vec::new);
        if equipment.has_cold_reads {
            engine.make_cold(Random::new(random.next_u64()));
        }
        if let Some(granted) = equipment.arena_blocks {
            // One that has failed may hold what an earlier life owes.
            let online = directories(settings).filter(|it| !failed.contains(it));
            engine.use_arenas(online, granted.max(1), granted);
        }
        let (lanes, effects) = (Lanes::default(), Effects::default());
        let mut node = Node {
            broker,
            engine,
            lanes,
            effects,
            spare: Vec::new(),
            out_of_service: OutOfService::default(),
        };
        node.input(now, emitted, Broker::start);
        emitted.notices.extend(notes);
        Ok(node)
    }

    pub(super) fn disk_mut(&mut self) -> &mut SimDisk {
        &mut self.engine.disk
    }

    /// Ends the node; what lies on its disk remains.
    pub(super) fn into_disk(self) -> SimDisk {
        self.engine.disk
    }

    /// Gives the broker one input whose effects are taken with the next; its work in bytes.
    pub(super) fn act(&mut self, now: Now, act: impl FnOnce(&mut Broker, &mut Turn<'_>)) -> usize {
        let before = self.effects.work_bytes;
        let mut turn = Turn { now, files: &self.engine, out: &mut self.effects };
        act(&mut self.broker, &mut turn);
        self.effects.work_bytes.wrapping_sub(before)
    }

    /// Gives the broker one input and takes its effects; how many of them are the disk's.
    pub(super) fn input(
        &mut self,
        now: Now,
        emitted: &mut Emitted,
        act: impl FnOnce(&mut Broker, &mut Turn<'_>),
    ) -> usize {
        self.act(now, act);
        for (log, folder) in self.effects.folders.drain(..) {
            self.engine.place(log, folder);
        }
        emitted.forbidden = self.out_of_service.find_in(&self.effects.disk, &self.engine);
        let disk_effects = self.effects.disk.len();
        for effect in self.effects.disk.drain(..) {
            let run = self.lanes.push(&mut self.engine, effect, &mut emitted.done);
            emitted.runs.push(run);
        }
        emitted.examinations.append(&mut self.effects.examinations);
        let mut network = std::mem::take(&mut self.effects.network);
        for effect in network.drain(..) {
            match effect {
                NetworkEffect::Send { connection, response } => {
                    match self.assemble(response) {
                        Ok(bytes) => emitted.network.push((connection, Some(bytes))),
                        // Whoever reads a file that cannot be read loses its connection.
                        Err(reason) if self.engine.disk.has_failed() => {
                            emitted.notices.push(reason);
                            emitted.network.push((connection, None));
                        }
                        Err(reason) => emitted.halt = Some(reason),
                    }
                }
                NetworkEffect::Silent { connection, .. } | NetworkEffect::GoOn { connection } => {
                    emitted.silent.push(connection);
                }
                NetworkEffect::Close { connection, reason } => {
                    emitted.notices.push(format!("closes {}: {reason}", connection.0));
                    emitted.network.push((connection, None));
                }
            }
        }
        self.effects.network = network;
        for notice in self.effects.notices.drain(..) {
            if notice.severity != Severity::Info {
                emitted.notices.push(notice.text);
            }
        }
        if let Some(reason) = self.effects.halt.take() {
            emitted.halt = Some(reason);
        }
        emitted.refused.append(&mut self.engine.refused);
        emitted.failed.append(&mut self.engine.failed);
        emitted.awaits_bytes |= self.engine.take_refused_reads();
        emitted.told.extend(self.engine.told.iter_mut().flat_map(std::mem::take));
        disk_effects
    }

    /// Where the files of a log are whose operation has failed for good.
    pub(super) fn failed_in(&self, completion: &Completion) -> Option<DirectoryId> {
        let is_failure = matches!(completion.result, Err(DiskError::Io(_)));
        let folder = self.engine.folder_of(completion.ticket.log).filter(|_| is_failure);
        folder.map(|it| it.directory)
    }

    /// Lets the disk do the next thing of a lane.
    pub(super) fn run(&mut self, lane: LaneId, speed: Speed, emitted: &mut Emitted) {
        self.lanes.run(&mut self.engine, lane, speed, &mut emitted.done);
        emitted.refused.append(&mut self.engine.refused);
        emitted.failed.append(&mut self.engine.failed);
        emitted.told.extend(self.engine.told.iter_mut().flat_map(std::mem::take));
    }

    /// The broker has asked the shell to end: what it wrote before reaches the disk, if that is true.
    pub(super) fn wind_up(&mut self) -> bool {
        let mut done = Vec::new();
        self.lanes.run_all_fast(&mut self.engine, &mut done);
        done.iter().all(|completion| completion.result.is_ok())
    }

    /// Takes back the memory of an answer that was read.
    pub(super) fn recycle(&mut self, mut bytes: Vec<u8>) {
        if bytes.capacity() <= Effects::SPARE_LENGTH_MAX {
            self.effects.recycle(Response { bytes, ranges: Vec::new() });
        } else if self.spare.len() < SPARE_MAX {
            bytes.clear();
            self.spare.push(bytes);
        }
    }

    /// An answer with its file ranges read.
    fn assemble(&mut self, response: Response) -> Result<Vec<u8>, String> {
        let bytes = if response.ranges.is_empty() {
            response.bytes
        } else {
            let mut bytes = self.spare.pop().unwrap_or_default();
            put_together(&self.engine, &response, &mut bytes)?;
            self.effects.recycle(response);
            bytes
        };
        let length = bytes.first_chunk().copied().map_or(0, u32::from_be_bytes) as usize;
        if length + 4 != bytes.len() {
            return Err(format!("an answer of {} bytes says {length}", bytes.len()));
        }
        Ok(bytes)
    }
}

/// The log directories of a node with these settings.
pub(super) fn directories(settings: &BrokerSettings) -> impl Iterator<Item = DirectoryId> + use<> {
    (0..settings.node.folders.log_dirs.len() as u16).map(DirectoryId)
}

fn put_together(engine: &Engine, response: &Response, bytes: &mut Vec<u8>) -> Result<(), String> {
    let inserted: usize = response.ranges.iter().map(|range| range.length as usize).sum();
    bytes.reserve(response.bytes.len() + inserted);
    let mut taken = 0;
    for range in &response.ranges {
        bytes.extend_from_slice(response.bytes.get(taken..range.at).unwrap_or_default());
        taken = range.at;
        let wanted = range.length as usize;
        let read = engine.read_behind(range.file, range.position, wanted, bytes);
        if read != Ok(wanted) {
            return Err(format!("a range of {wanted} bytes of {:?}: {read:?}", range.file));
        }
    }
    bytes.extend_from_slice(response.bytes.get(taken..).unwrap_or_default());
    Ok(())
}
