//! Many small files put in place at once.
//!
//! One after the other each file waits for the disk three times: for its bytes, for its new name, for
//! what came before it. Together they wait about three times in all, as a file system commits what
//! has gathered: the first sync of each step carries the others along.

use std::collections::BTreeMap;

use bytes::Bytes;
use strom_storage::disk::{Disk, DiskError, DiskPath};

/// So many are taken together: the first of them must not wait for thousands.
pub(crate) const TOGETHER_MAX: usize = 256;

/// As [`Disk::replace`] for each; the paths differ. Outcomes in the same order.
pub(crate) fn replace_all(
    disk: &mut impl Disk,
    files: &[(DiskPath, Bytes)],
) -> Vec<Result<(), DiskError>> {
    let mut outcomes: Vec<Result<(), DiskError>> =
        files.iter().map(|(path, bytes)| write_beside(disk, path, bytes)).collect();
    for_those_well(files, &mut outcomes, |path| disk.sync(&path.temporary()));
    for_those_well(files, &mut outcomes, |path| disk.rename(&path.temporary(), path));
    let mut folders = BTreeMap::new();
    for_those_well(files, &mut outcomes, |path| {
        let folder = path.parent();
        folders.entry(folder).or_insert_with_key(|folder| disk.sync_directory(folder)).clone()
    });
    outcomes
}

fn write_beside(disk: &mut impl Disk, path: &DiskPath, bytes: &[u8]) -> Result<(), DiskError> {
    let temporary = path.temporary();
    disk.truncate(&temporary, 0)?;
    disk.write_at(&temporary, 0, bytes)
}

fn for_those_well(
    files: &[(DiskPath, Bytes)],
    outcomes: &mut [Result<(), DiskError>],
    mut step: impl FnMut(&DiskPath) -> Result<(), DiskError>,
) {
    for ((path, _), outcome) in files.iter().zip(outcomes) {
        if outcome.is_ok() {
            *outcome = step(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_disk::FileDisk;
    use strom_storage::disk::DirectoryId;

    #[test]
    fn each_file_stands_or_says_why_not() {
        let root = tempfile::tempdir().expect("a folder");
        let mut disk = FileDisk::new(vec![root.path().to_owned()]);
        let path = |path: &str| DiskPath { directory: DirectoryId(0), path: path.into() };
        disk.create_directory(&path("a")).expect("a folder is made");
        let files = [path("a/one"), path("missing/two"), path("a/three")]
            .map(|path| (path, Bytes::from_static(b"text")));
        let outcomes = replace_all(&mut disk, &files);
        assert!(matches!(outcomes[..], [Ok(()), Err(DiskError::NotFound(_)), Ok(())]));
        assert_eq!(disk.read_file(&path("a/three"), 10), Ok(b"text".to_vec()));
        assert_eq!(disk.list(&path("a")).map(|entries| entries.len()), Ok(2));
    }
}
