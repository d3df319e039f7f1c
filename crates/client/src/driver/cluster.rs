//! Connections to the nodes of a cluster, opened when needed.

use super::{Attempts, Connection};
use crate::core::connection::Answer;
use crate::error::{ClientError, Refusal, Result};
use crate::{Endpoint, Metadata, Settings};
use std::collections::BTreeMap;
use strom_protocol::describe_cluster_request::DescribeClusterRequest;
use strom_protocol::describe_cluster_response::DescribeClusterResponse;
use strom_protocol::find_coordinator_request::FindCoordinatorRequest;
use strom_protocol::find_coordinator_response::FindCoordinatorResponse;
use strom_protocol::metadata_request::{MetadataRequest, MetadataRequestTopic};
use strom_protocol::metadata_response::MetadataResponse;
use strom_protocol::{ApiKey, ErrorCode, Message};

/// What DescribeCluster is to tell the addresses of.
const CONTROLLERS: i8 = 2;

#[derive(Debug)]
pub struct Cluster {
    settings: Settings,
    bootstrap: Option<Connection>,
    connections: BTreeMap<i32, Connection>,
    metadata: Metadata,
    is_at_controller: bool,
}

impl Cluster {
    /// Connects to the first bootstrap node that answers.
    ///
    /// # Errors
    /// `NoNode` when none answers; what the last one said when it answered with something else.
    pub async fn connect(settings: Settings) -> Result<Self> {
        let metadata = Metadata::default();
        let connections = BTreeMap::new();
        let mut cluster =
            Cluster { settings, bootstrap: None, connections, metadata, is_at_controller: false };
        cluster.bootstrap().await?;
        cluster.refresh(Some(&[])).await?;
        Ok(cluster)
    }

