//! Puts the schemas of persisted records into the binary: `strom dump-log` prints by them.

use std::fmt::Write;
use std::path::{Path, PathBuf};

const FOLDERS: &[&str] =
    &["metadata", "group-coordinator", "transaction-coordinator", "share-coordinator"];
/// What persisted records embed, and the control records.
const SINGLE: &[&str] = &[
    "protocol/ConsumerProtocolAssignment.json",
    "protocol/ConsumerProtocolSubscription.json",
    "protocol/KRaftVersionRecord.json",
    "protocol/LeaderChangeMessage.json",
    "protocol/SnapshotFooterRecord.json",
    "protocol/SnapshotHeaderRecord.json",
    "protocol/VotersRecord.json",
];

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/schema");
    let mut files: Vec<PathBuf> = SINGLE.iter().map(|file| root.join(file)).collect();
    for folder in FOLDERS {
        let folder = root.join(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        let entries = std::fs::read_dir(&folder).expect("a folder of schemas");
        files.extend(entries.map(|entry| entry.expect("an entry of the folder").path()));
    }
    files.sort();
    let mut text = String::from("/// The schema files, as they are.\n");
    text.push_str("static SCHEMA_FILES: &[&str] = &[\n");
    for file in files {
        writeln!(text, "    include_str!({file:?}),").expect("a string takes everything");
    }
    text.push_str("];\n");
    let output = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    std::fs::write(output.join("schemas.rs"), text).expect("the output folder is writable");
}
