//! What kafka-storage needs to know of a node's configuration.

use std::path::{Path, PathBuf};

use strom_base::config::{BrokerConfigLayers, NodeSettings};
use strom_broker::settings::QuorumSettings;
use strom_host::file_disk::FileDisk;
use strom_raft::VoterEndpoint;
use strom_storage::disk::DirectoryId;

use crate::failure::{Failure, Outcome};
use crate::node_file::{self, Folders};

#[derive(Debug)]
pub(super) struct Node {
    pub(super) node_id: i32,
    pub(super) is_controller: bool,
    /// The configuration lists the controllers: the quorum is a static one.
    pub(super) has_static_voters: bool,
    pub(super) folders: Folders,
    /// Where other controllers reach the one of this node.
    pub(super) controller_endpoint: Option<VoterEndpoint>,
}

impl Node {
    pub(super) fn read(path: &Path) -> Outcome<Node> {
        let mut properties = node_file::read(path).map_err(Failure::said)?;
        node_file::complete(&mut properties);
        let settings = NodeSettings::new(BrokerConfigLayers::of_file(&properties))
            .map_err(|error| Failure::said(error.to_string()))?;
        let quorum = QuorumSettings::of(&settings);
        Ok(Node {
            node_id: settings.identity.node_id,
            is_controller: settings.identity.is_controller,
            has_static_voters: !quorum.voters.is_empty(),
            folders: Folders::of(&settings.folders).map_err(Failure::said)?,
            controller_endpoint: quorum.endpoints.into_iter().next(),
        })
    }

    pub(super) fn disk(&self) -> FileDisk {
        FileDisk::new(self.folders.log_directories.clone())
    }

    /// The log directories, in the order of the configuration.
    pub(super) fn directories(&self) -> impl Iterator<Item = (DirectoryId, &PathBuf)> {
        (0..).map(DirectoryId).zip(&self.folders.log_directories)
    }
}
