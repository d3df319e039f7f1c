//! What ApiVersions offers is answered, in every version, also to an empty request.

use strom_protocol::api_versions_request::ApiVersionsRequest;
use strom_protocol::api_versions_response::ApiVersionsResponse;
use strom_protocol::{ApiKey, Message};

use crate::memory_disk::MemoryDisk;
use crate::node::Node;

/// Sends the default request of each API in the version and reads the answer whole.
macro_rules! ask_all {
    ($node:expr, $api:expr, $version:expr, $($name:ident: $request:ident::$Request:ident
        => $response:ident::$Response:ident,)*) => {
        match $api {
            $(ApiKey::$name => {
                let request = strom_protocol::$request::$Request::default();
                let mut answer = $node.send($api, $version, &request);
                if answer.is_none() {
                    $node.wait(60_000);
                    answer = $node.answer($api, $version);
                }
                let answer = answer.unwrap_or_else(|| panic!("{:?} v{}", $api, $version));
                strom_protocol::$response::$Response::from_bytes(&answer, $version)
                    .unwrap_or_else(|error| panic!("{:?} v{}: {error}", $api, $version));
            })*
            other => panic!("{other:?} is offered and not tested here"),
        }
    };
}

fn ask(node: &mut Node, api: ApiKey, version: i16) {
    ask_all! { node, api, version,
        Fetch: fetch_request::FetchRequest
            => fetch_response::FetchResponse,
        ListOffsets: list_offsets_request::ListOffsetsRequest
            => list_offsets_response::ListOffsetsResponse,
        Metadata: metadata_request::MetadataRequest
            => metadata_response::MetadataResponse,
        OffsetCommit: offset_commit_request::OffsetCommitRequest
            => offset_commit_response::OffsetCommitResponse,
        OffsetFetch: offset_fetch_request::OffsetFetchRequest
            => offset_fetch_response::OffsetFetchResponse,
        Heartbeat: heartbeat_request::HeartbeatRequest
            => heartbeat_response::HeartbeatResponse,
        JoinGroup: join_group_request::JoinGroupRequest
            => join_group_response::JoinGroupResponse,
        SyncGroup: sync_group_request::SyncGroupRequest
            => sync_group_response::SyncGroupResponse,
        FindCoordinator: find_coordinator_request::FindCoordinatorRequest
            => find_coordinator_response::FindCoordinatorResponse,
        ApiVersions: api_versions_request::ApiVersionsRequest
            => api_versions_response::ApiVersionsResponse,
        AlterClientQuotas: alter_client_quotas_request::AlterClientQuotasRequest
            => alter_client_quotas_response::AlterClientQuotasResponse,
        AlterConfigs: alter_configs_request::AlterConfigsRequest
            => alter_configs_response::AlterConfigsResponse,
        AlterPartitionReassignments: alter_partition_reassignments_request::AlterPartitionReassignmentsRequest
            => alter_partition_reassignments_response::AlterPartitionReassignmentsResponse,
        AlterReplicaLogDirs: alter_replica_log_dirs_request::AlterReplicaLogDirsRequest
            => alter_replica_log_dirs_response::AlterReplicaLogDirsResponse,
        CreateAcls: create_acls_request::CreateAclsRequest
            => create_acls_response::CreateAclsResponse,
        CreatePartitions: create_partitions_request::CreatePartitionsRequest
            => create_partitions_response::CreatePartitionsResponse,
        CreateTopics: create_topics_request::CreateTopicsRequest
            => create_topics_response::CreateTopicsResponse,
        DeleteAcls: delete_acls_request::DeleteAclsRequest
            => delete_acls_response::DeleteAclsResponse,
        DeleteGroups: delete_groups_request::DeleteGroupsRequest
            => delete_groups_response::DeleteGroupsResponse,
        DeleteRecords: delete_records_request::DeleteRecordsRequest
            => delete_records_response::DeleteRecordsResponse,
        DeleteTopics: delete_topics_request::DeleteTopicsRequest
            => delete_topics_response::DeleteTopicsResponse,
        DescribeAcls: describe_acls_request::DescribeAclsRequest
            => describe_acls_response::DescribeAclsResponse,
        DescribeClientQuotas: describe_client_quotas_request::DescribeClientQuotasRequest
            => describe_client_quotas_response::DescribeClientQuotasResponse,
        DescribeCluster: describe_cluster_request::DescribeClusterRequest
            => describe_cluster_response::DescribeClusterResponse,
        DescribeConfigs: describe_configs_request::DescribeConfigsRequest
            => describe_configs_response::DescribeConfigsResponse,
        DescribeGroups: describe_groups_request::DescribeGroupsRequest
            => describe_groups_response::DescribeGroupsResponse,
        DescribeLogDirs: describe_log_dirs_request::DescribeLogDirsRequest
            => describe_log_dirs_response::DescribeLogDirsResponse,
        DescribeProducers: describe_producers_request::DescribeProducersRequest
            => describe_producers_response::DescribeProducersResponse,
        DescribeQuorum: describe_quorum_request::DescribeQuorumRequest
            => describe_quorum_response::DescribeQuorumResponse,
        DescribeTopicPartitions: describe_topic_partitions_request::DescribeTopicPartitionsRequest
            => describe_topic_partitions_response::DescribeTopicPartitionsResponse,
        ElectLeaders: elect_leaders_request::ElectLeadersRequest
            => elect_leaders_response::ElectLeadersResponse,
        IncrementalAlterConfigs: incremental_alter_configs_request::IncrementalAlterConfigsRequest
            => incremental_alter_configs_response::IncrementalAlterConfigsResponse,
        InitProducerId: init_producer_id_request::InitProducerIdRequest
            => init_producer_id_response::InitProducerIdResponse,
        LeaveGroup: leave_group_request::LeaveGroupRequest
            => leave_group_response::LeaveGroupResponse,
        ListConfigResources: list_config_resources_request::ListConfigResourcesRequest
            => list_config_resources_response::ListConfigResourcesResponse,
        ListGroups: list_groups_request::ListGroupsRequest
            => list_groups_response::ListGroupsResponse,
        ListPartitionReassignments: list_partition_reassignments_request::ListPartitionReassignmentsRequest
            => list_partition_reassignments_response::ListPartitionReassignmentsResponse,
        OffsetDelete: offset_delete_request::OffsetDeleteRequest
            => offset_delete_response::OffsetDeleteResponse,
        OffsetForLeaderEpoch: offset_for_leader_epoch_request::OffsetForLeaderEpochRequest
            => offset_for_leader_epoch_response::OffsetForLeaderEpochResponse,
        UnregisterBroker: unregister_broker_request::UnregisterBrokerRequest
            => unregister_broker_response::UnregisterBrokerResponse,
        UpdateFeatures: update_features_request::UpdateFeaturesRequest
            => update_features_response::UpdateFeaturesResponse,
    }
}

#[test]
fn every_version_that_is_offered_is_answered() {
    let mut node = Node::start(MemoryDisk::default());
    let bytes = node.send(
        ApiKey::ApiVersions,
        3,
        &ApiVersionsRequest {
            client_software_name: "test",
            client_software_version: "1",
            ..Default::default()
        },
    );
    let bytes = bytes.expect("an answer");
    let offered = ApiVersionsResponse::from_bytes(&bytes, 3).expect("decodes");
    assert!(offered.api_keys.len() > 30);
    for api in &offered.api_keys {
        let key = ApiKey::from_code(api.api_key).expect("known");
        // An empty produce asks for no answer: it has tests of its own.
        if key == ApiKey::Produce {
            continue;
        }
        let range = api.min_version..=api.max_version;
        for version in range.filter(|version| key.request_versions().contains(version)) {
            ask(&mut node, key, version);
        }
    }
}
