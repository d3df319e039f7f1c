//! The broker's side: what network threads bring is taken up in turns, and what follows from a turn
//! goes back to each of them at once.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use strom_base::IdMap;
use strom_broker::effect::{ConnectionId, Effects, Response};
use strom_broker::of_its_own;

use super::mailbox::Mailbox;
use super::messages::{Asked, Told, id_on, thread_of};
use super::remote::{Behind, Remote};
use super::thread::{ThreadStart, start};
use crate::clock::Clock;
use crate::connection::{Accepted, ReceiveLimits};
use crate::engine::DiskEngine;
use crate::send::Resolved;
use crate::stream::Incoming;
use strom_intake::Ending;
use strom_intake::turns::{SHARE_BYTES, charge_of_work};

/// Requests that are served before what follows from them is done.
const TURN_REQUESTS_MAX: usize = 256;
/// What was taken up is told with the next answers, or when it is so much.
const UNTOLD_BYTES_MAX: usize = SHARE_BYTES;
/// What is kept behind requests whose records somebody looks at does not count as in flight, up to so much: its
/// thread would bring nothing of others.
const BEHIND_BYTES_MAX: usize = 64 << 20;

/// How network threads are started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExchangeStart {
    pub(crate) threads: usize,
    pub(crate) clock: Clock,
    /// Of all threads together: see [`crate::budget`].
    pub(crate) receive_bytes: usize,
    pub(crate) limits: ReceiveLimits,
    pub(crate) idle_ms: u64,
}

/// What one turn has taken up.
#[derive(Debug, Default)]
pub(crate) struct Turned {
    requests: usize,
    /// With what the requests have cost beside their own.
    bytes: usize,
    /// Of the line of those who let others go first.
    waited: usize,
}

impl Turned {
    fn is_over(&self) -> bool {
        self.requests >= TURN_REQUESTS_MAX || self.bytes >= SHARE_BYTES
    }
}

/// One network thread, seen from here.
#[derive(Debug)]
struct Post {
    mailbox: Arc<Mailbox<Told>>,
    staged: VecDeque<Told>,
    /// What is staged is not only for the next time.
    is_due: bool,
    /// What was taken up, and not told.
    taken_bytes: usize,
    connections: usize,
    thread: Option<JoinHandle<()>>,
}

impl Post {
    fn stage(&mut self, told: Told) {
        self.staged.push_back(told);
        self.is_due = true;
    }
}

/// Who is to go on, when others have gone first.
#[derive(Debug)]
enum Waiting {
    Asked(Asked),
    /// With the first that was kept behind another of it.
    Behind(ConnectionId),
}

#[derive(Debug)]
pub(crate) struct Exchange {
    inbox: Arc<Mailbox<Asked>>,
    arrived: VecDeque<Asked>,
    /// Large requests, those of connections that have had their share, and what comes behind these.
    waiting: VecDeque<Waiting>,
    /// What is kept behind others, and its threads were told that it is taken up.
    behind_bytes: usize,
    /// Turns so far.
    turns: u64,
    /// The last one had no time for those who wait.
    has_passed_over: bool,
    /// They are not taken up now: the disk does not take what they bring.
    is_bulk_held_up: bool,
    posts: Vec<Post>,
    remotes: IdMap<ConnectionId, Remote>,
    last_connection: u64,
}

impl Exchange {
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(all: ExchangeStart) -> io::Result<Self> {
        let mut exchange = Self::without_threads();
        for index in 0..all.threads {
            let mailbox = Arc::default();
            let thread = start(ThreadStart {
                index,
                told: Arc::clone(&mailbox),
                inbox: Arc::clone(&exchange.inbox),
                clock: all.clock,
                receive_bytes: all.receive_bytes / all.threads,
                limits: all.limits,
                idle_ms: all.idle_ms,
            })?;
            exchange.add(mailbox, Some(thread));
        }
        Ok(exchange)
    }

    fn without_threads() -> Self {
        Self {
            inbox: Arc::default(),
            arrived: VecDeque::new(),
            waiting: VecDeque::new(),
            behind_bytes: 0,
            turns: 0,
            has_passed_over: false,
            is_bulk_held_up: false,
            posts: Vec::new(),
            remotes: IdMap::default(),
            last_connection: 0,
        }
    }

    fn add(&mut self, mailbox: Arc<Mailbox<Told>>, thread: Option<JoinHandle<()>>) {
        self.posts.push(Post {
            mailbox,
            staged: VecDeque::new(),
            is_due: false,
            taken_bytes: 0,
            connections: 0,
            thread,
        });
    }

    fn post_of(&mut self, id: ConnectionId) -> Option<&mut Post> {
        self.posts.get_mut(thread_of(id)?)
    }

    /// Names a connection and chooses the thread with the fewest for it.
    pub(crate) fn open(&mut self) -> ConnectionId {
        let fewest = self.posts.iter().enumerate().min_by_key(|(_, post)| post.connections);
        let thread = fewest.map_or(0, |(index, _)| index);
        self.last_connection += 1;
        let id = id_on(thread, self.last_connection);
        self.remotes.insert(id, Remote::default());
        if let Some(post) = self.post_of(id) {
            post.connections += 1;
        }
        id
    }

