//! A whole node in this process: folders locked and recovered, listeners bound, one shard run to its
//! orderly end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use rustix::process::Signal as SystemSignal;
use strom_base::Random;
use strom_base::config::node_settings::EngineChoice;
use strom_broker::boot::{BootOptions, FailedDirectory, boot_with, check, forget_clean_stop};
use strom_broker::effect::Turn;
use strom_broker::recovery_debt::RECOVERY_BYTES_MAX;
use strom_broker::settings::BrokerSettings;
use strom_broker::{Broker, BrokerStart};
use strom_storage::disk::{DirectoryId, DiskPath};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::LocalSet;

use crate::clock::Clock;
use crate::cold_reads::Brought;
use crate::connection::ReceiveLimits;
use crate::descriptors::Descriptors;
use crate::engine::{DiskEngine, restore_all};
use crate::examiner::{self, Examiner};
use crate::file_disk::FileDisk;
use crate::folder_lock::{FolderLock, Refused};
use crate::lane::look_after;
use crate::listeners::{Acceptor, accept, bind_all, connection_limits, serve_shaken};
use crate::network::{Exchange, ExchangeStart, thread_count};
use crate::reception::Reception;
use crate::recovery::recover;
use crate::shard::{Shard, ShardStart, SharedShard, serve_network};
use crate::sync_worker::SlowResult;
use crate::tls::{Handshakes, TlsListeners};
use strom_intake::admission::Admission;
use strom_intake::budget::{BYTES_MAX_BY_DEFAULT, ReceiveBudget};

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
    // From the first moment on: a node that is told to stop while it starts ends in order too.
    let signals = Signals::new()?;
    // Listeners first: a port in use must leave the folders untouched.
    let descriptors = Descriptors::claim();
    let connection_limits = connection_limits(&settings.broker, descriptors)?;
    let tls = TlsListeners::new(&settings.broker)?;
    let receive_bytes = receive_bytes(&settings.broker);
    let listeners = bind_all(&settings.listen, &settings.broker.node.network).await?;
    let clock = Clock::default();
    let disk = FileDisk::new(settings.log_directories.clone());
    let mut options = settings.boot_options(clock.now().wall_ms);
    let locks = take_folders(&settings.log_directories, &disk, &mut options)?;
    let (results, slow_results) = unbounded_channel();
    let threads = settings.recovery_threads();
    restore_all(&disk, threads, &mut options)?;
    let (brought, ranges) = unbounded_channel();
    let folders = settings.log_directories.clone();
    let mut engine = DiskEngine::start(folders, descriptors, &results, brought)
        .map_err(|error| format!("the disk engine cannot be started: {error}"))?;
    let mut random = Random::new(seed());
    let mut state = boot_with(&mut disk.clone(), &options, &mut random, &mut |_, jobs| {
        recover(&disk, threads, jobs)
    })
    .map_err(|error| error.to_string())?;
    choose_engine(&settings, &mut engine, &state.failed_directories);
    let cluster_id = state.identity.cluster_id.clone();
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>();
    let addresses =
        addresses.map_err(|error| format!("where the node listens cannot be told: {error}"))?;
    let clean_marks = std::mem::take(&mut state.clean_marks);
    let mut broker = Broker::new(BrokerStart {
        settings: settings.broker.clone().checked_by(Arc::new(tls.clone())),
        state,
        ports: addresses.iter().map(SocketAddr::port).collect(),
        random,
        now: clock.now(),
        recovery_bytes_max: RECOVERY_BYTES_MAX,
    })?;
    let kept = forget_clean_stops(&disk, &clean_marks);
    let (told, examined) = unbounded_channel();
    let examiner = Examiner::new(told, cores());
    broker.limit_examinations(examiner.limits());
    let shard = Shard::new(ShardStart {
        broker,
        engine,
        examiner,
        clock,
        admission: Admission::new(connection_limits),
        budget: ReceiveBudget::new(receive_bytes),
        descriptors,
        tls,
    });
    let shard = Rc::new(RefCell::new(shard));
    shard.borrow_mut().input(Broker::start);
    leave_out(&shard, &kept);
    tokio::task::spawn_local(take_brought(Rc::clone(&shard), ranges));
    tokio::task::spawn_local(take_examined(Rc::clone(&shard), examined));
    spawn_background(&shard, slow_results, &settings);
    await_running(&shard).await?;
    let limits = ReceiveLimits { request_bytes_max: settings.request_bytes_max };
    start_network(&shard, &settings, limits)?;
    open_listeners(&shard, listeners, limits)?;
    on_ready(&Ready { addresses, cluster_id });
    let result = until_stopped(&shard, signals).await;
    shard.borrow_mut().stop_network();
    drop(locks);
    result
}

