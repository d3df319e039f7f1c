//! Client quotas over the wire, and ACLs, which a node without an authorizer refuses.

use strom_protocol::alter_client_quotas_request::{self as alter, AlterClientQuotasRequest};
use strom_protocol::alter_client_quotas_response::AlterClientQuotasResponse;
use strom_protocol::create_acls_request::{AclCreation, CreateAclsRequest};
use strom_protocol::create_acls_response::CreateAclsResponse;
use strom_protocol::describe_client_quotas_request::{ComponentData, DescribeClientQuotasRequest};
use strom_protocol::describe_client_quotas_response::DescribeClientQuotasResponse;
use strom_protocol::{ApiKey, ErrorCode, Message};

use crate::memory_disk::MemoryDisk;
use crate::node::Node;

/// Type and name; the name is `None` for the default of the type.
type Part<'a> = (&'a str, Option<&'a str>);

const KEY: &str = "request_percentage";
const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const ANY: i8 = 2;

fn alter(node: &mut Node, parts: &[Part<'_>], value: Option<f64>, validate_only: bool) -> i16 {
    let entity = parts.iter().map(|(entity_type, entity_name)| alter::EntityData {
        entity_type,
        entity_name: *entity_name,
        ..Default::default()
    });
    let op = alter::OpData {
        key: KEY,
        value: value.unwrap_or_default(),
        remove: value.is_none(),
        ..Default::default()
    };
    let request = AlterClientQuotasRequest {
        entries: vec![alter::EntryData {
            entity: entity.collect(),
            ops: vec![op],
            ..Default::default()
        }],
        validate_only,
        ..Default::default()
    };
    let bytes = node.send(ApiKey::AlterClientQuotas, 1, &request).expect("an answer");
    let response = AlterClientQuotasResponse::from_bytes(&bytes, 1).expect("decodes");
    let [entry] = response.entries.as_slice() else { panic!("{response:?}") };
    assert_eq!(entry.entity.len(), parts.len());
    entry.error_code
}

/// The values found, or the error's code.
fn describe(
    node: &mut Node,
    filter: &[(&str, i8, Option<&str>)],
    strict: bool,
) -> Result<Vec<f64>, i16> {
    let components = filter.iter().map(|(entity_type, match_type, match_)| ComponentData {
        entity_type,
        match_type: *match_type,
        match_: *match_,
        ..Default::default()
    });
    let request = DescribeClientQuotasRequest {
        components: components.collect(),
        strict,
        ..Default::default()
    };
    let bytes = node.send(ApiKey::DescribeClientQuotas, 1, &request).expect("an answer");
    let response = DescribeClientQuotasResponse::from_bytes(&bytes, 1).expect("decodes");
    let Some(entries) = response.entries else {
        assert!(response.error_message.is_some_and(|text| !text.is_empty()));
        return Err(response.error_code);
    };
    let values = entries.iter().flat_map(|entry| {
        assert!(entry.values.iter().all(|value| value.key == KEY));
        entry.values.iter().map(|value| value.value)
    });
    Ok(values.collect())
}

#[test]
fn quotas_are_found_by_their_entities_also_after_a_restart() {
    let mut node = Node::start(MemoryDisk::default());
    let quotas: [(&[Part<'_>], f64); 4] = [
        (&[("user", Some("u"))], 1.0),
        (&[("user", None)], 2.0),
        (&[("user", Some("u")), ("client-id", Some("c"))], 3.0),
        (&[("client-id", Some("c"))], 4.0),
    ];
    for (entity, value) in quotas {
        assert_eq!(alter(&mut node, entity, Some(9.0), true), 0);
        assert_eq!(describe(&mut node, &[], false).map(|all| all.contains(&value)), Ok(false));
        assert_eq!(alter(&mut node, entity, Some(value), false), 0);
    }
    let refused = alter(&mut node, &[("user", Some(""))], Some(1.0), false);
    assert_eq!(refused, ErrorCode::InvalidRequest.code());
    let mut node = Node::start(node.stop());
    assert_eq!(describe(&mut node, &[], false).map(|it| it.len()), Ok(4));
    let user = [("user", EXACT, Some("u"))];
    assert_eq!(describe(&mut node, &user, true), Ok(vec![1.0]));
    assert_eq!(describe(&mut node, &user, false), Ok(vec![3.0, 1.0]));
    assert_eq!(describe(&mut node, &[("user", DEFAULT, None)], false), Ok(vec![2.0]));
    let both = [("user", ANY, None), ("client-id", ANY, None)];
    assert_eq!(describe(&mut node, &both, true), Ok(vec![3.0]));
    assert_eq!(alter(&mut node, &[("user", Some("u"))], None, false), 0);
    assert_eq!(describe(&mut node, &user, true), Ok(Vec::new()));
}

#[test]
fn a_filter_that_makes_no_sense_is_refused() {
    let mut node = Node::start(MemoryDisk::default());
    let invalid = Err(ErrorCode::InvalidRequest.code());
    assert_eq!(describe(&mut node, &[("", ANY, None)], false), invalid);
    assert_eq!(describe(&mut node, &[("user", ANY, None), ("user", ANY, None)], false), invalid);
    assert_eq!(describe(&mut node, &[("user", EXACT, None)], false), invalid);
    assert_eq!(describe(&mut node, &[("user", DEFAULT, Some("u"))], false), invalid);
    assert_eq!(describe(&mut node, &[("user", 7, None)], false), invalid);
    assert_eq!(describe(&mut node, &[("user", ANY, None), ("ip", ANY, None)], false), invalid);
    let unsupported = Err(ErrorCode::UnsupportedVersion.code());
    assert_eq!(describe(&mut node, &[("group", ANY, None)], false), unsupported);
}

#[test]
fn each_acl_is_refused_as_without_an_authorizer() {
    let mut node = Node::start(MemoryDisk::default());
    let creations = vec![AclCreation::default(), AclCreation::default()];
    let request = CreateAclsRequest { creations, ..Default::default() };
    let bytes = node.send(ApiKey::CreateAcls, 3, &request).expect("an answer");
    let response = CreateAclsResponse::from_bytes(&bytes, 3).expect("decodes");
    let codes: Vec<i16> = response.results.iter().map(|result| result.error_code).collect();
    assert_eq!(codes, [ErrorCode::SecurityDisabled.code(); 2]);
}
