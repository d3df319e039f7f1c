//! What each fault does to the world, and how it ends.

use strom_broker::effect::ConnectionId;

use super::{Fault, Planned};
use crate::world::clock::{MILLISECOND, Nanos, SECOND};
use crate::world::schedule::Event;
use crate::world::stage::World;

/// A node finds out about a client that went without a word after so long at most.
const SILENCE_MAX: Nanos = 20 * SECOND;
/// And so long after the end of an orderly connection.
pub(in crate::world) const GONE_MAX: Nanos = 60 * MILLISECOND;

impl World {
    pub(in crate::world) fn strike(&mut self, index: usize) -> Result<(), String> {
        let Some(Planned { lasts, fault, .. }) = self.faults.get(index).copied() else {
            return Ok(());
        };
        self.timeline.tell(self.clock.at, "fault", || format!("{fault:?}"));
        self.census.count_fault(fault.name());
        let now = self.clock.at;
        if lasts > 0 {
            self.schedule.push(now + lasts, Event::FaultEnds(index));
        } else {
            self.faults_open -= 1;
        }
        self.audit.was_clock_moved |= fault.moves_clock();
        self.audit.was_read_wrong |= matches!(fault, Fault::WrongReads(_));
        self.audit.committed.may_expire |= fault.moves_clock();
        match fault {
            Fault::Crash(ending) => self.crash(ending),
            Fault::CrashLater(ending, operations) => self.machine.crash_later(ending, operations),
            Fault::CleanStop => return self.stop(),
            Fault::CutStop(ending, operations) => {
                self.machine.crash_later(ending, operations);
                return self.stop();
            }
            Fault::CrashLoop(ending, operations, times) => {
                self.machine.cut_starts = (times, operations);
                self.machine.ending = ending;
                self.crash(ending);
            }
            Fault::CutConnection => self.cut_connection(GONE_MAX),
            Fault::HalfOpen => self.cut_connection(SILENCE_MAX),
            Fault::Stall => self.network.stalled_until = now + lasts,
            Fault::SlowDisk(times) => self.machine.slowness = times,
            Fault::FailingWrites(_)
            | Fault::FailingSyncs(_)
            | Fault::FailingDirectory(_)
            | Fault::MisdirectedWrites(_)
            | Fault::WrongReads(_)
            | Fault::FullDisk(_) => {
                self.machine.hurt(fault);
            }
            Fault::LostFile(which) => self.machine.lost_file = Some(which),
            Fault::ClockJump(by_ms) => self.clock.jump(by_ms),
            Fault::ClockDrift(parts) => self.clock.drift(parts),
            Fault::Strangers(manner, count) => {
                self.strangers_come(index, manner, count, now + lasts);
            }
        }
        Ok(())
    }

    pub(in crate::world) fn fault_ends(&mut self, index: usize) {
        let Some(Planned { fault, .. }) = self.faults.get(index).copied() else { return };
        self.timeline.tell(self.clock.at, "fault", || format!("{fault:?} is over"));
        self.faults_open -= 1;
        match fault {
            Fault::SlowDisk(_) => self.machine.slowness = 1,
            Fault::FullDisk(_) => self.machine.give_room(),
            Fault::FailingDirectory(_) => self.machine.mend_directory(),
            Fault::WrongReads(_) => self.machine.read_right(),
            Fault::ClockDrift(_) => self.clock.drift(0),
            Fault::Strangers(..) => self.strangers_go(index),
            _ => {}
        }
    }

    /// Nothing goes wrong any more. A node that a disk has failed is started anew, as an operator
    /// would: what has failed stays so until then.
    pub(in crate::world) fn heal(&mut self) -> Result<(), String> {
        self.timeline.tell(self.clock.at, "world", || "is healed");
        self.clock.set_right();
        self.machine.spare();
        if self.machine.is_broken() { self.stop() } else { Ok(()) }
    }

    /// A client loses its connection; the node sees it behind all that was sent on it.
    fn cut_connection(&mut self, gone_max: Nanos) {
        if let Some(connection) = self.network.any(&mut self.network_random) {
            self.leave(connection, gone_max);
        }
    }

    /// A client leaves its connection.
    pub(in crate::world) fn leave(&mut self, connection: ConnectionId, gone_max: Nanos) {
        let Some((client, there)) = self.network.cut(connection) else { return };
        self.audit.was_cut = true;
        let now = self.clock.at;
        let gone = there.max(now) + self.network_random.below(gone_max);
        self.schedule.push(gone, Event::Gone { connection });
        self.schedule.push(now, Event::Closed { client, connection });
    }
}
