//! A network thread's side: the connections' tasks ask here, and what they ask for goes to the broker's
//! thread.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use strom_base::{IdMap, Now};
use strom_broker::effect::ConnectionId;
use strom_storage::disk::DiskError;

use super::mailbox::Mailbox;
use super::messages::{Asked, Told, charge_of};
use crate::cold_reads::{Brought, ColdReads};
use crate::lane::Lane;
use crate::send::{Outgoing, Resolved};
use crate::serves::{Closed, PIECES_MAX, Serves};
use strom_intake::takes::OUTSTANDING_MAX;
use strom_intake::{Ending, Intake, Takes};

/// What the thread may have handed over that the broker has not taken up; then it reads no socket …
const IN_FLIGHT_BYTES_MAX: usize = 8 << 20;
/// … and from here on only for those who have not had their share, and no large produces.
const BULK_IN_FLIGHT_BYTES_MAX: usize = 2 << 20;
/// A read of more bytes than this is bulk.
const SMALL_READ_BYTES: usize = 16 * 1024;
/// Buffers of sent answers that are kept here, and how many go back at once.
const SPARES_MAX: usize = 4;
const SPENT_MAX: usize = 128;
/// Larger ones are not kept.
const SPARE_BYTES_MAX: usize = 64 * 1024;
const SPENT_BYTES_MAX: usize = 4096;

/// What is kept of a connection beside its outbox.
#[derive(Debug, Default)]
struct Account {
    /// Requests that were handed over and are not done.
    outstanding: usize,
    /// Parts of answers that are on their way out, and the broker's thread does not know.
    collected: usize,
    /// Nothing more is brought until [`Told::GoOn`] …
    is_held: bool,
    /// … and that is so after each request: [`Told::Hold`].
    is_wary: bool,
}

#[derive(Debug)]
pub(super) struct Desk {
    lane: Lane<Resolved>,
    pub(super) cold: ColdReads,
    accounts: IdMap<ConnectionId, Account>,
    inbox: Arc<Mailbox<Asked>>,
    staged: VecDeque<Asked>,
    /// What is staged is not only for the next time.
    is_due: bool,
    /// Who hands it over when everybody has had a look at its socket.
    messenger: Option<Waker>,
    in_flight_bytes: usize,
    /// Who waits until there is room for requests.
    overfull: BTreeSet<ConnectionId>,
    spares: Vec<Vec<u8>>,
    /// Of those in `staged`.
    spent: usize,
    /// Of the read whose requests are being handed over.
    now: Now,
    is_bulk: bool,
}

impl Desk {
    pub(super) fn new(lane: Lane<Resolved>, cold: ColdReads, inbox: Arc<Mailbox<Asked>>) -> Self {
        Self {
            lane,
            cold,
            accounts: IdMap::default(),
            inbox,
            staged: VecDeque::new(),
            is_due: false,
            messenger: None,
            in_flight_bytes: 0,
            overfull: BTreeSet::new(),
            spares: Vec::new(),
            spent: 0,
            now: Now::default(),
            is_bulk: false,
        }
    }

    pub(super) fn open(&mut self, id: ConnectionId) {
        self.lane.open(id);
        self.accounts.insert(id, Account::default());
    }

    /// What the broker's thread says about a connection or to all.
    pub(super) fn on_told(&mut self, told: Told) {
        match told {
            Told::Answer { id, answer } => {
                self.on_done(id, 1);
                match self.lane.intake.peers.get_mut(id) {
                    Some(peer) => peer.put(answer, false),
                    None => self.keep(answer.into_bytes()),
                }
            }
            Told::Silent { id, requests } => {
                if self.on_done(id, requests) {
                    self.lane.intake.wake(id);
                }
            }
            Told::Close { id, ending } => {
                if let Some(peer) = self.lane.intake.peers.get_mut(id) {
                    peer.end(ending);
                }
            }
            Told::Hold { id } => self.hold(id),
            Told::GoOn { id } => self.go_on(id),
            Told::Taken { bytes } => self.on_taken(bytes),
            Told::Accepted(_) | Told::Stop => {}
        }
    }

    /// Requests are done; whether their connection may have waited for that.
    fn on_done(&mut self, id: ConnectionId, requests: usize) -> bool {
        let Some(account) = self.accounts.get_mut(&id) else { return false };
        let was_full = account.outstanding >= OUTSTANDING_MAX;
        account.outstanding = account.outstanding.saturating_sub(requests);
        was_full
    }

    fn hold(&mut self, id: ConnectionId) {
        let Some(account) = self.accounts.get_mut(&id) else { return };
        (account.is_held, account.is_wary) = (true, true);
        let now_ms = self.now_ms();
        self.lane.intake.hold_up(now_ms, id, true);
        // It may be waiting for its socket alone.
        self.lane.intake.wake(id);
    }

    fn go_on(&mut self, id: ConnectionId) {
        let Some(account) = self.accounts.get_mut(&id) else { return };
        account.is_held = false;
        let now_ms = self.now_ms();
        if self.lane.intake.hold_up(now_ms, id, false) {
            self.arm_deadlines();
        }
        self.lane.intake.wake(id);
    }

    fn on_taken(&mut self, bytes: usize) {
        self.in_flight_bytes = self.in_flight_bytes.saturating_sub(bytes);
        if self.in_flight_bytes < IN_FLIGHT_BYTES_MAX {
            while let Some(id) = self.overfull.pop_first() {
                self.lane.intake.wake(id);
            }
        }
        if self.may_give_turns() {
            self.lane.intake.turns.go_on();
            self.lane.intake.bulk.go_on();
        }
    }

