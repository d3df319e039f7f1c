//! Who connects and does not do as clients do: stalls in the midst of a request, claims what it never sends, asks
//! and asks, takes no answers.

use bytes::BytesMut;
use strom_base::Random;
use strom_broker::effect::ConnectionId;

use super::clients::harmless;
use super::clock::{MILLISECOND, Nanos, SECOND};
use super::faults::{Fault, GONE_MAX, Planned};
use super::network::Era;
use super::schedule::Event;
use super::sockets::{REQUEST_BYTES_MAX, SocketEvent};
use super::stage::World;

/// The number of a client that there is not.
const NOBODY: usize = usize::MAX;
/// Requests of a flood, about.
const FLOOD: u64 = 300;
/// So long may pass until a node lets go of a request that does not go on.
const PATIENCE: Nanos = 31 * SECOND;

/// How many strangers of a world may fall silent. While the node waits for these all others are awake.
pub(super) fn silent_max(pace: Nanos) -> u32 {
    if pace < MILLISECOND { 0 } else { 12 }
}

/// What a stranger does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Sends a part of a request, and nothing more.
    Stalls,
    /// Says that it will send very much, and sends little of it.
    Claims,
    /// Asks without end, and takes little of the answers.
    Floods,
    /// Asks now and then, and takes no answers.
    NeverReads,
}

/// Strangers of one fault that are still to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coming {
    /// Its number.
    fault: usize,
    manner: Manner,
    left: u32,
    until: Nanos,
}

/// One that is there.
#[derive(Clone, Debug)]
pub(super) struct Stranger {
    fault: usize,
    connection: ConnectionId,
    /// What is missing of the request that it has begun.
    rest: BytesMut,
}

/// Strangers of a time of work: like other faults a world knows a few kinds of them only.
pub(super) fn draw(random: &mut Random, work: Nanos) -> Vec<Planned> {
    let manners = [Manner::Stalls, Manner::Claims, Manner::Floods, Manner::NeverReads];
    let mut planned = Vec::new();
    for manner in manners {
        if random.one_in(2) {
            continue;
        }
        for _ in 0..1 + random.below(2) {
            let count = match manner {
                Manner::Stalls | Manner::Claims => 1 + random.below(30) as u32,
                Manner::Floods | Manner::NeverReads => 1 + random.below(3) as u32,
            };
            let at = work / 50 + random.below(work);
            let lasts = 1 + random.below(work / 2);
            planned.push(Planned { at, lasts, fault: Fault::Strangers(manner, count) });
        }
    }
    planned
}

impl World {
    pub(super) fn strangers_come(&mut self, fault: usize, manner: Manner, left: u32, until: Nanos) {
        let coming = Coming { fault, manner, left, until };
        self.schedule.push(self.clock.at, Event::Socket(SocketEvent::Stranger(coming)));
    }

    /// The next one of them, and later the others.
    pub(super) fn stranger_comes(&mut self, coming: Coming) -> Result<(), String> {
        let now = self.clock.at;
        if coming.left == 0 || now >= coming.until {
            return Ok(());
        }
        let is_served = self.is_served();
        let next = Coming { left: coming.left - u32::from(is_served), ..coming };
        let pause = self.strangers_random.below(10 * MILLISECOND);
        self.schedule.push(now + pause, Event::Socket(SocketEvent::Stranger(next)));
        if !is_served {
            return Ok(());
        }
        let (power_failures, life) = (self.audit.power_failures, self.machine.life);
        let connection = self.network.connect(NOBODY, now, Era { power_failures, life });
        let manner = coming.manner;
        self.timeline.tell(now, "stranger", || format!("{manner:?} as {}", connection.0));
        self.open(connection)?;
        let rest = self.begin(connection, manner)?;
        self.strangers.push(Stranger { fault: coming.fault, connection, rest });
        Ok(())
    }

    /// What it sends at first; what it does not send of that.
    fn begin(&mut self, connection: ConnectionId, manner: Manner) -> Result<BytesMut, String> {
        let random = &mut self.strangers_random;
        let mut bytes = BytesMut::new();
        let mut window = None;
        let sends = match manner {
            Manner::Stalls => {
                (0..random.below(4)).try_for_each(|_| ask(&mut bytes, 1, random))?;
                let (whole, names) = (bytes.len(), 1 << random.below(12));
                ask(&mut bytes, names, random)?;
                whole + 1 + random.below((bytes.len() - whole - 1) as u64) as usize
            }
            Manner::Claims => {
                ask(&mut bytes, 1 << random.below(13), random)?;
                // At times more than anybody may.
                let claimed = REQUEST_BYTES_MAX as u64 >> random.below(10);
                let claimed = claimed + u64::from(random.one_in(8)) * REQUEST_BYTES_MAX as u64;
                if let Some(prefix) = bytes.first_chunk_mut() {
                    *prefix = (claimed as u32).to_be_bytes();
                }
                let sent = 4 + random.below(bytes.len() as u64 - 3) as usize;
                bytes.truncate(sent);
                sent
            }
            Manner::Floods => {
                window = Some(random.below(100_000) as usize);
                (0..1 + random.below(FLOOD)).try_for_each(|_| ask(&mut bytes, 1, random))?;
                bytes.len()
            }
            Manner::NeverReads => {
                window = Some(random.below(2000) as usize);
                (0..1 + random.below(20)).try_for_each(|_| ask(&mut bytes, 20, random))?;
                bytes.len()
            }
        };
        let rest = bytes.split_off(sends.min(bytes.len()));
        if window.is_some() {
            self.set_window(connection, window);
        }
        while !bytes.is_empty() {
            let most = 1 + self.strangers_random.below(20_000) as usize;
            let piece = bytes.split_to(most.min(bytes.len()));
            self.deliver_bytes(connection, piece);
        }
        Ok(rest)
    }

    /// The fault is over: each goes on as it should, goes, or is never heard of again.
    pub(super) fn strangers_go(&mut self, fault: usize) {
        let strangers = std::mem::take(&mut self.strangers);
        let (going, staying) = strangers.into_iter().partition(|it| it.fault == fault);
        self.strangers = staying;
        // Where one is never heard of again the others are not either: what came over them is the same.
        let is_silent = self.strangers_random.one_in(3);
        for Stranger { connection, rest, .. } in going {
            match self.strangers_random.below(2) {
                // One behind the other their requests stand before those of others.
                _ if is_silent && self.silent_left > 0 => {
                    self.silent_left -= 1;
                    self.phases.wait_longer(PATIENCE);
                }
                0 => {
                    self.deliver_bytes(connection, rest);
                    self.set_window(connection, None);
                    self.leave(connection, 100 * GONE_MAX);
                }
                _ => self.leave(connection, GONE_MAX),
            }
        }
    }
}

/// A request behind those that are there, with its length.
fn ask(bytes: &mut BytesMut, names: u64, random: &mut Random) -> Result<(), String> {
    let frame = harmless(names, random)?;
    bytes.extend_from_slice(&(frame.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&frame);
    Ok(())
}