    /// Gives the connection to its thread.
    pub(crate) fn accept(&mut self, accepted: Accepted<Incoming>) {
        if let Some(post) = self.post_of(accepted.id) {
            post.stage(Told::Accepted(Box::new(accepted)));
        }
    }

    /// The connection has gone.
    pub(crate) fn forget(&mut self, id: ConnectionId) {
        if self.remotes.remove(&id).is_some()
            && let Some(post) = self.post_of(id)
        {
            post.connections -= 1;
        }
    }

    /// Waits until there is something to be taken up.
    pub(crate) fn poll_arrived(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.arrived.is_empty() {
            return Poll::Ready(());
        }
        match self.inbox.poll_take(context, &mut self.arrived) {
            Poll::Pending if !self.is_bulk_held_up && !self.waiting.is_empty() => Poll::Ready(()),
            arrived => arrived,
        }
    }

    /// Whether large requests have to wait, until [`Exchange::let_bulk_go_on`].
    pub(crate) fn hold_bulk_up(&mut self, is_held_up: bool) {
        self.is_bulk_held_up = is_held_up;
    }

    /// Large requests are taken up again.
    pub(crate) fn let_bulk_go_on(&mut self) {
        if std::mem::take(&mut self.is_bulk_held_up) {
            self.inbox.wake_reader();
        }
    }

    /// What is to be taken up next in this turn: what costs little first, each connection's in order. Of the
    /// others at least one goes on in every second turn.
    pub(crate) fn next(&mut self, turned: &mut Turned) -> Option<Asked> {
        if turned.is_over() {
            return None;
        }
        if std::mem::take(&mut self.has_passed_over)
            && let Some(asked) = self.next_waiting(turned)
        {
            return Some(asked);
        }
        while let Some(asked) = self.arrived.pop_front() {
            let Some(id) = asked.connection() else { return Some(asked) };
            match self.remotes.get_mut(&id) {
                Some(remote) if remote.waiting == 0 && remote.keeps_behind() => {
                    self.keep_behind(id, asked);
                }
                Some(remote) if asked.is_bulk() || remote.has_to_wait(self.turns) => {
                    remote.waiting += 1;
                    self.waiting.push_back(Waiting::Asked(asked));
                }
                _ => return Some(self.count(asked, false, turned)),
            }
        }
        self.next_waiting(turned)
    }

    fn next_waiting(&mut self, turned: &mut Turned) -> Option<Asked> {
        if self.is_bulk_held_up {
            return None;
        }
        while let Some(waiting) = self.waiting.pop_front() {
            let (asked, is_told) = match waiting {
                Waiting::Behind(id) => {
                    let next = self.remotes.get_mut(&id).and_then(Remote::next_behind);
                    let Some(Behind { asked, is_told }) = next else { continue };
                    (asked, is_told)
                }
                Waiting::Asked(asked) => {
                    let id = asked.connection();
                    let remote = id.and_then(|id| Some((id, self.remotes.get_mut(&id)?)));
                    if let Some((id, remote)) = remote {
                        remote.waiting -= 1;
                        if remote.keeps_behind() {
                            self.keep_behind(id, asked);
                            continue;
                        }
                    }
                    (asked, false)
                }
            };
            turned.waited += 1;
            return Some(self.count(asked, is_told, turned));
        }
        None
    }

    /// Keeps it until those before it of the same connection are served.
    fn keep_behind(&mut self, id: ConnectionId, mut asked: Asked) {
        let charge = asked.charge();
        if let Asked::Request { frame, .. } = &mut asked {
            *frame = of_its_own(std::mem::take(frame));
        }
        let is_told = self.behind_bytes + charge <= BEHIND_BYTES_MAX;
        if let Some(remote) = self.remotes.get_mut(&id) {
            remote.behind.push_back(Behind { asked, is_told });
            if is_told {
                self.behind_bytes += charge;
                self.tell_taken(id, charge);
            }
        }
    }

    /// A request of the connection has cost so much beside its bytes.
    pub(crate) fn charge(&mut self, id: ConnectionId, work_bytes: usize, turned: &mut Turned) {
        let charge = charge_of_work(work_bytes);
        turned.bytes += charge;
        if let Some(remote) = self.remotes.get_mut(&id) {
            remote.charge(self.turns, charge);
        }
    }

    /// The turn is over.
    pub(crate) fn end_turn(&mut self, turned: &Turned) {
        self.turns += 1;
        self.has_passed_over = turned.waited == 0 && !self.waiting.is_empty();
    }

    /// Counts what is taken up. `is_told`: its thread was told before.
    fn count(&mut self, asked: Asked, is_told: bool, turned: &mut Turned) -> Asked {
        if let Asked::Request { id, frame, .. } = &asked {
            turned.requests += 1;
            turned.bytes += frame.len();
            match is_told {
                true => self.behind_bytes -= asked.charge(),
                false => self.tell_taken(*id, asked.charge()),
            }
        }
        asked
    }

