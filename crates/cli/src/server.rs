//! `strom server`: runs a node. Without a file, on 127.0.0.1:9092 with its data in ./strom-data.

use std::path::PathBuf;

use strom_base::config::{self, ConfigMap, names};
use strom_broker::settings::BrokerSettings;
use strom_host::server::{Ready, ServerSettings, run};

use crate::greeting;
use crate::node_file::{self, Folders};

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

/// Runs until the node is stopped.
///
/// # Errors
/// One sentence for the operator.
pub(crate) fn serve(arguments: Arguments) -> Result<(), String> {
    log_to_stderr();
    let mut properties = match arguments.config.or(arguments.file) {
        Some(file) => node_file::read(&file)?,
        None => config::standalone(),
    };
    for option in &arguments.overrides {
        let (key, value) = option
            .split_once('=')
            .ok_or_else(|| format!("--override takes KEY=VALUE, not '{option}'"))?;
        let key = key.trim();
        names::check_name(key).map_err(|error| format!("--override: {error}"))?;
        properties.insert(key.to_owned(), value.trim().to_owned());
    }
    node_file::complete(&mut properties);
    let settings = settings(properties)?;
    let folders = settings.broker.node.folders.log_dirs.join(",");
    let clients = settings.broker.node.client_listeners().count();
    run(settings, move |ready| greet(ready, clients, &folders))
}

/// Tells clients' addresses, which come before the controller's.
fn greet(ready: &Ready, clients: usize, folders: &str) {
    let program = std::env::args().next().unwrap_or_default();
    let cluster = ready.cluster_id.to_string();
    let addresses = ready.addresses.get(..clients).unwrap_or(&ready.addresses);
    let text = greeting::text(&program, addresses, folders, &cluster);
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

fn settings(properties: ConfigMap) -> Result<ServerSettings, String> {
    let broker = BrokerSettings::read(properties)?;
    let node = &broker.node;
    let folders = Folders::of(&node.folders)?;
    Ok(ServerSettings {
        log_directories: folders.log_directories,
        metadata_directory: folders.metadata_directory.0,
        listen: node.open_listeners().map(|it| address(&it.host, it.port)).collect(),
        format_empty: true,
        request_bytes_max: node.network.request_max_bytes as usize,
        connections_max_idle_ms: node.network.connections_max_idle_ms.max(0).unsigned_abs(),
        broker,
    })
}

/// As a socket address is written: IPv6 in brackets.
fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
