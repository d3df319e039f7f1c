//! Disk effects performed on the simulated disk, each at once and as the seam words them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use strom_base::Random;
use strom_broker::boot::file_path;
use strom_storage::disk::{
    Completion, DirectoryId, DiskEffect, DiskError, DiskPath, FileId, LogId, ReadFiles, Ticket,
    perform,
};

use crate::arena::SimArena;
use crate::disk::SimDisk;

/// A disk and where the logs on it lie.
#[derive(Debug, Default)]
pub struct Engine {
    pub disk: SimDisk,
    places: Places,
    /// Why effects without a ticket were not done, though the disk works.
    pub refused: Vec<DiskError>,
    /// Where the disk has failed what no ticket tells of, and why.
    pub failed: Vec<(DirectoryId, String)>,
    cold: RefCell<Cold>,
    /// Records gather here first, by log directory; none for the buffered engine.
    arenas: BTreeMap<DirectoryId, SimArena>,
    /// What was performed, in words; `None` where nobody reads it.
    pub told: Option<Vec<String>>,
}

/// What logs read by themselves is not always in memory: then it is refused once, and read the next
/// time.
#[derive(Clone, Debug, Default)]
struct Cold {
    /// `None`: all is in memory.
    random: Option<Random>,
    refused: BTreeSet<(FileId, u64)>,
    has_refused: bool,
}

impl Cold {
    /// One read in so many is refused.
    const ONE_IN: u64 = 3;

    fn refuses(&mut self, file: FileId, position: u64) -> bool {
        let Some(random) = &mut self.random else { return false };
        if self.refused.remove(&(file, position)) || random.below(Self::ONE_IN) > 0 {
            return false;
        }
        self.refused.insert((file, position));
        self.has_refused = true;
        true
    }
}

#[derive(Clone, Debug, Default)]
struct Places {
    folders: BTreeMap<LogId, DiskPath>,
    /// Logs that are forgotten: nobody reads them any more, but what was asked before is still done.
    left: BTreeMap<LogId, DiskPath>,
}

impl Places {
    fn folder_of(&self, log: LogId) -> Option<&DiskPath> {
        self.folders.get(&log).or_else(|| self.left.get(&log))
    }

    fn path_of(&self, file: FileId) -> Result<DiskPath, DiskError> {
        let folder = self.folder_of(file.log);
        let folder =
            folder.ok_or_else(|| DiskError::NotFound(format!("folder of log {}", file.log.0)))?;
        Ok(file_path(folder, file))
    }
}

impl Engine {
    #[must_use]
    pub fn new(disk: SimDisk) -> Self {
        Self { disk, ..Self::default() }
    }

    /// From now on records gather in an arena of so many blocks for each log directory, of which the
    /// system grants some.
    pub fn use_arenas(
        &mut self,
        directories: impl Iterator<Item = DirectoryId>,
        blocks: usize,
        granted: usize,
    ) {
        let disk = &mut self.disk;
        let arena = |it| (it, SimArena::new(disk, it, blocks, granted));
        self.arenas = directories.map(arena).collect();
    }

    /// From now on reads are refused at times, because the bytes are not in memory.
    pub fn make_cold(&mut self, random: Random) {
        self.cold.get_mut().random = Some(random);
    }

    /// Whether a read was refused since this was last asked: its bytes are on their way.
    pub fn take_refused_reads(&mut self) -> bool {
        std::mem::take(&mut self.cold.get_mut().has_refused)
    }

