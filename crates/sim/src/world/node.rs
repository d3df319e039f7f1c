//! The machine that is simulated: a broker on a simulated disk, and what it asks of its shell.

use bytes::BytesMut;
use strom_base::{Now, Random};
use strom_broker::boot::{BootOptions, boot};
use strom_broker::effect::{ConnectionId, Effects, NetworkEffect, Response, Severity, Turn};
use strom_broker::settings::BrokerSettings;
use strom_broker::{Broker, BrokerStart};
use strom_storage::disk::{Completion, DirectoryId, DiskError};

use super::lanes::{Lanes, Speed};
use crate::arena::restore_arena;
use crate::disk::SimDisk;
use crate::engine::Engine;

const PORT: u16 = 9092;

pub(super) struct Node {
    pub(super) broker: Broker,
    engine: Engine,
    lanes: Lanes,
    effects: Effects,
}

/// What one input led to.
#[derive(Debug, Default)]
pub(super) struct Emitted {
    /// Lanes that have got work.
    pub(super) runs: Vec<(String, Speed)>,
    /// What was kept or broken on the way.
    pub(super) done: Vec<Completion>,
    /// Answers without their length; `None` closes the connection.
    pub(super) network: Vec<(ConnectionId, Option<Vec<u8>>)>,
    pub(super) notices: Vec<String>,
    pub(super) halt: Option<String>,
    /// Changes without a ticket that the disk did not make, though it works.
    pub(super) refused: Vec<DiskError>,
    /// A read has to be repeated when its bytes are in memory.
    pub(super) awaits_bytes: bool,
}

impl Node {
    /// Starts on what lies on the disk, as the shell does.
    pub(super) fn boot(
        disk: &mut SimDisk,
        settings: &BrokerSettings,
        random: &mut Random,
        now: Now,
    ) -> Result<(Node, Emitted), String> {
        let options = BootOptions {
            node_id: settings.node.identity.node_id,
            directories: 1,
            metadata_directory: DirectoryId(0),
            format_empty: true,
            log_config: settings.default_log_config(),
            quorum: settings.quorum.clone(),
            now_ms: now.wall_ms,
        };
        restore_arena(disk, DirectoryId(0)).map_err(|error| error.to_string())?;
        let state = boot(disk, &options, random).map_err(|error| error.to_string())?;
        let notes = state.notes.clone();
        let broker = Broker::new(BrokerStart {
            settings: settings.clone(),
            state,
            ports: vec![PORT],
            random: Random::new(random.next_u64()),
            now,
            // From nearly each append to never.
            recovery_bytes_max: 1 << (8 + random.below(16)),
        })?;
        let mut engine = Engine::new(std::mem::take(disk));
        engine.make_cold(Random::new(random.next_u64()));
        // Nearly without memory, too.
        if random.one_in(2) {
            engine.use_arena(1, random.below(2) as usize);
        }
        let mut node =
            Node { broker, engine, lanes: Lanes::default(), effects: Effects::default() };
        let mut emitted = node.input(now, Broker::start);
        emitted.notices.extend(notes);
        Ok((node, emitted))
    }

    pub(super) fn disk_mut(&mut self) -> &mut SimDisk {
        &mut self.engine.disk
    }

    /// Ends the node; what lies on its disk remains.
    pub(super) fn into_disk(self) -> SimDisk {
        self.engine.disk
    }

    /// Gives the broker one input and takes its effects.
    pub(super) fn input(
        &mut self,
        now: Now,
        act: impl FnOnce(&mut Broker, &mut Turn<'_>),
    ) -> Emitted {
        let mut turn = Turn { now, files: &self.engine, out: &mut self.effects };
        act(&mut self.broker, &mut turn);
        let mut emitted = Emitted::default();
        for (log, folder) in self.effects.folders.drain(..) {
            self.engine.place(log, folder);
        }
        for effect in self.effects.disk.drain(..) {
            let run = self.lanes.push(&mut self.engine, effect, &mut emitted.done);
            emitted.runs.push(run);
        }
        for effect in self.effects.network.drain(..) {
            match effect {
                NetworkEffect::Send { connection, response } => {
                    match assemble(&self.engine, &response) {
                        Ok(bytes) => emitted.network.push((connection, Some(bytes))),
                        Err(reason) => emitted.halt = Some(reason),
                    }
                }
                NetworkEffect::Silent { .. } => {}
                NetworkEffect::Close { connection, reason } => {
                    emitted.notices.push(format!("closes {}: {reason}", connection.0));
                    emitted.network.push((connection, None));
                }
            }
        }
        for notice in self.effects.notices.drain(..) {
            if notice.severity != Severity::Info {
                emitted.notices.push(notice.text);
            }
        }
        if let Some(reason) = self.effects.halt.take() {
            emitted.halt = Some(reason);
        }
        emitted.refused = std::mem::take(&mut self.engine.refused);
        emitted.awaits_bytes = self.engine.take_refused_reads();
        emitted
    }

    /// Lets the disk do the next thing of a lane.
    pub(super) fn run(&mut self, lane: &str, speed: Speed) -> Emitted {
        let mut emitted = Emitted::default();
        self.lanes.run(&mut self.engine, lane, speed, &mut emitted.done);
        emitted.refused = std::mem::take(&mut self.engine.refused);
        emitted
    }

    pub(super) fn frame(&mut self, now: Now, connection: ConnectionId, frame: BytesMut) -> Emitted {
        self.input(now, |broker, turn| broker.on_frame(turn, connection, frame))
    }
}

/// An answer with its file ranges read, without the length in front.
fn assemble(engine: &Engine, response: &Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut taken = 0;
    for range in &response.ranges {
        bytes.extend_from_slice(response.bytes.get(taken..range.at).unwrap_or_default());
        taken = range.at;
        let start = bytes.len();
        bytes.resize(start + range.length as usize, 0);
        let room = bytes.get_mut(start..).unwrap_or_default();
        let wanted = room.len();
        let read = engine.read_patiently(range.file, range.position, room);
        if read != Ok(wanted) {
            return Err(format!("a range of {wanted} bytes of {:?}: {read:?}", range.file));
        }
    }
    bytes.extend_from_slice(response.bytes.get(taken..).unwrap_or_default());
    let length = bytes.first_chunk().copied().map_or(0, u32::from_be_bytes) as usize;
    if length + 4 != bytes.len() {
        return Err(format!("an answer of {} bytes says {length}", bytes.len()));
    }
    Ok(bytes.split_off(4))
}
