//! `strom groups`: listed, described, moved and deleted.

use crate::node::Node;

/// A topic of one partition with three records, read by a group as far as two of them.
fn read_by_group(node: &Node) -> (String, String) {
    let (topic, group) = (node.name("delta"), node.name("group"));
    node.prints("topics", &["--create", "--topic", &topic]);
    node.run_with("produce", &["--topic", &topic], "a\nb\nc\n");
    let consume = ["--topic", &topic, "--group", &group, "--from-beginning", "--max-messages", "2"];
    assert_eq!(node.prints("consume", &consume), "a\nb\n");
    (topic, group)
}

#[test]
fn a_group_is_listed_and_described() {
    let node = Node::start();
    let (topic, group) = read_by_group(&node);
    assert!(node.prints("groups", &["--list"]).lines().any(|name| name == group));
    let listed = node.prints("groups", &["--list", "--state", "--type"]);
    let row = listed.lines().find(|line| line.starts_with(&group)).expect("its row");
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells, [group.as_str(), "Classic", "Empty"]);
    let output = node.run("groups", &["--describe", "--group", &group]);
    let expected = format!(
        "\n{:15} {:15} PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID     \
         HOST            CLIENT-ID\n{group:15} {topic:15} 0          2               3               \
         1               -               -               -\n",
        "GROUP", "TOPIC",
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    let inactive = format!("\nConsumer group '{group}' has no active members.\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), inactive);
    let state = node.prints("groups", &["--describe", "--group", &group, "--state"]);
    let row = state.lines().nth(2).expect("its row");
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!((cells[0], cells[2], cells[3], cells[4]), (group.as_str(), "(1)", "-", "Empty"));
}

#[test]
fn offsets_are_moved_and_reading_goes_on_from_there() {
    let node = Node::start();
    let (topic, group) = read_by_group(&node);
    let reset = |how: &[&str]| {
        let what = ["--reset-offsets", "--group", &group, "--topic", &topic];
        let printed = node.prints("groups", &[&what[..], how].concat());
        printed.split_whitespace().last().expect("the new offset").to_owned()
    };
    assert_eq!(reset(&["--to-latest", "--dry-run"]), "3");
    assert_eq!(reset(&["--shift-by", "-10", "--dry-run"]), "0");
    assert_eq!(reset(&["--to-offset", "1000", "--dry-run"]), "3");
    assert_eq!(reset(&["--by-duration", "PT1H", "--dry-run"]), "0");
    assert_eq!(reset(&["--to-datetime", "2100-01-01T00:00:00.000", "--dry-run"]), "3");
    assert_eq!(reset(&["--to-current", "--export", "--dry-run"]), format!("{topic},0,2"));
    assert_eq!(reset(&["--to-offset", "1", "--execute"]), "1");
    let consume = ["--topic", &topic, "--group", &group, "--max-messages", "2"];
    assert_eq!(node.prints("consume", &consume), "b\nc\n");
}

#[test]
fn offsets_and_groups_are_deleted() {
    let node = Node::start();
    let (topic, group) = read_by_group(&node);
    let delete = ["--delete-offsets", "--group", &group, "--topic", &topic];
    let expected = format!(
        "Request succeeded for deleting offsets from group {group}.\n\n{:15} {:10} {:15}\n\
         {topic:15} {:10} {:15}\n",
        "TOPIC", "PARTITION", "STATUS", "0", "Successful",
    );
    assert_eq!(node.prints("groups", &delete), expected);
    let consume = ["--topic", &topic, "--group", &group, "--from-beginning", "--max-messages", "1"];
    assert_eq!(node.prints("consume", &consume), "a\n");
    let deleted = format!("Deletion of requested consumer groups ('{group}') was successful.\n");
    assert_eq!(node.prints("groups", &["--delete", "--group", &group]), deleted);
    let expected = format!(
        "\nError: Deletion of some consumer groups failed:\n* Group '{group}' could not be deleted \
         due to: org.apache.kafka.common.errors.GroupIdNotFoundException: The group id does not \
         exist.\n"
    );
    assert_eq!(node.prints("groups", &["--delete", "--group", &group]), expected);
}

#[test]
fn a_group_that_is_not_there_is_told_as_kafka_does() {
    let node = Node::start();
    let expected = "\nError: Executing consumer group command failed due to \
                    org.apache.kafka.common.errors.GroupIdNotFoundException: Group nosuch not \
                    found.\n";
    assert_eq!(node.prints("groups", &["--describe", "--group", "nosuch"]), expected);
}

#[test]
fn a_consumer_whose_group_has_no_coordinator_ends_when_its_time_is_over() {
    let node = Node::with(&["offsets.topic.replication.factor=3"]);
    let topic = node.name("orphaned");
    node.prints("topics", &["--create", "--topic", &topic]);
    let consume = ["--topic", &topic, "--from-beginning", "--timeout-ms", "500"];
    assert_eq!(node.prints("consume", &consume), "");
}
