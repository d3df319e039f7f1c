//! The node's machine: how a life of the node begins and ends, and what becomes of what it asks for.

use strom_base::{IdMap, Random};
use strom_broker::Broker;
use strom_broker::effect::Turn;
use strom_broker::examinations::ExaminationLimits;
use strom_broker::settings::BrokerSettings;
use strom_storage::disk::{Completion, DirectoryId, Disk, DiskError, DiskPath, LogId, Ticket};

use super::clients::Client;
use super::clock::{MILLISECOND, Nanos, SECOND};
use super::faults::{Ending, Fault};
use super::lanes::{LaneId, Speed};
use super::node::{Emitted, Equipment, Node, directories};
use super::plan::EngineChoice;
use super::schedule::Event;
use super::stage::World;
use super::view::{View, compare, view};
use crate::disk::{Faults, Rot, SimDisk, root};
use crate::scan::{Told, check_image, scan_with};

/// Nothing takes longer than some of these, be the disk as slow as it may.
const SLOWEST: Nanos = 5 * SECOND;
/// A broken node is started again within this time.
const RESTART_MAX: Nanos = 100 * MILLISECOND;

#[derive(Debug)]
pub(super) struct Machine {
    pub(super) settings: BrokerSettings,
    pub(super) engine: EngineChoice,
    /// How much may be unsynced; `None`: each life has a bound of its own, some a tiny one.
    pub(super) recovery_bytes_max: Option<u64>,
    pub(super) node: Option<Box<Node>>,
    /// While there is no node.
    pub(super) disk: Option<SimDisk>,
    /// Starts so far.
    pub(super) life: u32,
    /// When the node is next told that a deadline is there.
    armed: Option<Nanos>,
    pub(super) is_stopping: bool,
    /// What it is when the disk stops obeying.
    pub(super) ending: Ending,
    /// Starts that are yet to be cut off, each after so many disk operations.
    pub(super) cut_starts: (u32, u64),
    /// When the node has written down what the disk has failed so far.
    noted: Nanos,
    /// A file that is gone at the next start: see [`Fault::LostFile`].
    pub(super) lost_file: Option<u64>,
    /// When the last thing about a log is reported.
    reported: IdMap<LogId, Nanos>,
    /// The cluster as it was when the node ended, unless it was about to change.
    view_before: Option<View>,
    /// How long a write takes, and a sync.
    pub(super) write_takes: Nanos,
    pub(super) sync_takes: Nanos,
    /// It takes so many times as long.
    pub(super) slowness: u64,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}

impl Machine {
    pub(super) fn new(settings: BrokerSettings, engine: EngineChoice) -> Self {
        Self {
            settings,
            engine,
            recovery_bytes_max: None,
            node: None,
            disk: Some(SimDisk::new()),
            life: 0,
            armed: None,
            is_stopping: false,
            ending: Ending::Kill,
            cut_starts: (0, 0),
            noted: 0,
            lost_file: None,
            reported: IdMap::default(),
            view_before: None,
            write_takes: MILLISECOND,
            sync_takes: 15 * MILLISECOND,
            slowness: 1,
        }
    }

    fn equip(&self, random: &mut Random, is_told: bool) -> Equipment {
        let drawn_bytes = 1 << (8 + random.below(16));
        Equipment {
            arena_blocks: self.engine.of_life(random),
            recovery_bytes_max: self.recovery_bytes_max.unwrap_or(drawn_bytes),
            has_cold_reads: self.recovery_bytes_max.is_none(),
            examinations: (self.recovery_bytes_max.is_none() && random.one_in(2)).then(|| {
                let waiting_bytes = 1 << (10 + random.below(12));
                let under_way = 1 + random.below(4) as usize;
                ExaminationLimits { at_once_bytes: 0, waiting_bytes, under_way }
            }),
            is_told,
        }
    }

    fn disk_mut(&mut self) -> Option<&mut SimDisk> {
        match &mut self.node {
            Some(node) => Some(node.disk_mut()),
            None => self.disk.as_mut(),
        }
    }

    /// How long something takes that would take so long.
    fn slowed(&self, takes: Nanos) -> Nanos {
        takes.max((takes * self.slowness).min(SLOWEST))
    }