    fn tell_taken(&mut self, id: ConnectionId, bytes: usize) {
        if let Some(post) = self.post_of(id) {
            post.taken_bytes += bytes;
        }
    }

    /// A request of the connection was served. `is_held`: as long as somebody looks at its records the next ones
    /// are not.
    pub(crate) fn on_served(&mut self, id: ConnectionId, is_held: bool) {
        let Some(remote) = self.remotes.get_mut(&id) else { return };
        if !is_held {
            return self.let_next_go_on(id);
        }
        remote.is_held = true;
        if !std::mem::replace(&mut remote.is_wary, true)
            && let Some(post) = self.post_of(id)
        {
            post.stage(Told::Hold { id });
        }
    }

    /// The broker serves the next requests of the connection again.
    pub(crate) fn go_on(&mut self, id: ConnectionId) {
        if let Some(remote) = self.remotes.get_mut(&id) {
            remote.is_held = false;
            let has_kept = !remote.behind.is_empty();
            self.let_next_go_on(id);
            if has_kept {
                self.inbox.wake_reader();
            }
        }
    }

    /// What was kept goes on first, and then what the connection's thread brings.
    fn let_next_go_on(&mut self, id: ConnectionId) {
        let Some(remote) = self.remotes.get(&id).filter(|it| it.is_wary) else { return };
        if !remote.behind.is_empty() {
            self.waiting.push_back(Waiting::Behind(id));
        } else if remote.waiting == 0
            && let Some(post) = self.post_of(id)
        {
            post.stage(Told::GoOn { id });
        }
    }

    /// An answer for a connection's thread.
    pub(crate) fn answer(
        &mut self,
        id: ConnectionId,
        response: Response,
        (engine, effects): (&DiskEngine, &mut Effects),
    ) {
        match self.remotes.get_mut(&id) {
            Some(remote) if !remote.is_broken => {
                if remote.holds_back(&response) {
                    remote.held.push_back(response);
                } else {
                    self.give(id, response, (engine, effects));
                }
            }
            _ => effects.recycle(response),
        }
    }

    fn give(
        &mut self,
        id: ConnectionId,
        mut response: Response,
        (engine, effects): (&DiskEngine, &mut Effects),
    ) {
        let Some(remote) = self.remotes.get_mut(&id) else { return };
        let told = match Resolved::of(&mut response, engine) {
            Ok(answer) => {
                remote.on_given(answer.parts());
                Told::Answer { id, answer }
            }
            // What was given before goes out, and then there is nothing to go on with.
            Err(error) => {
                remote.is_broken = true;
                remote.held.clear();
                Told::Close { id, ending: Ending::Notable(error.to_string()) }
            }
        };
        effects.recycle(response);
        if let Some(post) = self.post_of(id) {
            post.stage(told);
        }
    }

    /// Parts of a connection's answers are out: what was held back for them may go.
    pub(crate) fn on_collected(
        &mut self,
        (id, parts): (ConnectionId, usize),
        (engine, effects): (&DiskEngine, &mut Effects),
    ) {
        if let Some(remote) = self.remotes.get_mut(&id) {
            remote.on_collected(parts);
        }
        while let Some(response) = self.remotes.get_mut(&id).and_then(Remote::next_held) {
            self.give(id, response, (engine, effects));
        }
        if let Some(ending) = self.remotes.get_mut(&id).and_then(Remote::take_closing) {
            self.close(id, ending);
        }
    }

    /// Requests of a connection are done that get no answer.
    pub(crate) fn tell_silent(&mut self, id: ConnectionId, requests: usize) {
        if let Some(post) = self.post_of(id) {
            post.stage(Told::Silent { id, requests });
        }
    }

    /// A connection ends behind its answers.
    pub(crate) fn close(&mut self, id: ConnectionId, ending: Ending) {
        let now = self.remotes.get_mut(&id).and_then(|remote| remote.end(ending));
        if let Some((ending, post)) = now.zip(self.post_of(id)) {
            post.stage(Told::Close { id, ending });
        }
    }

    /// The turn is over: each thread gets what is its.
    pub(crate) fn hand_over(&mut self) {
        for post in &mut self.posts {
            if post.is_due || post.taken_bytes >= UNTOLD_BYTES_MAX {
                if post.taken_bytes > 0 {
                    let bytes = std::mem::take(&mut post.taken_bytes);
                    post.staged.push_back(Told::Taken { bytes });
                }
                post.is_due = false;
                post.mailbox.put(&mut post.staged);
            }
        }
    }

    /// Lets the threads send what they have, and end.
    pub(crate) fn stop(&mut self) {
        for post in &mut self.posts {
            post.staged.push_back(Told::Stop);
            post.mailbox.put(&mut post.staged);
        }
        for thread in self.posts.iter_mut().filter_map(|post| post.thread.take()) {
            // One that has ended before was told of.
            let _ = thread.join();
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests;