    pub(super) fn on_brought(&mut self, brought: Brought) {
        self.cold.on_brought(brought);
        self.lane.on_brought();
    }

    fn stage(&mut self, asked: Asked) {
        self.staged.push_back(asked);
        self.is_due = true;
    }

    /// Wakes who hands over, behind all who have something to say now.
    fn call_messenger(&mut self) {
        if self.is_due
            && let Some(messenger) = self.messenger.take()
        {
            messenger.wake();
        }
    }

    /// Hands over what is due; never ready.
    pub(super) fn poll_hand_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.hand_over();
        self.messenger = Some(context.waker().clone());
        Poll::Pending
    }

    fn hand_over(&mut self) {
        if std::mem::take(&mut self.is_due) {
            self.spent = 0;
            self.inbox.put(&mut self.staged);
        }
    }

    /// The memory of an answer serves the next one, here or where it came from.
    fn keep(&mut self, mut bytes: Vec<u8>) {
        bytes.clear();
        if bytes.capacity() == 0 {
            return;
        }
        if self.spares.len() < SPARES_MAX && bytes.capacity() <= SPARE_BYTES_MAX {
            self.spares.push(bytes);
        } else if self.spent < SPENT_MAX && bytes.capacity() <= SPENT_BYTES_MAX {
            self.spent += 1;
            self.staged.push_back(Asked::Spent(bytes));
        }
    }

    fn tell_collected(&mut self, id: ConnectionId, least: usize) {
        let Some(account) = self.accounts.get_mut(&id) else { return };
        if account.collected >= least {
            let parts = std::mem::take(&mut account.collected);
            self.stage(Asked::Collected { id, parts });
        }
    }
}

impl Takes for Desk {
    type Answer = Resolved;

    fn intake(&self) -> &Intake<Resolved> {
        &self.lane.intake
    }

    fn intake_mut(&mut self) -> &mut Intake<Resolved> {
        &mut self.lane.intake
    }

    fn now_ms(&self) -> u64 {
        self.lane.now_ms()
    }

    fn arm_deadlines(&mut self) {
        self.lane.arm_deadlines();
    }

    fn outstanding(&self, id: ConnectionId) -> usize {
        self.accounts.get(&id).map_or(0, |account| account.outstanding)
    }

    fn is_overfull(&mut self, id: ConnectionId) -> bool {
        let is_overfull = self.in_flight_bytes >= IN_FLIGHT_BYTES_MAX;
        if is_overfull {
            self.overfull.insert(id);
        }
        is_overfull || self.accounts.get(&id).is_some_and(|account| account.is_held)
    }

    /// The broker's thread lets them wait, and this one notices by what it has in flight.
    fn may_take_bulk(&self) -> bool {
        self.may_give_turns()
    }

    fn begin_requests(&mut self, bytes: usize) {
        self.now = self.lane.clock.now();
        self.is_bulk = bytes > SMALL_READ_BYTES;
    }

    /// The broker's thread knows what it costs, and counts it: see [`super::Exchange::charge`].
    fn on_frame(&mut self, id: ConnectionId, frame: BytesMut) -> usize {
        self.tell_collected(id, 1);
        self.in_flight_bytes += charge_of(&frame);
        if let Some(account) = self.accounts.get_mut(&id) {
            account.outstanding += 1;
            account.is_held = account.is_wary;
        }
        self.stage(Asked::Request { id, frame, is_bulk: self.is_bulk });
        0
    }

    fn end_requests(&mut self, id: ConnectionId) {
        if let Some(peer) = self.lane.intake.peers.get_mut(id) {
            peer.last_active_ms = self.now.monotonic_ms;
        }
        self.call_messenger();
    }
}

impl Serves for Desk {
    fn lane(&self) -> &Lane<Resolved> {
        &self.lane
    }

    fn lane_mut(&mut self) -> &mut Lane<Resolved> {
        &mut self.lane
    }

    fn cold(&self) -> &ColdReads {
        &self.cold
    }

    fn may_give_turns(&self) -> bool {
        self.in_flight_bytes < BULK_IN_FLIGHT_BYTES_MAX
    }

    fn collect(&mut self, id: ConnectionId, outgoing: &mut Outgoing) -> Result<(), DiskError> {
        if !outgoing.is_empty() {
            return Ok(());
        }
        while outgoing.len() < PIECES_MAX
            && let Some(answer) = self.lane.intake.peers.get_mut(id).and_then(|peer| peer.take())
        {
            let parts = answer.parts();
            let mut spare = match parts {
                0 => Vec::new(),
                _ => self.spares.pop().unwrap_or_default(),
            };
            let left = match answer.into_pieces(outgoing, &mut spare) {
                Ok(left) => left,
                Err(error) if outgoing.is_empty() => return Err(error),
                Err(error) => {
                    if let Some(peer) = self.lane.intake.peers.get_mut(id) {
                        peer.break_off(Ending::Notable(error.to_string()));
                    }
                    break;
                }
            };
            self.keep(left);
            self.keep(spare);
            if parts > 0 {
                if let Some(account) = self.accounts.get_mut(&id) {
                    account.collected += parts;
                }
                // Else it is told with the next request.
                self.tell_collected(id, PIECES_MAX / 2);
                self.call_messenger();
            }
        }
        Ok(())
    }

    fn recycle(&mut self, spent: &mut Vec<Vec<u8>>) {
        spent.drain(..).for_each(|bytes| self.keep(bytes));
    }

    fn on_closed(&mut self, closed: Closed) {
        if self.lane.close(closed.id) {
            self.accounts.remove(&closed.id);
            self.overfull.remove(&closed.id);
            self.stage(Asked::Closed(closed));
            self.call_messenger();
        }
    }
}

#[cfg(test)]
mod tests;