    /// The disk stops obeying after so many more operations.
    pub(super) fn crash_later(&mut self, ending: Ending, operations: u64) {
        self.ending = ending;
        if let Some(disk) = self.disk_mut() {
            disk.faults.crash_at = Some(disk.operations().saturating_add(operations));
        }
    }

    /// The disk begins to fail.
    pub(super) fn hurt(&mut self, fault: Fault) {
        let Some(disk) = self.disk_mut() else { return };
        match fault {
            Fault::FailingWrites(count) => disk.faults.failing_writes = count,
            Fault::FailingSyncs(count) => disk.faults.failing_syncs = count,
            Fault::FailingDirectory(which) => disk.fail_directory(DirectoryId(which)),
            Fault::WrongReads(seed) => disk.faults.rot = Some(Rot::new(seed)),
            Fault::MisdirectedWrites(seed) => disk.faults.misdirecting = Some(seed),
            Fault::FullDisk(room) => disk.faults.capacity = Some(disk.bytes() + room),
            _ => {}
        }
    }

    /// The disk is not full any more.
    pub(super) fn give_room(&mut self) {
        if let Some(disk) = self.disk_mut() {
            disk.faults.capacity = None;
        }
    }

    /// What is read is what lies there.
    pub(super) fn read_right(&mut self) {
        if let Some(disk) = self.disk_mut() {
            disk.faults.rot = None;
        }
    }

    /// The log directory that fails does so no more.
    pub(super) fn mend_directory(&mut self) {
        if let Some(disk) = self.disk_mut() {
            disk.faults.failing_directory = None;
        }
    }

    /// Whether the disk has refused the node anything in this life that it cannot do without: what there is
    /// with the metadata log, or in the only log directory.
    pub(super) fn is_hurt(&mut self) -> bool {
        self.disk_mut().is_some_and(|disk| disk.has_refused_in(DirectoryId(0)))
    }

    /// Whether it will go on so until somebody starts it anew.
    pub(super) fn is_broken(&mut self) -> bool {
        self.disk_mut().is_some_and(|disk| disk.has_failed())
    }

    /// What was to go wrong and has not never will.
    pub(super) fn spare(&mut self) {
        self.cut_starts = (0, 0);
        if let Some(disk) = self.disk_mut() {
            disk.faults = Faults::default();
        }
    }

    /// The same, but a log directory that fails goes on to.
    pub(super) fn spare_but_for_directories(&mut self) {
        let failing = self.disk_mut().and_then(|disk| disk.faults.failing_directory);
        self.spare();
        if let Some(disk) = self.disk_mut() {
            disk.faults.failing_directory = failing;
        }
    }

    pub(super) fn operations(&mut self) -> u64 {
        self.disk_mut().map_or(0, |disk| disk.operations())
    }
}

impl World {
    pub(super) fn boot(&mut self) -> Result<(), String> {
        let (left, operations) = self.machine.cut_starts;
        if left > 0 {
            self.machine.cut_starts.0 -= 1;
            self.machine.crash_later(self.machine.ending, operations);
        }
        let Some(mut disk) = self.machine.disk.take() else { return Ok(()) };
        if let Some(which) = self.machine.lost_file.take() {
            // Nobody asks the disk for it.
            let faults = std::mem::take(&mut disk.faults);
            lose_file(&mut disk, directories(&self.machine.settings), which)?;
            disk.faults = faults;
        }
        self.clock.begin_life();
        let now = self.clock.node_time();
        let equipment = self.machine.equip(&mut self.disk_random, self.timeline.is_told());
        let mut emitted = std::mem::take(&mut self.emitted);
        let (settings, random) = (&self.machine.settings, &mut self.node_random);
        match Node::boot(&mut disk, settings, equipment, random, now, &mut emitted) {
            Ok(node) => {
                self.machine.life += 1;
                self.machine.node = Some(Box::new(node));
                self.take(emitted)
            }
            Err(_) if disk.has_crashed() => {
                self.end(disk, self.machine.ending);
                Ok(())
            }
            // The process ends, and is started again. For want of room it needs every directory.
            Err(reason) if disk.has_refused_in(DirectoryId(0)) || disk.is_full() => {
                self.timeline.tell(self.clock.at, "node", || reason);
                self.end(disk, Ending::Kill);
                Ok(())
            }
            Err(reason) => Err(format!("the node does not start: {reason}")),
        }
    }

