//! Operator's mistakes: one sentence, exit code 1, nothing touched.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use strom_protocol::create_topics_request::{CreatableTopic, CreateTopicsRequest};

use crate::node::{Place, picture};
use crate::wire::{Peer, frame};

#[test]
fn a_port_in_use_is_said_before_a_folder_is_made() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("an address");
    let mut place = Place::new();
    place.set("listeners", &format!("PLAINTEXT://{address}"));
    let said = place.refused();
    assert_eq!(
        said,
        format!(
            "the address {address} is in use: stop the program that listens there, or change \
             listeners\n"
        )
    );
    assert!(picture(place.path()).is_empty());
}

#[test]
fn a_second_process_on_the_same_folder_is_refused() {
    let place = Place::new();
    let first = place.start();
    // Else the first one's own checkpoints could be taken for the second one's.
    first.pause();
    let before = picture(&place.data());
    let said = place.refused();
    assert!(said.contains("is in use by another process: stop that node"), "{said}");
    assert_eq!(picture(&place.data()), before);
    first.resume();
    first.stop();
}

#[test]
fn a_folder_that_cannot_be_is_named() {
    let mut place = Place::new();
    let file = place.path().join("file");
    fs::write(&file, "mine").expect("a file");
    for folder in [file.display().to_string(), format!("{}/below", file.display())] {
        place.set("log.dirs", &folder);
        let said = place.refused();
        assert!(said.contains(&format!("the data folder {folder} ")), "{said}");
        assert!(said.contains("log.dirs"), "{said}");
        assert_eq!(fs::read(&file).expect("the file"), b"mine");
    }
}

#[test]
fn a_tls_listener_that_cannot_be_is_said_before_a_folder_is_made() {
    let mut place = Place::new();
    place.set("listeners", "SSL://127.0.0.1:0");
    let said = place.refused();
    let meant = "listener SSL: listener.name.ssl.ssl.keystore.location is missing";
    assert!(said.starts_with(meant), "{said}");
    place.set("ssl.keystore.location", "/nowhere/store.p12");
    assert!(place.refused().contains("ssl.keystore.password is missing"));
    place.set("ssl.keystore.password", "hush");
    assert!(place.refused().contains("names /nowhere/store.p12, which cannot be read"));
    place.set("listeners", "SASL_SSL://127.0.0.1:0");
    assert!(place.refused().contains("SASL_SSL, which this version does not serve yet"));
    assert!(picture(place.path()).is_empty());
}

#[test]
fn one_folder_under_two_names_is_refused() {
    let mut place = Place::new();
    let data = place.data().display().to_string();
    place.set("log.dirs", &format!("{data},{data}/../data/"));
    let said = place.refused();
    assert!(said.starts_with("log.dirs names one folder twice"), "{said}");
    fs::create_dir(place.data()).expect("a folder");
    std::os::unix::fs::symlink(place.data(), place.path().join("link")).expect("a link");
    place.set("log.dirs", &format!("{data},{}", place.path().join("link").display()));
    assert!(place.refused().starts_with("log.dirs names one folder twice"));
    assert!(picture(&place.data()).is_empty());
}

#[test]
fn a_folder_that_takes_no_files_is_named() {
    let mut place = Place::new();
    // Even the superuser makes no files there.
    for folder in ["/proc/strom", "/sys/strom/below"] {
        place.set("log.dirs", folder);
        let said = place.refused();
        assert!(said.contains(&format!("the data folder {folder} ")), "{said}");
        assert!(said.contains("name another in log.dirs"), "{said}");
    }
    assert!(picture(place.path()).is_empty());
}

#[test]
fn a_folder_of_another_node_is_left_alone() {
    let mut place = Place::new();
    place.start().stop();
    // As if it had been copied without it.
    fs::remove_file(place.data().join(".lock")).expect("a lock file");
    let before = picture(&place.data());
    place.set("node.id", "7");
    place.set("controller.quorum.voters", "7@127.0.0.1:9093");
    let said = place.refused();
    assert!(said.contains("belongs to node 1, but node.id is 7"), "{said}");
    assert!(said.contains("set node.id=1"), "{said}");
    assert_eq!(picture(&place.data()), before);
}

