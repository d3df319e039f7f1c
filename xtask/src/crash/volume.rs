//! File systems of a few dozen megabytes, to be filled or to be copied as they are on their device.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::fs::statvfs;

/// Copies are taken until nothing has changed meanwhile; the system writes at its own times.
const COPIES_MAX: usize = 50;

/// A mounted file system; unmounted when this is dropped.
pub(crate) struct Volume {
    at: PathBuf,
    /// The file that is its device; none for one in memory.
    image: Option<PathBuf>,
}

fn run(program: &str, arguments: &[&Path]) -> Result<()> {
    let output = Command::new(program).args(arguments).output().context(program.to_owned())?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program}: {}", said.lines().next().unwrap_or_default());
    Ok(())
}

impl Volume {
    /// A new ext4 in a file beside its mount point.
    ///
    /// # Errors
    /// When the machine does not allow that.
    pub(crate) fn ext4(folder: &Path, bytes: u64) -> Result<Volume> {
        let image = folder.join("volume.img");
        fs::create_dir_all(folder)?;
        File::create(&image)?.set_len(bytes)?;
        run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), &image])?;
        Volume::of_image(image, folder.join("volume"))
    }

    /// # Errors
    /// When the machine does not allow that.
    pub(crate) fn of_image(image: PathBuf, at: PathBuf) -> Result<Volume> {
        fs::create_dir_all(&at)?;
        run("mount", &["-o".as_ref(), "loop".as_ref(), &image, &at])?;
        Ok(Volume { at, image: Some(image) })
    }

    /// A file system in memory.
    ///
    /// # Errors
    /// When the machine does not allow that.
    pub(crate) fn in_memory(folder: &Path, bytes: u64) -> Result<Volume> {
        let at = folder.join("volume");
        fs::create_dir_all(&at)?;
        let size = format!("size={bytes}");
        let kind: [&Path; 2] = ["-t".as_ref(), "tmpfs".as_ref()];
        run(
            "mount",
            &[kind[0], kind[1], "-o".as_ref(), size.as_ref(), "strom-crash".as_ref(), &at],
        )?;
        Ok(Volume { at, image: None })
    }

    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.at
    }

    /// Bytes that anybody may still write.
    ///
    /// # Errors
    /// When the system does not say.
    pub(crate) fn room(&self) -> Result<u64> {
        let found = statvfs(&self.at)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    /// What would be there after a power failure: the device without what the system has not written to
    /// it. Nobody may write to the volume meanwhile.
    ///
    /// # Errors
    /// When the device does not come to rest, or cannot be copied.
    pub(crate) fn copy_device(&self, to: &Path) -> Result<()> {
        let image = self.image.as_ref().context("a volume without a device")?;
        for _ in 0..COPIES_MAX {
            let bytes = fs::read(image)?;
            // A copy of a moment, and no mixture: the device was the same before and after it.
            if fs::read(image)? == bytes {
                return Ok(fs::write(to, bytes)?);
            }
            thread::sleep(Duration::from_millis(20));
        }
        anyhow::bail!("the device of {} does not come to rest", self.at.display())
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Whoever was killed there a moment ago may still be on its way out.
        for _ in 0..50 {
            if run("umount", &[&self.at]).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        eprintln!("{} is still mounted", self.at.display());
    }
}
