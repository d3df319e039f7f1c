//! `strom storage format`: writes who the folders belong to, and what the cluster begins with.

use std::io::Write;

use strom_base::Uuid;
use strom_broker::boot::format::NewFolder;
use strom_broker::boot::identity;
use strom_metadata::bootstrap::BootstrapLevels;
use strom_metadata::features::METADATA_VERSION;
use strom_raft::{Voter, VoterEndpoint, VoterSet};
use strom_storage::disk::{DirectoryId, Disk, DiskPath};

use super::node::Node;
use super::{FormatArguments, features, random, wall};
use crate::failure::{Failure, Outcome};

pub(super) fn perform(output: &mut impl Write, arguments: &FormatArguments) -> Outcome {
    let node = Node::read(&arguments.config)?;
    check_quorum(arguments, &node)?;
    let levels = features::levels(arguments.release_version.as_deref(), &arguments.feature)?;
    let blank = unformatted(arguments, &node)?;
    if blank.is_empty() {
        writeln!(output, "All of the log directories are already formatted.")?;
        return Ok(());
    }
    writeln!(output, "Bootstrap metadata: {}", described(&levels))?;
    let formatting = Formatting { arguments, node: &node, levels: &levels };
    for directory in blank {
        formatting.folder(output, directory)?;
    }
    Ok(())
}

fn check_quorum(arguments: &FormatArguments, node: &Node) -> Outcome {
    if !arguments.add_scram.is_empty() {
        return Err(Failure::said("--add-scram is not supported yet: format without it"));
    }
    let dynamic = arguments.standalone || arguments.initial_controllers.is_some();
    if dynamic && node.has_static_voters {
        return Err(Failure::said(
            "You cannot specify controller.quorum.voters and format the node with \
             --initial-controllers or --standalone. If you want to use dynamic quorum, please \
             remove controller.quorum.voters and specify controller.quorum.bootstrap.servers \
             instead.",
        ));
    }
    if arguments.standalone && !node.is_controller {
        return Err(Failure::said("You can only use --standalone on a controller."));
    }
    let chosen = dynamic || arguments.no_initial_controllers || node.has_static_voters;
    if node.is_controller && !chosen {
        return Err(Failure::said(
            "Because controller.quorum.voters is not set on this controller, you must specify one \
             of the following: --standalone, --initial-controllers, or --no-initial-controllers.",
        ));
    }
    Ok(())
}

/// The folders to be formatted, the metadata log's first. Nothing is touched here.
fn unformatted(arguments: &FormatArguments, node: &Node) -> Outcome<Vec<DirectoryId>> {
    let disk = node.disk();
    let mut blank = Vec::new();
    for (directory, folder) in node.directories() {
        let Some(found) = identity::read_one(&disk, directory)? else {
            blank.push(directory);
            continue;
        };
        let name = folder.display();
        if !arguments.ignore_formatted {
            return Err(Failure::said(format!(
                "Log directory {name} is already formatted. Use --ignore-formatted to ignore this \
                 directory and format the others."
            )));
        }
        let cluster_id = found.cluster_id.unwrap_or_default();
        if cluster_id != arguments.cluster_id {
            return Err(Failure::said(format!(
                "Invalid cluster.id in: {name}/meta.properties. Expected {}, but read {cluster_id}",
                arguments.cluster_id
            )));
        }
        if found.node_id.is_some_and(|node_id| node_id != node.node_id) {
            return Err(Failure::said(format!(
                "Invalid node.id in: {name}/meta.properties. Expected {}, but read {}",
                node.node_id,
                found.node_id.unwrap_or_default()
            )));
        }
    }
    blank.sort_by_key(|directory| *directory != node.folders.metadata_directory);
    Ok(blank)
}

/// As Kafka's tool prints its own object.
fn described(levels: &BootstrapLevels) -> String {
    let records: Vec<String> = levels
        .iter()
        .map(|(name, level)| {
            format!(
                "ApiMessageAndVersion(FeatureLevelRecord(name='{name}', featureLevel={level}) at \
                 version 0)"
            )
        })
        .collect();
    let level = levels.level(METADATA_VERSION);
    format!(
        "BootstrapMetadata(records=[{}], metadataVersionLevel={level}, source=format command)",
        records.join(", ")
    )
}

