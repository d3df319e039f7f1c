//! A node's configuration in force, typed.

use super::effective::Effective;
use super::listeners::{self, Listener};
use super::{BrokerConfigLayers, ConfigError, check, dynamic};

mod groups;
mod quorum;

pub use groups::{GroupSettings, OffsetsSettings, ProducerIdSettings};
pub use quorum::{ControllerSettings, MetadataLogSettings, QuorumSettings};

/// All that a node goes by; a key that nobody obeys yet stands in the table alone. Times in
/// milliseconds, sizes in bytes, as the keys of the same names say.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeSettings {
    pub identity: IdentitySettings,
    pub listeners: Vec<Listener>,
    pub folders: FolderSettings,
    pub network: NetworkSettings,
    pub topics: NewTopicSettings,
    pub logs: LogMaintenanceSettings,
    pub fetch: FetchSettings,
    pub groups: GroupSettings,
    pub offsets: OffsetsSettings,
    pub producer_ids: ProducerIdSettings,
    pub quorum: QuorumSettings,
    pub metadata_log: MetadataLogSettings,
    pub controller: ControllerSettings,
}

/// Which node this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentitySettings {
    pub node_id: i32,
    pub is_broker: bool,
    pub is_controller: bool,
    pub rack: Option<String>,
}

/// Where the data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderSettings {
    /// Not empty, none of them twice.
    pub log_dirs: Vec<String>,
    /// One of `log_dirs`, or a folder of its own.
    pub metadata_log_dir: String,
    pub cordoned_log_dirs: Vec<String>,
    pub engine: EngineChoice,
    /// Of all log directories together.
    pub arena_bytes: i64,
}

/// How records reach the disk: `strom.disk.engine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    Auto,
    Buffered,
    Direct,
}

/// Limits of connections and requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSettings {
    pub request_max_bytes: u32,
    pub listen_backlog_size: u32,
    pub connections_max_idle_ms: i64,
    pub max_connections: u32,
    pub max_connections_per_ip: u32,
    /// `host:limit`
    pub max_connections_per_ip_overrides: Vec<(String, u32)>,
    /// -1: unlimited.
    pub queued_max_request_bytes: i64,
    /// `socket.send.buffer.bytes`, where somebody set it; otherwise, and for -1, the system goes by what
    /// flows.
    pub send_buffer_bytes: Option<u32>,
    /// `socket.receive.buffer.bytes`, in the same way.
    pub receive_buffer_bytes: Option<u32>,
    /// `strom.network.threads`; `None`: by the number of cores.
    pub threads: Option<u32>,
}

/// What topics are made of that clients leave open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewTopicSettings {
    pub num_partitions: i32,
    pub default_replication_factor: i16,
    pub auto_create_enable: bool,
    pub delete_enable: bool,
    pub max_request_partition_size_limit: i32,
}

/// Work on logs that is done regularly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogMaintenanceSettings {
    pub recovery_threads_per_data_dir: i32,
    pub initial_task_delay_ms: i64,
    pub retention_check_interval_ms: i64,
    pub flush_offset_checkpoint_interval_ms: i64,
    pub high_watermark_checkpoint_interval_ms: i64,
}

/// Answers to fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchSettings {
    pub fetch_max_bytes: i32,
    pub max_incremental_fetch_session_cache_slots: u32,
}

impl NodeSettings {
    /// Checks the values and reads them.
    ///
    /// # Errors
    /// One sentence that names the key and says what is wrong with it.
    pub fn new(layers: BrokerConfigLayers<'_>) -> Result<Self, ConfigError> {
        check::broker_file(layers.file)?;
        let values = layers.effective();
        dynamic::retention(values)?;
        let settings = Self {
            identity: identity(values)?,
            listeners: listeners::read(values)?,
            folders: folders(values)?,
            network: network(values)?,
            topics: NewTopicSettings {
                num_partitions: values.int("num.partitions"),
                default_replication_factor: factor(values)?,
                auto_create_enable: values.boolean("auto.create.topics.enable"),
                delete_enable: values.boolean("delete.topic.enable"),
                max_request_partition_size_limit: values.int("max.request.partition.size.limit"),
            },
            logs: logs(values),
            fetch: FetchSettings {
                fetch_max_bytes: values.int("fetch.max.bytes"),
                max_incremental_fetch_session_cache_slots: values
                    .size("max.incremental.fetch.session.cache.slots"),
            },
            groups: groups::groups(values)?,
            offsets: groups::offsets(values)?,
            producer_ids: groups::producer_ids(values),
            quorum: quorum::quorum(values)?,
            metadata_log: quorum::metadata_log(values),
            controller: quorum::controller(values),
        };
        settings.check_roles()?;
        Ok(settings)
    }

    /// The listeners that clients and brokers use.
    pub fn client_listeners(&self) -> impl Iterator<Item = &Listener> {
        self.listeners.iter().filter(|listener| !listener.is_for_controllers)
    }

    /// All listeners, in the order in which a node opens them and counts them from 0: those of clients
    /// and brokers, then those of its controller.
    pub fn open_listeners(&self) -> impl Iterator<Item = &Listener> {
        let controllers = self.listeners.iter().filter(|listener| listener.is_for_controllers);
        self.client_listeners().chain(controllers)
    }

