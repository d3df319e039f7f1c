//! Connections byte by byte: what arrives of a request at a time, what the node reads of it, which of its answers
//! the other side takes. What decides in between is the node's own: `strom_intake`.
//!
//! A part of the worlds have all their connections here; in the others requests arrive whole.

mod bells;
mod bounds;
mod desk;
mod socket;

use std::collections::BTreeMap;
use std::task::Context;

use bytes::BytesMut;
use strom_base::Random;
use strom_broker::effect::ConnectionId;
use strom_intake::budget::{BYTES_MAX_BY_DEFAULT, ReceiveBudget};
use strom_intake::peers::Answer;
use strom_intake::turns::Line;
use strom_intake::{Ending, Intake};

use super::clock::{MICROSECOND, MILLISECOND, Nanos};
use super::node::Emitted;
use super::schedule::Event;
use super::stage::World;
use super::strangers::Coming;
use bells::{Bells, Rung};
use desk::Desk;
use socket::{Polled, Socket};

/// `socket.request.max.bytes`, as by default.
pub(super) const REQUEST_BYTES_MAX: usize = 100 << 20;
/// The node looks at a connection within this time, at its turns as well.
const LOOK_MAX: Nanos = 40 * MICROSECOND;

/// After about so many turns of tasks the disk takes no large requests …
const CROWDED_EVERY: u64 = 64;
/// … for this time at most.
const CROWDED_MAX: Nanos = 20 * MILLISECOND;

#[derive(Debug)]
pub(super) enum SocketEvent {
    Arrives {
        connection: ConnectionId,
        bytes: BytesMut,
    },
    /// The node's task of a connection goes on.
    Polled {
        connection: ConnectionId,
    },
    /// Somebody who waits in line may go on, of whatever life the node is in: who asks for it has asked once.
    Turn {
        line: Line,
    },
    /// A request that has begun may take too long.
    Overdue {
        life: u32,
    },
    /// The disk takes large requests again.
    Relieved {
        life: u32,
    },
    Stranger(Coming),
}

/// An answer, with what it has of files.
#[derive(Debug)]
struct Ready(Vec<u8>);

impl Answer for Ready {
    fn own_bytes(&self) -> usize {
        self.0.len()
    }
}

#[derive(Debug)]
pub(super) struct Sockets {
    /// `queued.max.request.bytes`
    budget_bytes: usize,
    intake: Intake<Ready>,
    by_id: BTreeMap<ConnectionId, Socket>,
    bells: Bells,
    random: Random,
    was_used_up: bool,
    /// Large requests wait for the disk.
    is_crowded: bool,
    /// How often a task of a connection had its turn.
    polls: u64,
}

impl Sockets {
    pub(super) fn draw(mut random: Random) -> Self {
        let budget_bytes = match random.below(4) {
            0 => BYTES_MAX_BY_DEFAULT,
            1 => 1 << (17 + random.below(4)),
            _ => 1 << (12 + random.below(6)),
        };
        let mut sockets = Self {
            budget_bytes,
            intake: Intake::new(ReceiveBudget::new(budget_bytes)),
            by_id: BTreeMap::new(),
            bells: Bells::default(),
            random,
            was_used_up: false,
            is_crowded: false,
            polls: 0,
        };
        sockets.restart();
        sockets
    }

    fn restart(&mut self) {
        self.intake = Intake::new(ReceiveBudget::new(self.budget_bytes));
        self.by_id.clear();
        self.bells = Bells::default();
        self.was_used_up = false;
        self.is_crowded = false;
        for line in [Line::Share, Line::Bulk] {
            self.bells.ring(Rung::Line(line));
        }
    }

    /// How a request is cut before it arrives: after so many bytes, in so many pieces of such a length.
    fn cut(&mut self) -> (usize, usize, usize) {
        let drawn = self.random.next_u64();
        let at = (drawn >> 8) as usize;
        match drawn % 8 {
            0 => (0, 1 + at % 12, 1),
            1 => (at % 8, 1, usize::MAX),
            2 => (at % 400, 1 + at % 5, 1 + at % 300),
            _ => (0, 0, 0),
        }
    }
}

impl World {
    /// Whether somebody listens and may be reached.
    pub(super) fn is_served(&self) -> bool {
        self.machine.node.as_ref().is_some_and(|node| node.broker.is_running())
            && self.network.stalled_until <= self.clock.at
    }

    /// The node learns of a connection.
    pub(super) fn open(&mut self, id: ConnectionId) -> Result<(), String> {
        let now_ms = self.clock.node_time().monotonic_ms;
        self.input(|broker, turn| broker.on_connected(turn, id, "127.0.0.1".into(), 0))?;
        if let (Some(sockets), Some(node)) = (&mut self.sockets, &self.machine.node) {
            let waker = sockets.bells.of(Rung::Connection(id));
            sockets.intake.peers.open(id, now_ms);
            sockets.by_id.insert(id, Socket::new(id, node.broker.endpoint_type(id), waker));
        }
        Ok(())
    }

