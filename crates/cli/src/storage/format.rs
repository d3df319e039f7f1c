//! `strom storage format`: writes who the folders belong to, and what the cluster begins with.

use super::bootstrap::{self, NewVoter};
use super::node::Node;
use super::{FormatArguments, features, folders, random, wall};
use crate::failure::{Failure, Outcome};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use strom_base::Uuid;
use strom_metadata::features::METADATA_VERSION;
use strom_storage::format::meta_properties::{self, MetaProperties};

const METADATA_FOLDER: &str = "__cluster_metadata-0";

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
    for folder in &blank {
        formatting.folder(output, folder)?;
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
fn unformatted(arguments: &FormatArguments, node: &Node) -> Outcome<Vec<PathBuf>> {
    let mut blank = Vec::new();
    for folder in &node.log_directories {
        let Some(found) = folders::identity(folder)? else {
            blank.push(folder.clone());
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
    blank.sort_by_key(|folder| *folder != node.metadata_directory);
    Ok(blank)
}

/// As Kafka's tool prints its own object.
fn described(levels: &BTreeMap<String, i16>) -> String {
    let records: Vec<String> = bootstrap::recorded(levels)
        .into_iter()
        .map(|(name, level)| {
            format!(
                "ApiMessageAndVersion(FeatureLevelRecord(name='{name}', featureLevel={level}) at \
                 version 0)"
            )
        })
        .collect();
    let level = levels.get(METADATA_VERSION).copied().unwrap_or_default();
    format!(
        "BootstrapMetadata(records=[{}], metadataVersionLevel={level}, source=format command)",
        records.join(", ")
    )
}

struct Formatting<'a> {
    arguments: &'a FormatArguments,
    node: &'a Node,
    levels: &'a BTreeMap<String, i16>,
}

impl Formatting<'_> {
    fn folder(&self, output: &mut impl Write, folder: &Path) -> Outcome {
        let is_metadata = *folder == self.node.metadata_directory && self.node.is_controller;
        let voters = if is_metadata { self.voters()? } else { None };
        let kind = match (is_metadata, &voters) {
            (true, Some(_)) => "dynamic metadata voter directory",
            (true, None) => "metadata directory",
            (false, _) => "data directory",
        };
        let release = self.levels.get(METADATA_VERSION).copied().map(features::release_name);
        writeln!(
            output,
            "Formatting {kind} {} with metadata.version {}.",
            folder.display(),
            release.unwrap_or_default()
        )?;
        let now_ms = i64::try_from(wall()?.as_millis()).unwrap_or(i64::MAX);
        create(folder)?;
        let checkpoint = bootstrap::checkpoint(self.levels, now_ms)?;
        write(&folder.join(bootstrap::BOOTSTRAP_CHECKPOINT), &checkpoint)?;
        let (directory_id, voters) = match voters {
            Some((directory_id, voters)) => (directory_id, voters),
            None => (random()?.uuid(), Vec::new()),
        };
        if !voters.is_empty() {
            let folder = folder.join(METADATA_FOLDER);
            create(&folder)?;
            let bytes = bootstrap::voters_checkpoint(&voters, now_ms)?;
            write(&folder.join(bootstrap::VOTERS_CHECKPOINT), &bytes)?;
        }
        // Last: a folder without this file counts as not formatted.
        let identity = MetaProperties {
            version: 1,
            cluster_id: Some(self.arguments.cluster_id.clone()),
            node_id: Some(self.node.node_id),
            directory_id: Some(directory_id),
        };
        write(&folder.join(meta_properties::FILE_NAME), &meta_properties::format(&identity))
    }

    /// The first voters of a dynamic quorum, and the id of this node's folder among them.
    fn voters(&self) -> Outcome<Option<(Uuid, Vec<NewVoter>)>> {
        if let Some(list) = &self.arguments.initial_controllers {
            let endpoint = self.node.controller_endpoint.as_ref();
            let listener = endpoint.map_or("CONTROLLER", |(name, _, _)| name);
            let voters = parse_controllers(list, listener)?;
            let own = voters.iter().find(|voter| voter.voter_id == self.node.node_id);
            let own = own.map(|voter| voter.directory_id).ok_or_else(|| {
                let id = self.node.node_id;
                Failure::said(format!("--initial-controllers does not name this node, {id}"))
            })?;
            return Ok(Some((own, voters)));
        }
        if !self.arguments.standalone {
            return Ok(None);
        }
        let (listener, host, port) = self.node.controller_endpoint.clone().ok_or_else(|| {
            Failure::said(
                "No controller listener in the configuration: set listeners and \
                 controller.listener.names",
            )
        })?;
        let directory_id = random()?.uuid();
        let voter_id = self.node.node_id;
        let voter = NewVoter { voter_id, directory_id, listener, host, port };
        Ok(Some((directory_id, vec![voter])))
    }
}

/// Parses `0@host:9093:JEXY6aqzQY-32P5TStzaFg,…`.
fn parse_controllers(list: &str, listener: &str) -> Outcome<Vec<NewVoter>> {
    list.split(',')
        .map(|entry| {
            let parsed = entry.trim().split_once('@').and_then(|(id, rest)| {
                let (address, directory_id) = rest.rsplit_once(':')?;
                let (host, port) = address.rsplit_once(':')?;
                Some(NewVoter {
                    voter_id: id.parse().ok()?,
                    directory_id: directory_id.parse().ok()?,
                    listener: listener.to_owned(),
                    host: host.trim_matches(['[', ']']).to_owned(),
                    port: port.parse().ok()?,
                })
            });
            parsed.ok_or_else(|| {
                Failure::said(format!("'{entry}' is not id@hostname:port:directory-id"))
            })
        })
        .collect()
}

fn create(folder: &Path) -> Outcome {
    fs::create_dir_all(folder).map_err(|error| {
        Failure::said(format!(
            "Unable to create storage directory {}: {error}: give this user write access there",
            folder.display()
        ))
    })
}

/// Whole or not at all: through a file beside it.
fn write(path: &Path, bytes: &[u8]) -> Outcome {
    let beside = path.with_extension("tmp");
    let done = File::create(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path))
        .and_then(|()| match path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        });
    done.map_err(|error| Failure::said(format!("{} cannot be written: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_are_named_with_their_directories() {
        let list = "0@a.example:8082:JEXY6aqzQY-32P5TStzaFg, 1@[::1]:8083:MvDxzVmcRsaTz33bUuRU6A";
        let voters = parse_controllers(list, "CONTROLLER").unwrap();
        assert_eq!((voters[0].voter_id, voters[0].port), (0, 8082));
        assert_eq!(voters[1].host, "::1");
        assert!(parse_controllers("0@a:1", "CONTROLLER").is_err());
    }
}
