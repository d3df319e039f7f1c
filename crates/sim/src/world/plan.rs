//! What a seed makes of a world: sizes, modes, settings, clients, faults.

mod script;
mod settings;
mod topics;

use strom_base::Random;
use strom_broker::settings::BrokerSettings;

use super::audit::Audit;
use super::clients::{Admin, Asker, Churner, Consumer, Kind, Member, Producer, Role, Trimmer};
use super::clock::{MICROSECOND, MILLISECOND, Nanos, SECOND};
use super::faults::{self, Planned};
use super::machine::Machine;
use super::network::Network;
use super::places::Places;
use super::sockets::Sockets;
use super::streams::{Purpose, stream};
use super::{Kind as WorldKind, WorldId, strangers};
pub use script::Story;
use topics::PlannedTopic;

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) machine: Machine,
    pub(super) network: Network,
    /// If connections are driven byte by byte.
    pub(super) sockets: Option<Box<Sockets>>,
    pub(super) clients: Vec<Role>,
    /// By time.
    pub(super) faults: Vec<Planned>,
    /// Knows what is promised to whom.
    pub(super) audit: Audit,
    /// How long clients wait between two things, more or less.
    pub(super) pace: Nanos,
    /// The time in which things go wrong.
    pub(super) work: Nanos,
}

/// Where records go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EngineChoice {
    Buffered,
    /// Into an arena of so many blocks, at most.
    Arena(usize),
    /// Each life has the one or the other.
    Changing,
}

impl EngineChoice {
    /// The blocks of an arena, if there is one; nearly without memory it is granted none.
    pub(super) fn of_life(self, random: &mut Random) -> Option<usize> {
        match self {
            EngineChoice::Buffered => None,
            EngineChoice::Arena(blocks) => Some(random.below(blocks as u64 + 1) as usize),
            EngineChoice::Changing => random.one_in(2).then(|| random.below(2) as usize),
        }
    }
}

/// How long things take, apart from what goes wrong.
#[derive(Clone, Copy, Debug)]
struct Pace {
    client: Nanos,
    network: Nanos,
    write: Nanos,
    sync: Nanos,
}

impl Pace {
    fn draw(random: &mut Random) -> Pace {
        let mut one_of = |of: &[Nanos]| of.get(random.below(of.len() as u64) as usize).copied();
        let ms = MILLISECOND;
        Pace {
            client: one_of(&[100 * MICROSECOND, ms, ms, ms, 30 * ms, SECOND]).unwrap_or(ms),
            network: one_of(&[50 * MICROSECOND, 500 * MICROSECOND, 2 * ms]).unwrap_or(ms),
            write: one_of(&[20 * MICROSECOND, 200 * MICROSECOND, ms, 20 * ms]).unwrap_or(ms),
            sync: one_of(&[200 * MICROSECOND, 3 * ms, 15 * ms, 80 * ms]).unwrap_or(ms),
        }
    }
}

impl Plan {
    /// # Errors
    /// When the broker does not take the settings.
    pub(super) fn of(id: &WorldId) -> Result<Plan, String> {
        let mut plan = match id.kind {
            WorldKind::Swarm => Plan::swarm(id.seed)?,
            WorldKind::Script { story, operation, ending } => {
                Plan::script(story, operation, ending)?
            }
            WorldKind::Busy { batches } => Plan::busy(id.seed, batches)?,
            WorldKind::Quiet { seconds } => Plan::quiet(seconds)?,
        };
        if let Some(kept) = &id.faults {
            let mut index = 0..;
            plan.faults.retain(|_| index.next().is_some_and(|it| kept.contains(&it)));
        }
        if let Some(kept) = &id.clients {
            // Without the first there are no topics.
            let mut index = 0..;
            let mut is_kept = || index.next().is_some_and(|it| it == 0 || kept.contains(&it));
            plan.clients.retain(|_| is_kept());
        }
        if let Some(batches) = id.batches {
            for client in &mut plan.clients {
                if let Role::Producer(producer) = client {
                    producer.stop_after(batches);
                }
            }
        }
        Ok(plan)
    }

    fn swarm(seed: u64) -> Result<Plan, String> {
        let random = &mut stream(seed, Purpose::Plan);
        let pace = Pace::draw(random);
        // Only what is synced before it is acknowledged promises anything to who pulls the plug.
        let is_strict = random.one_in(2);
        let planned = topics::draw(random, is_strict, pace.client);
        let mut audit = topics::audit(&planned, is_strict);
        let of_directories = &mut stream(seed, Purpose::Directories);
        // One, as most nodes have, or some.
        let directories = of_directories.below(4).max(1);
        let settings = settings::draw(random, is_strict, pace.client, directories as usize)?;
        let mut machine = pace.machine(settings);
        machine.engine = match random.below(4) {
            0 => EngineChoice::Buffered,
            1 => EngineChoice::Arena(1),
            2 => EngineChoice::Arena(2),
            _ => EngineChoice::Changing,
        };
        let mut clients = vec![Role::Admin(Admin::new(topics::plain(&planned)))];
        clients.extend(producers(random, &planned, &mut audit));
        clients.extend(others(random, &audit.places, pace.client));
        let work = 1500 * pace.client;
        // A quarter of the time nothing goes wrong.
        let is_calm = random.one_in(4);
        let mut of_sockets = stream(seed, Purpose::Sockets);
        // That quarter of them in which most worlds that broke once have no part: they go as they did.
        let is_by_bytes = of_sockets.below(4) == 1;
        let sockets = is_by_bytes.then(|| Box::new(Sockets::draw(of_sockets)));
        let mut faults = match is_calm {
            true => Vec::new(),
            false => faults::draw(seed, (directories, of_directories), work),
        };
        if sockets.is_some() && !is_calm {
            faults.extend(strangers::draw(&mut stream(seed, Purpose::StrangersPlan), work));
            faults.sort_by_key(|it| it.at);
        }
        if faults.iter().any(|planned| planned.fault.moves_clock()) {
            clients.iter_mut().for_each(|client| {
                if let Role::Producer(producer) = client {
                    producer.begin_alone();
                }
            });
        }
        // Batches that are taken back begin at 0 again, as their producers would.
        let may_be_taken_back = faults.iter().any(|it| it.fault.takes_batches_back());
        if !may_be_taken_back && random.one_in(3) {
            clients.iter_mut().for_each(|client| {
                if let Role::Producer(producer) = client {
                    producer.begin_before_wrap(random.below(60));
                }
            });
        }
        let network = Network::new(pace.network);
        Ok(Plan { machine, network, sockets, clients, faults, audit, pace: pace.client, work })
    }

