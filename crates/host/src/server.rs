//! A whole node in this process: folders locked and recovered, listeners bound, one shard run to its
//! orderly end.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use strom_base::Random;
use strom_broker::boot::{BootOptions, boot};
use strom_broker::settings::BrokerSettings;
use strom_broker::{Broker, BrokerStart};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::LocalSet;

use crate::clock::Clock;
use crate::connection::{ReceiveLimits, serve};
use crate::engine::BufferedEngine;
use crate::file_disk::FileDisk;
use crate::folder_lock::FolderLock;
use crate::shard::{Shard, SharedShard};
use crate::sync_worker::SlowResult;

/// How often connections are looked at for idleness, as a part of the allowed time.
const IDLE_CHECKS: u64 = 10;

/// What the shell itself needs to know; the rest goes to the broker.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    pub log_directories: Vec<PathBuf>,
    /// Index into `log_directories`.
    pub metadata_directory: u16,
    /// In the order of the broker's listeners: `host:port`; an empty host is every address.
    pub listen: Vec<String>,
    /// An empty data folder is formatted instead of refused.
    pub format_empty: bool,
    pub request_bytes_max: usize,
    pub connections_max_idle_ms: u64,
    pub listen_backlog: u32,
    pub broker: BrokerSettings,
}

/// What a caller may want to print once clients are served.
#[derive(Clone, Debug)]
pub struct Ready {
    pub addresses: Vec<SocketAddr>,
    pub cluster_id: String,
}

/// Runs a node until it is told to stop (SIGINT, SIGTERM) or cannot go on.
///
/// # Errors
/// One sentence for the operator.
pub fn run(
    settings: ServerSettings,
    on_ready: impl FnOnce(&Ready) + 'static,
) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime cannot be started: {error}"))?;
    let local = LocalSet::new();
    // As a task of its own: the future that is blocked on would be polled with every wake-up.
    let node = local.spawn_local(run_node(settings, on_ready));
    runtime.block_on(local.run_until(node)).map_err(|error| format!("the node failed: {error}"))?
}

