//! All that a volume holds synced by one call, where that can be relied on.
//!
//! Linux tells of failed writes through `syncfs` since 5.8, and only of those since the folder was
//! opened: it is kept open. Stacked and foreign file systems may not tell at all: there each file is
//! synced by itself.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{OFlags, fstatfs, syncfs};

/// `f_type` of ext2 to ext4, XFS and btrfs.
const KNOWN: [i64; 3] = [0xEF53, 0x5846_5342, 0x9123_683E];
const RELEASE: &str = "/proc/sys/kernel/osrelease";
const TELLS_SINCE: (u32, u32) = (5, 8);

#[derive(Debug)]
pub(crate) struct VolumeSync {
    folder: File,
    /// Without a name and empty: its sync empties the disk's cache, which XFS may leave out when the
    /// rest has changed no metadata.
    file: File,
}

impl VolumeSync {
    /// `None` where files have to be synced by themselves.
    pub(crate) fn open(log_directory: &Path) -> Option<VolumeSync> {
        let release = std::fs::read_to_string(RELEASE).ok()?;
        let folder = File::open(log_directory).ok()?;
        let unnamed = OFlags::TMPFILE.bits() as i32;
        let mut options = OpenOptions::new();
        let file = options.write(true).custom_flags(unnamed).open(log_directory).ok()?;
        let kind = fstatfs(&folder).ok()?.f_type as i64;
        let is_sound = KNOWN.contains(&kind) && version(&release)? >= TELLS_SINCE;
        is_sound.then_some(VolumeSync { folder, file })
    }

    /// # Errors
    /// Something that was written to the volume is lost, or may be.
    pub(crate) fn sync(&self) -> io::Result<()> {
        syncfs(&self.folder)?;
        self.file.sync_all()
    }
}

/// `6.18.44-x`
fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|it: char| !it.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_numbers_in_front() {
        assert_eq!(version("6.18.44-fc-v657\n"), Some((6, 18)));
        assert_eq!(version("5.8-rc1"), Some((5, 8)));
        assert_eq!(version("strange"), None);
    }
}
