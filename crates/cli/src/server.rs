//! `strom server`: runs a node. Without a file, on 127.0.0.1:9092 with its data in ./strom-data.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use strom_broker::settings::{BrokerSettings, Values};
use strom_host::server::{Ready, ServerSettings, run};

#[derive(clap::Args, Default)]
pub(crate) struct Arguments {
    /// Kafka's server.properties; without it a node for trying things out
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The same file, as kafka-server-start takes it
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    /// Sets a key over the file
    #[arg(long = "override", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

/// What a node without a file runs with.
const DEFAULTS: [(&str, &str); 7] = [
    ("node.id", "1"),
    ("process.roles", "broker,controller"),
    ("listeners", "PLAINTEXT://127.0.0.1:9092"),
    ("controller.listener.names", "CONTROLLER"),
    ("log.dirs", "./strom-data"),
    ("offsets.topic.replication.factor", "1"),
    ("group.initial.rebalance.delay.ms", "0"),
];

/// Runs until the node is stopped.
///
/// # Errors
/// One sentence for the operator.
pub(crate) fn serve(arguments: Arguments) -> Result<(), String> {
    log_to_stderr();
    let mut properties = match arguments.config.or(arguments.file) {
        Some(file) => read(&file)?,
        None => DEFAULTS.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
    };
    for option in &arguments.overrides {
        let (key, value) = option
            .split_once('=')
            .ok_or_else(|| format!("--override takes KEY=VALUE, not '{option}'"))?;
        properties.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    let settings = settings(properties)?;
    let folders = settings.broker.log_directories.join(",");
    run(settings, |ready| greet(ready, &folders))
}

fn greet(ready: &Ready, folders: &str) {
    let addresses: Vec<String> = ready.addresses.iter().map(ToString::to_string).collect();
    let first = addresses.first().cloned().unwrap_or_default();
    let mut text = format!("Strom listens on {}\n", addresses.join(", "));
    text.push_str(&format!("Data: {folders} (cluster {})\n", ready.cluster_id));
    text.push_str(&format!(
        "Try:  strom topics --bootstrap-server {first} --create --topic hello\n"
    ));
    // Whoever started the node may not be reading; it runs all the same.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
}

fn log_to_stderr() {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_writer(std::io::stderr)
        .with_target(false);
    // A second subscriber of the same process, in tests, is refused and not needed.
    let _ = subscriber.try_init();
}

fn read(file: &Path) -> Result<BTreeMap<String, String>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        format!(
            "the configuration {} cannot be read ({error}): name an existing file",
            file.display()
        )
    })?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let pairs = lines.filter(|line| !line.starts_with(['#', '!']));
    Ok(pairs
        .map(|line| line.split_once('=').unwrap_or((line, "")))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect())
}

fn settings(properties: BTreeMap<String, String>) -> Result<ServerSettings, String> {
    let broker = BrokerSettings::read(properties)?;
    let values = Values(&broker.properties);
    let metadata_directory = match values.text("metadata.log.dir") {
        None => 0,
        Some(folder) => {
            broker.log_directories.iter().position(|it| it == folder).ok_or_else(|| {
                format!("metadata.log.dir {folder} is none of log.dirs: name one of them")
            })?
        }
    };
    let listen = broker.listeners.iter().map(|it| format!("{}:{}", it.host, it.port)).collect();
    Ok(ServerSettings {
        log_directories: broker.log_directories.iter().map(PathBuf::from).collect(),
        metadata_directory: metadata_directory as u16,
        listen,
        format_empty: true,
        request_bytes_max: values.number("socket.request.max.bytes", 104_857_600)?,
        connections_max_idle_ms: values.number("connections.max.idle.ms", 600_000)?,
        listen_backlog: values.number("socket.listen.backlog.size", 50)?,
        broker,
    })
}