    pub(super) fn stop(&mut self) -> Result<(), String> {
        if self.machine.is_stopping || self.machine.node.is_none() {
            return Ok(());
        }
        self.remember();
        self.machine.is_stopping = true;
        self.input(Broker::shut_down)
    }

    /// The node ends now.
    pub(super) fn crash(&mut self, ending: Ending) {
        self.remember();
        if let Some(node) = self.machine.node.take() {
            self.end(node.into_disk(), ending);
        } else if ending == Ending::PowerFailure
            && let Some(mut disk) = self.machine.disk.take()
        {
            // Between two lives: the process is gone, the machine was not.
            self.lose_power(&mut disk);
            self.machine.disk = Some(disk);
        }
    }

    /// After each event: the disk may have stopped obeying in the midst of it.
    pub(super) fn crash_if_due(&mut self) {
        if self.machine.node.as_mut().is_some_and(|node| node.disk_mut().has_crashed()) {
            self.crash(self.machine.ending);
        }
    }

    fn end(&mut self, mut disk: SimDisk, ending: Ending) {
        self.machine.is_stopping = false;
        // Who is killed before it could note that a sync has failed leaves nobody who knows: the system shows
        // the next start what the disk has not. So the system ends, too.
        let ending = if self.machine.noted > self.clock.at { Ending::PowerFailure } else { ending };
        self.timeline.tell(self.clock.at, "machine", || format!("{ending:?}"));
        match ending {
            Ending::PowerFailure => self.lose_power(&mut disk),
            Ending::Kill => disk.kill(),
        }
        self.go_down(disk);
    }

    fn lose_power(&mut self, disk: &mut SimDisk) {
        disk.crash(&mut self.disk_random);
        self.audit.on_power_failure();
        // Who has no connection at the moment will not be told that it broke.
        for it in self.clients.iter_mut().filter(|it| it.link.connection.is_none()) {
            it.on_disconnected(true);
        }
    }

    /// What the cluster is has to be the same when the node is back.
    fn remember(&mut self) {
        let Some(node) = &self.machine.node else { return };
        if node.broker.is_running() {
            let is_changing = self.clients.iter().any(Client::is_changing_metadata);
            self.machine.view_before = (!is_changing).then(|| view(&node.broker));
        }
    }

    /// The node is gone: connections break, and after a while it starts again.
    fn go_down(&mut self, disk: SimDisk) {
        self.machine.disk = Some(disk);
        self.machine.armed = None;
        self.machine.reported.clear();
        self.forget_sockets();
        for (connection, (client, back)) in self.network.break_all() {
            // What the node had answered may be lost with its sockets.
            let arrives = if self.network_random.one_in(2) { back } else { 0 };
            let at = arrives.max(self.clock.at) + self.network_random.below(5 * MILLISECOND);
            self.schedule.push(at, Event::Closed { client, connection });
        }
        let delay = self.network_random.below(RESTART_MAX);
        self.schedule.push(self.clock.at + delay, Event::Boot);
    }

