//! Reads records: partitions that the caller names, or those that a group assigns.

use super::admin::offsets::{EARLIEST, LATEST, TopicPartition};
use super::group::GroupMember;
use super::{Attempts, Clock, Cluster};
use crate::core::fetch::{FetchSettings, Fetcher, Trouble};
use crate::core::membership::{GroupSettings, Membership};
use crate::core::record::ConsumedRecord;
use crate::error::{Refusal, Result};
use std::collections::BTreeMap;
use std::time::Duration;
use strom_protocol::ErrorCode;
use strom_protocol::fetch_response::FetchResponse;

/// How long subscribed topics are taken to be as they were; Kafka's `metadata.max.age.ms`.
const METADATA_AGE_MS: u64 = 300_000;
/// The same while none of them exists.
const NO_TOPIC_AGE_MS: u64 = 1_000;

/// Where to begin when there is no offset, or one that the log does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetReset {
    Earliest,
    Latest,
    Refuse,
}

/// Where to begin in a partition that the caller names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Earliest,
    Latest,
    Offset(i64),
}

#[derive(Clone, Copy, Debug)]
pub struct ConsumerSettings {
    pub fetch: FetchSettings,
    pub reset: OffsetReset,
    pub auto_commit: bool,
    pub auto_commit_interval_ms: u64,
}

impl Default for ConsumerSettings {
    fn default() -> Self {
        ConsumerSettings {
            fetch: FetchSettings::default(),
            reset: OffsetReset::Latest,
            auto_commit: true,
            auto_commit_interval_ms: 5_000,
        }
    }
}

pub struct Consumer {
    cluster: Cluster,
    settings: ConsumerSettings,
    fetcher: Fetcher,
    member: Option<GroupMember>,
    joined: bool,
    clock: Clock,
    next_commit_ms: u64,
    committed: BTreeMap<TopicPartition, i64>,
    /// How many partitions the subscribed topics had when the group was joined.
    partition_counts: BTreeMap<String, usize>,
    next_look_ms: u64,
}

impl Consumer {
    fn new(cluster: Cluster, settings: ConsumerSettings, member: Option<GroupMember>) -> Self {
        Consumer {
            cluster,
            settings,
            fetcher: Fetcher::new(settings.fetch),
            member,
            joined: false,
            clock: Clock::start(),
            next_commit_ms: settings.auto_commit_interval_ms,
            committed: BTreeMap::new(),
            partition_counts: BTreeMap::new(),
            next_look_ms: 0,
        }
    }

    /// Reads the given partitions without a group.
    ///
    /// # Errors
    /// `Refused` for a partition that does not exist.
    pub async fn assign(
        cluster: Cluster,
        settings: ConsumerSettings,
        starts: &BTreeMap<TopicPartition, Start>,
    ) -> Result<Self> {
        let mut consumer = Consumer::new(cluster, settings, None);
        let mut offsets = BTreeMap::new();
        for (start, timestamp) in [(Start::Earliest, EARLIEST), (Start::Latest, LATEST)] {
            let wanted = starts.iter().filter(|(_, wanted)| **wanted == start);
            let partitions: Vec<TopicPartition> = wanted.map(|(key, _)| key.clone()).collect();
            offsets.extend(consumer.offsets_at(&partitions, timestamp).await?);
        }
        let mut given = Vec::new();
        for (key, start) in starts {
            if let Start::Offset(offset) = start {
                given.push(key.clone());
                offsets.insert(key.clone(), *offset);
            }
        }
        if !given.is_empty() {
            let names: Vec<&str> = given.iter().map(|(topic, _)| topic.as_str()).collect();
            let metadata = consumer.cluster.refresh(Some(&names)).await?;
            if given.iter().any(|(topic, index)| metadata.partition(topic, *index).is_none()) {
                let code = ErrorCode::UnknownTopicOrPartition;
                return Err(Refusal { code, message: None }.into());
            }
        }
        consumer.fetcher.assign(offsets);
        Ok(consumer)
    }

    /// Reads the partitions that the group gives to this member.
    ///
    /// # Errors
    /// `Unwritable` when a topic's name cannot be written.
    pub fn subscribe(
        cluster: Cluster,
        settings: ConsumerSettings,
        group: GroupSettings,
        topics: Vec<String>,
    ) -> Result<Self> {
        let member = GroupMember::new(Membership::new(group, topics)?);
        Ok(Consumer::new(cluster, settings, Some(member)))
    }

