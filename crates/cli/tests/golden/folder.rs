//! A copy of each golden folder through several lives of the node.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use strom_host::file_disk::FileDisk;
use strom_sim::scan::{Told as ScanTold, scan_with};
use strom_storage::disk::DirectoryId;

use crate::expected::{Told, difference, lines};
use crate::node::{Node, Place};
use crate::reading;

const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
/// The longest that there is: folders get older than a day.
const PRODUCER_EXPIRATION_MS: i64 = i32::MAX as i64;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

struct Golden {
    place: Place,
    expected: Told,
    /// Its cleaner has been there: their logs have holes.
    compacted: BTreeSet<String>,
}

impl Golden {
    fn open(name: &str) -> Golden {
        let mut place = Place::new();
        copy(&golden().join(name).join("data"), &place.data());
        place.set("node.id", "1");
        place.set("offsets.retention.minutes", &i32::MAX.to_string());
        place.set("producer.id.expiration.ms", &PRODUCER_EXPIRATION_MS.to_string());
        let text = fs::read_to_string(golden().join(name).join("expected.tsv")).expect("a file");
        let expected = lines(text.lines());
        let compacted = expected.iter().filter_map(|line| {
            let line = line.strip_prefix("config\ttopic\t")?;
            line.strip_suffix("\tcleanup.policy\tcompact").map(str::to_owned)
        });
        let compacted = compacted.collect();
        Golden { place, expected, compacted }
    }

    /// Reads all of it.
    fn check(&self, node: &Node, life: &str) {
        let found = reading::tell(node.address(), &self.groups());
        let difference = difference(&self.expected, &found);
        assert!(difference.is_empty(), "{life}:\n{difference}{}", node.said());
    }

    /// Groups of which something is expected, and one that nobody knows.
    fn groups(&self) -> BTreeSet<String> {
        let known = self.expected.iter().filter_map(|line| line.strip_prefix("committed\t"));
        let known = known.filter_map(|line| line.split('\t').next());
        known.chain(["nobody"]).map(str::to_owned).collect()
    }

    /// `strom consume` of what is committed has all of that and nothing else.
    fn check_tool(&self, node: &Node) {
        for topic in ["transactions", "open", "codec-lz4", "compacted"] {
            let begin = format!("record\t{topic}\t");
            let records = self.expected.iter().filter(|line| line.starts_with(&begin));
            let fields = records.map(|line| line.split('\t').collect::<Vec<_>>());
            let mut expected: Vec<String> = fields
                .filter(|fields| fields[4] == "committed")
                .map(|fields| {
                    format!("Partition:{}\tOffset:{}\t{}", fields[2], fields[3], fields[7])
                })
                .collect();
            if expected.is_empty() {
                continue;
            }
            let output = Command::new(env!("CARGO_BIN_EXE_strom"))
                .args(["consume", "--bootstrap-server", &node.address().to_string()])
                .args(["--topic", topic, "--from-beginning", "--timeout-ms", "1000"])
                .args(["--isolation-level", "read_committed"])
                .args(["--formatter-property", "print.offset=true"])
                .args(["--formatter-property", "print.partition=true"])
                .output()
                .expect("the binary starts");
            let text = String::from_utf8_lossy(&output.stdout);
            let mut found: Vec<&str> = text.lines().collect();
            expected.sort();
            found.sort_unstable();
            assert_eq!(found, expected, "strom consume of {topic}");
        }
    }

    fn scan(&self, life: &str) {
        let disk = FileDisk::new(vec![self.place.data()]);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is right");
        let told = ScanTold {
            compacted: self.compacted.clone(),
            producers_expired_before_ms: since.as_millis() as i64 - PRODUCER_EXPIRATION_MS,
            served: None,
        };
        let scanned = scan_with(&disk, DirectoryId(0), &told);
        assert_eq!(scanned, Ok(()), "{life}");
    }
}

/// As it is, once more after a clean stop, and after kill -9.
fn lives(name: &str) {
    let golden = Golden::open(name);
    golden.scan("as it was written");
    for life in ["the first start", "after a clean stop"] {
        let node = golden.place.start();
        golden.check(&node, life);
        node.stop();
        golden.scan(life);
    }
    let node = golden.place.start();
    golden.check(&node, "before kill -9");
    golden.check_tool(&node);
    node.kill();
    let node = golden.place.start();
    golden.check(&node, "after kill -9");
    node.stop();
    golden.scan("after kill -9");
}

/// Nothing says that it was stopped cleanly, nor up to where it was safe.
fn lives_after_a_crash_of_its_writer(name: &str) {
    let golden = Golden::open(name);
    for file in [CLEAN_SHUTDOWN, "recovery-point-offset-checkpoint"] {
        fs::remove_file(golden.place.data().join(file)).expect("a file of a clean stop");
    }
    for life in ["without a clean stop", "and once more"] {
        let node = golden.place.start();
        golden.check(&node, life);
        node.stop();
        golden.scan(life);
    }
}

#[test]
fn what_kafka_wrote_is_read_whole_in_every_life() {
    lives("kafka-4.3.1");
}

#[test]
fn what_kafka_wrote_is_read_whole_without_its_clean_stop() {
    lives_after_a_crash_of_its_writer("kafka-4.3.1");
}

#[test]
fn what_strom_wrote_is_read_whole_in_every_life() {
    lives("strom-1");
}

#[test]
fn what_strom_wrote_is_read_whole_without_its_clean_stop() {
    lives_after_a_crash_of_its_writer("strom-1");
}

/// Each folder brings what it is there for; an emptied fixture would pass all else.
#[test]
fn the_folders_hold_what_they_are_for() {
    for (name, records) in [("kafka-4.3.1", 450), ("strom-1", 350)] {
        let expected = Golden::open(name).expected;
        let count = |begin: &str, end: &str| {
            let lines = expected.iter();
            lines.filter(|line| line.starts_with(begin) && line.contains(end)).count()
        };
        assert!(count("record\t", "") > records, "{name}: {}", count("record\t", ""));
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
            assert_eq!(count(&format!("record\tcodec-{codec}\t"), "\tcommitted\t"), 40);
        }
        assert_eq!(count("start\tdeleted-prefix\t0\t27", ""), 1);
        assert!(count("committed\t", "") >= 4);
        let data = golden().join(name).join("data");
        let files = |topic: &str, end: &str| {
            let entries = fs::read_dir(data.join(topic)).expect("a partition");
            let names = entries.map(|it| it.expect("an entry").file_name());
            names.filter(|name| name.to_string_lossy().ends_with(end)).count()
        };
        assert!(files("segments-0", ".log") >= 4);
        if name.starts_with("kafka") {
            assert!(count("record\ttransactions\t", "\tuncommitted\t") >= 11);
            assert!(count("record\tcompacted\t", "") < 60, "the cleaner was not there");
            assert!(files("transactions-0", ".txnindex") >= 1);
        }
    }
}
