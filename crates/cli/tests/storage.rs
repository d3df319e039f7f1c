//! `strom storage`, with the words of Kafka's kafka-storage.

use std::path::Path;
use std::process::Command;

const CLUSTER: &str = "MkU3OEVBNTcwNTJENDM2Qg";

fn storage(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_strom"))
        .arg("storage")
        .args(arguments)
        .output()
        .expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A configuration with two log directories, `a` and `b`, and further lines.
fn configured(folder: &Path, further: &str) -> String {
    let path = folder.join("server.properties");
    let folder = folder.display();
    let text = format!(
        "process.roles=broker,controller\nnode.id=5\ncontroller.listener.names=CONTROLLER\n\
         listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093\n\
         log.dirs={folder}/a,{folder}/b\n{further}\n"
    );
    std::fs::write(&path, text).expect("the configuration is written");
    path.to_str().expect("a path").to_owned()
}

const STATIC: &str = "controller.quorum.voters=5@127.0.0.1:9093";
const DYNAMIC: &str = "controller.quorum.bootstrap.servers=127.0.0.1:9093";

#[test]
fn a_folder_is_formatted_once_and_for_one_cluster() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = configured(folder.path(), STATIC);
    let (code, printed, _) = storage(&["format", "--config", &config, "--cluster-id", CLUSTER]);
    assert_eq!(code, Some(0));
    let base = folder.path().display();
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines[0].starts_with("Bootstrap metadata: BootstrapMetadata(records=["));
    let metadata = format!("Formatting metadata directory {base}/a with metadata.version 4.3-IV0.");
    let data = format!("Formatting data directory {base}/b with metadata.version 4.3-IV0.");
    assert_eq!(lines[1..], [metadata, data]);
    let bootstrap = std::fs::metadata(folder.path().join("a/bootstrap.checkpoint"));
    // The same size as the file that Apache Kafka 4.3.1 writes.
    assert_eq!(bootstrap.expect("written").len(), 411);
    let (code, _, said) = storage(&["format", "-c", &config, "-t", CLUSTER]);
    let again = format!(
        "Log directory {base}/a is already formatted. Use --ignore-formatted to ignore this \
         directory and format the others.\n"
    );
    assert_eq!((code, said), (Some(1), again));
    let (code, printed, _) = storage(&["format", "-c", &config, "-t", CLUSTER, "-g"]);
    let all = "All of the log directories are already formatted.\n";
    assert_eq!((code, printed.as_str()), (Some(0), all));
    let (code, _, said) = storage(&["format", "-c", &config, "-t", "another", "-g"]);
    let foreign = format!(
        "Invalid cluster.id in: {base}/a/meta.properties. Expected another, but read {CLUSTER}\n"
    );
    assert_eq!((code, said), (Some(1), foreign));
}

#[test]
fn info_tells_what_is_there_and_what_is_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = configured(folder.path(), STATIC);
    let base = folder.path().display();
    let (code, printed, _) = storage(&["info", "--config", &config]);
    let missing =
        format!("Found problems:\n  {base}/a does not exist\n  {base}/b does not exist\n\n");
    assert_eq!((code, printed), (Some(1), missing));
    storage(&["format", "-c", &config, "-t", CLUSTER]);
    let (code, printed, _) = storage(&["info", "--config", &config]);
    assert_eq!(code, Some(0));
    let found = format!(
        "Found log directories:\n  {base}/a\n  {base}/b\n\nFound metadata: \
         {{cluster.id={CLUSTER}, directory.id="
    );
    assert!(printed.starts_with(&found), "{printed}");
}

#[test]
fn a_controller_has_to_say_how_its_quorum_begins() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = configured(folder.path(), DYNAMIC);
    let (code, _, said) = storage(&["format", "-c", &config, "-t", CLUSTER]);
    assert_eq!(code, Some(1));
    assert!(said.starts_with("Because controller.quorum.voters is not set on this controller"));
    assert!(!folder.path().join("a").exists(), "nothing is touched");
    let (code, printed, _) = storage(&["format", "-c", &config, "-t", CLUSTER, "--standalone"]);
    assert_eq!(code, Some(0));
    assert!(printed.contains("Formatting dynamic metadata voter directory"));
    let voters = "a/__cluster_metadata-0/00000000000000000000-0000000000.checkpoint";
    assert!(folder.path().join(voters).exists());
    let config = configured(folder.path(), STATIC);
    let (code, _, said) = storage(&["format", "-c", &config, "-t", CLUSTER, "--standalone"]);
    assert_eq!(code, Some(1));
    assert!(said.starts_with("You cannot specify controller.quorum.voters"));
}

#[test]
fn releases_and_features_are_kafkas() {
    let expected = "metadata.version=25 (4.0)\nkraft.version=1\ntransaction.version=2\n\
                    group.version=1\neligible.leader.replicas.version=0\nshare.version=0\n\
                    streams.version=0\n";
    assert_eq!(storage(&["version-mapping", "-r", "4.0"]).1, expected);
    let feature = "eligible.leader.replicas.version=1";
    let expected = format!("{feature} requires:\n    metadata.version=23 (4.0-IV1)\n");
    assert_eq!(storage(&["feature-dependencies", "-f", feature]).1, expected);
}

#[test]
fn a_configuration_with_a_slip_is_refused_as_the_server_refuses_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = configured(folder.path(), "log.retension.hours=1");
    let (code, _, said) = storage(&["format", "-c", &config, "-t", CLUSTER, "--standalone"]);
    assert_eq!(code, Some(1));
    assert!(said.ends_with("did you mean log.retention.hours?\n"), "{said}");
    assert!(!folder.path().join("a").exists(), "nothing is touched");
}

#[test]
fn random_ids_are_ids() {
    let (_, printed, _) = storage(&["random-uuid"]);
    assert_eq!(printed.trim_end().len(), 22);
    assert!(printed.trim_end().parse::<strom_base::Uuid>().is_ok());
}