async fn run_node(settings: ServerSettings, on_ready: impl FnOnce(&Ready)) -> Result<(), String> {
    // Listeners first: a port in use must leave the folders untouched.
    let listeners = bind_all(&settings).await?;
    for folder in &settings.log_directories {
        std::fs::create_dir_all(folder).map_err(|error| {
            format!(
                "the data folder {} cannot be made ({error}): give this user write access there \
                 or name another in log.dirs",
                folder.display()
            )
        })?;
    }
    let locks = settings
        .log_directories
        .iter()
        .map(|folder| FolderLock::take(folder))
        .collect::<Result<Vec<_>, _>>()?;
    let clock = Clock::default();
    let (results, slow_results) = unbounded_channel();
    let engine = BufferedEngine::start(settings.log_directories.clone(), &results)
        .map_err(|error| format!("the disk engine cannot be started: {error}"))?;
    let mut random = Random::new(seed());
    let state = boot(
        &mut FileDisk::new(settings.log_directories.clone()),
        &BootOptions {
            node_id: settings.broker.node_id,
            directories: settings.log_directories.len() as u16,
            metadata_directory: strom_storage::disk::DirectoryId(settings.metadata_directory),
            format_empty: settings.format_empty,
            quorum: settings.broker.quorum.clone(),
            log_config: settings.broker.default_log_config(),
            now_ms: clock.now().wall_ms,
        },
        &mut random,
    )
    .map_err(|error| error.to_string())?;
    let cluster_id = state.identity.cluster_id.clone();
    let ports = listeners
        .iter()
        .map(|listener| listener.local_addr().map(|address| address.port()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    let broker = Broker::new(BrokerStart {
        settings: settings.broker.clone(),
        state,
        ports,
        random,
        now: clock.now(),
    })?;
    let shard = Rc::new(RefCell::new(Shard::new(broker, engine, clock)));
    shard.borrow_mut().input(Broker::start);
    spawn_background(&shard, slow_results, &settings);
    await_running(&shard).await?;
    let mut addresses = Vec::new();
    for (index, listener) in listeners.into_iter().enumerate() {
        addresses.extend(listener.local_addr());
        let limits = ReceiveLimits { request_bytes_max: settings.request_bytes_max };
        tokio::task::spawn_local(accept(Rc::clone(&shard), listener, index, limits));
    }
    on_ready(&Ready { addresses, cluster_id });
    let result = until_stopped(&shard).await;
    drop(locks);
    result
}

async fn bind_all(settings: &ServerSettings) -> Result<Vec<TcpListener>, String> {
    let mut listeners = Vec::new();
    for listen in &settings.listen {
        listeners.push(bind(listen, settings.listen_backlog).await.map_err(|error| {
            match error.kind() {
                std::io::ErrorKind::AddrInUse => format!(
                    "the address {listen} is in use: stop the program that listens there, or \
                     change listeners"
                ),
                _ => format!("cannot listen on {listen} ({error}): change listeners"),
            }
        })?);
    }
    Ok(listeners)
}

async fn bind(listen: &str, backlog: u32) -> std::io::Result<TcpListener> {
    let listen =
        if listen.starts_with(':') { format!("0.0.0.0{listen}") } else { listen.to_owned() };
    let mut last = std::io::Error::other("the host name has no address");
    for address in tokio::net::lookup_host(&listen).await? {
        let socket = if address.is_ipv4() {
            tokio::net::TcpSocket::new_v4()?
        } else {
            tokio::net::TcpSocket::new_v6()?
        };
        socket.set_reuseaddr(true)?;
        match socket.bind(address).and_then(|()| socket.listen(backlog)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // The standard library's hasher is keyed from the operating system's generator.
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

fn spawn_background(
    shard: &SharedShard,
    mut results: UnboundedReceiver<SlowResult>,
    settings: &ServerSettings,
) {
    let for_results = Rc::clone(shard);
    tokio::task::spawn_local(async move {
        while let Some(result) = results.recv().await {
            for_results.borrow_mut().on_slow_result(result);
        }
    });
    tokio::task::spawn_local(keep_deadlines(Rc::clone(shard)));
    tokio::task::spawn_local(close_idle(Rc::clone(shard), settings.connections_max_idle_ms));
}

/// Calls the broker at its deadlines; sleeps until the earliest, told when that changes.
async fn keep_deadlines(shard: SharedShard) {
    let changed = shard.borrow().timer();
    let clock = shard.borrow().clock();
    loop {
        let deadline_ms = shard.borrow().next_deadline_ms();
        match deadline_ms {
            None => changed.notified().await,
            Some(deadline_ms) => {
                let sleep = tokio::time::sleep_until(clock.instant_of(deadline_ms).into());
                tokio::select! {
                    () = sleep => shard.borrow_mut().input(Broker::on_deadline),
                    () = changed.notified() => {}
                }
            }
        }
    }
}

async fn close_idle(shard: SharedShard, idle_ms: u64) {
    if idle_ms == 0 {
        return;
    }
    loop {
        tokio::time::sleep(Duration::from_millis((idle_ms / IDLE_CHECKS).max(1))).await;
        shard.borrow_mut().close_idle(idle_ms);
    }
}

/// Waits until the metadata log has been caught up with.
async fn await_running(shard: &SharedShard) -> Result<(), String> {
    let progress = shard.borrow().stop();
    loop {
        {
            let shard = shard.borrow();
            if let Some(reason) = shard.halted() {
                return Err(reason.to_owned());
            }
            if shard.broker.is_running() {
                return Ok(());
            }
        }
        progress.notified().await;
    }
}

async fn accept(shard: SharedShard, listener: TcpListener, index: usize, limits: ReceiveLimits) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => spawn_connection(&shard, stream, index, limits),
            Err(error) => {
                // Out of file descriptors, mostly: give connections time to end.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

fn spawn_connection(shard: &SharedShard, stream: TcpStream, index: usize, limits: ReceiveLimits) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection was gone before it was served");
        return;
    }
    tokio::task::spawn_local(serve(Rc::clone(shard), stream, index, limits));
}

/// Waits for a signal, then for the orderly stop; a second signal does not hurry it.
async fn until_stopped(shard: &SharedShard) -> Result<(), String> {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = shard.borrow().stop();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = stop.notified() => {}
    }
    if shard.borrow().halted().is_none() {
        shard.borrow_mut().input(Broker::shut_down);
    }
    loop {
        if let Some(reason) = shard.borrow().halted() {
            return Err(reason.to_owned());
        }
        if shard.borrow().broker.is_stopped() {
            return Ok(());
        }
        stop.notified().await;
    }
}
