//! `strom configs`: what is set, taken back and described.

use crate::node::Node;

#[test]
fn a_topics_configuration_is_changed_and_taken_back() {
    let node = Node::start();
    let topic = node.name("configured");
    node.prints("topics", &["--create", "--topic", &topic]);
    let alter = ["--alter", "--topic", &topic, "--add-config"];
    let set = "retention.ms=1000,cleanup.policy=[compact,delete]";
    let completed = format!("Completed updating config for topic {topic}.\n");
    assert_eq!(node.prints("configs", &[&alter[..], &[set]].concat()), completed);
    let describe = ["--describe", "--entity-type", "topics", "--entity-name", &topic];
    let described = node.prints("configs", &describe);
    let lines: Vec<&str> = described.lines().collect();
    assert_eq!(lines[0], format!("Dynamic configs for topic {topic} are:"));
    let policy = "  cleanup.policy=compact,delete sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:\
                  cleanup.policy=compact,delete, DEFAULT_CONFIG:log.cleanup.policy=delete}";
    assert_eq!(lines[1], policy);
    assert!(lines[2].starts_with("  retention.ms=1000 sensitive=false synonyms={"));
    let take_back =
        ["--alter", "--topic", &topic, "--delete-config", "retention.ms,cleanup.policy"];
    assert_eq!(node.prints("configs", &take_back), completed);
    assert_eq!(node.prints("configs", &describe).lines().count(), 1);
}

#[test]
fn what_is_not_there_or_not_known_is_told() {
    let node = Node::start();
    let described = node.prints("configs", &["--describe", "--topic", "nosuch"]);
    let expected = "The topic 'nosuch' doesn't exist and doesn't have dynamic config.\n";
    assert_eq!(described, expected);
    let alter = ["--alter", "--topic", "nosuch", "--add-config", "retention.ms=1"];
    assert!(node.refuses("configs", &alter).contains("nosuch"));
    assert_eq!(
        node.refuses("configs", &["--describe"]),
        "At least one entity type must be specified\n"
    );
}

#[test]
fn every_broker_and_their_defaults_are_described() {
    let node = Node::start();
    let described = node.prints("configs", &["--describe", "--entity-type", "brokers"]);
    assert!(described.starts_with("Dynamic configs for broker 1 are:\n"), "{described}");
    assert!(described.contains("Default configs for brokers in the cluster are:\n"));
    let all = node.prints("configs", &["--describe", "--broker", "1", "--all"]);
    assert!(all.starts_with("All configs for broker 1 are:\n"));
    assert!(all.contains("  log.retention.bytes=-1 sensitive=false synonyms={"), "{all}");
}
