//! The small files of a node, and what its operator writes: checkpoints, snapshots of producers, marks,
//! names, the quorum's state, properties with keys of every kind.
//!
//! What must hold: reading is total; what was read is itself when it is written and read again; a
//! configuration that the node accepts can be asked for everything that follows from it.
#![no_main]

use std::collections::BTreeMap;
use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use strom_base::config::{ConfigKind, ConfigMap, check, complete_ids, describe, names, table};
use strom_base::{config, properties};
use strom_broker::settings::BrokerSettings;
use strom_fuzz::choices::Choices;
use strom_raft::quorum_state::QuorumState;
use strom_raft::snapshot::SnapshotId;
use strom_storage::format::{
    clean_shutdown, directory_name, file_name, leader_epoch_checkpoint, meta_properties,
    offset_checkpoint, partition_metadata, producer_snapshot,
};

const KEYS_MAX: usize = 20;

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    match choices.byte() % 4 {
        0 => small_files(choices.rest()),
        1 => file_names(&String::from_utf8_lossy(choices.rest())),
        2 => file_of_properties(&String::from_utf8_lossy(choices.rest())),
        _ => configuration(keys(&mut choices)),
    }
});

/// What was read is what is read of it when it is written.
fn is_itself<T: PartialEq + Debug>(
    bytes: &[u8],
    parse: impl Fn(&[u8]) -> Option<T>,
    format: impl Fn(&T) -> Vec<u8>,
) {
    if let Some(read) = parse(bytes) {
        assert_eq!(parse(&format(&read)).as_ref(), Some(&read));
    }
}

fn small_files(bytes: &[u8]) {
    let epochs = |bytes: &[u8]| leader_epoch_checkpoint::parse(bytes).ok();
    is_itself(bytes, epochs, |it| leader_epoch_checkpoint::format(it));
    let offsets = |bytes: &[u8]| offset_checkpoint::parse(bytes).ok();
    is_itself(bytes, offsets, |it| offset_checkpoint::format(it));
    is_itself(bytes, |bytes| meta_properties::parse(bytes).ok(), meta_properties::format);
    let topic_id = |bytes: &[u8]| partition_metadata::parse(bytes).ok();
    is_itself(bytes, topic_id, |it| partition_metadata::format(*it));
    let _ = partition_metadata::is_torn(bytes);
    let producers = |bytes: &[u8]| producer_snapshot::parse(bytes).ok();
    is_itself(bytes, producers, |it| producer_snapshot::format(it.iter().copied()));
    is_itself(bytes, clean_shutdown::parse, |it| clean_shutdown::format(*it));
    let text = String::from_utf8_lossy(bytes);
    if let Ok(state) = QuorumState::from_json(&text) {
        let again = QuorumState::from_json(&state.to_json_with_directory());
        assert_eq!(again, Ok(state));
    }
}

fn file_names(text: &str) {
    let _ = directory_name::parse(text);
    let _ = file_name::parse(text);
    if let Some(id) = SnapshotId::from_file_name(text) {
        assert_eq!(SnapshotId::from_file_name(&id.file_name()), Some(id));
    }
}

fn file_of_properties(text: &str) {
    let Ok(found) = properties::parse(text) else { return };
    let _ = names::check_names("file", &found);
    configuration(found.into_iter().map(|it| (it.key, it.value)).collect());
}

/// Keys of the table with values of the input, on a file with which a node starts.
fn keys(choices: &mut Choices<'_>) -> ConfigMap {
    let known: Vec<_> = table::keys(ConfigKind::Broker).iter().collect();
    let mut file = config::standalone();
    for _ in 0..KEYS_MAX {
        if choices.is_over() {
            break;
        }
        let key = choices.one_of(&known).expect("keys").name;
        let length = usize::from(choices.byte());
        let value = String::from_utf8_lossy(choices.take(length)).into_owned();
        file.insert(key.to_owned(), value);
    }
    file
}

fn configuration(mut file: ConfigMap) {
    complete_ids(&mut file);
    let _ = check::broker_file(&file);
    for (name, value) in &file {
        let _ = check::topic_value(name, value);
        let _ = check::client_metrics(name, value);
    }
    let Ok(settings) = BrokerSettings::read(file.clone()) else { return };
    let _ = (settings.default_log_config(), settings.metadata_log_config());
    let layers = settings.layers();
    let _ = check::topic(&file, &layers);
    let overrides = BTreeMap::new();
    let _ = describe::describe_broker(&layers, None);
    let _ = describe::describe_topic(&layers, &overrides, None);
    let _ = describe::describe_group(&layers, &overrides, None);
}
