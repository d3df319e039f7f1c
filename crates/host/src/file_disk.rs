//! The blocking disk of jobs and of the sync worker, on the real file system.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, statat};
use strom_storage::disk::{
    Amendment, DirectoryEntry, DirectoryId, Disk, DiskError, DiskPath, Volume,
};

use crate::on_threads::on_threads;
use crate::volume_sync::VolumeSync;

/// A partition's folder is listed in one step.
const LISTING_BYTES: usize = 4096;
/// Files that are synced at a time, so that they wait for one commit together.
const SYNC_THREADS_MAX: usize = 8;

/// The node's log directories, by their index.
#[derive(Clone, Debug)]
pub struct FileDisk {
    directories: Vec<PathBuf>,
    /// By all clones together.
    bytes_read: Arc<AtomicU64>,
    /// The log directory whose volume can be synced at once.
    volume: Option<(DirectoryId, Arc<VolumeSync>)>,
}

/// Names the file in an error's text and tells a full disk from other errors.
pub(crate) fn disk_error(what: &str, error: &io::Error) -> DiskError {
    let text = format!("{what}: {error}");
    match error.kind() {
        // A file that may not grow (RLIMIT_FSIZE) is a full disk to those who write it.
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            DiskError::Full(text)
        }
        ErrorKind::NotFound => DiskError::NotFound(text),
        ErrorKind::WouldBlock => DiskError::WouldBlock,
        _ => DiskError::Io(text),
    }
}

/// Why a sync failed. Never that the disk was full: who is told so goes on when there is room, and what
/// this sync was to make durable the system takes for done.
pub(crate) fn sync_error(what: &str, error: &io::Error) -> DiskError {
    never_full(disk_error(what, error))
}

pub(crate) fn never_full(error: DiskError) -> DiskError {
    match error {
        DiskError::Full(text) => DiskError::Io(text),
        other => other,
    }
}

impl FileDisk {
    #[must_use]
    pub fn new(directories: Vec<PathBuf>) -> Self {
        Self { directories, bytes_read: Arc::default(), volume: None }
    }

    /// What jobs have read so far, small whole files not counted.
    #[must_use]
    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    #[must_use]
    pub(crate) fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// Where a path is on the machine; an index that was never configured has no folder.
    #[must_use]
    pub(crate) fn resolve(&self, path: &DiskPath) -> PathBuf {
        let root = self.directories.get(usize::from(path.directory.0)).cloned().unwrap_or_default();
        if path.path.is_empty() { root } else { root.join(&path.path) }
    }

    /// From now on [`Disk::sync_all`] can be asked for in this log directory, if its volume has that.
    pub(crate) fn open_volume(&mut self, directory: DirectoryId) {
        let folder = self.directories.get(usize::from(directory.0));
        let volume = folder.and_then(|folder| VolumeSync::open(folder));
        self.volume = volume.map(|volume| (directory, Arc::new(volume)));
    }

    pub(crate) fn close_volume(&mut self) {
        self.volume = None;
    }

    #[must_use]
    pub(crate) fn syncs_all(&self, directory: DirectoryId) -> bool {
        self.volume.as_ref().is_some_and(|(of, _)| *of == directory)
    }

    /// The volume behind a log directory; `None` when the system does not say.
    #[must_use]
    pub(crate) fn volume(&self, directory: DirectoryId) -> Option<Volume> {
        let folder = self.directories.get(usize::from(directory.0))?;
        let found = rustix::fs::statvfs(folder).ok()?;
        Some(Volume {
            total: found.f_blocks.saturating_mul(found.f_frsize),
            usable: found.f_bavail.saturating_mul(found.f_frsize),
        })
    }

    fn try_on<T>(
        &self,
        path: &DiskPath,
        what: &str,
        action: impl FnOnce(PathBuf) -> io::Result<T>,
    ) -> Result<T, DiskError> {
        let full = self.resolve(path);
        action(full.clone())
            .map_err(|error| disk_error(&format!("{what} {}", full.display()), &error))
    }

    fn open_for_write(path: PathBuf) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(false).open(path)
    }
}

/// Entries of a folder as they come. Each costs a question for its length, where that is needed.
fn list(folder: &Path, needs_length: &dyn Fn(&str) -> bool) -> io::Result<Vec<DirectoryEntry>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(folder, flags, Mode::empty())?;
    let mut buffer = [MaybeUninit::uninit(); LISTING_BYTES];
    let mut listing = RawDir::new(&opened, &mut buffer);
    let mut entries = Vec::new();
    while let Some(entry) = listing.next() {
        let entry = entry?;
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if matches!(&*text, "." | "..") {
            continue;
        }
        let mut is_directory = entry.file_type() == FileType::Directory;
        let mut length = 0;
        if entry.file_type() == FileType::Unknown || (!is_directory && needs_length(&text)) {
            let found = statat(&opened, name, AtFlags::SYMLINK_NOFOLLOW)?;
            is_directory = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
            length = if is_directory { 0 } else { found.st_size as u64 };
        }
        entries.push(DirectoryEntry { name: text.into_owned(), is_directory, length });
    }
    Ok(entries)
}