    pub(super) fn input(
        &mut self,
        act: impl FnOnce(&mut Broker, &mut Turn<'_>),
    ) -> Result<(), String> {
        let now = self.clock.node_time();
        let mut emitted = std::mem::take(&mut self.emitted);
        if let Some(node) = &mut self.machine.node {
            self.census.disk_effects += node.input(now, &mut emitted, act) as u64;
        }
        self.take(emitted)
    }

    /// Schedules what the node has asked for.
    pub(super) fn take(&mut self, mut emitted: Emitted) -> Result<(), String> {
        if let Some(reason) = emitted.halt {
            if !self.machine.is_hurt() {
                return Err(format!("the node halts: {reason}"));
            }
            self.timeline.tell(self.clock.at, "node", || format!("halts: {reason}"));
            if self.machine.node.as_mut().is_some_and(|node| node.wind_up()) {
                self.machine.noted = 0;
            }
            self.crash(Ending::Kill);
            return Ok(());
        }
        emitted.check()?;
        let (now, life) = (self.clock.at, self.machine.life);
        for line in emitted.told.drain(..) {
            self.timeline.tell(now, "disk", || line);
        }
        for notice in emitted.notices.drain(..) {
            self.timeline.tell(now, "node", || notice);
        }
        for (lane, speed) in emitted.runs.drain(..) {
            let takes = match speed {
                Speed::Fast => self.machine.write_takes,
                Speed::Slow => self.machine.sync_takes,
            };
            // Half of the time what can be done at once is.
            let is_at_once = speed == Speed::Fast && self.disk_random.one_in(2);
            let takes = if is_at_once { 0 } else { self.machine.slowed(takes) };
            let at = now + self.disk_random.below(2 * takes);
            self.schedule.push(at, Event::RunLane { life, lane, speed });
        }
        if std::mem::take(&mut emitted.awaits_bytes) {
            let takes = self.machine.slowed(self.machine.sync_takes);
            let at = now + self.disk_random.below(2 * takes);
            self.schedule.push(at, Event::BytesRead { life });
        }
        for examination in emitted.examinations.drain(..) {
            let at = now + self.disk_random.below(20 * self.machine.write_takes);
            self.schedule.push(at, Event::Examine { life, examination });
        }
        let has_crashed = self.machine.disk_mut().is_some_and(|disk| disk.has_crashed());
        let note = 2 * self.machine.slowed(self.machine.write_takes) + MILLISECOND;
        for completion in emitted.done.drain(..) {
            // A sync is never reported before the writes that it covers.
            let last = self.machine.reported.entry(completion.ticket.log).or_default();
            let takes = self.disk_random.below(2 * self.machine.write_takes);
            *last = (*last).max(now + takes);
            if matches!(completion.result, Err(DiskError::Io(_))) && !has_crashed {
                self.machine.noted = self.machine.noted.max(*last + note);
            }
            self.schedule.push(*last, Event::Completed { life, completion });
        }
        for (directory, reason) in emitted.failed.drain(..) {
            let at = now + self.disk_random.below(2 * self.machine.write_takes);
            self.machine.noted = self.machine.noted.max(at + note);
            self.schedule.push(at, Event::DirectoryFailed { life, directory, reason });
        }
        self.put_in_sockets(&mut emitted);
        for (connection, answer) in emitted.network.drain(..) {
            let back = self.network.back(connection, now, &mut self.network_random);
            let Some((client, at)) = back else { continue };
            let event = match answer {
                Some(bytes) => Event::Answer { connection, bytes },
                None => Event::Closed { client, connection },
            };
            self.schedule.push(at, event);
        }
        self.emitted = emitted;
        self.look_after_node()
    }

    /// Whether the node is back as it was, has stopped, or is waiting for a time.
    fn look_after_node(&mut self) -> Result<(), String> {
        let Some(node) = &self.machine.node else { return Ok(()) };
        if self.machine.view_before.is_some()
            && node.broker.is_running()
            && let Some(before) = self.machine.view_before.take()
        {
            compare(&before, &view(&node.broker))?;
        }
        if node.broker.is_stopped() {
            self.machine.is_stopping = false;
            self.timeline.tell(self.clock.at, "machine", || "the node has stopped");
            if let Some(node) = self.machine.node.take() {
                let topics = node.broker.image().topics.iter();
                let served = Some(topics.map(|it| (it.name.to_string(), it.id)).collect());
                let image = node.broker.image().clone();
                let mut disk = node.into_disk();
                if !disk.has_failed() {
                    check_image(&disk, DirectoryId(0), &image)?;
                }
                let told = Told { served, ..Told::default() };
                for directory in directories(&self.machine.settings) {
                    if !disk.has_refused() {
                        scan_with(&disk, directory, &told)?;
                    }
                }
                disk.kill();
                self.go_down(disk);
            }
        } else if let Some(due_ms) = node.broker.next_deadline() {
            let at = self.clock.when_node_shows(due_ms).max(self.clock.at + 1);
            if self.machine.armed.is_none_or(|armed| armed > at) {
                self.machine.armed = Some(at);
                self.schedule.push(at, Event::Deadline { life: self.machine.life });
            }
        }
        Ok(())
    }

    /// The disk does the next thing of a lane.
    pub(super) fn run_lane(&mut self, lane: LaneId, speed: Speed) -> Result<(), String> {
        let mut emitted = std::mem::take(&mut self.emitted);
        if let Some(node) = &mut self.machine.node {
            node.run(lane, speed, &mut emitted);
        }
        self.timeline.beat([self.clock.at, 5, lane.number(), emitted.done.len() as u64]);
        self.take(emitted)
    }

    /// The disk reports that a promise was kept or broken.
    pub(super) fn complete(&mut self, completion: &Completion) -> Result<(), String> {
        let (at, Ticket { log, sequence }) = (self.clock.at, completion.ticket);
        self.timeline.beat([at, 6, u64::from(log.0), sequence]);
        self.timeline.tell(at, "disk", || format!("{completion:?}"));
        self.census.completions += 1;
        let failed = self.machine.node.as_ref().and_then(|node| node.failed_in(completion));
        self.input_of_failure(failed, |broker, turn| broker.on_disk_completed(turn, completion))
    }

    /// Something without a ticket has failed.
    pub(super) fn directory_failed(
        &mut self,
        directory: DirectoryId,
        reason: &str,
    ) -> Result<(), String> {
        self.timeline.beat([self.clock.at, 9, u64::from(directory.0), 0]);
        self.input_of_failure(Some(directory), |broker, turn| {
            broker.on_directory_failed(turn, directory, reason);
        })
    }

    /// The node is told that a log directory has failed, if that is what it is told.
    fn input_of_failure(
        &mut self,
        failed: Option<DirectoryId>,
        act: impl FnOnce(&mut Broker, &mut Turn<'_>),
    ) -> Result<(), String> {
        // Who stops has other things to finish there.
        let served = self.machine.node.as_ref().is_some_and(|node| node.broker.is_running());
        self.input(act)?;
        if let (Some(node), Some(failed)) = (&mut self.machine.node, failed.filter(|_| served)) {
            node.out_of_service.add(failed);
        }
        Ok(())
    }

    /// A deadline may be there; an event for one that was brought forward comes too late.
    pub(super) fn deadline(&mut self) -> Result<(), String> {
        if self.machine.armed != Some(self.clock.at) {
            return Ok(());
        }
        self.machine.armed = None;
        let due_ms = self.machine.node.as_ref().and_then(|node| node.broker.next_deadline());
        if due_ms.is_some_and(|due_ms| due_ms <= self.clock.node_time().monotonic_ms) {
            self.census.deadlines += 1;
            return self.input(Broker::on_deadline);
        }
        self.look_after_node()
    }
}

/// One of those that a start makes anew from the records where they are not there.
fn lose_file(
    disk: &mut SimDisk,
    directories: impl Iterator<Item = DirectoryId>,
    which: u64,
) -> Result<(), String> {
    let is_derived = |name: &str| {
        let ends = [".index", ".timeindex", "leader-epoch-checkpoint", "-offset-checkpoint"];
        // Where a log begins stands nowhere else.
        ends.iter().any(|end| name.ends_with(end)) && !name.starts_with("log-start")
    };
    let list = |path: &DiskPath| disk.list(path).map_err(|error| error.to_string());
    let mut found = Vec::new();
    for top in directories.map(root) {
        for entry in list(&top)? {
            let path = DiskPath { directory: top.directory, path: entry.name.clone() };
            if !entry.is_directory {
                found.extend(is_derived(&entry.name).then_some(path));
                continue;
            }
            for file in list(&path)?.into_iter().filter(|file| is_derived(&file.name)) {
                found.push(path.below(&file.name));
            }
        }
    }
    let Some(index) = which.checked_rem(found.len() as u64) else { return Ok(()) };
    found
        .get(index as usize)
        .map_or(Ok(()), |path| disk.remove_file(path).map_err(|error| error.to_string()))
}