    fn check_roles(&self) -> Result<(), ConfigError> {
        let IdentitySettings { is_broker, is_controller, .. } = self.identity;
        if is_broker && self.client_listeners().next().is_none() {
            return Err(ConfigError(
                "a broker needs a listener for clients: name one in listeners that is not in \
                 controller.listener.names"
                    .to_owned(),
            ));
        }
        // A quorum of one is not called by anybody.
        let is_alone = self.quorum.is_alone(self.identity.node_id);
        let listens = self.listeners.iter().any(|listener| listener.is_for_controllers);
        if is_controller && !listens && !is_alone {
            return Err(ConfigError(
                "a controller of several needs a listener: name one of controller.listener.names \
                 in listeners"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

fn identity(values: Effective<'_>) -> Result<IdentitySettings, ConfigError> {
    let roles = values.list("process.roles");
    let has = |role: &str| roles.is_empty() || roles.iter().any(|it| it == role);
    let quorum_is_given = !values.list("controller.quorum.voters").is_empty()
        || !values.list("controller.quorum.bootstrap.servers").is_empty();
    let older = values.optional_number("broker.id").filter(|id| *id >= 0);
    let node_id = match (values.optional_number("node.id"), older) {
        (Some(id), Some(older)) if id != older => {
            return Err(ConfigError(format!(
                "node.id is {id} but broker.id is {older}: remove broker.id, its older name"
            )));
        }
        (Some(id), _) | (None, Some(id)) => id,
        (None, None) if quorum_is_given => {
            return Err(ConfigError(
                "node.id is missing: give each node of the quorum its own number".to_owned(),
            ));
        }
        (None, None) => 1,
    };
    Ok(IdentitySettings {
        node_id: i32::try_from(node_id).unwrap_or_default(),
        is_broker: has("broker"),
        is_controller: has("controller"),
        rack: values.text("broker.rack"),
    })
}

fn folders(values: Effective<'_>) -> Result<FolderSettings, ConfigError> {
    let mut log_dirs = values.list("log.dirs");
    if log_dirs.is_empty() {
        log_dirs = values.list("log.dir");
    }
    let first = log_dirs
        .first()
        .cloned()
        .ok_or_else(|| ConfigError("log.dirs is empty: name the folder of the data".to_owned()))?;
    let metadata_log_dir = values.text("metadata.log.dir").unwrap_or(first);
    let cordoned_log_dirs = values.list("cordoned.log.dirs");
    let engine = match values.text("strom.disk.engine").as_deref() {
        Some("buffered") => EngineChoice::Buffered,
        Some("direct") => EngineChoice::Direct,
        _ => EngineChoice::Auto,
    };
    let arena_bytes = values.long("strom.arena.bytes");
    Ok(FolderSettings { log_dirs, metadata_log_dir, cordoned_log_dirs, engine, arena_bytes })
}

fn network(values: Effective<'_>) -> Result<NetworkSettings, ConfigError> {
    let buffer = |key| {
        let bytes = u32::try_from(values.long(key)).ok();
        bytes.filter(|bytes| values.is_set(key) && *bytes > 0)
    };
    Ok(NetworkSettings {
        request_max_bytes: values.size("socket.request.max.bytes"),
        listen_backlog_size: values.size("socket.listen.backlog.size"),
        connections_max_idle_ms: values.long("connections.max.idle.ms"),
        max_connections: values.size("max.connections"),
        max_connections_per_ip: values.size("max.connections.per.ip"),
        max_connections_per_ip_overrides: limits_by_host(values)?,
        queued_max_request_bytes: values.long("queued.max.request.bytes"),
        send_buffer_bytes: buffer("socket.send.buffer.bytes"),
        receive_buffer_bytes: buffer("socket.receive.buffer.bytes"),
        threads: values.text("strom.network.threads").and_then(|text| text.parse().ok()),
    })
}

fn limits_by_host(values: Effective<'_>) -> Result<Vec<(String, u32)>, ConfigError> {
    const KEY: &str = "max.connections.per.ip.overrides";
    let text = values.text(KEY).unwrap_or_default();
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let parsed = entries.map(|entry| {
        let limit = entry
            .rsplit_once(':')
            .and_then(|(host, limit)| Some((host.trim().to_owned(), limit.trim().parse().ok()?)));
        limit.ok_or_else(|| ConfigError(format!("{KEY} has '{entry}', but host:limit is expected")))
    });
    parsed.collect()
}

fn factor(values: Effective<'_>) -> Result<i16, ConfigError> {
    let factor = values.long("default.replication.factor");
    i16::try_from(factor).ok().filter(|factor| *factor >= 1).ok_or_else(|| {
        ConfigError(format!("default.replication.factor is {factor}: it must be 1 or more"))
    })
}

fn logs(values: Effective<'_>) -> LogMaintenanceSettings {
    LogMaintenanceSettings {
        recovery_threads_per_data_dir: values.int("num.recovery.threads.per.data.dir"),
        initial_task_delay_ms: values.long("log.initial.task.delay.ms"),
        retention_check_interval_ms: values.long("log.retention.check.interval.ms"),
        flush_offset_checkpoint_interval_ms: values.long("log.flush.offset.checkpoint.interval.ms"),
        high_watermark_checkpoint_interval_ms: values
            .long("replica.high.watermark.checkpoint.interval.ms"),
    }
}
