//! `controller.*` and `metadata.log.*`: the quorum of the metadata log.

use strom_base::config::NodeSettings;
use strom_raft::{SnapshotPolicy, VoterEndpoint};

use super::reachable_host;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuorumSettings {
    /// Ids of `controller.quorum.voters`, empty for a dynamic quorum.
    pub voters: Vec<i32>,
    /// Where others reach this node's controller.
    pub endpoints: Vec<VoterEndpoint>,
    pub snapshots: SnapshotPolicy,
}

impl QuorumSettings {
    #[must_use]
    pub fn of(node: &NodeSettings) -> Self {
        let log = &node.metadata_log;
        let controllers = node.listeners.iter().filter(|listener| listener.is_for_controllers);
        Self {
            voters: node.quorum.voters.clone(),
            endpoints: controllers
                .map(|listener| VoterEndpoint {
                    name: listener.name.clone(),
                    host: reachable_host(listener),
                    port: listener.advertised_port,
                })
                .collect(),
            snapshots: SnapshotPolicy {
                after_bytes: log.max_record_bytes_between_snapshots.unsigned_abs(),
                after_ms: log.max_snapshot_interval_ms,
                retention_bytes: log.max_retention_bytes,
                retention_ms: log.max_retention_ms,
            },
        }
    }
}

/// Asked before any folder is looked at: a node that would be another one than its file says must not
/// be formatted as a cluster of its own.
///
/// # Errors
/// One sentence: the file describes a node of a cluster of several.
pub(super) fn check(node: &NodeSettings) -> Result<(), String> {
    if !node.identity.is_broker || !node.identity.is_controller {
        return Err("process.roles names one role, but in this version a node is broker and \
                    controller in one: set process.roles=broker,controller"
            .to_owned());
    }
    if !node.quorum.is_alone(node.identity.node_id) {
        return Err(
            "the metadata quorum is of several nodes, but this version runs a quorum of one \
                    voter: name only this node in controller.quorum.voters, or in \
                    controller.quorum.bootstrap.servers"
                .to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use strom_base::config::{BrokerConfigLayers, ConfigMap};

    use super::*;

    #[test]
    fn voters_and_controller_listeners_are_read_as_kafka_writes_them() {
        let file: ConfigMap = [
            ("node.id", "1"),
            ("process.roles", "broker,controller"),
            ("controller.quorum.voters", "1@a:9093, 2@b:9093"),
            ("controller.listener.names", "CONTROLLER"),
            ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        let node = NodeSettings::new(BrokerConfigLayers::of_file(&file)).expect("well-formed");
        let found = QuorumSettings::of(&node);
        assert_eq!(found.voters, [1, 2]);
        let [endpoint] = found.endpoints.as_slice() else { panic!("{found:?}") };
        assert_eq!((endpoint.host.as_str(), endpoint.port), ("localhost", 9093));
    }

    #[test]
    fn a_node_of_several_is_refused() {
        let checked = |key: &str, value: &str| {
            let listeners = "PLAINTEXT://:9092,CONTROLLER://:9093";
            let file: ConfigMap = [
                ("node.id", "1"),
                ("controller.listener.names", "CONTROLLER"),
                ("listeners", listeners),
                (key, value),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
            check(&NodeSettings::new(BrokerConfigLayers::of_file(&file)).expect("well-formed"))
        };
        assert_eq!(checked("process.roles", "broker,controller"), Ok(()));
        assert_eq!(checked("controller.quorum.voters", "1@a:9093"), Ok(()));
        assert_eq!(checked("controller.quorum.bootstrap.servers", "a:9093"), Ok(()));
        assert!(checked("controller.quorum.bootstrap.servers", "a:9093,b:9093").is_err());
        assert!(checked("controller.quorum.voters", "1@a:9093,2@b:9093").is_err());
        assert!(checked("process.roles", "broker").is_err_and(|it| it.contains("process.roles")));
    }
}
