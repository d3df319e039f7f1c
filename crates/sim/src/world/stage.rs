//! The loop: the next event, and what follows from it.

use bytes::BytesMut;
use strom_base::Random;
use strom_broker::Broker;
use strom_broker::effect::ConnectionId;
use strom_broker::effect::Examination;
use strom_protocol::records::crc32c;

use super::audit::Audit;
use super::census::Census;
use super::clients::{Act, Client, Context, describe};
use super::clock::{Clock, MILLISECOND, Nanos};
use super::faults::{GONE_MAX, Planned};
use super::machine::Machine;
use super::network::{Era, Network};
use super::node::Emitted;
use super::phases::Phases;
use super::plan::Plan;
use super::schedule::{Event, Schedule};
use super::sockets::Sockets;
use super::strangers::{Stranger, silent_max};
use super::streams::{Purpose, stream};
use super::timeline::{Telling, Timeline};

/// Who finds nobody listening comes again within this time.
const CONNECT_AGAIN: Nanos = 10 * MILLISECOND;

#[derive(Debug)]
pub(super) struct World {
    seed: u64,
    pub(super) clock: Clock,
    pub(super) schedule: Schedule,
    pub(super) machine: Machine,
    pub(super) network: Network,
    /// If connections are driven byte by byte.
    pub(super) sockets: Option<Box<Sockets>>,
    pub(super) strangers: Vec<Stranger>,
    /// So many of them may never be heard of again.
    pub(super) silent_left: u32,
    pub(super) clients: Vec<Client>,
    /// How hasty clients are.
    pace: Nanos,
    pub(super) faults: Vec<Planned>,
    /// Of these, how many are still to come, or not over.
    pub(super) faults_open: usize,
    pub(super) phases: Phases,
    pub(super) audit: Audit,
    pub(super) census: Census,
    pub(super) timeline: Timeline,
    pub(super) network_random: Random,
    pub(super) strangers_random: Random,
    pub(super) disk_random: Random,
    pub(super) node_random: Random,
    /// Empty, between two events: their memory is used again.
    pub(super) emitted: Emitted,
    acts: Vec<Act>,
}

impl World {
    pub(super) fn new(seed: u64, plan: Plan, telling: Telling) -> Self {
        let client = |(index, role): (usize, _)| {
            Client::new(role, stream(seed, Purpose::Client(index as u64)))
        };
        let mut world = Self {
            seed,
            clock: Clock::default(),
            schedule: Schedule::default(),
            machine: plan.machine,
            network: plan.network,
            sockets: plan.sockets,
            strangers: Vec::new(),
            silent_left: silent_max(plan.pace),
            clients: plan.clients.into_iter().enumerate().map(client).collect(),
            pace: plan.pace,
            faults_open: plan.faults.len(),
            faults: plan.faults,
            phases: Phases::new(plan.work, plan.pace),
            audit: plan.audit,
            census: Census { worlds: 1, ..Census::default() },
            timeline: Timeline::new(telling),
            network_random: stream(seed, Purpose::Network),
            strangers_random: stream(seed, Purpose::Strangers),
            disk_random: stream(seed, Purpose::Disk),
            node_random: stream(seed, Purpose::Node),
            emitted: Emitted::default(),
            acts: Vec::new(),
        };
        world.schedule.push(0, Event::Boot);
        for (index, planned) in world.faults.iter().enumerate() {
            world.schedule.push(planned.at, Event::Fault(index));
        }
        for client in 0..world.clients.len() {
            let delay = world.network_random.below(20 * MILLISECOND);
            world.wake_later(client, delay);
        }
        world
    }

