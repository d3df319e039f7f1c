//! A node's configuration file, as `strom server` runs by it and `strom storage` formats by it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use strom_base::config::node_settings::FolderSettings;
use strom_base::config::{self, ConfigMap, names};
use strom_base::properties::{self, Property};
use strom_storage::disk::DirectoryId;

/// Where a node keeps its data whose configuration does not say. Not in /tmp, Kafka's default, where
/// data does not outlive the machine's next start.
const DEFAULT_LOG_DIRS: &str = "./strom-data";

/// # Errors
/// One sentence: it cannot be read, or names a key that no node knows.
pub(crate) fn read(file: &Path) -> Result<ConfigMap, String> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        format!(
            "the configuration {} cannot be read ({error}): name an existing file",
            file.display()
        )
    })?;
    let name = file.display().to_string();
    let properties = properties::parse(&text).map_err(|error| format!("{name}, {error}"))?;
    names::check_names(&name, &properties).map_err(|error| error.to_string())?;
    warn_of_repetitions(&name, &properties);
    Ok(properties.into_iter().map(|property| (property.key, property.value)).collect())
}

/// The last one counts, as in Java; that the others do not is worth a word.
fn warn_of_repetitions(file: &str, properties: &[Property]) {
    let mut lines = BTreeMap::new();
    for Property { key, line, .. } in properties {
        if let Some(before) = lines.insert(key, line) {
            tracing::warn!(
                "{file}, line {line}: {key} is given again, line {before} has no effect"
            );
        }
    }
}

/// Fills in what is left open: the data's place, and the node's id under both of its names.
pub(crate) fn complete(properties: &mut ConfigMap) {
    if !properties.contains_key("log.dirs") && !properties.contains_key("log.dir") {
        properties.insert("log.dirs".to_owned(), DEFAULT_LOG_DIRS.to_owned());
    }
    config::complete_ids(properties);
}

/// A node's log directories, and which of them holds the metadata log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folders {
    pub(crate) log_directories: Vec<PathBuf>,
    pub(crate) metadata_directory: DirectoryId,
}

impl Folders {
    /// # Errors
    /// One sentence: the metadata log would lie apart from all others.
    pub(crate) fn of(settings: &FolderSettings) -> Result<Self, String> {
        let metadata = &settings.metadata_log_dir;
        let index = settings.log_dirs.iter().position(|folder| folder == metadata);
        let index = index.and_then(|index| u16::try_from(index).ok()).ok_or_else(|| {
            format!("metadata.log.dir {metadata} is none of log.dirs: name one of them")
        })?;
        Ok(Self {
            log_directories: settings.log_dirs.iter().map(PathBuf::from).collect(),
            metadata_directory: DirectoryId(index),
        })
    }
}

#[cfg(test)]
mod tests {
    use strom_base::config::{BrokerConfigLayers, NodeSettings};

    use super::*;

    fn folders(lines: &str) -> Result<Folders, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("server.properties");
        std::fs::write(&file, lines).expect("written");
        let mut properties = read(&file)?;
        complete(&mut properties);
        let layers = BrokerConfigLayers::of_file(&properties);
        let settings = NodeSettings::new(layers).map_err(|error| error.to_string())?;
        Folders::of(&settings.folders)
    }

    #[test]
    fn a_file_that_names_no_folder_gets_one_that_lasts() {
        let found = folders("node.id=1\n").expect("a node");
        assert_eq!(found.log_directories, [PathBuf::from(DEFAULT_LOG_DIRS)]);
        assert_eq!(found.metadata_directory, DirectoryId(0));
    }

    #[test]
    fn the_metadata_log_lies_in_one_of_the_log_directories() {
        let found = folders("log.dirs=/a,/b\nmetadata.log.dir=/b\n").expect("a node");
        assert_eq!(found.metadata_directory, DirectoryId(1));
        assert!(folders("log.dirs=/a\nmetadata.log.dir=/c\n").is_err());
        assert!(folders("log.dir=/a\n").is_ok());
    }
}
