//! `strom configs`: what is set, taken back and described.

use crate::node::Node;

#[test]
fn the_controller_is_asked_and_told_at_its_own_listener() {
    // A free port that nobody is told of otherwise; the node that takes it is started at once.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
    let controller = format!("127.0.0.1:{}", port.expect("a port").port());
    let listeners = format!("listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://{controller}");
    let keys = [listeners.as_str(), "controller.listener.names=CONTROLLER", "node.id=1"];
    let node = Node::with(&keys);
    let run = |options: &[&str]| {
        let command = ["--bootstrap-controller", &controller, "--entity-type", "brokers"];
        let output = node.run_alone("configs", &[&command[..], options].concat());
        assert!(output.status.success(), "{options:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let set = ["--alter", "--entity-default", "--add-config", "log.cleaner.threads=2"];
    run(&set);
    assert!(run(&["--describe", "--entity-default"]).contains("log.cleaner.threads=2"));
    assert!(run(&["--describe"]).contains("Dynamic configs for broker 1 are:"));
}

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

#[test]
fn quotas_are_set_told_and_taken_back() {
    let node = Node::start();
    let (user, client) = (node.name("user"), node.name("client"));
    let rates = "producer_byte_rate=1024,request_percentage=12.5";
    let of_user = ["--entity-type", "users", "--entity-name", &user];
    let alter = [&["--alter"], &of_user[..], &["--add-config", rates]].concat();
    let completed = format!("Completed updating config for user {user}.\n");
    assert_eq!(node.prints("configs", &alter), completed);
    let both = ["--user", &user, "--client", &client];
    let alter =
        [&["--alter"], &both[..], &["--add-config", "consumer_byte_rate=20000000"]].concat();
    let completed = format!("Completed updating config for client {client}.\n");
    assert_eq!(node.prints("configs", &alter), completed);
    let described = node.prints("configs", &[&["--describe"], &of_user[..]].concat());
    let line = described.lines().next().expect("a line");
    assert!(line.starts_with(&format!("Quota configs for user-principal '{user}' are ")));
    for value in ["producer_byte_rate=1024.0", "request_percentage=12.5"] {
        assert!(line.contains(value), "{line}");
    }
    let expected = format!(
        "Quota configs for user-principal '{user}', client-id '{client}' are \
         consumer_byte_rate=2.0E7\n"
    );
    assert_eq!(node.prints("configs", &[&["--describe"], &both[..]].concat()), expected);
    let take_back = [&["--alter"], &both[..], &["--delete-config", "consumer_byte_rate"]].concat();
    node.prints("configs", &take_back);
    assert_eq!(node.prints("configs", &[&["--describe"], &both[..]].concat()), "");
    let said = node.refuses("configs", &take_back);
    assert_eq!(said, "Invalid config(s): consumer_byte_rate\n");
    let negative = [&["--alter"], &both[..], &["--add-config", "consumer_byte_rate=-1"]].concat();
    let said = node.refuses("configs", &negative);
    assert!(said.ends_with("Quota consumer_byte_rate must be greater than 0\n"), "{said}");
}

#[test]
fn a_default_quota_is_of_all_without_one_of_their_own() {
    let node = Node::start();
    let defaults = ["--entity-type", "ips", "--entity-default"];
    let alter =
        [&["--alter"], &defaults[..], &["--add-config", "connection_creation_rate=5"]].concat();
    let completed = "Completed updating default config for ips in the cluster.\n";
    assert_eq!(node.prints("configs", &alter), completed);
    let described = node.prints("configs", &["--describe", "--entity-type", "ips"]);
    let expected = "Quota configs for the default ip are connection_creation_rate=5.0\n";
    assert_eq!(described, expected);
    let delete = ["--alter", "--ip-defaults", "--delete-config", "connection_creation_rate"];
    node.prints("configs", &delete);
    let wrong = ["--alter", "--ip-defaults", "--add-config", "retention.ms=5"];
    let said = node.refuses("configs", &wrong);
    assert!(said.starts_with("Only connection quota configs can be added for 'ips'"), "{said}");
}
