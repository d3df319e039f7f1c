//! One file per API: wire types in, calls of the cores, wire types out.
//!
//! [`SERVED`] is the one list of what this node serves: the gate admits by it and ApiVersions
//! advertises it, so that nothing is promised that is not here.

use std::ops::RangeInclusive;

use strom_protocol::{ApiKey, Reader};

use crate::Broker;
use crate::call::{Call, Outcome, RequestError};
use crate::cluster::EndpointType;
use crate::effect::Turn;
use crate::look_ups::{Needed, Open, Reached};

pub(crate) mod alter_client_quotas;
pub(crate) mod alter_configs;
pub(crate) mod alter_partition_reassignments;
pub(crate) mod alter_replica_log_dirs;
pub(crate) mod api_versions;
mod config_alterations;
pub(crate) mod create_acls;
pub(crate) mod create_partitions;
pub(crate) mod create_topics;
pub(crate) mod delete_acls;
pub(crate) mod delete_groups;
pub(crate) mod delete_records;
pub(crate) mod delete_topics;
pub(crate) mod describe_acls;
pub(crate) mod describe_client_quotas;
pub(crate) mod describe_cluster;
pub(crate) mod describe_configs;
pub(crate) mod describe_groups;
pub(crate) mod describe_log_dirs;
pub(crate) mod describe_producers;
pub(crate) mod describe_quorum;
pub(crate) mod describe_topic_partitions;
pub(crate) mod elect_leaders;
pub(crate) mod fetch;
pub(crate) mod find_coordinator;
pub(crate) mod heartbeat;
pub(crate) mod incremental_alter_configs;
pub(crate) mod init_producer_id;
pub(crate) mod join_group;
pub(crate) mod leave_group;
pub(crate) mod list_config_resources;
pub(crate) mod list_groups;
pub(crate) mod list_offsets;
pub(crate) mod list_partition_reassignments;
pub(crate) mod metadata;
pub(crate) mod offset_commit;
pub(crate) mod offset_delete;
pub(crate) mod offset_fetch;
pub(crate) mod offset_for_leader_epoch;
pub(crate) mod produce;
pub(crate) mod sync_group;
pub(crate) mod unregister_broker;
pub(crate) mod update_features;

/// Kafka's words for UNKNOWN_TOPIC_OR_PARTITION.
pub(crate) const UNKNOWN_PARTITION: &str = "This server does not host this topic-partition.";

/// What a handler tells the gate.
#[derive(Debug)]
pub(crate) enum Handled {
    Outcome(Outcome),
    /// The request has started something in the metadata log; run it again when the record at this
    /// offset is committed. The handler must not ask for the same thing twice.
    AfterCommit(i64),
    /// A look-up by time, that goes on later.
    LookUp {
        reached: Vec<Reached>,
        open: Vec<Open>,
        needed: Needed,
    },
}

impl From<Outcome> for Handled {
    fn from(outcome: Outcome) -> Self {
        Self::Outcome(outcome)
    }
}

