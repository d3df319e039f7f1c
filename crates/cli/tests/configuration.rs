//! Mistakes in a node's configuration: one sentence that names the key and what to do, exit code 1,
//! nothing touched.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Far beyond what a refusal takes: a node that starts is a failure, not a hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// What `strom server` says to these arguments, in an empty folder that stays empty.
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let before = names(folder);
    let mut child = Command::new(env!("CARGO_BIN_EXE_strom"))
        .arg("server")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().expect("a child").is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("the node started: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().expect("its output");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty(), "{said}");
    assert_eq!(said.lines().count(), 1, "one sentence: {said}");
    assert_eq!(names(folder), before, "nothing is touched");
    said.trim_end().to_owned()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn refused_file(text: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("server.properties"), text).expect("a file");
    refused(folder.path(), &["--config", "server.properties"])
}

fn refused_override(setting: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    refused(folder.path(), &["--override", setting])
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_name_that_was_meant() {
    assert_eq!(
        refused_file("# a node\nnode.id=1\nlog.retension.hours=5\n"),
        "server.properties, line 3: unknown key log.retension.hours: did you mean \
         log.retention.hours?"
    );
    assert_eq!(
        refused_override("num.partition=3"),
        "--override: unknown key num.partition: did you mean num.partitions?"
    );
    assert!(refused_override("retention.ms=1").ends_with("did you mean log.retention.ms?"));
    assert!(refused_file("zookeeper.connect=a:1").contains("gone since Apache Kafka 4.0"));
    assert!(refused_file("confluent.balancer.enable=true").contains("unknown key confluent."));
}

#[test]
fn a_value_that_is_none_is_named_with_its_key() {
    assert_eq!(
        refused_file("num.partitions=many"),
        "Invalid value many for configuration num.partitions: Not a number of type INT"
    );
    assert_eq!(
        refused_override("log.segment.bytes=5"),
        "Invalid value 5 for configuration log.segment.bytes: Value must be at least 1048576"
    );
    assert!(refused_override("log.cleanup.policy=shred").contains("log.cleanup.policy"));
    assert!(refused_override("auto.create.topics.enable=maybe").contains("either true or false"));
    assert!(refused_override("node.id=-3").contains("node.id"));
    assert!(refused_file("node.id=\\u12").contains("line 1"));
}

#[test]
fn listeners_that_cannot_be_are_said() {
    let twice = refused_override("listeners=PLAINTEXT://:9192,PLAINTEXT://:9193");
    assert_eq!(twice, "listeners names PLAINTEXT twice: give each listener a name of its own");
    let same = refused_override("listeners=PLAINTEXT://:9192,SSL://:9192");
    assert!(same.contains("have the same port 9192"), "{same}");
    let tls = refused_override("listeners=SSL://:9192");
    assert!(tls.contains("a TLS listener needs a key store"), "{tls}");
    let sasl = refused_override("listeners=SASL_SSL://:9192");
    assert!(sasl.contains("this version does not serve yet"), "{sasl}");
    assert!(refused_override("listeners=nowhere").contains("NAME://host:port is expected"));
    assert!(refused_override("listeners=").contains("listeners"));
}

#[test]
fn values_that_contradict_each_other_are_said() {
    assert!(refused_file("node.id=1\nbroker.id=2").contains("remove broker.id"));
    assert!(refused_file("metadata.log.dir=elsewhere").contains("name one of them"));
    let lags = "log.cleaner.min.compaction.lag.ms=6\nlog.cleaner.max.compaction.lag.ms=5";
    assert!(refused_file(lags).contains("compaction.lag.ms"));
    assert!(refused_override("log.retention.ms=0").contains("log.retention.ms must be unlimited"));
}

#[test]
fn a_file_that_is_not_there_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = refused(folder.path(), &["--config", "missing.properties"]);
    assert!(said.contains("missing.properties cannot be read"), "{said}");
    assert_eq!(
        refused_override("num.partitions"),
        "--override takes KEY=VALUE, not 'num.partitions'"
    );
}
