//! Files that lack bytes though a sync of them would succeed: those that a flush could not be written to,
//! until it is, and those of which somebody else was told that written bytes were lost.
//!
//! The shard hears of a failed flush only after it may have asked for the next sync. And the system tells
//! of a lost write once to each who has the file open, and not at all to who opens it later.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use strom_storage::disk::DiskError;

use crate::file_disk::never_full;

#[derive(Debug, Default)]
pub(crate) struct OwedFiles {
    files: Vec<Owed>,
}

/// What a file does not have.
#[derive(Debug)]
struct Owed {
    /// Held open, so that no other can take its place.
    file: Arc<File>,
    bytes: Lacking,
    error: DiskError,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lacking {
    /// What a flush has from this position on.
    Flush(u64),
    /// Nobody knows which, or has them still.
    Lost,
}

impl Lacking {
    fn begins_in(self, range: &Range<u64>) -> bool {
        matches!(self, Lacking::Flush(position) if range.contains(&position))
    }
}

impl OwedFiles {
    /// A flush of this range of a file is done, or failed. Only its own range is owed no more: another
    /// flush of the file proves nothing. Who tries again begins where the failed one did, or before.
    pub(crate) fn on_flushed(
        &mut self,
        path: &Path,
        range: Range<u64>,
        result: &Result<(), DiskError>,
    ) {
        if self.files.is_empty() && result.is_ok() {
            return;
        }
        // What is not there, nobody can sync.
        let Ok(file) = File::open(path) else { return };
        self.files.retain(|owed| !owed.bytes.begins_in(&range) || !is_same(&owed.file, &file));
        if let Err(error) = result {
            let bytes = Lacking::Flush(range.start);
            self.files.push(Owed { file: Arc::new(file), bytes, error: error.clone() });
        }
    }

    /// From now on no sync of the file succeeds: a cut or a sync of it failed. That does not end when
    /// there is room, so it is never told as a full disk.
    pub(crate) fn lose(&mut self, file: Arc<File>, error: DiskError) {
        let error = never_full(error);
        let is_known = |owed: &Owed| owed.bytes == Lacking::Lost && is_same(&owed.file, &file);
        if !self.files.iter().any(is_known) {
            self.files.push(Owed { file, bytes: Lacking::Lost, error });
        }
    }

    /// From `length` on the file is owed nothing any more.
    pub(crate) fn cut(&mut self, path: &Path, length: u64) {
        if self.files.is_empty() {
            return;
        }
        let Ok(file) = File::open(path) else { return };
        let behind = length..u64::MAX;
        self.files.retain(|owed| !owed.bytes.begins_in(&behind) || !is_same(&owed.file, &file));
    }

    /// # Errors
    /// Why the file does not have all its bytes. `file` is `None` where it is not open yet.
    pub(crate) fn check(&self, file: Option<&File>, path: &Path) -> Result<(), DiskError> {
        if self.files.is_empty() {
            return Ok(());
        }
        let opened = if file.is_none() { File::open(path).ok() } else { None };
        let Some(file) = file.or(opened.as_ref()) else { return Ok(()) };
        let owed = self.files.iter().find(|owed| is_same(&owed.file, file));
        owed.map_or(Ok(()), |owed| Err(owed.error.clone()))
    }
}

pub(super) fn is_same(left: &File, right: &File) -> bool {
    let identity = |file: &File| file.metadata().ok().map(|it| (it.dev(), it.ino()));
    identity(left).is_some() && identity(left) == identity(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_owed_until_the_flush_that_failed_succeeds_or_is_cut() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("0.log");
        let file = File::create(&path).expect("a file");
        let mut owed = OwedFiles::default();
        let full = Err(DiskError::Full("0.log".into()));
        owed.on_flushed(&path, 100..200, &full);
        assert_eq!(owed.check(Some(&file), &path), full);
        assert_eq!(owed.check(None, &path), full);
        let other = File::create(folder.path().join("1.log")).expect("a file");
        assert_eq!(owed.check(Some(&other), &path), Ok(()));
        owed.on_flushed(&path, 200..300, &Ok(()));
        assert_eq!(owed.check(Some(&file), &path), full);
        owed.on_flushed(&path, 50..300, &Ok(()));
        assert_eq!(owed.check(Some(&file), &path), Ok(()));
        owed.on_flushed(&path, 300..400, &full);
        owed.cut(&path, 301);
        assert_eq!(owed.check(Some(&file), &path), full);
        owed.cut(&path, 300);
        assert_eq!(owed.check(Some(&file), &path), Ok(()));
        owed.lose(Arc::new(file.try_clone().expect("a file")), DiskError::Full("0.log".into()));
        owed.on_flushed(&path, 0..300, &Ok(()));
        owed.cut(&path, 0);
        assert_eq!(owed.check(None, &path), Err(DiskError::Io("0.log".into())));
    }
}
