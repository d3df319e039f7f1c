//! What can go wrong, by culprit: the world, the node, the caller.

use crate::Endpoint;
use strom_protocol::ErrorCode;

pub type Result<T> = std::result::Result<T, ClientError>;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(
        "no node answers at {endpoints}: start one with `strom server`, \
         or name another with --bootstrap-server"
    )]
    NoNode { endpoints: String },
    #[error("the connection to {endpoint} was lost: {reason}")]
    Lost { endpoint: Endpoint, reason: String },
    #[error("the TLS connection to {endpoint} failed: {reason}")]
    Tls { endpoint: Endpoint, reason: String },
    #[error("{endpoint} did not answer {api} within {timeout_ms} ms")]
    TimedOut { endpoint: Endpoint, api: &'static str, timeout_ms: u64 },
    #[error("{what} was not possible within {timeout_ms} ms: {reason}")]
    GaveUp { what: String, timeout_ms: u64, reason: String },
    /// The node understood the request and said no.
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error("{endpoint} does not offer {api} in a version that this client speaks")]
    Unsupported { endpoint: Endpoint, api: &'static str },
    #[error("{endpoint} answered {api} with something unreadable: {reason}")]
    Malformed { endpoint: Endpoint, api: &'static str, reason: String },
    #[error("a batch of {partition} is unreadable: {reason}")]
    MalformedBatch { partition: String, reason: String },
    #[error("the request {api} cannot be written: {reason}")]
    Unwritable { api: &'static str, reason: String },
    #[error("{0}")]
    Settings(String),
}

impl ClientError {
    /// Whether a fresh attempt, perhaps after new metadata, may succeed.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            ClientError::Lost { .. } | ClientError::TimedOut { .. } => true,
            ClientError::Refused(refusal) => refusal.code.is_retriable(),
            _ => false,
        }
    }

    /// The node's error code, if a node refused.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ClientError::Refused(refusal) => Some(refusal.code),
            _ => None,
        }
    }
}

/// A node's refusal: its code, and its words when it sent some.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct Refusal {
    pub code: ErrorCode,
    pub message: Option<String>,
}

impl Refusal {
    /// `Ok` for code 0, the refusal otherwise.
    ///
    /// # Errors
    /// The refusal that the code stands for.
    pub fn check(code: i16, message: Option<&str>) -> std::result::Result<(), Refusal> {
        let code = ErrorCode::from_code(code);
        if code == ErrorCode::None {
            return Ok(());
        }
        Err(Refusal { code, message: message.map(str::to_owned) })
    }

    fn text(&self) -> &str {
        match &self.message {
            Some(message) if !message.is_empty() => message,
            _ => default_message(self.code),
        }
    }
}

/// The words of Kafka's clients for a code that came without a message.
#[must_use]
pub fn default_message(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::UnknownServerError => {
            "The server experienced an unexpected error when processing the request."
        }
        ErrorCode::OffsetOutOfRange => {
            "The requested offset is not within the range of offsets maintained by the server."
        }
        ErrorCode::CorruptMessage => {
            "This message has failed its CRC checksum, exceeds the valid size, has a null key for \
             a compacted topic, or is otherwise corrupt."
        }
        ErrorCode::UnknownTopicOrPartition => "This server does not host this topic-partition.",
        ErrorCode::LeaderNotAvailable => {
            "There is no leader for this topic-partition as we are in the middle of a leadership \
             election."
        }
        ErrorCode::NotLeaderOrFollower => {
            "For requests intended only for the leader, this error indicates that the broker is \
             not the current leader. For requests intended for any replica, this error indicates \
             that the broker is not a replica of the topic partition."
        }
        ErrorCode::RequestTimedOut => "The request timed out.",
        ErrorCode::MessageTooLarge => {
            "The request included a message larger than the max message size the server will \
             accept."
        }
        ErrorCode::CoordinatorNotAvailable => "The coordinator is not available.",
        ErrorCode::NotCoordinator => "This is not the correct coordinator.",
        ErrorCode::InvalidTopicException => {
            "The request attempted to perform an operation on an invalid topic."
        }
        ErrorCode::NotEnoughReplicas => {
            "Messages are rejected since there are fewer in-sync replicas than required."
        }
        ErrorCode::UnsupportedVersion => "The version of API is not supported.",
        ErrorCode::TopicAlreadyExists => "Topic with this name already exists.",
        ErrorCode::InvalidRecord => {
            "This record has failed the validation on broker and hence will be rejected."
        }
        ErrorCode::NonEmptyGroup => "The group is not empty.",
        ErrorCode::GroupIdNotFound => "The group id does not exist.",
        ErrorCode::GroupSubscribedToTopic => {
            "Deleting offsets of a topic is forbidden while the consumer group is actively \
             subscribed to it."
        }
        ErrorCode::UnknownMemberId => "The coordinator is not aware of this member.",
        ErrorCode::InvalidGroupId => "The group id is invalid.",
        ErrorCode::UnknownTopicId => "This server does not host this topic ID.",
        other => other.name(),
    }
}
