//! What `strom dump-log` prints of files that Apache Kafka 4.3.1 wrote is, byte for byte, what
//! Kafka's own kafka-dump-log printed of them. The `.txt` files beside them are its output.

use std::path::{Path, PathBuf};
use std::process::Command;

const LOG: &str = "00000000000000000000.log";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dump-log")
}

fn printed(options: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_strom"))
        .arg("dump-log")
        .args(options)
        .current_dir(fixtures())
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn kafkas(file: &str) -> String {
    std::fs::read_to_string(fixtures().join(file)).expect("the recorded output")
}

#[test]
fn batches_are_printed_as_kafka_prints_them() {
    let log = format!("data/{LOG}");
    assert_eq!(printed(&["--files", &log]), kafkas("data.batches.txt"));
}

#[test]
fn records_are_printed_as_kafka_prints_them() {
    let log = format!("data/{LOG}");
    assert_eq!(printed(&["--files", &log, "--print-data-log"]), kafkas("data.records.txt"));
}

#[test]
fn metadata_records_are_kafkas_json() {
    let log = format!("metadata/{LOG}");
    assert_eq!(printed(&["--files", &log, "--cluster-metadata-decoder"]), kafkas("metadata.txt"));
}

#[test]
fn snapshots_of_the_metadata_log_are_logs() {
    let files = "snapshot/00000000000000000000-0000000000.checkpoint,snapshot/bootstrap.checkpoint";
    assert_eq!(printed(&["--files", files, "--cluster-metadata-decoder"]), kafkas("snapshot.txt"));
}

#[test]
fn groups_and_their_offsets_are_kafkas_json() {
    let files = format!("offsets/{LOG},offsets-13/{LOG}");
    assert_eq!(printed(&["--files", &files, "--offsets-decoder"]), kafkas("offsets.txt"));
}

#[test]
fn producers_are_printed_as_kafka_prints_them() {
    let file = "producers/00000000000000000001.snapshot";
    assert_eq!(printed(&["--files", file]), kafkas("producers.txt"));
}

#[test]
fn a_damaged_or_missing_file_is_one_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join(LOG);
    let mut bytes = std::fs::read(fixtures().join("data").join(LOG)).expect("the fixture");
    bytes.truncate(150);
    std::fs::write(&log, &bytes).expect("a copy");
    let text = printed(&["--files", log.to_str().expect("a path")]);
    assert!(text.ends_with("Found 45 invalid bytes at the end of 00000000000000000000.log\n"));
    let output = Command::new(env!("CARGO_BIN_EXE_strom"))
        .args(["dump-log", "--files", "/nowhere/00000000000000000000.log"])
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.lines().count(), 1, "{said}");
}
