//! Files that a flush could not be written to: no sync of them may succeed before it is.
//!
//! The shard hears of a failed flush only after it may have asked for the next sync.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use strom_storage::disk::DiskError;

/// Held open, so that no other file can take their place.
#[derive(Debug, Default)]
pub(crate) struct OwedFiles {
    files: Vec<(File, DiskError)>,
}

impl OwedFiles {
    pub(crate) fn on_flushed(&mut self, path: &Path, result: &Result<(), DiskError>) {
        if self.files.is_empty() && result.is_ok() {
            return;
        }
        // What is not there, nobody can sync.
        let Ok(file) = File::open(path) else { return };
        self.files.retain(|(owed, _)| !is_same(owed, &file));
        if let Err(error) = result {
            self.files.push((file, error.clone()));
        }
    }

    /// # Errors
    /// Why the file does not have all its bytes. `file` is `None` where it is not open yet.
    pub(crate) fn check(&self, file: Option<&File>, path: &Path) -> Result<(), DiskError> {
        if self.files.is_empty() {
            return Ok(());
        }
        let opened = if file.is_none() { File::open(path).ok() } else { None };
        let Some(file) = file.or(opened.as_ref()) else { return Ok(()) };
        let owed = self.files.iter().find(|(owed, _)| is_same(owed, file));
        owed.map_or(Ok(()), |(_, error)| Err(error.clone()))
    }
}

fn is_same(left: &File, right: &File) -> bool {
    let identity = |file: &File| file.metadata().ok().map(|it| (it.dev(), it.ino()));
    identity(left).is_some() && identity(left) == identity(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_owed_until_a_flush_of_it_succeeds() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("0.log");
        let file = File::create(&path).expect("a file");
        let mut owed = OwedFiles::default();
        let full = Err(DiskError::Full("0.log".into()));
        owed.on_flushed(&path, &full);
        assert_eq!(owed.check(Some(&file), &path), full);
        assert_eq!(owed.check(None, &path), full);
        let other = File::create(folder.path().join("1.log")).expect("a file");
        assert_eq!(owed.check(Some(&other), &path), Ok(()));
        owed.on_flushed(&path, &Ok(()));
        assert_eq!(owed.check(Some(&file), &path), Ok(()));
    }
}
