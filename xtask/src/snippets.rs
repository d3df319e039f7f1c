//! README.md as somebody meets it who types what it shows: every command and every program, as it
//! stands, against the release binary in an empty folder.

mod first_node;
mod readme;
mod sample;
mod shell;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::stage::{command, root};
use first_node::{FirstNode, Stop, check_port};
use readme::{Readme, Sample};
use sample::{Event, TOPIC};
use shell::Shell;

const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// The file that `--config server.properties` means, as Kafka ships it but for the addresses and folder.
const SERVER_PROPERTIES: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:9093
listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://127.0.0.1:9092
controller.listener.names=CONTROLLER
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=strom-data
num.partitions=1
num.recovery.threads.per.data.dir=2
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
";

/// # Errors
/// When anything that the README shows does not do what the README says.
pub(crate) fn run() -> Result<()> {
    check_port()?;
    let readme = Readme::read(&fs::read_to_string(root().join("README.md"))?)?;
    // Or the node would start late, when this stage alone is run on a fresh checkout.
    command("cargo", &["build", "--quiet", "--release"])?;
    let shell = Shell::new();
    let work = root().join("target/snippets");
    commands(&readme, &shell, &work.join("commands")).context("the README's commands")?;
    start_with_file(&readme, &shell, &work.join("with-file")).context("the configuration file")?;
    programs(&readme, &shell, &work)
}

/// A folder without a past: the caches of installed packages lie elsewhere.
fn fresh(folder: &Path) -> Result<&Path> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    Ok(folder)
}

/// The quick start, and that what it wrote is there after each kind of stop.
fn commands(readme: &Readme, shell: &Shell, folder: &Path) -> Result<()> {
    let node = FirstNode::start(fresh(folder)?, &readme.start)?;
    // The reader has not put the binary on the path yet.
    shell
        .without_path()
        .run(folder, &node.try_command, COMMAND_LIMIT)
        .context("the command that the node says")?;
    let mut said = String::new();
    for block in &readme.before {
        said.push_str(&shell.run(&root(), block, COMMAND_LIMIT)?);
    }
    ensure!(said.contains("hello, strom"), "what was produced is not consumed:\n{said}");
    let topics = shell.strom(folder, "topics --list")?;
    node.stop(Stop::ControlC)?;
    let node = FirstNode::start(folder, &readme.start)?;
    ensure!(shell.strom(folder, "topics --list")? == topics, "topics are gone after Control-C");
    node.stop(Stop::Terminate)?;
    let node = FirstNode::start(folder, &readme.start)?;
    ensure!(shell.strom(folder, "topics --list")? == topics, "topics are gone after SIGTERM");
    node.stop(Stop::Terminate)
}

fn start_with_file(readme: &Readme, shell: &Shell, folder: &Path) -> Result<()> {
    fs::write(fresh(folder)?.join("server.properties"), SERVER_PROPERTIES)?;
    let node = FirstNode::start(folder, &readme.start_with_file)?;
    shell.strom(folder, "topics --create --topic four")?;
    let described = shell.strom(folder, "topics --describe --topic four")?;
    ensure!(described.contains("PartitionCount: 4"), "--override has no effect: {described}");
    node.stop(Stop::ControlC)
}

/// Each program on one node, one after the other, as the README says that they may be run; after a
/// failure the next one gets a fresh node.
fn programs(readme: &Readme, shell: &Shell, work: &Path) -> Result<()> {
    ensure!(readme.samples.len() >= 4, "README.md has {} programs", readme.samples.len());
    let mut failed = 0;
    let mut running: Option<(FirstNode, Vec<Event>)> = None;
    for sample in &readme.samples {
        let name = &sample.language;
        let began = Instant::now();
        let ready = sample.prepare(shell, &work.join("packages").join(name));
        let ready_s = began.elapsed().as_secs_f64();
        let (node, earlier) = match running.take() {
            Some(running) => running,
            None => (node_for_programs(readme, shell, &work.join("node"))?, Vec::new()),
        };
        let began = Instant::now();
        match ready.and_then(|folder| sample.check(shell, &folder, &earlier)) {
            Ok(()) => {
                let run_s = began.elapsed().as_secs_f64();
                println!("{name}: both groups got every event ({ready_s:.1} + {run_s:.1} s)");
                running = Some((node, read_by_now(earlier, sample)));
            }
            Err(error) => {
                println!("{name}: {error:#}");
                failed += 1;
            }
        }
    }
    if let Some((node, _)) = running {
        for block in &readme.after {
            let said = shell.run(&root(), block, COMMAND_LIMIT)?;
            ensure!(said.contains(TOPIC), "{block} does not show {TOPIC}:\n{said}");
        }
        node.stop(Stop::Terminate)?;
    }
    ensure!(failed == 0, "{failed} program(s) of README.md fail");
    Ok(())
}

fn read_by_now(mut earlier: Vec<Event>, sample: &Sample) -> Vec<Event> {
    earlier.extend(sample::events(&sample.code));
    earlier
}

/// A node in an empty folder, with the topic made as the README says.
fn node_for_programs(readme: &Readme, shell: &Shell, folder: &Path) -> Result<FirstNode> {
    let node = FirstNode::start(fresh(folder)?, &readme.start)?;
    let made = readme.before.iter().find(|block| block.contains(TOPIC));
    let made = made.with_context(|| format!("README.md does not make {TOPIC}"))?;
    shell.run(&root(), made, COMMAND_LIMIT)?;
    Ok(node)
}
