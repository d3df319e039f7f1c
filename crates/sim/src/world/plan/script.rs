//! Scripted lives of a node, each ended before every single one of its disk operations.

use std::fmt;
use std::str::FromStr;

use strom_base::Random;

use super::topics::{self, PlannedTopic};
use super::{EngineChoice, Pace, Plan, settings};
use crate::world::clients::{Admin, Asker, Churner, Kind, Member, Producer, Role};
use crate::world::clock::{MILLISECOND, Nanos};
use crate::world::faults::{Ending, Fault, Planned};
use crate::world::network::Network;

/// What happens besides in a scripted life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Story {
    /// Nothing.
    Life,
    /// It stops cleanly in the midst of its work, and starts again.
    Stop,
    /// Two syncs fail, and lose what they were about.
    FailedSyncs,
    /// Two writes fail, half done.
    FailedWrites,
    /// For a while there is no room.
    NoRoom,
    /// It has two log directories, and the one without the metadata log fails for a while.
    LostDirectory,
}

impl Story {
    pub const ALL: [Story; 6] = [
        Story::Life,
        Story::Stop,
        Story::FailedSyncs,
        Story::FailedWrites,
        Story::NoRoom,
        Story::LostDirectory,
    ];

    fn name(self) -> &'static str {
        match self {
            Story::Life => "life",
            Story::Stop => "stop",
            Story::FailedSyncs => "failed-syncs",
            Story::FailedWrites => "failed-writes",
            Story::NoRoom => "no-room",
            Story::LostDirectory => "lost-directory",
        }
    }

    fn directories(self) -> usize {
        if self == Story::LostDirectory { 2 } else { 1 }
    }

    fn fault(self) -> Option<Planned> {
        let planned = |at_ms: Nanos, lasts_ms: Nanos, fault| {
            let (at, lasts) = (at_ms * MILLISECOND, lasts_ms * MILLISECOND);
            Some(Planned { at, lasts, fault })
        };
        match self {
            Story::Life => None,
            Story::Stop => planned(60, 0, Fault::CleanStop),
            Story::FailedSyncs => planned(60, 0, Fault::FailingSyncs(2)),
            Story::FailedWrites => planned(60, 0, Fault::FailingWrites(2)),
            Story::NoRoom => planned(50, 50, Fault::FullDisk(300)),
            Story::LostDirectory => planned(60, 60, Fault::FailingDirectory(1)),
        }
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Story {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = Story::ALL.map(Story::name).join(", ");
        let found = Story::ALL.into_iter().find(|story| story.name() == name);
        found.ok_or_else(|| format!("no story is called so; there are {names}"))
    }
}

impl Plan {
    /// A short life that touches every file of a node: topics come and go, the metadata log is cut
    /// behind snapshots, records and offsets are written. Everything is synced before it is
    /// acknowledged, so that nothing may be lost.
    pub(super) fn script(
        story: Story,
        operation: Option<u64>,
        ending: Ending,
    ) -> Result<Plan, String> {
        let mut random = Random::new(1);
        let planned = vec![PlannedTopic::scripted(story.directories() as i32)];
        let mut audit = topics::audit(&planned, true);
        let places: Vec<_> = audit.places.all().collect();
        audit.producers.push(Kind::Idempotent);
        let producer = Producer::new(0, Kind::Idempotent, &places, &mut random).with_batches(12);
        let churned = vec![("file.delete.delay.ms", "50".to_owned())];
        let clients = vec![
            Role::Admin(Admin::new(topics::plain(&planned))),
            Role::Producer(producer),
            Role::Churner(Churner::new(2, churned)),
            Role::Member(Member::new(&audit.places, 400)),
            Role::Asker(Asker::new(3)),
        ];
        let ms = MILLISECOND;
        let pace = Pace { client: ms, network: 2 * ms, write: ms, sync: 15 * ms };
        let mut machine = pace.machine(settings::scripted(story.directories())?);
        machine.engine = EngineChoice::Changing;
        let fault = Fault::CrashLater(ending, operation.unwrap_or(u64::MAX));
        let mut faults = vec![Planned { at: 0, lasts: 0, fault }];
        faults.extend(story.fault());
        let network = Network::new(pace.network);
        let (sockets, work) = (None, 100 * ms);
        Ok(Plan { machine, network, sockets, clients, faults, audit, pace: ms, work })
    }
}