struct Formatting<'a> {
    arguments: &'a FormatArguments,
    node: &'a Node,
    levels: &'a BootstrapLevels,
}

impl Formatting<'_> {
    fn folder(&self, output: &mut impl Write, directory: DirectoryId) -> Outcome {
        let mut disk = self.node.disk();
        let is_metadata = directory == self.node.folders.metadata_directory;
        let is_metadata = is_metadata && self.node.is_controller;
        let voters = if is_metadata { self.voters()? } else { None };
        let kind = match (is_metadata, &voters) {
            (true, Some(_)) => "dynamic metadata voter directory",
            (true, None) => "metadata directory",
            (false, _) => "data directory",
        };
        writeln!(
            output,
            "Formatting {kind} {} with metadata.version {}.",
            disk.describe(&DiskPath { directory, path: String::new() }),
            features::release_name(self.levels.level(METADATA_VERSION))
        )?;
        let folder = NewFolder {
            directory,
            cluster_id: &self.arguments.cluster_id,
            node_id: self.node.node_id,
            directory_id: match &voters {
                Some((directory_id, _)) => *directory_id,
                None => random()?.uuid(),
            },
            levels: self.levels,
            voters: voters.as_ref().map(|(_, voters)| voters),
            now_ms: i64::try_from(wall()?.as_millis()).unwrap_or(i64::MAX),
        };
        Ok(folder.format(&mut disk)?)
    }

    /// The first voters of a dynamic quorum, and the id of this node's folder among them.
    fn voters(&self) -> Outcome<Option<(Uuid, VoterSet)>> {
        let id = self.node.node_id;
        let endpoint = self.node.controller_endpoint.clone();
        if let Some(list) = &self.arguments.initial_controllers {
            let listener = endpoint.map_or_else(|| "CONTROLLER".to_owned(), |it| it.name);
            let voters = parse_controllers(list, &listener)?;
            let own = voters.find(id).map(|voter| voter.directory_id).ok_or_else(|| {
                Failure::said(format!("--initial-controllers does not name this node, {id}"))
            })?;
            return Ok(Some((own, voters)));
        }
        if !self.arguments.standalone {
            return Ok(None);
        }
        let endpoint = endpoint.ok_or_else(|| {
            Failure::said(
                "No controller listener in the configuration: set listeners and \
                 controller.listener.names",
            )
        })?;
        let directory_id = random()?.uuid();
        let voter = Voter { directory_id, endpoints: vec![endpoint], ..Voter::by_id(id) };
        Ok(Some((directory_id, VoterSet(vec![voter]))))
    }
}

/// Parses `0@host:9093:JEXY6aqzQY-32P5TStzaFg,…`.
fn parse_controllers(list: &str, listener: &str) -> Outcome<VoterSet> {
    let voters = list.split(',').map(|entry| {
        let parsed = entry.trim().split_once('@').and_then(|(id, rest)| {
            let (address, directory_id) = rest.rsplit_once(':')?;
            let (host, port) = address.rsplit_once(':')?;
            let endpoint = VoterEndpoint {
                name: listener.to_owned(),
                host: host.trim_matches(['[', ']']).to_owned(),
                port: port.parse().ok()?,
            };
            Some(Voter {
                directory_id: directory_id.parse().ok()?,
                endpoints: vec![endpoint],
                ..Voter::by_id(id.parse().ok()?)
            })
        });
        parsed
            .ok_or_else(|| Failure::said(format!("'{entry}' is not id@hostname:port:directory-id")))
    });
    voters.collect::<Outcome<Vec<_>>>().map(VoterSet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_are_named_with_their_directories() {
        let list = "0@a.example:8082:JEXY6aqzQY-32P5TStzaFg, 1@[::1]:8083:MvDxzVmcRsaTz33bUuRU6A";
        let voters = parse_controllers(list, "CONTROLLER").unwrap();
        assert_eq!((voters.0[0].id, voters.0[0].endpoints[0].port), (0, 8082));
        assert_eq!(voters.0[1].endpoints[0].host, "::1");
        assert!(parse_controllers("0@a:1", "CONTROLLER").is_err());
    }
}
