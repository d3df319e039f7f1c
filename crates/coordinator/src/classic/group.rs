//! Members of a classic group: who belongs to it, who waits, who leads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use strom_base::Now;

use super::member::{Member, Protocol};
use super::state::State;
use crate::record::StoredGroup;
use crate::{ErrorCode, ReplyToken};

/// Soft state of one group. Fields that count or index members are private to `classic`.
#[derive(Clone, Debug)]
pub(crate) struct ClassicGroup {
    pub(super) state: State,
    pub(super) previous_state: State,
    pub(super) state_timestamp_ms: Option<i64>,
    pub(super) protocol_type: Option<String>,
    pub(super) protocol_name: Option<String>,
    pub(super) generation_id: i32,
    /// Who was first to join; always a member, or none when there is none.
    pub(super) leader: Option<Arc<str>>,
    pub(super) members: BTreeMap<Arc<str>, Member>,
    /// Instance id to member id.
    pub(super) static_members: BTreeMap<Arc<str>, Arc<str>>,
    /// Ids that were given out and have not come back yet.
    pub(super) pending_join: BTreeSet<Arc<str>>,
    /// Members of this generation that have not asked for their assignment yet.
    pub(super) pending_sync: BTreeSet<Arc<str>>,
    pub(super) awaiting_join_count: usize,
    /// How many members speak each protocol.
    pub(super) supported: BTreeMap<String, usize>,
    /// None when the group is not a consumer group or does not say what it reads.
    pub(super) subscribed_topics: Option<BTreeSet<String>>,
    /// Somebody joined since the initial rebalance was last put off.
    pub(super) new_member_added: bool,
    /// Set while the first members of an empty group are awaited.
    pub(super) initial_delay: Option<InitialDelay>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct InitialDelay {
    pub(super) delay_ms: i32,
    pub(super) remaining_ms: i32,
}

/// Requests that waited for a member who is gone.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub(crate) struct Removed {
    pub(crate) join: Option<ReplyToken>,
    pub(crate) sync: Option<ReplyToken>,
}

impl ClassicGroup {
    pub(crate) fn new(now: Now) -> Self {
        let stored = StoredGroup { state_timestamp_ms: Some(now.wall_ms), ..Default::default() };
        Self::from_stored(&stored)
    }

