//! One member of a classic group.

use std::sync::Arc;

use bytes::Bytes;

use crate::ReplyToken;
use crate::record::StoredMember;
use crate::request::JoinProtocol;

/// A way to assign partitions that the member can take part in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Protocol {
    pub(crate) name: String,
    pub(crate) metadata: Bytes,
}

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) member_id: Arc<str>,
    pub(crate) group_instance_id: Option<Arc<str>>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    /// In order of preference; no name twice.
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) assignment: Bytes,
    /// Set by the group alone, which counts.
    pub(super) awaiting_join: Option<ReplyToken>,
    pub(super) awaiting_sync: Option<ReplyToken>,
    /// In its first rebalance: it cannot send heartbeats yet, so waiting does not keep it alive.
    pub(crate) is_new: bool,
}

impl Member {
    pub(crate) fn from_stored(stored: &StoredMember, protocol_name: &str) -> Self {
        let protocol =
            Protocol { name: protocol_name.to_owned(), metadata: stored.subscription.clone() };
        Self {
            member_id: stored.member_id.clone(),
            group_instance_id: stored.group_instance_id.clone(),
            client_id: stored.client_id.clone(),
            client_host: stored.client_host.clone(),
            rebalance_timeout_ms: stored.rebalance_timeout_ms,
            session_timeout_ms: stored.session_timeout_ms,
            protocols: vec![protocol],
            assignment: stored.assignment.clone(),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: false,
        }
    }

    pub(crate) fn is_static(&self) -> bool {
        self.group_instance_id.is_some()
    }

    pub(crate) fn is_awaiting_join(&self) -> bool {
        self.awaiting_join.is_some()
    }

    /// What the member says under the protocol; nothing if it does not speak it.
    pub(crate) fn metadata(&self, protocol_name: Option<&str>) -> Bytes {
        let spoken = self.protocols.iter().find(|protocol| Some(&*protocol.name) == protocol_name);
        spoken.map(|protocol| protocol.metadata.clone()).unwrap_or_default()
    }

    /// Whether the member would join with exactly what it joined with before.
    pub(crate) fn matches(&self, protocols: &[Protocol]) -> bool {
        self.protocols == protocols
    }

    /// A member that waits for the others is alive.
    pub(crate) fn has_satisfied_heartbeat(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }

    pub(crate) fn group_instance_id_text(&self) -> Option<String> {
        self.group_instance_id.as_deref().map(str::to_owned)
    }
}

/// The protocols of a request, each name once.
pub(crate) fn owned_protocols(requested: &[JoinProtocol<'_>]) -> Vec<Protocol> {
    let mut protocols: Vec<Protocol> = Vec::with_capacity(requested.len());
    for protocol in requested {
        if protocols.iter().all(|known| known.name != protocol.name) {
            let metadata = Bytes::copy_from_slice(protocol.metadata);
            protocols.push(Protocol { name: protocol.name.to_owned(), metadata });
        }
    }
    protocols
}
