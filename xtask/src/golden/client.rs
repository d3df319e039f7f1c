//! Apache Kafka's own client, and its console consumer: they write, and tell what they read.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::broker::{Broker, Writer};
use crate::load::system::{checked, peer, peer_command};
use crate::stage::root;

/// Seconds.
const LIMIT_S: &str = "180";

/// Something of everything that the broker serves.
///
/// # Errors
/// When what was acknowledged is not there.
pub(super) fn write(broker: &Broker) -> Result<Vec<String>> {
    run(broker, "write")
}

/// All that is there.
///
/// # Errors
/// When it cannot be read.
pub(super) fn read(broker: &Broker) -> Result<Vec<String>> {
    run(broker, "read")
}

/// Some more behind it.
///
/// # Errors
/// When what was acknowledged is not there.
pub(super) fn write_more(broker: &Broker) -> Result<Vec<String>> {
    run(broker, "more")
}

fn run(broker: &Broker, verb: &str) -> Result<Vec<String>> {
    let class_path = checked(peer_command().arg("classpath"))?;
    let mut command = Command::new("timeout");
    command.args([LIMIT_S, "java", "-Xmx256m", "-cp", class_path.trim()]);
    let logging = peer().join("log4j2.yaml");
    command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
    command.arg("-Dkafka.logs.file=/dev/null");
    command.arg(root().join("xtask/src/golden/GoldenClient.java"));
    command.args([verb, &broker.address(), broker.kind.name()]);
    let output = command.output().context("running java")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{verb} on {}: {said}", broker.kind.name());
    let told = String::from_utf8(output.stdout)?;
    ensure!(told.contains("record\t"), "{verb}: nothing is told; {said}");
    Ok(told.lines().map(str::to_owned).collect())
}

/// What a console consumer prints of all topics but the internal ones: the committed ones among the
/// records that were told, and nothing else.
///
/// # Errors
/// When it prints anything else.
pub(super) fn check_console(broker: &Broker, told: &[String]) -> Result<()> {
    let fields = told.iter().map(|line| line.split('\t').collect::<Vec<_>>());
    let records =
        fields.filter(|it| it.first() == Some(&"record") && it.get(4) == Some(&"committed"));
    let expected: Vec<String> = records
        .filter_map(|it| {
            let (partition, offset, key, value) = (it.get(2)?, it.get(3)?, it.get(6)?, it.get(7)?);
            Some(format!("Partition:{partition}\tOffset:{offset}\t{key}\t{value}"))
        })
        .collect();
    let count = expected.len().to_string();
    let mut command = match broker.kind {
        Writer::Kafka => peer_command(),
        Writer::Strom => return Ok(()),
    };
    let mut limited = Command::new("timeout");
    limited.arg(LIMIT_S).arg(command.get_program());
    for (name, value) in command.get_envs() {
        limited.env(name, value.unwrap_or_default());
    }
    command = limited;
    command.args(["run", "kafka-console-consumer.sh", "--bootstrap-server", &broker.address()]);
    command.args(["--include", "[a-z].*", "--from-beginning", "--timeout-ms", "3000"]);
    command.args(["--isolation-level", "read_committed"]);
    for property in ["print.partition=true", "print.offset=true", "print.key=true"] {
        command.args(["--formatter-property", property]);
    }
    let output = command.stderr(Stdio::null()).output().context("kafka-console-consumer")?;
    let text = String::from_utf8(output.stdout)?;
    let (mut found, mut sorted): (Vec<&str>, Vec<&str>) =
        (text.lines().collect(), expected.iter().map(String::as_str).collect());
    found.sort_unstable();
    sorted.sort_unstable();
    let missing = sorted.iter().collect::<BTreeSet<_>>();
    let missing = missing.difference(&found.iter().collect()).count();
    let read = found.len();
    ensure!(
        found == sorted,
        "the console consumer reads {read} records of {count}, {missing} are missing"
    );
    Ok(())
}
