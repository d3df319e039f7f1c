//! A disk in a real folder.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use strom_storage::disk::{DirectoryEntry, Disk, DiskError, DiskPath};

pub(crate) struct FolderDisk {
    pub(crate) root: PathBuf,
}

impl FolderDisk {
    fn at(&self, path: &DiskPath) -> PathBuf {
        self.root.join(&path.path)
    }

    fn writable(&self, path: &DiskPath) -> Result<File, DiskError> {
        let options = OpenOptions::new().write(true).create(true).truncate(false).clone();
        options.open(self.at(path)).map_err(|error| failure(path, &error))
    }
}

fn failure(path: &DiskPath, error: &io::Error) -> DiskError {
    let text = format!("{}: {error}", path.path);
    match error.kind() {
        io::ErrorKind::NotFound => DiskError::NotFound(text),
        _ => DiskError::Io(text),
    }
}

impl Disk for FolderDisk {
    fn list(&self, path: &DiskPath) -> Result<Vec<DirectoryEntry>, DiskError> {
        let mut entries = Vec::new();
        let listed = fs::read_dir(self.at(path)).map_err(|error| failure(path, &error))?;
        for entry in listed {
            let entry = entry.map_err(|error| failure(path, &error))?;
            let metadata = entry.metadata().map_err(|error| failure(path, &error))?;
            entries.push(DirectoryEntry {
                name: entry.file_name().to_string_lossy().into_owned(),
                is_directory: metadata.is_dir(),
                length: if metadata.is_dir() { 0 } else { metadata.len() },
            });
        }
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }

    fn read_at(
        &self,
        path: &DiskPath,
        position: u64,
        buffer: &mut [u8],
    ) -> Result<usize, DiskError> {
        let file = File::open(self.at(path)).map_err(|error| failure(path, &error))?;
        let mut read = 0;
        while read < buffer.len() {
            match file.read_at(&mut buffer[read..], position + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) => return Err(failure(path, &error)),
            }
        }
        Ok(read)
    }

    fn read_file(&self, path: &DiskPath, _limit: u64) -> Result<Vec<u8>, DiskError> {
        fs::read(self.at(path)).map_err(|error| failure(path, &error))
    }

    fn write_at(&mut self, path: &DiskPath, position: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let file = self.writable(path)?;
        file.write_all_at(bytes, position).map_err(|error| failure(path, &error))
    }

    fn truncate(&mut self, path: &DiskPath, length: u64) -> Result<(), DiskError> {
        self.writable(path)?.set_len(length).map_err(|error| failure(path, &error))
    }

    fn sync(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        let file = File::open(self.at(path)).map_err(|error| failure(path, &error))?;
        file.sync_all().map_err(|error| failure(path, &error))
    }

    fn sync_directory(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        self.sync(path)
    }

    fn create_directory(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        fs::create_dir_all(self.at(path)).map_err(|error| failure(path, &error))
    }

    fn rename(&mut self, from: &DiskPath, to: &DiskPath) -> Result<(), DiskError> {
        fs::rename(self.at(from), self.at(to)).map_err(|error| failure(from, &error))
    }

    fn remove_file(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        fs::remove_file(self.at(path)).map_err(|error| failure(path, &error))
    }

    fn remove_directory(&mut self, path: &DiskPath) -> Result<(), DiskError> {
        fs::remove_dir_all(self.at(path)).map_err(|error| failure(path, &error))
    }
}