#[test]
fn folders_of_two_clusters_are_left_alone() {
    let (mut place, other) = (Place::new(), Place::new());
    place.start().stop();
    other.start().stop();
    let before = (picture(&place.data()), picture(&other.data()));
    let both = format!("{},{}", place.data().display(), other.data().display());
    place.set("log.dirs", &both);
    let said = place.refused();
    assert!(said.contains("name folders of one cluster only"), "{said}");
    assert!(said.contains(&other.data().display().to_string()), "{said}");
    assert_eq!((picture(&place.data()), picture(&other.data())), before);
}

#[test]
fn a_copy_of_a_folder_beside_it_is_left_alone() {
    let mut place = Place::new();
    place.start().stop();
    let copy = place.path().join("copy");
    fs::create_dir(&copy).expect("a folder");
    let identity = place.data().join("meta.properties");
    fs::copy(identity, copy.join("meta.properties")).expect("a copy");
    let before = picture(place.path());
    place.set("log.dirs", &format!("{},{}", place.data().display(), copy.display()));
    let said = place.refused();
    assert!(said.contains("have the same directory.id"), "{said}");
    assert!(said.contains(&copy.display().to_string()), "{said}");
    let after = picture(place.path());
    let identities = |picture: &BTreeMap<PathBuf, _>| {
        picture.keys().filter(|it| !it.ends_with(".lock")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(identities(&after), identities(&before));
    assert!(place.data().join(".kafka_cleanshutdown").exists());
}

#[test]
fn a_node_of_a_cluster_of_several_makes_no_cluster_of_its_own() {
    let mut place = Place::new();
    place.set("process.roles", "broker");
    let said = place.refused();
    assert!(said.contains("set process.roles=broker,controller"), "{said}");
    assert!(picture(place.path()).is_empty());
}

#[test]
fn a_folder_that_lost_its_identity_is_not_formatted_over() {
    let place = Place::new();
    place.start().stop();
    fs::remove_file(place.data().join("meta.properties")).expect("an identity");
    let before = picture(&place.data());
    let said = place.refused();
    assert!(said.contains("meta.properties"), "{said}");
    assert!(said.contains(&place.data().display().to_string()), "{said}");
    assert!(said.contains("empty folder"), "{said}");
    assert_eq!(picture(&place.data()), before);
}

#[test]
fn a_damaged_identity_is_said_with_its_folder() {
    let place = Place::new();
    place.start().stop();
    fs::write(place.data().join("meta.properties"), b"\xff\xfe=garbage").expect("a file");
    let before = picture(&place.data());
    let said = place.refused();
    assert!(said.contains(&place.data().display().to_string()), "{said}");
    assert!(said.contains("meta.properties"), "{said}");
    assert_eq!(picture(&place.data()), before);
}

#[test]
fn a_format_that_was_cut_short_is_finished() {
    let place = Place::new();
    place.start().stop();
    // What formatting writes before the identity, which comes last.
    let data = place.data();
    let bootstrap = fs::read(data.join("bootstrap.checkpoint")).expect("written at first start");
    fs::remove_dir_all(&data).expect("a folder");
    fs::create_dir_all(data.join("__cluster_metadata-0")).expect("a folder");
    fs::write(data.join("bootstrap.checkpoint"), bootstrap).expect("a file");
    fs::write(data.join("meta.properties.tmp"), "vers").expect("a file");
    place.start().stop();
}

#[test]
fn a_data_folder_that_goes_away_stops_the_node_with_a_sentence() {
    let place = Place::new();
    let node = place.start();
    fs::remove_dir_all(place.data()).expect("a folder");
    let mut peer = Peer::connect(node.address());
    // The node may be gone before it answers.
    peer.send(&frame(7, &a_topic()));
    peer.finish();
    let log = place.path().join("stderr");
    assert_eq!(node.end(), Some(1));
    let said = fs::read_to_string(log).expect("its log");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains(&place.data().display().to_string()), "{said}");
    assert!(last.contains("the metadata log is there, so the node stops"), "{said}");
}

fn a_topic() -> CreateTopicsRequest<'static> {
    let topic = CreatableTopic {
        name: "lost",
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() }
}
