//! Whose turn it is on a thread: a connection that has had its share waits here, first
//! come, first served, and one of them goes on after each look at the sockets.
//!
//! So whoever asks for little is served between two turns of those who ask for much, however many
//! these are, and they share what is left evenly.
//!
//! In a line of their own wait those who have much to write while the disk does not take it.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use strom_broker::effect::ConnectionId;

/// What a connection may take in a lap of the queue, in bytes received and sent.
pub const SHARE_BYTES: usize = 256 * 1024;
/// What a request counts for beside its bytes.
pub const REQUEST_CHARGE: usize = 4 * 1024;

/// What it counts for that an answer was written or records were unfolded: as long as it takes to append twice as
/// many bytes.
#[must_use]
pub fn charge_of_work(work_bytes: usize) -> usize {
    work_bytes.saturating_mul(2)
}

/// The connections that wait for their next turn.
#[derive(Debug, Default)]
pub struct Turns {
    waiting: VecDeque<ConnectionId>,
    /// Turns until everybody who waited at the beginning of this lap has had one.
    left_of_lap: usize,
    lap: u64,
    giver: Option<Waker>,
}

/// What one connection has taken in a lap.
#[derive(Debug, Default)]
pub struct Share {
    lap: u64,
    taken: usize,
}

impl Turns {
    /// The connection waits until [`Turns::next_in_line`] names it, before or behind all others.
    #[inline]
    pub fn join(&mut self, id: ConnectionId, is_first: bool) {
        if self.waiting.is_empty() {
            self.lap += 1;
            self.left_of_lap = 1;
        }
        match is_first {
            true => self.waiting.push_front(id),
            false => self.waiting.push_back(id),
        }
        if let Some(giver) = self.giver.take() {
            giver.wake();
        }
    }

    /// Who goes on.
    #[inline]
    pub fn next_in_line(&mut self) -> Option<ConnectionId> {
        let id = self.waiting.pop_front()?;
        if self.left_of_lap == 0 {
            self.lap += 1;
            self.left_of_lap = self.waiting.len() + 1;
        }
        self.left_of_lap -= 1;
        Some(id)
    }

    /// The same; who asks is woken when there is somebody.
    #[inline]
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<ConnectionId> {
        if let Some(id) = self.next_in_line() {
            return Poll::Ready(id);
        }
        self.giver = Some(context.waker().clone());
        Poll::Pending
    }

    /// Nobody goes on until somebody joins, or [`Turns::go_on`].
    pub fn wait(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.giver = Some(context.waker().clone());
        Poll::Pending
    }

    /// Turns may be given again.
    pub fn go_on(&mut self) {
        if !self.waiting.is_empty()
            && let Some(giver) = self.giver.take()
        {
            giver.wake();
        }
    }

    /// How many wait, with those who are gone and have not been called.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Counts what a connection has taken.
    #[inline]
    pub fn charge(&self, share: &mut Share, bytes: usize) {
        if share.lap != self.lap {
            *share = Share { lap: self.lap, taken: 0 };
        }
        share.taken += bytes;
    }

    /// Whether the connection has to wait for others now.
    #[inline]
    #[must_use]
    pub fn is_used_up(&self, share: &Share) -> bool {
        share.lap == self.lap && share.taken >= SHARE_BYTES
    }
}

/// What somebody waits in line for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// That the others had their share.
    Share,
    /// That the disk takes the records of large requests.
    Bulk,
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ConnectionId = ConnectionId(1);
    const B: ConnectionId = ConnectionId(2);

    #[test]
    fn who_has_had_its_share_waits_and_goes_on_in_order() {
        let (mut turns, mut share) = (Turns::default(), Share::default());
        turns.charge(&mut share, SHARE_BYTES - 1);
        assert!(!turns.is_used_up(&share));
        turns.charge(&mut share, 1);
        assert!(turns.is_used_up(&share));
        turns.join(A, false);
        turns.join(B, false);
        assert_eq!(
            (turns.next_in_line(), turns.next_in_line(), turns.next_in_line()),
            (Some(A), Some(B), None)
        );
        turns.join(A, false);
        turns.join(B, true);
        assert_eq!((turns.next_in_line(), turns.next_in_line()), (Some(B), Some(A)));
    }

    #[test]
    fn a_share_lasts_until_all_others_had_theirs() {
        let (mut turns, mut small) = (Turns::default(), Share::default());
        turns.join(A, false);
        turns.join(B, false);
        turns.charge(&mut small, SHARE_BYTES);
        // The lap that began with A alone, then one of both.
        assert_eq!(turns.next_in_line(), Some(A));
        turns.join(A, false);
        assert!(turns.is_used_up(&small));
        assert_eq!(turns.next_in_line(), Some(B));
        assert!(!turns.is_used_up(&small));
        turns.charge(&mut small, SHARE_BYTES);
        assert_eq!(turns.next_in_line(), Some(A));
        assert!(turns.is_used_up(&small));
    }
}