    /// A request of a client is at the node at this time, or its beginning is.
    pub(super) fn deliver(&mut self, connection: ConnectionId, frame: BytesMut, at: Nanos) {
        let Some(sockets) = &mut self.sockets else {
            return self.schedule.push(at, Event::Frame { connection, frame });
        };
        let mut bytes = BytesMut::with_capacity(4 + frame.len());
        bytes.extend_from_slice(&(frame.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&frame);
        let (first, count, length) = sockets.cut();
        let mut at = at;
        if first > 0 && first < bytes.len() {
            let bytes = bytes.split_to(first);
            self.schedule.push(at, Event::Socket(SocketEvent::Arrives { connection, bytes }));
        }
        for _ in 0..count {
            if bytes.len() <= length {
                break;
            }
            at += sockets.random.below(4 * LOOK_MAX);
            let bytes = bytes.split_to(length);
            self.schedule.push(at, Event::Socket(SocketEvent::Arrives { connection, bytes }));
        }
        if count > 0 {
            at += sockets.random.below(50 * LOOK_MAX);
        }
        self.schedule.push(at, Event::Socket(SocketEvent::Arrives { connection, bytes }));
        self.network.hold_back(connection, at);
    }

    /// Bytes that need not be a request.
    pub(super) fn deliver_bytes(&mut self, connection: ConnectionId, bytes: BytesMut) {
        let there = self.network.there(connection, self.clock.at, &mut self.network_random);
        if let Some(at) = there {
            self.schedule.push(at, Event::Socket(SocketEvent::Arrives { connection, bytes }));
        }
    }

    /// The other side takes so many more bytes and no more; `None`: whatever comes.
    pub(super) fn set_window(&mut self, connection: ConnectionId, bytes: Option<usize>) {
        if let Some(socket) = self.sockets.as_mut().and_then(|it| it.by_id.get_mut(&connection)) {
            socket.window = bytes;
            socket.wake();
        }
        self.answer_bells();
    }

    pub(super) fn on_socket_event(&mut self, event: SocketEvent) -> Result<(), String> {
        let Some(sockets) = &mut self.sockets else { return Ok(()) };
        match event {
            SocketEvent::Arrives { connection, bytes } => {
                if let Some(socket) = sockets.by_id.get_mut(&connection) {
                    socket.arrives(bytes);
                }
            }
            SocketEvent::Polled { connection } => return self.poll_socket(connection),
            SocketEvent::Turn { line } => {
                let waker = sockets.bells.of(Rung::Line(line));
                let intake = &mut sockets.intake;
                let mut context = Context::from_waker(&waker);
                let node = self.machine.node.as_ref();
                let may_take_bulk =
                    !sockets.is_crowded && node.is_none_or(|node| node.broker.may_take_bulk());
                let may_go_on = line == Line::Share || may_take_bulk;
                if intake.poll_give_turn(line, may_go_on, &mut context).is_ready() {
                    waker.wake();
                }
            }
            SocketEvent::Overdue { life } if life == self.machine.life => {
                let now_ms = self.clock.node_time().monotonic_ms;
                if sockets.intake.close_overdue(now_ms) > 0 {
                    self.census.count_fault("overdue request");
                }
                self.arm_overdue();
            }
            SocketEvent::Relieved { life } if life == self.machine.life => {
                sockets.is_crowded = false;
                self.let_bulk_go_on();
            }
            SocketEvent::Overdue { .. } | SocketEvent::Relieved { .. } => {}
            SocketEvent::Stranger(coming) => return self.stranger_comes(coming),
        }
        self.answer_bells();
        Ok(())
    }

    /// The node sees that the other side is gone, behind what has arrived.
    pub(super) fn socket_ends(&mut self, connection: ConnectionId) {
        if let Some(socket) = self.sockets.as_mut().and_then(|it| it.by_id.get_mut(&connection)) {
            socket.ends();
        }
        self.answer_bells();
    }

    /// The node's process is gone, and its memory.
    pub(super) fn forget_sockets(&mut self) {
        if let Some(sockets) = &mut self.sockets {
            sockets.restart();
        }
    }

    /// Answers wait at their connections, if these are driven byte by byte.
    pub(super) fn put_in_sockets(&mut self, emitted: &mut Emitted) {
        if let Some(sockets) = &mut self.sockets {
            desk::put(&mut sockets.intake, emitted, None);
            self.answer_bells();
        }
        emitted.silent.clear();
    }

    fn poll_socket(&mut self, id: ConnectionId) -> Result<(), String> {
        let now = self.clock.node_time();
        let (Some(sockets), Some(node)) = (&mut self.sockets, &mut self.machine.node) else {
            return Ok(());
        };
        sockets.bells.on_answered(Rung::Connection(id));
        sockets.polls += 1;
        let Some(socket) = sockets.by_id.get_mut(&id) else { return Ok(()) };
        let mut emitted = std::mem::take(&mut self.emitted);
        let mut desk = Desk::new(node, &mut sockets.intake, &mut emitted, now);
        desk.is_crowded = sockets.is_crowded;
        desk.is_told = self.timeline.is_told();
        let mut sent = Vec::new();
        let polled = socket.poll(&mut desk, &mut sockets.random, &mut sent);
        if let Polled::Ended(_) = &polled {
            socket.end(&mut desk);
        }
        let (requests, is_to_be_armed) = (std::mem::take(&mut desk.taken), desk.is_to_be_armed);
        self.census.disk_effects += desk.disk_effects as u64;
        for (crc, words) in requests {
            self.timeline.beat([self.clock.at, 3, id.0, u64::from(crc)]);
            self.timeline.tell(self.clock.at, "request", || format!("on {}: {words}", id.0));
            self.census.frames += 1;
        }
        for bytes in sent {
            let now = self.clock.at;
            match self.network.back(id, now, &mut self.network_random) {
                Some((_, at)) => self.schedule.push(at, Event::Answer { connection: id, bytes }),
                None => node.recycle(bytes),
            }
        }
        match polled {
            Polled::Pending => {}
            Polled::Again => sockets.bells.ring(Rung::Connection(id)),
            Polled::Ended(ending) => {
                let effects = node.input(now, &mut emitted, |broker, turn| {
                    broker.on_disconnected(turn, id);
                });
                self.census.disk_effects += effects as u64;
                self.on_socket_ended(id, &ending);
            }
        }
        self.note_used_up();
        self.crowd();
        self.take(emitted)?;
        if is_to_be_armed {
            self.arm_overdue();
        }
        self.answer_bells();
        self.check_bounds()
    }

    fn on_socket_ended(&mut self, id: ConnectionId, ending: &Ending) {
        let mut is_to_be_armed = false;
        if let Some(sockets) = &mut self.sockets {
            sockets.by_id.remove(&id);
            let now_ms = self.clock.node_time().monotonic_ms;
            is_to_be_armed = sockets.intake.close(now_ms, id) == Some(true);
        }
        self.timeline.tell(self.clock.at, "node", || format!("ends {}: {ending:?}", id.0));
        self.network.on_gone(id);
        let back = self.network.back(id, self.clock.at, &mut self.network_random);
        if let Some((client, at)) = back {
            self.schedule.push(at, Event::Closed { client, connection: id });
        }
        if is_to_be_armed {
            self.arm_overdue();
        }
    }

    /// At times the disk takes no large requests for a while.
    fn crowd(&mut self) {
        let (now, life) = (self.clock.at, self.machine.life);
        let Some(sockets) = self.sockets.as_mut().filter(|it| !it.is_crowded) else { return };
        if sockets.random.one_in(CROWDED_EVERY) {
            sockets.is_crowded = true;
            let relieved = now + sockets.random.below(CROWDED_MAX);
            self.schedule.push(relieved, Event::Socket(SocketEvent::Relieved { life }));
        }
    }

    /// Large requests are taken up again, if enough is done of what they have brought.
    pub(super) fn let_bulk_go_on(&mut self) {
        let may_take = self.machine.node.as_ref().is_some_and(|it| it.broker.may_take_bulk());
        if let Some(sockets) = self.sockets.as_mut().filter(|it| may_take && !it.is_crowded) {
            sockets.intake.bulk.go_on();
            self.answer_bells();
        }
    }

    fn note_used_up(&mut self) {
        let Some(sockets) = &mut self.sockets else { return };
        let is_used_up = sockets.intake.budget.is_used_up();
        if is_used_up && !sockets.was_used_up {
            self.census.count_fault("memory for requests used up");
        }
        sockets.was_used_up = is_used_up;
    }

    /// Who looks after requests that take too long sleeps until one may.
    fn arm_overdue(&mut self) {
        let Some(sockets) = &mut self.sockets else { return };
        if let Some(due_ms) = sockets.intake.budget.next_deadline() {
            let at = self.clock.when_node_shows(due_ms).max(self.clock.at + 1);
            let life = self.machine.life;
            self.schedule.push(at, Event::Socket(SocketEvent::Overdue { life }));
        }
    }

    /// Who was woken goes on soon.
    fn answer_bells(&mut self) {
        let Some(sockets) = &mut self.sockets else { return };
        while let Some(rung) = sockets.bells.next() {
            let event = match rung {
                Rung::Connection(connection) => SocketEvent::Polled { connection },
                Rung::Line(line) => {
                    sockets.bells.on_answered(rung);
                    SocketEvent::Turn { line }
                }
            };
            let at = self.clock.at + sockets.random.below(LOOK_MAX);
            self.schedule.push(at, Event::Socket(event));
        }
    }
}
