//! What goes wrong, or is done to the node: a list that is made before the world begins, so that a
//! part of it can be left out.

mod strike;

use std::fmt;

use strom_base::Random;

use super::clock::{MILLISECOND, Nanos};
use super::strangers::Manner;
use super::streams::{Purpose, stream};
pub(super) use strike::GONE_MAX;

/// How a node ends that does not stop by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The process dies, the system lives on.
    Kill,
    /// The machine stops: what was not synced may be lost.
    PowerFailure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Crash(Ending),
    /// So many disk operations later.
    CrashLater(Ending, u64),
    CleanStop,
    /// A clean stop that ends in its midst.
    CutStop(Ending, u64),
    /// The node dies, and so do its next starts, each in its midst.
    CrashLoop(Ending, u64, u32),
    /// One client's connection breaks; what it sent may still arrive.
    CutConnection,
    /// One client goes without a word: the node finds out much later.
    HalfOpen,
    /// Nothing gets through, either way, and all of it afterwards.
    Stall,
    /// The disk takes so many times as long.
    SlowDisk(u64),
    /// So many of the next writes fail, half done.
    FailingWrites(u32),
    /// So many of the next syncs fail, and lose what they were to make durable.
    FailingSyncs(u32),
    /// All fails in one of several log directories, by its number: reads, too. It is so at the next start,
    /// as long as it lasts, unless the metadata log is there.
    FailingDirectory(u16),
    /// When the power fails next, sectors of what was not synced stand where others belong: the number says which.
    MisdirectedWrites(u64),
    /// Some sectors are read wrong, each once: the number says which.
    WrongReads(u64),
    /// There is room for so many bytes more.
    FullDisk(u64),
    /// A file that could be made anew from others is gone at the next start: the number says which.
    LostFile(u64),
    /// Somebody moves the clock on the node's wall.
    ClockJump(i64),
    /// It goes too fast by so many parts of a million, or too slow.
    ClockDrift(i64),
    /// So many connect and do not do as clients do.
    Strangers(Manner, u32),
}

impl Fault {
    pub(super) fn moves_clock(self) -> bool {
        matches!(self, Fault::ClockJump(_) | Fault::ClockDrift(_))
    }

    /// Whether batches may be refused that were taken.
    pub(super) fn takes_batches_back(self) -> bool {
        matches!(self, Fault::FailingWrites(_) | Fault::FullDisk(_) | Fault::FailingDirectory(_))
    }

    /// Its line in a census.
    pub(super) fn name(self) -> &'static str {
        match self {
            Fault::Crash(Ending::Kill) => "kill",
            Fault::Crash(Ending::PowerFailure) => "power failure",
            Fault::CrashLater(Ending::Kill, _) => "kill at a disk operation",
            Fault::CrashLater(Ending::PowerFailure, _) => "power failure at a disk operation",
            Fault::CleanStop => "clean stop",
            Fault::CutStop(..) => "stop cut off",
            Fault::CrashLoop(..) => "starts cut off",
            Fault::CutConnection => "connection cut",
            Fault::HalfOpen => "half-open connection",
            Fault::Stall => "stalled network",
            Fault::SlowDisk(_) => "slow disk",
            Fault::FailingWrites(_) => "failing writes",
            Fault::FailingSyncs(_) => "failing syncs",
            Fault::FailingDirectory(_) => "failing directory",
            Fault::MisdirectedWrites(_) => "misdirected writes",
            Fault::WrongReads(_) => "wrong reads",
            Fault::FullDisk(_) => "full disk",
            Fault::LostFile(_) => "lost file",
            Fault::ClockJump(_) => "clock jump",
            Fault::ClockDrift(_) => "clock drift",
            Fault::Strangers(Manner::Stalls, _) => "stalled in a request",
            Fault::Strangers(Manner::Claims, _) => "large claim",
            Fault::Strangers(Manner::Floods, _) => "flood",
            Fault::Strangers(Manner::NeverReads, _) => "answers not taken",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) at: Nanos,
    /// 0 for what is over at once.
    pub(super) lasts: Nanos,
    pub(super) fault: Fault,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.fault)?;
        if self.lasts > 0 {
            write!(f, " for {} ms", self.lasts / MILLISECOND)?;
        }
        Ok(())
    }
}