/// The begin of a file, as much of it as comes at once.
fn read_once(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, 0) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Reads until the buffer is full or the file ends.
pub(crate) fn read_fully(file: &File, mut position: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, position) {
            Ok(0) => break,
            Ok(count) => {
                filled += count;
                position += count as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

impl Disk for FileDisk {
    fn describe(&self, path: &DiskPath) -> String {
        self.resolve(path).display().to_string()
    }

    fn list(&self, path: &DiskPath) -> Result<Vec<DirectoryEntry>, DiskError> {
        self.list_with_lengths_of(path, &|_| true)
    }

    fn list_with_lengths_of(
        &self,
        path: &DiskPath,
        needs_length: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<DirectoryEntry>, DiskError> {
        let mut entries = self.try_on(path, "list", |full| list(&full, needs_length))?;
        entries.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }

    fn read_at(
        &self,
        path: &DiskPath,
        position: u64,
        buffer: &mut [u8],
    ) -> Result<usize, DiskError> {
        let read =
            self.try_on(path, "read", |full| read_fully(&File::open(full)?, position, buffer))?;
        self.bytes_read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }

    fn read_file(&self, path: &DiskPath, limit: u64) -> Result<Vec<u8>, DiskError> {
        self.try_on(path, "read", |full| {
            let file = File::open(full)?;
            // Most are shorter, and then this is all of it: what lies in one page is read at once.
            let mut start = [0; 1024];
            let read = read_once(&file, &mut start)?;
            let length = if read < start.len() { read as u64 } else { file.metadata()?.len() };
            if length > limit {
                return Err(io::Error::other(format!("{length} bytes, {limit} are allowed")));
            }
            if let Some(whole) = start.get(..read).filter(|it| it.len() < start.len()) {
                return Ok(whole.to_vec());
            }
            let mut bytes = vec![0; length as usize];
            let read = read_fully(&file, 0, &mut bytes)?;
            bytes.truncate(read);
            Ok(bytes)
        })
    }

    fn write_at(&mut self, path: &DiskPath, position: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.try_on(path, "write", |full| Self::open_for_write(full)?.write_all_at(bytes, position))
    }

    fn amend<'a>(
        &mut self,
        path: &DiskPath,
        (position, length): (u64, usize),
        decide: Amendment<'_, 'a>,
    ) -> Result<(), DiskError> {
        let mut there = vec![0; length];
        self.try_on(path, "write", |full| {
            let file = OpenOptions::new().read(true).write(true).open(full)?;
            let read = read_fully(&file, position, &mut there)?;
            match decide(there.get(..read).unwrap_or_default()) {
                Some((position, bytes)) => file.write_all_at(bytes, position),
                None => Ok(()),
            }
        })
    }

    fn truncate(&mut self, path: &DiskPath, length: u64) -> Result<(), DiskError> {
        self.try_on(path, "truncate", |full| Self::open_for_write(full)?.set_len(length))
    }

    fn sync(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        self.try_on(path, "sync", |full| File::open(full)?.sync_data()).map_err(never_full)
    }

    fn sync_each(&mut self, paths: &[DiskPath]) -> Vec<Result<(), DiskError>> {
        on_threads(SYNC_THREADS_MAX, paths.to_vec(), || self.clone(), |disk, it| disk.sync(&it))
    }

    fn sync_directory(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        self.try_on(path, "sync", |full| File::open(full)?.sync_all()).map_err(never_full)
    }

    fn sync_all(&mut self, directory: DirectoryId) -> Result<(), DiskError> {
        let root = DiskPath { directory, path: String::new() };
        let volume = self.volume.as_ref().filter(|(of, _)| *of == directory);
        let synced = self.try_on(&root, "sync", |_| match volume {
            Some((_, volume)) => volume.sync(),
            None => Err(io::Error::other("its files are synced by themselves")),
        });
        synced.map_err(never_full)
    }

    fn create_directory(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        let root = self.resolve(&DiskPath { directory: path.directory, path: String::new() });
        self.try_on(path, "create", |full| match fs::create_dir(&full) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            // A log directory that is gone is not made anew under a running node.
            Err(error)
                if error.kind() == ErrorKind::NotFound && (full == root || root.exists()) =>
            {
                fs::create_dir_all(full)
            }
            made => made,
        })
    }

    fn write_file(&mut self, path: &DiskPath, bytes: &[u8]) -> Result<(), DiskError> {
        self.try_on(path, "write", |full| fs::write(full, bytes))
    }

    fn rename(&mut self, from: &DiskPath, to: &DiskPath) -> Result<(), DiskError> {
        let target = self.resolve(to);
        self.try_on(from, "rename", |full| fs::rename(full, target))
    }

    fn remove_file(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        self.try_on(path, "remove", |full| missing_is_fine(fs::remove_file(full)))
    }

    fn remove_directory(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        self.try_on(path, "remove", |full| missing_is_fine(fs::remove_dir_all(full)))
    }
}

fn missing_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