    /// Connects to the first controller that answers, at a listener of controllers (KIP-919). All is
    /// asked of that one, and its nodes are the controllers.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_to_controller(settings: Settings) -> Result<Self> {
        let metadata = Metadata::default();
        let connections = BTreeMap::new();
        let mut cluster =
            Cluster { settings, bootstrap: None, connections, metadata, is_at_controller: true };
        let request = DescribeClusterRequest { endpoint_type: CONTROLLERS, ..Default::default() };
        let answer = cluster.call_any(&request).await?;
        let response: DescribeClusterResponse<'_> = answer.decode()?;
        Refusal::check(response.error_code, response.error_message)?;
        for node in &response.brokers {
            let port = u16::try_from(node.port).unwrap_or_default();
            let endpoint = Endpoint { host: node.host.to_owned(), port };
            cluster.metadata.nodes.insert(node.broker_id, endpoint);
        }
        Ok(cluster)
    }

    /// Whether this is a listener of controllers, which answer for all by themselves.
    #[must_use]
    pub fn is_at_controller(&self) -> bool {
        self.is_at_controller
    }

    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    async fn bootstrap(&mut self) -> Result<&mut Connection> {
        if self.bootstrap.is_none() {
            self.bootstrap = Some(self.first_that_answers().await?);
        }
        self.bootstrap.as_mut().ok_or_else(|| self.settings.no_node())
    }

    async fn first_that_answers(&self) -> Result<Connection> {
        let mut failure = self.settings.no_node();
        for endpoint in &self.settings.bootstrap {
            match Connection::open(endpoint.clone(), &self.settings).await {
                Ok(connection) => return Ok(connection),
                Err(ClientError::Lost { .. }) => {}
                Err(other) => failure = other,
            }
        }
        Err(failure)
    }

    /// Whether any node offers an API in a version that the schema knows.
    ///
    /// # Errors
    /// `NoNode`.
    pub async fn offers(&mut self, api: ApiKey) -> Result<bool> {
        let versions = self.bootstrap().await?.core().versions();
        Ok(versions.ranges().any(|(key, _)| key == api.code()))
    }

    /// The version in which [`Self::call_any`] will write this kind of request.
    ///
    /// # Errors
    /// `Unsupported`, `NoNode`.
    pub async fn version_at_any<'m, M: Message<'m>>(&mut self) -> Result<i16> {
        self.bootstrap().await?.core().version_of::<M>()
    }

    /// Asks any node.
    ///
    /// # Errors
    /// Those of [`Connection::call`], after one attempt on a fresh connection.
    pub async fn call_any<'m, M: Message<'m>>(&mut self, request: &M) -> Result<Answer> {
        match self.bootstrap().await?.call(request).await {
            Err(ClientError::Lost { .. }) => {
                self.bootstrap = None;
                self.bootstrap().await?.call(request).await
            }
            outcome => outcome,
        }
    }

    /// Asks the node of that id.
    ///
    /// # Errors
    /// Those of [`Connection::call`]; a node without known address counts as lost.
    pub async fn call_node<'m, M: Message<'m>>(&mut self, id: i32, request: &M) -> Result<Answer> {
        let timeout_ms = self.settings.request_timeout_ms;
        self.call_node_within(id, request, timeout_ms).await
    }

    /// As [`Self::call_node`] with another patience.
    ///
    /// # Errors
    /// As [`Self::call_node`].
    pub async fn call_node_within<'m, M: Message<'m>>(
        &mut self,
        id: i32,
        request: &M,
        timeout_ms: u64,
    ) -> Result<Answer> {
        let outcome = self.node(id).await?.call_within(request, timeout_ms).await;
        self.drop_if_lost(id, outcome)
    }

    /// The connection to the node of that id, opened when there is none.
    ///
    /// # Errors
    /// `Lost` when the node is unknown or does not listen.
    pub async fn node(&mut self, id: i32) -> Result<&mut Connection> {
        if !self.connections.contains_key(&id) {
            let endpoint = self.metadata.nodes.get(&id).cloned();
            let endpoint = endpoint.ok_or_else(|| self.settings.no_node())?;
            let connection = Connection::open(endpoint, &self.settings).await?;
            self.connections.insert(id, connection);
        }
        self.connections.get_mut(&id).ok_or_else(|| self.settings.no_node())
    }

    /// Forgets the connection to a node when the outcome says that it is gone.
    ///
    /// # Errors
    /// The outcome's.
    pub fn drop_if_lost<T>(&mut self, id: i32, outcome: Result<T>) -> Result<T> {
        if let Err(ClientError::Lost { .. } | ClientError::TimedOut { .. }) = &outcome {
            self.connections.remove(&id);
        }
        outcome
    }

    /// Asks for the metadata of these topics, or of all.
    ///
    /// # Errors
    /// Those of [`Self::call_any`].
    pub async fn refresh(&mut self, topics: Option<&[&str]>) -> Result<&Metadata> {
        self.refresh_with(topics, false).await
    }

    /// As [`Self::refresh`]; the cluster may create topics that it does not have.
    ///
    /// # Errors
    /// Those of [`Self::call_any`].
    pub async fn refresh_creating(&mut self, topics: &[&str]) -> Result<&Metadata> {
        self.refresh_with(Some(topics), true).await
    }

    async fn refresh_with(&mut self, topics: Option<&[&str]>, create: bool) -> Result<&Metadata> {
        let wanted = |name: &&'_ str| (*name).to_owned();
        let names: Option<Vec<String>> = topics.map(|names| names.iter().map(wanted).collect());
        let topics = names.as_ref().map(|names| {
            let topic = |name| MetadataRequestTopic { name: Some(name), ..Default::default() };
            names.iter().map(|name| topic(name.as_str())).collect()
        });
        let request =
            MetadataRequest { topics, allow_auto_topic_creation: create, ..Default::default() };
        let answer = self.call_any(&request).await?;
        let response: MetadataResponse<'_> = answer.decode()?;
        Refusal::check(response.error_code, None)?;
        self.metadata.on_response(&response, names.is_none());
        Ok(&self.metadata)
    }

    /// The node that coordinates a group; asks again while the cluster is still electing one.
    ///
    /// # Errors
    /// `Refused` when the group is not permitted or its id is wrong, or the time is over.
    pub async fn coordinator(&mut self, group: &str) -> Result<i32> {
        let mut attempts = Attempts::new(&self.settings);
        loop {
            let error = match self.find_coordinator(group).await {
                Ok(node) if self.metadata.nodes.contains_key(&node) => return Ok(node),
                Ok(node) => {
                    self.refresh(Some(&[])).await?;
                    if self.metadata.nodes.contains_key(&node) {
                        return Ok(node);
                    }
                    Refusal { code: ErrorCode::CoordinatorNotAvailable, message: None }.into()
                }
                Err(error) => error,
            };
            attempts.after(error).await?;
        }
    }

    async fn find_coordinator(&mut self, group: &str) -> Result<i32> {
        let batched = self.version_at_any::<FindCoordinatorRequest<'_>>().await? >= 4;
        let request = if batched {
            FindCoordinatorRequest { coordinator_keys: vec![group], ..Default::default() }
        } else {
            FindCoordinatorRequest { key: group, ..Default::default() }
        };
        let answer = self.call_any(&request).await?;
        let response: FindCoordinatorResponse<'_> = answer.decode()?;
        match response.coordinators.first() {
            Some(found) => {
                Refusal::check(found.error_code, found.error_message)?;
                Ok(found.node_id)
            }
            None => {
                Refusal::check(response.error_code, response.error_message)?;
                Ok(response.node_id)
            }
        }
    }
}

impl Settings {
    pub(crate) fn no_node(&self) -> ClientError {
        let endpoints: Vec<String> = self.bootstrap.iter().map(ToString::to_string).collect();
        ClientError::NoNode { endpoints: endpoints.join(",") }
    }
}
