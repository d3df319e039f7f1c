//! Where an arena lies and whose it is.
//!
//! An arena belongs to one data folder and one boot of the machine, and lies in that folder: it is as
//! lasting as the page cache of the files beside it, in a container, too. The system writes what of
//! it has not changed for a while to the disk, which is little, and nobody reads that: after a boot the
//! arena is no more than a lost page cache.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, OFlags, fallocate};
use rustix::process::geteuid;
use strom_base::Uuid;

use super::mapped::{FoundArena, HEADER_BYTES, Layout, MappedArena};

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const NAME: &str = ".strom-arena";
/// No arena is larger than a terabyte.
const BLOCKS_MAX: usize = 1 << 20;
const FORMAT: &str = "strom arena 1";
/// Left by a clean stop, ours or Apache Kafka's.
const CLEAN_STOP: &str = ".kafka_cleanshutdown";

/// The arena of one data folder.
#[derive(Clone, Debug)]
pub(crate) struct ArenaFile {
    path: PathBuf,
    data_folder: PathBuf,
    directory_id: Uuid,
}

/// What lies where the arena would be.
pub(crate) enum Found {
    Nothing,
    /// It is of no use, for this reason.
    Foreign(String),
    Ours(FoundArena),
}

impl ArenaFile {
    pub(crate) fn of(data_folder: &Path, directory_id: Uuid) -> ArenaFile {
        let data_folder = data_folder.canonicalize().unwrap_or_else(|_| data_folder.to_owned());
        ArenaFile { path: data_folder.join(NAME), data_folder, directory_id }
    }

    /// The arena that an earlier life has left, if it is this folder's and of this boot.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub(crate) fn find(&self) -> io::Result<Found> {
        let file = match self.open(OpenOptions::new().read(true).write(true)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if metadata.uid() != geteuid().as_raw() || !metadata.is_file() {
            return Ok(Found::Foreign("it is somebody else's file".into()));
        }
        let mut header = [0; HEADER_BYTES];
        if let Err(error) = file.read_exact_at(&mut header, 0) {
            return Ok(Found::Foreign(format!("its header cannot be read ({error})")));
        }
        let Some((blocks, rest)) = parse(&header) else {
            return Ok(Found::Foreign("its header is not one of this version".into()));
        };
        if rest != self.owner() {
            return Ok(Found::Foreign("it is of another boot or folder".into()));
        }
        if self.data_folder.join(CLEAN_STOP).exists() {
            return Ok(Found::Foreign("the folder was stopped cleanly after it".into()));
        }
        let layout = Layout { blocks };
        if metadata.len() != layout.file_bytes() as u64 {
            return Ok(Found::Foreign("it has not the length that it says".into()));
        }
        Ok(Found::Ours(FoundArena { file, layout }))
    }

    /// A new arena in the place of whatever was there.
    ///
    /// # Errors
    /// When the folder takes no such file, or the disk is full.
    pub(crate) fn create(&self, blocks: usize) -> io::Result<MappedArena> {
        self.remove()?;
        let layout = Layout { blocks };
        let mut options = OpenOptions::new();
        let file = self.open(options.read(true).write(true).create_new(true).mode(0o600))?;
        file.set_len(layout.file_bytes() as u64)?;
        // Only what has memory may be touched.
        fallocate(&file, FallocateFlags::empty(), 0, HEADER_BYTES as u64)?;
        let text = format!("{FORMAT}\n{blocks}\n{}\n", self.owner());
        if text.len() > HEADER_BYTES {
            return Err(io::Error::other("the path of the data folder is too long"));
        }
        file.write_all_at(text.as_bytes(), 0)?;
        MappedArena::new(file, layout)
    }

    /// The arena is not needed any more.
    ///
    /// # Errors
    /// When the system does not let it go.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn open(&self, options: &mut OpenOptions) -> io::Result<File> {
        options.custom_flags((OFlags::NOFOLLOW | OFlags::CLOEXEC).bits() as i32).open(&self.path)
    }

    fn owner(&self) -> String {
        let boot = read_small(Path::new(BOOT_ID)).unwrap_or_default();
        let folder = self.data_folder.display();
        format!("{boot}\n{}\n{folder}", self.directory_id)
    }
}

/// The number of blocks, and whose it is.
fn parse(header: &[u8]) -> Option<(usize, &str)> {
    let end = header.iter().position(|byte| *byte == 0).unwrap_or(header.len());
    let text = std::str::from_utf8(header.get(..end)?).ok()?;
    let (blocks, owner) = text.strip_prefix(FORMAT)?.strip_prefix('\n')?.split_once('\n')?;
    let blocks = blocks.parse().ok().filter(|it| (1..=BLOCKS_MAX).contains(it))?;
    Some((blocks, owner.strip_suffix('\n')?))
}

fn read_small(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(1024).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use strom_base::Random;

    use super::*;

    #[test]
    fn an_arena_is_found_by_its_folder_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let id = Random::new(std::process::id().into()).uuid();
        let file = ArenaFile::of(folder.path(), id);
        assert!(matches!(file.find(), Ok(Found::Nothing)));
        drop(file.create(1).expect("an arena"));
        assert!(matches!(file.find(), Ok(Found::Ours(_))));
        let copy = tempfile::tempdir().expect("a folder");
        std::fs::copy(file.path(), copy.path().join(NAME)).expect("copied");
        let other = ArenaFile::of(copy.path(), id);
        assert!(matches!(other.find(), Ok(Found::Foreign(_))));
        std::fs::write(folder.path().join(CLEAN_STOP), "").expect("written");
        assert!(matches!(file.find(), Ok(Found::Foreign(_))));
        file.remove().expect("removed");
        assert!(matches!(file.find(), Ok(Found::Nothing)));
    }
}
