//! One key of the table.

use super::limits::Limits;

/// Whose configuration a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigKind {
    Broker,
    Topic,
    Group,
    ClientMetrics,
}

/// Types of values, with Kafka's codes in DescribeConfigs (KIP-569).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    Boolean = 1,
    String = 2,
    Int = 3,
    Short = 4,
    Long = 5,
    Double = 6,
    List = 7,
    Class = 8,
    Password = 9,
}

impl ValueType {
    #[must_use]
    pub fn code(self) -> i8 {
        self as i8
    }

    /// Kafka's name, as in its messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }
}

/// How a key of a broker can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateMode {
    /// By a restart.
    Static,
    /// While it runs, for one broker at a time.
    PerBroker,
    /// While they run, for one broker or all.
    ClusterWide,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    High,
    Medium,
    Low,
}

/// A default, before parsing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// Kafka demands a value.
    Required,
    Null,
    Text(&'static str),
}

/// A key whose value stands in for another's: its own times `factor`, into the other's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synonym {
    pub name: &'static str,
    pub factor: i64,
}

/// A line of the table.
#[derive(Clone, Debug)]
pub struct ConfigKey {
    pub name: &'static str,
    pub value_type: ValueType,
    pub default: Default,
    pub limits: Limits,
    pub importance: Importance,
    /// Not described unless it is set: Kafka's internal keys.
    pub is_hidden: bool,
    pub update_mode: UpdateMode,
    /// Broker keys that a topic's or group's value comes from where it has none of its own, the
    /// strongest first; of a broker key, itself among those that say the same in other units.
    pub synonyms: Vec<Synonym>,
    pub documentation: &'static str,
}

impl ConfigKey {
    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        self.value_type == ValueType::Password
    }

    #[must_use]
    pub fn is_dynamic(&self) -> bool {
        self.update_mode != UpdateMode::Static
    }

    /// The default's text; `None` where it is null or there is none.
    #[must_use]
    pub fn default_text(&self) -> Option<&'static str> {
        match self.default {
            Default::Text(text) => Some(text),
            Default::Null | Default::Required => None,
        }
    }
}
