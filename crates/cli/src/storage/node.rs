//! What kafka-storage needs to know of a node's configuration.

use crate::failure::{Failure, Outcome};
use crate::properties;
use crate::server::DEFAULT_LOG_DIRS;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(super) struct Node {
    pub(super) node_id: i32,
    pub(super) is_controller: bool,
    /// The configuration lists the controllers: the quorum is a static one.
    pub(super) has_static_voters: bool,
    /// Without repetitions, in the order of the configuration.
    pub(super) log_directories: Vec<PathBuf>,
    pub(super) metadata_directory: PathBuf,
    /// Name, host and port of the listener that controllers use.
    pub(super) controller_endpoint: Option<(String, String, u16)>,
}

impl Node {
    pub(super) fn read(path: &Path) -> Outcome<Node> {
        let values: BTreeMap<String, String> = properties::read(path)?.into_iter().collect();
        let text = |key: &str| values.get(key).map(|value| value.trim()).filter(|v| !v.is_empty());
        let node_id = text("node.id").or_else(|| text("broker.id"));
        let Some(node_id) = node_id else {
            return Err(Failure::said(
                "Missing required configuration \"node.id\" which has no default value.",
            ));
        };
        let node_id = node_id.parse().map_err(|_| {
            let text = format!("Invalid value {node_id} for configuration node.id: Not a number");
            Failure::said(text)
        })?;
        let roles = text("process.roles").unwrap_or_default();
        let mut log_directories = Vec::new();
        let list = text("log.dirs").or_else(|| text("log.dir")).unwrap_or(DEFAULT_LOG_DIRS);
        for folder in list.split(',').map(|folder| PathBuf::from(folder.trim())) {
            if !log_directories.contains(&folder) {
                log_directories.push(folder);
            }
        }
        let metadata_directory = match text("metadata.log.dir") {
            Some(folder) => PathBuf::from(folder),
            None => log_directories.first().cloned().unwrap_or_default(),
        };
        if !log_directories.contains(&metadata_directory) {
            log_directories.push(metadata_directory.clone());
        }
        let listener = text("controller.listener.names").and_then(|names| names.split(',').next());
        let listeners = text("listeners").unwrap_or_default();
        Ok(Node {
            node_id,
            is_controller: roles.split(',').any(|role| role.trim() == "controller"),
            has_static_voters: text("controller.quorum.voters").is_some(),
            controller_endpoint: listener.and_then(|name| endpoint(listeners, name.trim())),
            log_directories,
            metadata_directory,
        })
    }
}

/// The address of a listener in `NAME://host:port,…`; no host is this machine.
fn endpoint(listeners: &str, wanted: &str) -> Option<(String, String, u16)> {
    let mut entries = listeners.split(',').filter_map(|entry| entry.trim().split_once("://"));
    let (name, address) = entries.find(|(name, _)| *name == wanted)?;
    let (host, port) = address.rsplit_once(':')?;
    let host = if host.is_empty() { "localhost" } else { host };
    Some((name.to_owned(), host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_that_is_formatted_is_the_one_that_the_server_uses() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("server.properties");
        std::fs::write(&config, "node.id=1\n").unwrap();
        let Ok(node) = Node::read(&config) else { panic!("it is read") };
        assert_eq!(node.log_directories, [PathBuf::from(DEFAULT_LOG_DIRS)]);
    }

    #[test]
    fn the_controllers_listener_is_found_among_the_others() {
        let listeners = "PLAINTEXT://a:9092, CONTROLLER://:9093";
        let expected = ("CONTROLLER".to_owned(), "localhost".to_owned(), 9093);
        assert_eq!(endpoint(listeners, "CONTROLLER"), Some(expected));
        assert_eq!(endpoint(listeners, "SSL"), None);
    }
}