    pub(super) fn run(&mut self) -> Result<(), String> {
        while !self.phases.is_over() {
            let (at, event) = self.schedule.pop().ok_or("nothing happens any more")?;
            self.clock.at = self.clock.at.max(at);
            self.census.events += 1;
            self.on_event(event)?;
            self.crash_if_due();
            if let Some(reason) = self.audit.failure() {
                return Err(reason.to_owned());
            }
            self.go_on()?;
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event) -> Result<(), String> {
        let at = self.clock.at;
        match event {
            Event::Boot => {
                self.timeline.beat([at, 1, 0, 0]);
                self.timeline.tell(at, "machine", || "the node starts");
                self.boot()
            }
            Event::Fault(index) => {
                self.timeline.beat([at, 2, index as u64, 0]);
                self.strike(index)
            }
            Event::FaultEnds(index) => {
                self.fault_ends(index);
                Ok(())
            }
            Event::Frame { connection, frame } => self.request_arrives(connection, frame),
            Event::Answer { connection, bytes } => {
                self.timeline.beat([at, 4, connection.0, u64::from(crc32c(&bytes))]);
                self.answer(connection, bytes)
            }
            Event::RunLane { life, .. }
            | Event::Completed { life, .. }
            | Event::DirectoryFailed { life, .. }
            | Event::BytesRead { life }
            | Event::Examine { life, .. }
            | Event::Deadline { life }
                if life != self.machine.life =>
            {
                Ok(())
            }
            Event::RunLane { lane, speed, .. } => self.run_lane(lane, speed),
            Event::Completed { completion, .. } => self.complete(&completion),
            Event::DirectoryFailed { directory, reason, .. } => {
                self.directory_failed(directory, &reason)
            }
            Event::BytesRead { .. } => {
                self.timeline.beat([at, 7, 0, 0]);
                self.input(Broker::on_bytes_read)
            }
            Event::Examine { examination, .. } => self.examine(examination),
            Event::Deadline { .. } => self.deadline(),
            Event::Gone { connection } => {
                if !self.network.on_gone(connection) {
                    return Ok(());
                }
                if self.sockets.is_some() {
                    self.socket_ends(connection);
                    return Ok(());
                }
                self.timeline.tell(at, "network", || format!("{} is gone", connection.0));
                self.input(|broker, turn| broker.on_disconnected(turn, connection))
            }
            Event::Closed { client, connection } => {
                self.closed(client, connection);
                Ok(())
            }
            Event::Wake { client } => self.wake(client),
            Event::Socket(event) => self.on_socket_event(event),
        }
    }

    fn request_arrives(&mut self, id: ConnectionId, frame: BytesMut) -> Result<(), String> {
        if !self.network.reaches_node(id) {
            return Ok(());
        }
        let at = self.clock.at;
        self.timeline.beat([at, 3, id.0, u64::from(crc32c(&frame))]);
        self.timeline.tell(at, "request", || format!("on {}: {}", id.0, describe(&frame)));
        self.census.frames += 1;
        if self.is_held(id) {
            self.network.keep_behind(id, frame);
            return Ok(());
        }
        self.input(|broker, turn| broker.on_frame(turn, id, frame))
    }

    /// Whoever looks at records has come to these.
    fn examine(&mut self, examination: Examination) -> Result<(), String> {
        let at = self.clock.at;
        self.timeline.beat([at, 15, 0, 0]);
        self.timeline.tell(at, "examiner", || "has looked at records".to_owned());
        let connection = examination.connection();
        let examined = examination.perform();
        self.census.examined += 1;
        self.input(|broker, turn| broker.on_examined(turn, examined))?;
        self.let_bulk_go_on();
        while !self.is_held(connection)
            && let Some(frame) = self.network.next_behind(connection)
        {
            self.input(|broker, turn| broker.on_frame(turn, connection, frame))?;
        }
        Ok(())
    }

    /// Whether what arrives on a connection has to wait for what came before it.
    fn is_held(&self, id: ConnectionId) -> bool {
        self.machine.node.as_ref().is_some_and(|node| node.broker.is_held(id))
    }

    fn closed(&mut self, client: usize, connection: ConnectionId) {
        self.timeline.beat([self.clock.at, 8, connection.0, 0]);
        let was_made_before =
            self.network.made_at(connection).power_failures < self.audit.power_failures;
        if let Some(it) = self.clients.get_mut(client)
            && it.link.connection == Some(connection)
        {
            it.on_disconnected(was_made_before);
            self.wake_later(client, CONNECT_AGAIN);
        }
        self.network.on_closed(connection);
    }

    /// One wake at a time: an earlier one stands for a later one.
    pub(super) fn wake_later(&mut self, client: usize, delay: Nanos) {
        let at = self.clock.at + delay;
        let Some(it) = self.clients.get_mut(client) else { return };
        if it.wakes.is_none_or(|wakes| wakes > at) {
            it.wakes = Some(at);
            self.schedule.push(at, Event::Wake { client });
        }
    }

    fn wake(&mut self, client: usize) -> Result<(), String> {
        let Some(it) = self.clients.get_mut(client) else { return Ok(()) };
        if it.wakes.take_if(|wakes| *wakes == self.clock.at).is_none() {
            return Ok(());
        }
        if it.link.connection.is_none() && !self.connect(client)? {
            self.wake_later(client, CONNECT_AGAIN);
            return Ok(());
        }
        self.with_client(client, Client::act)
    }

    /// False while nobody listens, or the topics are not there yet.
    fn connect(&mut self, client: usize) -> Result<bool, String> {
        let is_first = client == 0 || self.clients.first().is_some_and(Client::is_done);
        if !is_first || !self.is_served() {
            return Ok(false);
        }
        let (power_failures, life) = (self.audit.power_failures, self.machine.life);
        let connection = self.network.connect(client, self.clock.at, Era { power_failures, life });
        if let Some(it) = self.clients.get_mut(client) {
            it.link.connection = Some(connection);
            let name = it.name();
            self.timeline.tell(self.clock.at, name, || format!("connects as {}", connection.0));
        }
        self.open(connection)?;
        Ok(true)
    }

    /// `bytes` begin with the answer's length.
    fn answer(&mut self, connection: ConnectionId, bytes: Vec<u8>) -> Result<(), String> {
        let is_it = |it: &Client| it.link.connection == Some(connection);
        if let Some(client) = self.clients.iter().position(is_it) {
            self.census.answers += 1;
            let era = self.network.made_at(connection);
            (self.audit.told_at, self.audit.told_in_life) = (era.power_failures, era.life);
            let message = bytes.get(4..).unwrap_or_default();
            if let Some(it) = self.clients.get(client) {
                let number = message.first_chunk().map_or(0, |id| i32::from_be_bytes(*id));
                let what =
                    || format!("on {}: answer #{number}, {} bytes", connection.0, bytes.len());
                self.timeline.tell(self.clock.at, it.name(), what);
            }
            self.with_client(client, |client, context| client.on_answer(message, context))?;
        }
        if let Some(node) = &mut self.machine.node {
            node.recycle(bytes);
        }
        Ok(())
    }

    fn with_client(
        &mut self,
        index: usize,
        act: impl FnOnce(&mut Client, &mut Context<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let now = self.clock.true_time();
        let Some(client) = self.clients.get_mut(index) else { return Ok(()) };
        let mut random = std::mem::replace(&mut client.random, Random::new(0));
        let mut acts = std::mem::take(&mut self.acts);
        let (audit, pace) = (&mut self.audit, self.pace);
        let mut context = Context { now, random: &mut random, audit, pace, acts: &mut acts };
        let result = act(client, &mut context);
        client.random = random;
        let connection = client.link.connection;
        for act in acts.drain(..) {
            match (act, connection) {
                (Act::WakeAfter(delay), _) => self.wake_later(index, delay),
                (Act::GiveUp, Some(connection)) => self.leave(connection, GONE_MAX),
                (Act::GiveUp, None) => {}
                (Act::Send(frame), Some(connection)) => {
                    let there =
                        self.network.there(connection, self.clock.at, &mut self.network_random);
                    if let Some(at) = there {
                        self.deliver(connection, frame, at);
                    }
                }
                (Act::Send(_), None) => {}
            }
        }
        self.acts = acts;
        result
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn into_census(mut self) -> (Census, u64, Vec<String>) {
        self.census.simulated_ms = self.clock.at / MILLISECOND;
        self.census.starts = u64::from(self.machine.life);
        self.census.disk_operations = self.machine.operations();
        self.census.acknowledged_records = self.audit.acknowledged_records;
        self.census.read_records = self.audit.read_records;
        self.census.commits = self.audit.committed.commits;
        self.census.deleted_topics = self.audit.deleted_topics;
        (self.census, self.timeline.hash() ^ self.seed, self.timeline.into_lines())
    }
}
