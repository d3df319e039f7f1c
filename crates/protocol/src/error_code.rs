//! Kafka's error codes.

include!(concat!(env!("OUT_DIR"), "/error_code.rs"));

impl ErrorCode {
    /// The number in responses.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The error with this number; as in Kafka's clients a number unknown here is
    /// `UnknownServerError`.
    #[must_use]
    pub const fn from_code(code: i16) -> Self {
        match Self::known(code) {
            Some(error) => error,
            None => Self::UnknownServerError,
        }
    }

    /// Kafka's name, such as `UNKNOWN_TOPIC_OR_PARTITION`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.facts().0
    }

    /// May the same request succeed later?
    #[must_use]
    pub const fn is_retriable(self) -> bool {
        self.facts().1
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorCode;

    #[test]
    fn codes_and_names_are_kafkas() {
        assert_eq!(ErrorCode::UnknownTopicOrPartition.code(), 3);
        assert_eq!(ErrorCode::from_code(16), ErrorCode::NotCoordinator);
        assert_eq!(ErrorCode::NotLeaderOrFollower.name(), "NOT_LEADER_OR_FOLLOWER");
        assert!(ErrorCode::NotLeaderOrFollower.is_retriable());
        assert!(!ErrorCode::None.is_retriable());
    }

    #[test]
    fn an_unknown_code_is_an_unknown_server_error() {
        assert_eq!(ErrorCode::from_code(9999), ErrorCode::UnknownServerError);
    }
}