    /// Reads as a shell does that waits for the bytes.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read_patiently(
        &self,
        file: FileId,
        position: u64,
        buffer: &mut [u8],
    ) -> Result<usize, DiskError> {
        let (mut read, length) = (0, buffer.len());
        self.read(file, (position, length), |piece| {
            let room = buffer.get_mut(read..).unwrap_or_default();
            room.iter_mut().zip(piece).for_each(|(to, from)| *to = *from);
            read += piece.len();
        })
    }

    /// The same, behind what `output` holds.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read_behind(
        &self,
        file: FileId,
        position: u64,
        length: usize,
        output: &mut Vec<u8>,
    ) -> Result<usize, DiskError> {
        self.read(file, (position, length), |piece| output.extend_from_slice(piece))
    }

    fn read(
        &self,
        file: FileId,
        (position, length): (u64, usize),
        mut take: impl FnMut(&[u8]),
    ) -> Result<usize, DiskError> {
        if self.places.left.contains_key(&file.log) {
            return Err(DiskError::NotFound(format!("log {} is forgotten", file.log.0)));
        }
        let path = self.path_of(file)?;
        match self.arenas.get(&path.directory) {
            Some(arena) => arena.read(&self.disk, (file, &path), (position, length), take),
            None => {
                let bytes = self.disk.bytes_at(&path, position, length)?;
                take(&bytes);
                Ok(bytes.len())
            }
        }
    }

    /// Where a log's files are, also of one that is forgotten.
    #[must_use]
    pub fn folder_of(&self, log: LogId) -> Option<&DiskPath> {
        self.places.folder_of(log)
    }

    /// The log directory that an effect is about; the first, if nobody knows.
    #[must_use]
    pub fn directory_of(&self, effect: &DiskEffect) -> DirectoryId {
        self.places.directory_of(effect)
    }

    /// An effect in words.
    #[must_use]
    pub fn in_words(&self, effect: &DiskEffect) -> String {
        describe(effect, &self.places)
    }

    /// Where a log's files are from now on; `None` forgets it.
    pub fn place(&mut self, log: LogId, folder: Option<DiskPath>) {
        match folder {
            Some(folder) => {
                self.places.folders.insert(log, folder);
            }
            None => {
                let directory = self.places.folders.get(&log).map(|it| it.directory);
                if let Some(arena) = directory.and_then(|it| self.arenas.get_mut(&it)) {
                    arena.forget(&mut self.disk, log);
                }
                self.places.left.extend(self.places.folders.remove_entry(&log));
            }
        }
    }

    /// # Errors
    /// The log has no folder.
    pub fn path_of(&self, file: FileId) -> Result<DiskPath, DiskError> {
        self.places.path_of(file)
    }

    /// The paths that an effect changes; a sync changes none, and zeros ahead are no change.
    fn paths_of(&self, effect: &DiskEffect) -> Vec<DiskPath> {
        match effect {
            DiskEffect::Write { file, .. }
            | DiskEffect::Truncate { file, .. }
            | DiskEffect::Trim { file, .. } => self.path_of(*file).into_iter().collect(),
            DiskEffect::Sync { .. } | DiskEffect::Fill { .. } => Vec::new(),
            DiskEffect::Replace { path, .. }
            | DiskEffect::CreateFolder { path, .. }
            | DiskEffect::RemoveFile { path, .. }
            | DiskEffect::RemoveDirectory { path } => vec![path.clone()],
            DiskEffect::Rename { from, to, .. } => vec![from.clone(), to.clone()],
        }
    }

    /// Whether two effects concern the same path, so that their order counts.
    #[must_use]
    pub fn meet(&self, left: &DiskEffect, right: &DiskEffect) -> bool {
        if let (DiskEffect::Sync { .. }, DiskEffect::Write { .. }) = (left, right) {
            return false;
        }
        let others = self.paths_of(right);
        if let DiskEffect::Fill { file, .. } = left {
            // A cut ends it, and it goes into the file that had the name when it was asked.
            let is_after = !matches!(right, DiskEffect::Write { .. });
            let mut path = self.path_of(*file).into_iter();
            return is_after && path.any(|it| others.iter().any(|other| overlap(&it, other)));
        }
        if let (DiskEffect::Sync { files, .. }, DiskEffect::Rename { .. }) = (left, right) {
            // A file is synced under the name that it had when that was asked.
            let mut paths = files.iter().filter_map(|file| self.path_of(*file).ok());
            return paths.any(|path| others.iter().any(|other| overlap(&path, other)));
        }
        self.paths_of(left).iter().any(|path| others.iter().any(|other| overlap(path, other)))
    }

    /// Does what is asked. Effects without a ticket promise nothing: their failure is not reported.
    pub fn perform(&mut self, effect: DiskEffect) -> Option<Completion> {
        if let Some(told) = &mut self.told {
            told.push(describe(&effect, &self.places));
        }
        let places = &self.places;
        let path_of = |file| places.path_of(file);
        let ticket = ticket_of(&effect);
        let directory = places.directory_of(&effect);
        let effect = match self.arenas.get_mut(&directory) {
            None => Ok(Some(effect)),
            Some(arena) => {
                let effect = arena.before(&mut self.disk, effect, &path_of);
                let failure = arena.take_failure().filter(|_| !self.disk.has_crashed());
                self.failed.extend(failure.map(|error| (directory, error.to_string())));
                effect
            }
        };
        let effect = match (effect, ticket) {
            (Ok(Some(effect)), _) => effect,
            (Ok(None), Some(ticket)) => return Some(Completion { ticket, result: Ok(()) }),
            (Err(error), Some(ticket)) => return Some(Completion { ticket, result: Err(error) }),
            (Ok(None), None) => return None,
            (Err(error), None) => return self.unreported(directory, Err(error)),
        };
        match perform(&mut self.disk, effect, &path_of) {
            (Some(ticket), result) => Some(Completion { ticket, result }),
            (None, result) => self.unreported(directory, result),
        }
    }

    /// A disk that has crashed, or that is to fail, may refuse; one that works has no reason to.
    fn unreported(
        &mut self,
        directory: DirectoryId,
        result: Result<(), DiskError>,
    ) -> Option<Completion> {
        if let Err(DiskError::Io(reason)) = &result
            && !self.disk.has_crashed()
        {
            self.failed.push((directory, reason.clone()));
        }
        let may_refuse = self.disk.has_crashed() || self.disk.has_refused();
        self.refused.extend(result.err().filter(|_| !may_refuse));
        None
    }
}

