//! A volume that is full, is given room again, and is full again.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::fs::{FallocateFlags, fallocate};

use super::kind::Kind;
use super::life::Life;
use super::requests;
use crate::load::batch::BatchShape;
use crate::load::wire::{Connection, produce_frame};

/// The smaller arenas are used there until room gets short, the largest not at all.
pub(super) const VOLUME_BYTES: u64 = 64 << 20;
const BULK: &str = "bulk";
/// Left to the records of the load, to be filled by them.
const LEFT_BYTES_MAX: u64 = 600_000;
/// What an operator can free when the node does not start.
const RESERVE_BYTES: u64 = 16 << 20;
/// A produce that is not answered by then is not taken.
const PATIENCE: Duration = Duration::from_secs(5);

/// What takes the room, and so how it is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filling {
    /// Somebody else's file.
    Ballast,
    /// A topic that is deleted.
    Topic,
    /// A topic whose records are deleted.
    Records,
}

impl Life<'_> {
    /// # Errors
    /// When something that was promised does not hold.
    pub(super) fn fill_and_kill(&mut self) -> Result<()> {
        let kinds = [Filling::Ballast, Filling::Topic, Filling::Records];
        let filling = kinds.get(self.random.below(3) as usize).copied();
        let filling = filling.unwrap_or(Filling::Ballast);
        let volume = self.volume.as_ref().context("a volume of its own")?;
        let (ballast, room) = (volume.path().join("ballast"), volume.room()?);
        if filling == Filling::Ballast {
            let left = self.random.below(LEFT_BYTES_MAX);
            take_room(&ballast, room.saturating_sub(left))?;
        } else {
            take_room(&ballast, RESERVE_BYTES.min(room / 2))?;
            fill_topic(self.ground.port)?;
        }
        self.sleep(1_500);
        let dies = self.random.one_in(2);
        if dies {
            self.kill_in_fullness()?;
        }
        self.free(filling, &ballast)?;
        let since = Instant::now();
        if self.is_down()? {
            self.revive()?;
        }
        // By itself, without a start; but the node may have given up while room was being made.
        if let Err(error) = self.load.await_acknowledged(since) {
            if !self.is_down()? {
                return Err(error.context(format!("{filling:?} is gone")));
            }
            self.revive()?;
            self.load
                .await_acknowledged(Instant::now())
                .context("room was made, and it started")?;
        }
        self.look()?;
        self.sleep(200);
        self.kill_here(Kind::SmallDisk)
    }

    /// Killed while there is no room, and perhaps started: with all that it had, or not at all.
    fn kill_in_fullness(&mut self) -> Result<()> {
        if !self.is_down()? {
            self.kill_here(Kind::SmallDisk)?;
        }
        if self.random.one_in(2) {
            return Ok(());
        }
        self.try_revive()?;
        if self.is_down()? { Ok(()) } else { self.look() }
    }

    fn free(&mut self, filling: Filling, ballast: &Path) -> Result<()> {
        if filling == Filling::Ballast {
            return Ok(fs::remove_file(ballast)?);
        }
        let freed = self.free_by_request(filling, ballast);
        fs::remove_file(ballast).or_else(|error| match error.kind() {
            ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        freed
    }

    fn free_by_request(&mut self, filling: Filling, ballast: &Path) -> Result<()> {
        if self.is_down()? {
            self.try_revive()?;
        }
        if self.is_down()? {
            // It refuses to start for want of room, so nobody can ask it to delete anything: the
            // operator finds some.
            fs::remove_file(ballast)?;
            self.revive()?;
        }
        let mut connection = Connection::open(self.ground.port)?;
        connection.set_patience(super::victim::PATIENCE)?;
        // Deleted in any case: the name is to be free for the next round.
        if filling == Filling::Records {
            requests::delete_records(&mut connection, (BULK, 0), -1)?;
        }
        let error = requests::delete_topic(&mut connection, BULK)?;
        anyhow::ensure!(
            error == strom_protocol::ErrorCode::None,
            "on a full volume {BULK} cannot be deleted: {error:?}"
        );
        Ok(())
    }
}

fn take_room(path: &Path, bytes: u64) -> Result<()> {
    let file = File::create(path)?;
    fallocate(&file, FallocateFlags::empty(), 0, bytes).context("the ballast")
}

/// Until nothing more is taken.
fn fill_topic(port: u16) -> Result<()> {
    let mut connection = Connection::open(port)?;
    connection.set_patience(PATIENCE)?;
    let configs = [("internal.segment.bytes", "4000000"), ("file.delete.delay.ms", "100")];
    connection.create_topic(BULK, 1, &configs)?;
    let frame = produce_frame(BULK, 0, &BatchShape::plain(10, 20_000).build()?)?;
    connection.produce_when_ready(BULK, &frame)?;
    loop {
        // It may also end then: whether as it may is looked at by who asks if it is down.
        let is_taken = connection.send(&frame).is_ok() && connection.receive_produced(BULK).is_ok();
        if !is_taken {
            return Ok(());
        }
    }
}