/// Disk operations of a start or a stop, more or less.
const OPERATIONS_OF_A_START: u64 = 60;
/// Which kinds there are to draw.
const KINDS: u64 = 15;

/// Draws faults for a time of work, those that came later from generators of their own: what a seed drew
/// before stays.
pub(super) fn draw(
    seed: u64,
    (directories, of_directories): (u64, &mut Random),
    work: Nanos,
) -> Vec<Planned> {
    let mut planned = usual(&mut stream(seed, Purpose::Faults), work);
    planned.extend(directory(of_directories, directories, work));
    planned.sort_by_key(|it| it.at);
    let astray = misdirected(&mut stream(seed, Purpose::Misdirection), &planned);
    // Before the failures of power that they belong to.
    planned.splice(0..0, astray);
    planned.extend(rot(&mut stream(seed, Purpose::Rot), work));
    planned.sort_by_key(|it| it.at);
    planned
}

/// In some worlds the power failures do more than lose what was not synced.
fn misdirected(random: &mut Random, planned: &[Planned]) -> Vec<Planned> {
    if !random.one_in(3) {
        return Vec::new();
    }
    let loses_power = |fault: Fault| match fault {
        Fault::Crash(ending) | Fault::CrashLater(ending, _) | Fault::CutStop(ending, _) => {
            ending == Ending::PowerFailure
        }
        _ => false,
    };
    let failures = planned.iter().filter(|it| loses_power(it.fault));
    let fault = |random: &mut Random| Fault::MisdirectedWrites(random.next_u64());
    failures.map(|it| Planned { at: it.at, lasts: 0, fault: fault(random) }).collect()
}

/// One of several log directories fails for a while, and perhaps the node ends meanwhile.
fn directory(random: &mut Random, directories: u64, work: Nanos) -> Vec<Planned> {
    if directories < 2 || random.one_in(2) {
        return Vec::new();
    }
    // The first has the metadata log.
    let which = if random.one_in(8) { 0 } else { 1 + random.below(directories - 1) };
    let fault = Fault::FailingDirectory(which as u16);
    let at = work / 50 + random.below(work);
    let lasts = 1 + random.below(work / 2);
    let first = Planned { at, lasts, fault };
    std::iter::once(first).chain(companion(first, work, random)).collect()
}

/// For a while the disk is read wrong here and there, mostly while the node is killed: a start reads much.
fn rot(random: &mut Random, work: Nanos) -> Vec<Planned> {
    if !random.one_in(5) {
        return Vec::new();
    }
    let at = work / 50 + random.below(work / 2);
    let first = Planned {
        at,
        lasts: 1 + random.below(work / 2),
        fault: Fault::WrongReads(random.next_u64()),
    };
    let end = |random: &mut Random| {
        let fault =
            [Fault::Crash(Ending::Kill), Fault::Crash(Ending::PowerFailure), Fault::CleanStop]
                [random.below(3) as usize];
        Planned { at: at + random.below(first.lasts), lasts: 0, fault }
    };
    let ends: Vec<Planned> = (0..random.below(4)).map(|_| end(random)).collect();
    std::iter::once(first).chain(ends).collect()
}