    /// Nothing goes wrong, and clients are as fast as they can be.
    fn busy(seed: u64, batches: u64) -> Result<Plan, String> {
        let random = &mut stream(seed, Purpose::Plan);
        let planned = topics::plain_ones(4);
        let mut audit = topics::audit(&planned, false);
        let places: Vec<_> = audit.places.all().collect();
        let mut clients = vec![Role::Admin(Admin::new(topics::plain(&planned)))];
        for number in 0..4 {
            audit.producers.push(Kind::Idempotent);
            let producer = Producer::new(number, Kind::Idempotent, &places, random);
            let producer = producer.with_batches(batches / 4).with_padding(100);
            clients.push(Role::Producer(producer));
        }
        clients.push(Role::Consumer(Consumer::new(&audit.places, true)));
        let us = MICROSECOND;
        let pace = Pace { client: 100 * us, network: 50 * us, write: 20 * us, sync: MILLISECOND };
        let mut machine = pace.machine(settings::plain()?);
        machine.engine = EngineChoice::Buffered;
        machine.recovery_bytes_max = Some(512 << 20);
        let network = Network::new(pace.network);
        let (sockets, faults, work) = (None, Vec::new(), SECOND);
        Ok(Plan { machine, network, sockets, clients, faults, audit, pace: pace.client, work })
    }

    /// Clients are there and nothing is produced any more.
    fn quiet(seconds: u64) -> Result<Plan, String> {
        let mut plan = Plan::busy(1, 40)?;
        plan.work = seconds * SECOND;
        let waiting = Consumer::new(&plan.audit.places, true).with_wait(60_000);
        plan.clients.pop();
        plan.clients.push(Role::Consumer(waiting));
        plan.clients.push(Role::Member(Member::new(&plan.audit.places, 45_000)));
        plan.pace = 100 * MILLISECOND;
        Ok(plan)
    }
}

impl Pace {
    fn machine(self, settings: BrokerSettings) -> Machine {
        let mut machine = Machine::new(settings, EngineChoice::Changing);
        (machine.write_takes, machine.sync_takes) = (self.write, self.sync);
        machine
    }
}

/// Each to topics that promise the same: who has lost something begins anew everywhere.
fn producers(random: &mut Random, planned: &[PlannedTopic], audit: &mut Audit) -> Vec<Role> {
    let mut producers = Vec::new();
    for number in 0..1 + random.below(4) {
        let kind = match random.below(6) {
            0 => Kind::Repeating,
            1 => Kind::Unacknowledged,
            _ => Kind::Idempotent,
        };
        let first = random.below(planned.len() as u64) as usize;
        let is_strict = planned.get(first).is_some_and(|it| it.is_strict);
        let is_alike =
            |index: usize| planned.get(index).is_some_and(|it| it.is_strict == is_strict);
        let places = audit.places.of_topics(is_alike);
        audit.producers.push(kind);
        let batches = 20 + random.below(60);
        let mut producer =
            Producer::new(number as u16, kind, &places, random).with_batches(batches);
        if random.one_in(3) {
            producer = producer.with_patience(20 + random.below(300));
        }
        producers.push(Role::Producer(producer));
    }
    producers
}

fn others(random: &mut Random, places: &Places, pace: Nanos) -> Vec<Role> {
    let mut others = Vec::new();
    for _ in 0..1 + random.below(2) {
        others.push(Role::Consumer(Consumer::new(places, random.one_in(2))));
    }
    if random.one_in(2) {
        let session_ms = (400 * pace.max(MILLISECOND) / MILLISECOND) as i32;
        for _ in 0..1 + random.below(3) {
            others.push(Role::Member(Member::new(places, session_ms)));
        }
    }
    if random.one_in(3) {
        let configs = match random.one_in(2) {
            true => vec![("file.delete.delay.ms", random.below(300).to_string())],
            false => Vec::new(),
        };
        others.push(Role::Churner(Churner::new(1 + random.below(4) as u32, configs)));
    }
    if random.one_in(4) {
        others.push(Role::Trimmer(Trimmer::new(&places.all().collect::<Vec<_>>())));
    }
    if random.one_in(4) {
        others.push(Role::Asker(Asker::new(40)));
    }
    others
}