/// Takes the marks of a clean stop away; those that stay, and why.
fn forget_clean_stops(disk: &FileDisk, marks: &[DiskPath]) -> Vec<(DirectoryId, String)> {
    let forget = |mark: &DiskPath| forget_clean_stop(&mut disk.clone(), mark);
    let kept = marks.iter().filter_map(|mark| Some((mark.directory, forget(mark).err()?)));
    kept.map(|(directory, error)| (directory, error.to_string())).collect()
}

/// What is written to them now the next start would not look at.
fn leave_out(shard: &SharedShard, directories: &[(DirectoryId, String)]) {
    for (directory, reason) in directories {
        let fail = |broker: &mut Broker, turn: &mut Turn<'_>| {
            broker.on_directory_failed(turn, *directory, reason);
        };
        shard.borrow_mut().input(fail);
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Gives connections threads of their own, where there are to be some.
fn start_network(
    shard: &SharedShard,
    settings: &ServerSettings,
    limits: ReceiveLimits,
) -> Result<(), String> {
    let threads = thread_count(settings.broker.node.network.threads, cores());
    if threads == 0 {
        return Ok(());
    }
    let exchange = Exchange::start(ExchangeStart {
        threads,
        clock: shard.borrow().clock(),
        receive_bytes: receive_bytes(&settings.broker),
        limits,
        idle_ms: settings.connections_max_idle_ms,
    });
    let exchange = exchange.map_err(|error| {
        format!(
            "{threads} network threads cannot be started ({error}): lower strom.network.threads"
        )
    })?;
    tracing::info!("connections live on {threads} network threads");
    shard.borrow_mut().use_network(exchange);
    tokio::task::spawn_local(serve_network(Rc::clone(shard)));
    Ok(())
}

/// Lets connections in, with a thread for handshakes where a listener speaks TLS.
fn open_listeners(
    shard: &SharedShard,
    listeners: Vec<TcpListener>,
    limits: ReceiveLimits,
) -> Result<(), String> {
    let reception = Rc::new(Reception::new(Rc::clone(shard), limits));
    let has_tls = !shard.borrow().tls.is_empty();
    let handshakes = match has_tls {
        false => None,
        true => {
            let (handshakes, outcomes) = Handshakes::start().map_err(|error| {
                format!("the thread for TLS handshakes cannot be started: {error}")
            })?;
            tokio::task::spawn_local(serve_shaken(Rc::clone(&reception), outcomes));
            Some(Rc::new(handshakes))
        }
    };
    for (index, listener) in listeners.into_iter().enumerate() {
        let (reception, handshakes) = (Rc::clone(&reception), handshakes.clone());
        tokio::task::spawn_local(accept(Acceptor { reception, index, handshakes }, listener));
    }
    Ok(())
}

/// Chooses the disk engine of each log directory and says so.
fn choose_engine(settings: &ServerSettings, engine: &mut DiskEngine, failed: &[FailedDirectory]) {
    let folders = &settings.broker.node.folders;
    if folders.engine == EngineChoice::Buffered {
        return;
    }
    let bytes = usize::try_from(folders.arena_bytes).unwrap_or(0);
    let bytes = bytes / settings.log_directories.len().max(1);
    let reasons = engine.use_arenas(bytes, failed);
    for (folder, reason) in settings.log_directories.iter().zip(reasons) {
        let folder = folder.display();
        match reason {
            None => tracing::info!(
                "{folder}: records gather in {} MiB of mapped memory and are written past the page \
                 cache",
                bytes >> 20
            ),
            Some(reason) => tracing::info!(
                "{folder}: records are written through the page cache, because {reason}"
            ),
        }
    }
}

/// `queued.max.request.bytes`: here of requests that are still arriving.
fn receive_bytes(settings: &BrokerSettings) -> usize {
    let configured = usize::try_from(settings.node.network.queued_max_request_bytes);
    configured.ok().filter(|it| *it > 0).unwrap_or(BYTES_MAX_BY_DEFAULT)
}

impl ServerSettings {
    /// `num.recovery.threads.per.data.dir`
    fn recovery_threads(&self) -> usize {
        let per_directory = self.broker.node.logs.recovery_threads_per_data_dir as usize;
        per_directory.saturating_mul(self.log_directories.len())
    }

    fn boot_options(&self, now_ms: i64) -> BootOptions {
        BootOptions {
            node_id: self.broker.node.identity.node_id,
            directories: self.log_directories.len() as u16,
            metadata_directory: DirectoryId(self.metadata_directory),
            failed_directories: Vec::new(),
            format_empty: self.format_empty,
            quorum: self.broker.quorum.clone(),
            log_config: self.broker.default_log_config(),
            now_ms,
        }
    }
}

/// Makes and locks the folders. A lock file would be a change: those of somebody else are refused
/// before. Where the disk has failed the node goes on without, as Apache Kafka does, if it can.
fn take_folders(
    folders: &[PathBuf],
    disk: &FileDisk,
    options: &mut BootOptions,
) -> Result<Vec<FolderLock>, String> {
    for (directory, folder) in (0..).map(DirectoryId).zip(folders) {
        let found = match std::fs::metadata(folder) {
            Ok(found) if !found.is_dir() => {
                let folder = folder.display();
                Err(format!("the data folder {folder} is a file: name a folder in log.dirs"))
            }
            Err(error) if error.kind() != ErrorKind::NotFound => Err(unusable(folder, &error)),
            _ => Ok(()),
        };
        go_on_without(options, directory, found)?;
    }
    refuse_twice(folders)?;
    options.failed_directories = check(disk, options).map_err(|error| error.to_string())?;
    let mut locks = Vec::new();
    for (directory, folder) in (0..).map(DirectoryId).zip(folders) {
        if options.failed_directories.iter().any(|it| it.directory == directory) {
            continue;
        }
        let made = std::fs::create_dir_all(folder).map_err(|error| unusable(folder, &error));
        if go_on_without(options, directory, made)?.is_none() {
            continue;
        }
        match FolderLock::take(folder) {
            Err(Refused::InUse(reason)) => return Err(reason),
            Err(Refused::Unusable(reason)) => {
                go_on_without(options, directory, Err::<(), _>(reason))?;
            }
            Ok(lock) => locks.push(lock),
        }
    }
    Ok(locks)
}

/// `None` where a log directory failed that the node can do without: any but that of the metadata log.
pub(crate) fn go_on_without<T>(
    options: &mut BootOptions,
    directory: DirectoryId,
    result: Result<T, String>,
) -> Result<Option<T>, String> {
    match result {
        Err(reason) if directory != options.metadata_directory => {
            options.failed_directories.push(FailedDirectory { directory, reason });
            Ok(None)
        }
        other => other.map(Some),
    }
}

/// One folder under two names would be two log directories that write over each other.
fn refuse_twice(folders: &[PathBuf]) -> Result<(), String> {
    let mut seen = BTreeMap::new();
    for folder in folders {
        let real = folder.canonicalize().or_else(|_| std::path::absolute(folder));
        // One that does not exist yet has no links in it.
        let mut path = PathBuf::new();
        for part in real.unwrap_or_else(|_| folder.clone()).components() {
            match part {
                Component::ParentDir => drop(path.pop()),
                part => path.push(part),
            }
        }
        if let Some(other) = seen.insert(path, folder) {
            return Err(format!(
                "log.dirs names one folder twice, as {} and {}: name it once",
                other.display(),
                folder.display()
            ));
        }
    }
    Ok(())
}

fn unusable(folder: &Path, error: &std::io::Error) -> String {
    format!(
        "the data folder {} cannot be made ({error}): give this user write access there or name \
         another in log.dirs",
        folder.display()
    )
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
            let is_flush = result.flushed.is_some();
            for_results.borrow_mut().on_slow_result(result);
            if is_flush && !results.is_empty() {
                // It let records into the arena that waited for room, a megabyte perhaps: who asks for little
                // need not wait until the next flush has done the same.
                tokio::task::yield_now().await;
            }
        }
    });
    tokio::task::spawn_local(keep_deadlines(Rc::clone(shard)));
    look_after(shard, settings.connections_max_idle_ms);
}