/// Each world knows a few kinds of them only: what is drawn among all of them all the time never gets far
/// with any.
fn usual(random: &mut Random, work: Nanos) -> Vec<Planned> {
    let kinds: Vec<u64> = (0..KINDS).filter(|_| random.one_in(3)).collect();
    if kinds.is_empty() {
        return Vec::new();
    }
    let count = random.below(6);
    let mut planned: Vec<Planned> = (0..count)
        .map(|_| {
            let kind = kinds.get(random.below(kinds.len() as u64) as usize);
            let fault = one(kind.copied().unwrap_or(0), random);
            let at = work / 50 + random.below(work);
            let lasts = match fault {
                Fault::Stall | Fault::SlowDisk(_) | Fault::FullDisk(_) | Fault::ClockDrift(_) => {
                    1 + random.below(work / 2)
                }
                _ => 0,
            };
            Planned { at, lasts, fault }
        })
        .collect();
    let (mut after, mut again) = (Vec::new(), Vec::new());
    for first in &planned {
        again.extend(second_life(*first, work, random).into_iter().flatten());
        after.extend(companion(*first, work, random));
    }
    planned.extend(after);
    planned.extend(again);
    planned.sort_by_key(|it| it.at);
    planned
}

/// What a failed sync left is for the next life to mend, and shows only after that.
fn second_life(first: Planned, work: Nanos, random: &mut Random) -> Option<[Planned; 2]> {
    let is_followed = matches!(first.fault, Fault::FailingSyncs(_)) && random.one_in(3);
    let killed_at = first.at + random.below(work / 6);
    let lost_at = killed_at + random.below(work / 3);
    let end = |ending, at| Planned { at, lasts: 0, fault: Fault::Crash(ending) };
    is_followed.then(|| [end(Ending::Kill, killed_at), end(Ending::PowerFailure, lost_at)])
}

/// What was not kept shows only when the process or the machine ends soon afterwards.
fn companion(first: Planned, work: Nanos, random: &mut Random) -> Option<Planned> {
    let is_followed = match first.fault {
        Fault::Stall | Fault::ClockJump(_) | Fault::ClockDrift(_) | Fault::HalfOpen => false,
        _ => random.one_in(2),
    };
    let ending = if random.one_in(3) { Ending::Kill } else { Ending::PowerFailure };
    // A clean stop is believed in the next life.
    let soon = if first.fault == Fault::CleanStop { work / 4 } else { work / 30 };
    let soon = soon.max(first.lasts);
    let at = first.at + random.below(soon + 1);
    is_followed.then_some(Planned { at, lasts: 0, fault: Fault::Crash(ending) })
}

fn one(kind: u64, random: &mut Random) -> Fault {
    let ending = [Ending::Kill, Ending::PowerFailure][random.below(2) as usize];
    let operations = random.below(OPERATIONS_OF_A_START);
    match kind {
        0 => Fault::Crash(Ending::Kill),
        1 => Fault::Crash(Ending::PowerFailure),
        2 => Fault::CrashLater(ending, operations),
        3 => Fault::CleanStop,
        4 => Fault::CutStop(ending, operations),
        5 => Fault::CrashLoop(ending, operations, 1 + random.below(3) as u32),
        6 => Fault::CutConnection,
        7 => Fault::HalfOpen,
        8 => Fault::Stall,
        9 => Fault::SlowDisk(10_u64.pow(1 + random.below(3) as u32)),
        10 => Fault::FailingWrites(1 + random.below(3) as u32),
        11 => Fault::FailingSyncs(1 + random.below(3) as u32),
        12 => Fault::FullDisk(random.below(5000)),
        13 => Fault::LostFile(random.next_u64()),
        _ => clock(random),
    }
}

/// Seconds, hours, years; both ways.
fn clock(random: &mut Random) -> Fault {
    if random.one_in(4) {
        let parts = 10_000 + random.below(90_000) as i64;
        return Fault::ClockDrift(if random.one_in(2) { parts } else { -parts });
    }
    let unit_ms = [1000, 3_600_000, 365 * 86_400_000][random.below(3) as usize];
    let by_ms = unit_ms * (1 + random.below(3) as i64);
    Fault::ClockJump(if random.one_in(2) { by_ms } else { -by_ms })
}
