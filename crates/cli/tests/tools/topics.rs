//! `strom topics`: made, grown, described and deleted.

use crate::node::Node;

#[test]
fn topics_are_made_described_grown_and_deleted() {
    let node = Node::start();
    let topic = node.name("alpha");
    let create =
        ["--create", "--topic", &topic, "--partitions", "2", "--config", "segment.ms=90000"];
    assert_eq!(node.prints("topics", &create), format!("Created topic {topic}.\n"));
    assert!(node.prints("topics", &["--list"]).lines().any(|name| name == topic));
    let described = node.prints("topics", &["--describe", "--topic", &topic]);
    let lines: Vec<&str> = described.lines().collect();
    assert!(lines[0].starts_with(&format!("Topic: {topic}\tTopicId: ")), "{described}");
    let counts = "\tPartitionCount: 2\tReplicationFactor: 1\tConfigs: ";
    assert!(lines[0].contains(counts) && lines[0].contains("segment.ms=90000"), "{described}");
    let partition = format!(
        "\tTopic: {topic}\tPartition: 1\tLeader: 1\tReplicas: 1\tIsr: 1\tElr: \tLastKnownElr: "
    );
    assert_eq!(lines[2], partition);
    let grow = ["--alter", "--topic", &topic, "--partitions", "3"];
    assert_eq!(node.prints("topics", &grow), "");
    let described = node.prints("topics", &["--describe", "--topic", &topic]);
    assert_eq!(described.lines().count(), 4);
    assert_eq!(node.prints("topics", &["--delete", "--topic", &topic]), "");
    assert!(!node.prints("topics", &["--list"]).lines().any(|name| name == topic));
}

#[test]
fn what_exists_or_does_not_is_told_in_kafkas_words() {
    let node = Node::start();
    let topic = node.name("once");
    let create = ["--create", "--topic", &topic];
    node.prints("topics", &create);
    let what = "Error while executing topic command : ";
    let exists = format!("{what}Topic '{topic}' already exists.\n");
    assert_eq!(node.refuses("topics", &create), exists);
    let create = ["--create", "--topic", &topic, "--if-not-exists"];
    assert_eq!(node.prints("topics", &create), "");
    let missing = format!("{what}Topic 'nosuch' does not exist as expected\n");
    for action in ["--describe", "--delete"] {
        assert_eq!(node.refuses("topics", &[action, "--topic", "nosuch"]), missing);
        assert_eq!(node.prints("topics", &[action, "--topic", "nosuch", "--if-exists"]), "");
    }
    let shrink = ["--alter", "--topic", &topic, "--partitions", "1"];
    let said = node.refuses("topics", &shrink);
    assert_eq!(
        said,
        format!("{what}Topic already has 1 partition(s).\n"),
        "the controller's words for no growth"
    );
}

#[test]
fn a_wrong_name_or_configuration_is_refused() {
    let node = Node::start();
    let what = "Error while executing topic command : ";
    let said = node.refuses("topics", &["--create", "--topic", "bad name"]);
    let expected = format!(
        "{what}Topic name is invalid: 'bad name' contains one or more characters other than ASCII \
         alphanumerics, '.', '_' and '-'\n"
    );
    assert_eq!(said, expected);
    let said = node.refuses("topics", &["--create", "--topic", "bb", "--config", "nosuch=1"]);
    assert_eq!(said, format!("{what}Unknown topic config name: nosuch\n"));
    let wrong = ["--create", "--topic", "bb", "--config", "retention.ms=abc"];
    let expected = format!(
        "{what}Invalid value abc for configuration retention.ms: Not a number of type LONG\n"
    );
    assert_eq!(node.refuses("topics", &wrong), expected);
}