impl Places {
    /// The log directory that an effect is about; the first, if nobody knows.
    fn directory_of(&self, effect: &DiskEffect) -> DirectoryId {
        let of_log = |log: LogId| self.folder_of(log).map(|folder| folder.directory);
        let known = match effect {
            DiskEffect::Write { file, .. }
            | DiskEffect::Truncate { file, .. }
            | DiskEffect::Fill { file, .. }
            | DiskEffect::Trim { file, .. } => of_log(file.log),
            DiskEffect::Sync { ticket, .. } => of_log(ticket.log),
            DiskEffect::Replace { path, .. }
            | DiskEffect::CreateFolder { path, .. }
            | DiskEffect::RemoveFile { path, .. }
            | DiskEffect::RemoveDirectory { path }
            | DiskEffect::Rename { from: path, .. } => Some(path.directory),
        };
        known.unwrap_or(DirectoryId(0))
    }
}

/// An effect in words: what, where, how much.
fn describe(effect: &DiskEffect, places: &Places) -> String {
    let path = |file: &FileId| places.path_of(*file).map_or("?".to_owned(), |it| it.path);
    match effect {
        DiskEffect::Write { file, position, bytes, .. } => {
            format!("writes {} bytes at {position} of {}", bytes.len(), path(file))
        }
        DiskEffect::Sync { files, .. } => {
            let files: Vec<String> = files.iter().map(path).collect();
            format!("syncs {}", files.join(", "))
        }
        DiskEffect::Truncate { file, length } => format!("cuts {} to {length}", path(file)),
        DiskEffect::Fill { file, length } => format!("fills {} up to {length}", path(file)),
        DiskEffect::Trim { file, length } => format!("trims {} to {length}", path(file)),
        DiskEffect::Replace { path, bytes, .. } => {
            format!("replaces {} by {} bytes", path.path, bytes.len())
        }
        DiskEffect::CreateFolder { path, .. } => format!("makes the folder {}", path.path),
        DiskEffect::Rename { from, to, .. } => format!("renames {} to {}", from.path, to.path),
        DiskEffect::RemoveFile { path, .. } => format!("removes {}", path.path),
        DiskEffect::RemoveDirectory { path } => format!("removes the folder {}", path.path),
    }
}

fn ticket_of(effect: &DiskEffect) -> Option<Ticket> {
    match effect {
        DiskEffect::Write { ticket, .. }
        | DiskEffect::Sync { ticket, .. }
        | DiskEffect::Replace { ticket, .. }
        | DiskEffect::CreateFolder { ticket, .. } => Some(*ticket),
        _ => None,
    }
}

/// Whether a disk may take its time over the effect while others go on.
#[must_use]
pub fn is_slow(effect: &DiskEffect) -> bool {
    matches!(
        effect,
        DiskEffect::Sync { .. }
            | DiskEffect::Fill { .. }
            | DiskEffect::Replace { .. }
            | DiskEffect::RemoveFile { .. }
            | DiskEffect::RemoveDirectory { .. }
    )
}

/// Whether one path is the other or lies in it.
fn overlap(left: &DiskPath, right: &DiskPath) -> bool {
    let holds = |folder: &DiskPath, path: &DiskPath| {
        path.path.strip_prefix(&folder.path).is_some_and(|it| it.is_empty() || it.starts_with('/'))
    };
    left.directory == right.directory && (holds(left, right) || holds(right, left))
}

impl ReadFiles for Engine {
    fn read_at(&self, file: FileId, position: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        if self.cold.borrow_mut().refuses(file, position) {
            return Err(DiskError::WouldBlock);
        }
        self.read_patiently(file, position, buffer)
    }
}