/// Goes on with what waited for a cold disk.
async fn take_brought(shard: SharedShard, mut ranges: UnboundedReceiver<Brought>) {
    while let Some(brought) = ranges.recv().await {
        shard.borrow_mut().on_brought(brought);
    }
}

/// Goes on with requests whose records were looked at.
async fn take_examined(shard: SharedShard, mut told: UnboundedReceiver<examiner::Told>) {
    while let Some(told) = told.recv().await {
        shard.borrow_mut().on_examiner_told(told);
    }
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
                    () = sleep => shard.borrow_mut().on_deadline(),
                    () = changed.notified() => {}
                }
            }
        }
    }
}

/// Waits until the metadata log has been caught up with.
async fn await_running(shard: &SharedShard) -> Result<(), String> {
    let phase_changed = shard.borrow().phase_changed();
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
        phase_changed.notified().await;
    }
}

/// What the operating system may tell the process.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Comes with a write beyond the largest file (RLIMIT_FSIZE); unheard it would end the process.
    _file_too_large: Signal,
}

impl Signals {
    fn new() -> Result<Self, String> {
        let listen =
            |kind| signal(kind).map_err(|error| format!("signals cannot be listened to: {error}"));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            _file_too_large: listen(SignalKind::from_raw(SystemSignal::XFSZ.as_raw()))?,
        })
    }
}

/// Waits for a signal, then for the orderly stop; a second signal does not hurry it.
async fn until_stopped(shard: &SharedShard, mut signals: Signals) -> Result<(), String> {
    let phase_changed = shard.borrow().phase_changed();
    // What counts is the phase: a change may have been seen before it is told.
    while shard.borrow().halted().is_none() && shard.borrow().broker.is_running() {
        tokio::select! {
            _ = signals.interrupt.recv() => break,
            _ = signals.terminate.recv() => break,
            () = phase_changed.notified() => {}
        }
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
        phase_changed.notified().await;
    }
}