    pub(crate) fn from_stored(stored: &StoredGroup) -> Self {
        let state = if stored.members.is_empty() { State::Empty } else { State::Stable };
        let mut group = Self {
            state,
            previous_state: State::Dead,
            state_timestamp_ms: stored.state_timestamp_ms,
            protocol_type: stored.protocol_type.clone(),
            protocol_name: stored.protocol_name.clone(),
            generation_id: stored.generation_id,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_join: BTreeSet::new(),
            pending_sync: BTreeSet::new(),
            awaiting_join_count: 0,
            supported: BTreeMap::new(),
            subscribed_topics: None,
            new_member_added: false,
            initial_delay: None,
        };
        let protocol_name = stored.protocol_name.as_deref().unwrap_or_default();
        for member in &stored.members {
            // A record with a member twice was not written by Kafka or by us; nobody waits here.
            let _ = group.add(Member::from_stored(member, protocol_name));
        }
        if let Some(leader) = &stored.leader
            && group.members.contains_key(leader)
        {
            group.leader = Some(leader.clone());
        }
        group.subscribed_topics = group.compute_subscribed_topics();
        group
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    pub(super) fn transition_to(&mut self, now: Now, next: State) {
        debug_assert!(self.state.may_become(next), "{:?} cannot become {next:?}", self.state);
        self.previous_state = self.state;
        self.state = next;
        self.state_timestamp_ms = Some(now.wall_ms);
    }

    /// Adds a member, who leads if there is no leader; whoever had its ids is gone.
    pub(super) fn add(&mut self, member: Member) -> Removed {
        let id = member.member_id.clone();
        let mut removed = self.remove(&id);
        if let Some(instance_id) = &member.group_instance_id {
            if let Some(previous) = self.static_members.get(instance_id).cloned() {
                removed = self.remove(&previous);
            }
            self.static_members.insert(instance_id.clone(), id.clone());
        }
        self.leader.get_or_insert_with(|| id.clone());
        self.count_protocols(&member.protocols, true);
        self.awaiting_join_count += usize::from(member.is_awaiting_join());
        self.members.insert(id, member);
        removed
    }

    /// Removes a member or a pending member, if there is one of that id.
    pub(super) fn remove(&mut self, member_id: &str) -> Removed {
        self.pending_join.remove(member_id);
        self.pending_sync.remove(member_id);
        let Some(member) = self.members.remove(member_id) else { return Removed::default() };
        self.count_protocols(&member.protocols, false);
        self.awaiting_join_count -= usize::from(member.is_awaiting_join());
        if let Some(instance_id) = &member.group_instance_id {
            self.static_members.remove(instance_id);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        Removed { join: member.awaiting_join, sync: member.awaiting_sync }
    }

    /// Gives a static member's place to a new member id. The caller fences who waited under the
    /// old.
    pub(super) fn replace_static_member(&mut self, old_id: &str, new_id: Arc<str>) -> Removed {
        let Some(mut member) = self.members.remove(old_id) else { return Removed::default() };
        let removed =
            Removed { join: member.awaiting_join.take(), sync: member.awaiting_sync.take() };
        self.awaiting_join_count -= usize::from(removed.join.is_some());
        self.pending_sync.remove(old_id);
        if self.is_leader(old_id) {
            self.leader = Some(new_id.clone());
        }
        if let Some(instance_id) = &member.group_instance_id {
            self.static_members.insert(instance_id.clone(), new_id.clone());
        }
        member.member_id = new_id.clone();
        member.is_new = false;
        self.members.insert(new_id, member);
        removed
    }

    /// Takes over what a rejoining member brings.
    pub(super) fn update_member(
        &mut self,
        member_id: &str,
        protocols: Vec<Protocol>,
        (rebalance_timeout_ms, session_timeout_ms): (i32, i32),
    ) {
        let Some(mut member) = self.members.remove(member_id) else { return };
        self.count_protocols(&member.protocols, false);
        self.count_protocols(&protocols, true);
        member.protocols = protocols;
        member.rebalance_timeout_ms = rebalance_timeout_ms;
        member.session_timeout_ms = session_timeout_ms;
        self.members.insert(member.member_id.clone(), member);
    }

    /// The member's join waits from now on. Gives back a join of the same member that waited
    /// already.
    pub(super) fn park_join(&mut self, member_id: &str, token: ReplyToken) -> Option<ReplyToken> {
        let member = self.members.get_mut(member_id)?;
        let previous = member.awaiting_join.replace(token);
        self.awaiting_join_count += usize::from(previous.is_none());
        previous
    }

    pub(super) fn take_join(&mut self, member_id: &str) -> Option<ReplyToken> {
        let token = self.members.get_mut(member_id)?.awaiting_join.take();
        self.awaiting_join_count -= usize::from(token.is_some());
        token
    }

    pub(super) fn has_all_members_joined(&self) -> bool {
        self.members.len() == self.awaiting_join_count && self.pending_join.is_empty()
    }

    /// The leader if it has rejoined, else any member that has; false when nobody has.
    pub(super) fn elect_joined_leader(&mut self) -> bool {
        let Some(leader) = self.leader.as_ref().and_then(|id| self.members.get(id)) else {
            return false;
        };
        if leader.is_awaiting_join() {
            return true;
        }
        match self.members.values().find(|member| member.is_awaiting_join()) {
            Some(member) => {
                self.leader = Some(member.member_id.clone());
                true
            }
            None => false,
        }
    }

    /// The longest that any member needs to rejoin.
    pub(super) fn rebalance_timeout_ms(&self) -> i32 {
        self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0).max(0)
    }

    /// Whether the member exists and is who it says it is.
    pub(crate) fn validate_member(
        &self,
        member_id: &str,
        group_instance_id: Option<&str>,
    ) -> Result<(), ErrorCode> {
        if let Some(instance_id) = group_instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(known) if &**known != member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }
}