    /// The next record; `None` when none came within `patience`.
    ///
    /// May be dropped half way and called again.
    ///
    /// # Errors
    /// `Refused`, `MalformedBatch`, or what keeps the cluster from being reached.
    pub async fn next(&mut self, patience: Option<Duration>) -> Result<Option<ConsumedRecord>> {
        let deadline = patience.map(|patience| tokio::time::Instant::now() + patience);
        loop {
            if let Some(record) = self.fetcher.pop() {
                return Ok(Some(record));
            }
            if deadline.is_some_and(|deadline| tokio::time::Instant::now() >= deadline) {
                return Ok(None);
            }
            match deadline {
                // Without its group there is nothing to lose by giving up in the middle.
                Some(deadline) if self.member.is_some() && !self.joined => {
                    match tokio::time::timeout_at(deadline, self.turn()).await {
                        Ok(turned) => turned?,
                        Err(_) => return Ok(None),
                    }
                }
                _ => self.turn().await?,
            }
        }
    }

    /// Whether [`Self::next`] has a record at hand.
    #[must_use]
    pub fn has_records(&self) -> bool {
        self.fetcher.has_records()
    }

    async fn turn(&mut self) -> Result<()> {
        self.take_part_in_group().await?;
        if self.settings.auto_commit && self.clock.now().monotonic_ms >= self.next_commit_ms {
            self.commit().await?;
        }
        let mut attempts = Attempts::new(self.cluster.settings());
        loop {
            match self.fetch().await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    attempts.after(error).await?;
                    self.refresh_topics().await?;
                }
            }
        }
    }

    async fn take_part_in_group(&mut self) -> Result<()> {
        let Some(member) = &mut self.member else { return Ok(()) };
        if self.joined {
            let rebalancing = member.keep_alive(&mut self.cluster, self.clock).await?;
            if !rebalancing && !self.topics_have_changed().await? {
                return Ok(());
            }
            if self.settings.auto_commit {
                // The partitions may be another member's soon. A refusal changes nothing here.
                let _ = self.commit().await;
            }
        }
        self.joined = false;
        let Some(member) = &mut self.member else { return Ok(()) };
        member.join(&mut self.cluster, self.clock).await?;
        self.joined = true;
        self.begin_assignment().await
    }

    /// Whether topics came or grew since the group was joined: its leader does not know of them.
    async fn topics_have_changed(&mut self) -> Result<bool> {
        if self.clock.now().monotonic_ms < self.next_look_ms {
            return Ok(false);
        }
        let known = std::mem::take(&mut self.partition_counts);
        self.count_partitions().await?;
        Ok(self.partition_counts != known)
    }

    async fn count_partitions(&mut self) -> Result<()> {
        let Some(member) = &self.member else { return Ok(()) };
        let names: Vec<&str> = member.membership.topics().iter().map(String::as_str).collect();
        let topics = &self.cluster.refresh(Some(&names)).await?.topics;
        let known = names.iter().filter_map(|name| topics.get(*name));
        self.partition_counts =
            known.map(|topic| (topic.name.clone(), topic.partitions.len())).collect();
        let age_ms =
            if self.partition_counts.is_empty() { NO_TOPIC_AGE_MS } else { METADATA_AGE_MS };
        self.next_look_ms = self.clock.now().monotonic_ms.saturating_add(age_ms);
        Ok(())
    }

    async fn begin_assignment(&mut self) -> Result<()> {
        let Some(member) = &self.member else { return Ok(()) };
        let partitions: Vec<TopicPartition> =
            member.membership.assignment().iter().cloned().collect();
        let group = member.membership.group_id().to_owned();
        self.committed.clear();
        self.count_partitions().await?;
        let mut offsets = BTreeMap::new();
        if !partitions.is_empty() {
            let found = self.cluster.committed_offsets(&group, Some(&partitions)).await?;
            offsets = found.into_iter().map(|(key, found)| (key, found.offset)).collect();
        }
        self.committed.clone_from(&offsets);
        let missing: Vec<TopicPartition> =
            partitions.into_iter().filter(|key| !offsets.contains_key(key)).collect();
        offsets.extend(self.reset_offsets(&missing).await?);
        self.fetcher.assign(offsets);
        self.refresh_topics().await
    }

    async fn reset_offsets(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>> {
        match self.settings.reset {
            OffsetReset::Earliest => self.offsets_at(partitions, EARLIEST).await,
            OffsetReset::Latest => self.offsets_at(partitions, LATEST).await,
            OffsetReset::Refuse if partitions.is_empty() => Ok(BTreeMap::new()),
            OffsetReset::Refuse => {
                let code = ErrorCode::OffsetOutOfRange;
                Err(Refusal { code, message: None }.into())
            }
        }
    }

    async fn offsets_at(
        &mut self,
        partitions: &[TopicPartition],
        timestamp: i64,
    ) -> Result<BTreeMap<TopicPartition, i64>> {
        let isolation_level = self.settings.fetch.isolation_level;
        let found = self.cluster.list_offsets(partitions, timestamp, isolation_level).await?;
        Ok(found.into_iter().map(|(key, offset)| (key, offset.unwrap_or(0))).collect())
    }

    async fn refresh_topics(&mut self) -> Result<()> {
        let names: Vec<&str> =
            self.fetcher.positions().keys().map(|(topic, _)| topic.as_str()).collect();
        if !names.is_empty() {
            self.cluster.refresh(Some(&names)).await?;
        }
        Ok(())
    }

    /// Asks all leaders at once, then takes their answers.
    async fn fetch(&mut self) -> Result<()> {
        let leaders = self.fetcher.leaders(self.cluster.metadata());
        if leaders.is_empty() {
            // Nothing to read yet: an empty assignment, or an election.
            let wait_ms = self.settings.fetch.max_wait_ms.max(1) as u64;
            tokio::time::sleep(Duration::from_millis(wait_ms.min(500))).await;
            return self.refresh_topics().await;
        }
        let mut waiting = Vec::new();
        for node in leaders {
            let request = self.fetcher.request(self.cluster.metadata(), node);
            let outcome = match self.cluster.node(node).await {
                Ok(connection) => connection.send(&request).await,
                Err(error) => Err(error),
            };
            waiting.push((node, self.cluster.drop_if_lost(node, outcome)?));
        }
        let mut troubles = Vec::new();
        let timeout_ms = self.cluster.settings().request_timeout_ms;
        for (node, correlation_id) in waiting {
            let connection = self.cluster.node(node).await?;
            let outcome = connection.receive(correlation_id, timeout_ms).await;
            let answer = self.cluster.drop_if_lost(node, outcome)?;
            let response: FetchResponse<'_> = answer.decode()?;
            Refusal::check(response.error_code, None)?;
            troubles.extend(self.fetcher.on_response(&response)?);
        }
        self.settle(troubles).await
    }

    async fn settle(&mut self, troubles: Vec<Trouble>) -> Result<()> {
        let mut stale = self.fetcher.is_stale(self.cluster.metadata());
        for trouble in troubles {
            match trouble {
                Trouble::OutOfRange(partition) => {
                    let offsets = self.reset_offsets(std::slice::from_ref(&partition)).await?;
                    for (partition, offset) in offsets {
                        self.fetcher.seek(&partition, offset);
                    }
                }
                Trouble::Stale => stale = true,
                Trouble::Refused((topic, index), code) => {
                    let text = crate::error::default_message(code);
                    let message = Some(format!("{topic}-{index}: {text}"));
                    return Err(Refusal { code, message }.into());
                }
            }
        }
        if stale {
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.refresh_topics().await?;
        }
        Ok(())
    }

    /// Commits what has been handed out, as far as it has moved.
    ///
    /// # Errors
    /// `Refused` when the member is no longer in the group.
    pub async fn commit(&mut self) -> Result<()> {
        let interval = self.settings.auto_commit_interval_ms;
        self.next_commit_ms = self.clock.now().monotonic_ms.saturating_add(interval);
        let Some(member) = &self.member else { return Ok(()) };
        let positions = self.fetcher.positions().iter();
        let offsets: BTreeMap<TopicPartition, i64> = positions
            .map(|(key, position)| (key.clone(), position.next_offset))
            .filter(|(key, offset)| self.committed.get(key) != Some(offset))
            .collect();
        if offsets.is_empty() || !self.joined {
            return Ok(());
        }
        self.cluster.commit_offsets(member.committer(), &offsets).await?;
        self.committed.extend(offsets);
        Ok(())
    }

    /// Commits and leaves the group.
    ///
    /// # Errors
    /// Those of [`Self::commit`].
    pub async fn close(mut self) -> Result<()> {
        let committed = if self.settings.auto_commit { self.commit().await } else { Ok(()) };
        if let Some(member) = &mut self.member {
            member.leave(&mut self.cluster).await?;
        }
        committed
    }
}