type Handler =
    fn(&mut Broker, &mut Turn<'_>, &Call<'_>, &mut Reader<'_>) -> Result<Handled, RequestError>;

/// An API with the versions that are implemented and tested.
pub(crate) struct Served {
    pub(crate) api: ApiKey,
    pub(crate) versions: RangeInclusive<i16>,
    handler: Handler,
}

const fn serve(api: ApiKey, versions: RangeInclusive<i16>, handler: Handler) -> Served {
    Served { api, versions, handler }
}

/// The busiest first: the list is searched from the front.
pub(crate) const SERVED: &[Served] = &[
    serve(ApiKey::Fetch, 4..=18, fetch::handle),
    serve(ApiKey::ListOffsets, 1..=11, list_offsets::handle),
    serve(ApiKey::Metadata, 0..=13, metadata::handle),
    serve(ApiKey::OffsetCommit, 2..=10, offset_commit::handle),
    serve(ApiKey::OffsetFetch, 1..=10, offset_fetch::handle),
    serve(ApiKey::Heartbeat, 0..=4, heartbeat::handle),
    serve(ApiKey::JoinGroup, 0..=9, join_group::handle),
    serve(ApiKey::SyncGroup, 0..=5, sync_group::handle),
    serve(ApiKey::FindCoordinator, 0..=6, find_coordinator::handle),
    serve(ApiKey::ApiVersions, 0..=4, api_versions::handle),
    serve(ApiKey::AlterClientQuotas, 0..=1, alter_client_quotas::handle),
    serve(ApiKey::AlterConfigs, 0..=2, alter_configs::handle),
    serve(ApiKey::AlterPartitionReassignments, 0..=1, alter_partition_reassignments::handle),
    serve(ApiKey::AlterReplicaLogDirs, 1..=2, alter_replica_log_dirs::handle),
    serve(ApiKey::CreateAcls, 1..=3, create_acls::handle),
    serve(ApiKey::CreatePartitions, 0..=3, create_partitions::handle),
    serve(ApiKey::CreateTopics, 2..=7, create_topics::handle),
    serve(ApiKey::DeleteAcls, 1..=3, delete_acls::handle),
    serve(ApiKey::DeleteGroups, 0..=2, delete_groups::handle),
    serve(ApiKey::DeleteRecords, 0..=2, delete_records::handle),
    serve(ApiKey::DeleteTopics, 1..=6, delete_topics::handle),
    serve(ApiKey::DescribeAcls, 1..=3, describe_acls::handle),
    serve(ApiKey::DescribeClientQuotas, 0..=1, describe_client_quotas::handle),
    serve(ApiKey::DescribeCluster, 0..=2, describe_cluster::handle),
    serve(ApiKey::DescribeConfigs, 1..=4, describe_configs::handle),
    serve(ApiKey::DescribeGroups, 0..=6, describe_groups::handle),
    serve(ApiKey::DescribeLogDirs, 1..=5, describe_log_dirs::handle),
    serve(ApiKey::DescribeProducers, 0..=0, describe_producers::handle),
    serve(ApiKey::DescribeQuorum, 0..=2, describe_quorum::handle),
    serve(ApiKey::DescribeTopicPartitions, 0..=0, describe_topic_partitions::handle),
    serve(ApiKey::ElectLeaders, 0..=2, elect_leaders::handle),
    serve(ApiKey::IncrementalAlterConfigs, 0..=1, incremental_alter_configs::handle),
    serve(ApiKey::InitProducerId, 0..=5, init_producer_id::handle),
    serve(ApiKey::LeaveGroup, 0..=5, leave_group::handle),
    serve(ApiKey::ListConfigResources, 0..=1, list_config_resources::handle),
    serve(ApiKey::ListGroups, 0..=5, list_groups::handle),
    serve(ApiKey::ListPartitionReassignments, 0..=0, list_partition_reassignments::handle),
    serve(ApiKey::OffsetDelete, 0..=0, offset_delete::handle),
    serve(ApiKey::OffsetForLeaderEpoch, 2..=4, offset_for_leader_epoch::handle),
    serve(ApiKey::UnregisterBroker, 0..=0, unregister_broker::handle),
    serve(ApiKey::UpdateFeatures, 0..=2, update_features::handle),
];

/// Whether this version of the API is served. Produce has a path of its own through the gate:
/// its handler takes the frame apart.
pub(crate) fn serves(api: ApiKey, version: i16) -> bool {
    if api == ApiKey::Produce {
        return produce::VERSIONS.contains(&version);
    }
    SERVED.iter().any(|served| served.api == api && served.versions.contains(&version))
}

/// Whether a listener of this type offers the API. A controller's does so for what Apache Kafka's
/// offers, but for Fetch, which reads the metadata log there.
pub(crate) fn is_offered(endpoint: EndpointType, api: ApiKey) -> bool {
    match endpoint {
        EndpointType::Broker => true,
        EndpointType::Controller => api != ApiKey::Fetch && api.controller_versions().is_some(),
    }
}

/// Runs the handler of an API that is served.
pub(crate) fn handle(
    broker: &mut Broker,
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    reader: &mut Reader<'_>,
) -> Result<Handled, RequestError> {
    let served = SERVED.iter().find(|served| served.api == call.address.api);
    match served {
        Some(served) => (served.handler)(broker, turn, call, reader),
        None => Err(RequestError::Refused(format!("{} is not served", call.address.api.name()))),
    }
}
