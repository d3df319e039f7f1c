//! A power failure under load: the volume as it is on its device, and a node that starts on that.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::audit::{self, Loss};
use super::kind::Kind;
use super::life::Life;
use super::volume::Volume;

pub(super) const VOLUME_BYTES: u64 = 128 << 20;

impl Life<'_> {
    /// The node goes on afterwards: only the copy has lost its power.
    ///
    /// # Errors
    /// When something that was promised does not hold.
    pub(super) fn lose_power(&mut self) -> Result<()> {
        self.sleep(500);
        let folder = self.ground.folder.clone();
        let image = folder.join("copy.img");
        let volume = self.volume.as_ref().context("a volume of its own")?;
        let victim = self.running()?;
        victim.pause()?;
        // Answers that are on their way arrive.
        thread::sleep(Duration::from_millis(30));
        let known = self.book.frozen();
        let copied = volume.copy_device(&image);
        victim.resume()?;
        copied?;
        let copy = Volume::of_image(image.clone(), folder.join("copy"))?;
        let ground = self.ground.beside(copy.path().join("data"), &mut self.random)?;
        let node = ground.start_and_wait().context("after a power failure")?;
        let records = audit::audit(ground.port, self.plan, &known, Loss::Unsynced)
            .context("after a power failure")?;
        node.stop().context("after a power failure")?;
        self.outcome.records += records;
        self.outcome.audits += 1;
        self.outcome.count(Kind::Power);
        drop(copy);
        Ok(fs::remove_file(image)?)
    }
}
