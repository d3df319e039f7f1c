//! A node's settings: what a file says, what is missing, and what contradicts itself.

use strom_base::config::{BrokerConfigLayers, ConfigMap, NodeSettings, SecurityProtocol, check};
use strom_base::{config, properties};

fn map(pairs: &[(&str, &str)]) -> ConfigMap {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn settings(pairs: &[(&str, &str)]) -> Result<NodeSettings, String> {
    let file = map(pairs);
    NodeSettings::new(BrokerConfigLayers::of_file(&file)).map_err(|error| error.to_string())
}

fn refusal(pairs: &[(&str, &str)]) -> String {
    settings(pairs).expect_err("refused")
}

#[test]
fn a_node_without_a_file_stands_alone() {
    let file = config::standalone();
    let settings = NodeSettings::new(BrokerConfigLayers::of_file(&file)).expect("settings");
    assert_eq!(settings.identity.node_id, 1);
    assert!(settings.identity.is_broker && settings.identity.is_controller);
    assert_eq!(settings.folders.log_dirs, ["./strom-data"]);
    assert_eq!(settings.folders.metadata_log_dir, "./strom-data");
    let [listener] = settings.listeners.as_slice() else { panic!("one listener") };
    assert_eq!((listener.host.as_str(), listener.port), ("127.0.0.1", 9092));
    assert_eq!(settings.offsets.topic_replication_factor, 1);
    assert!(settings.quorum.is_alone(1));
    assert_eq!(settings.network.request_max_bytes, 104_857_600);
    assert_eq!(settings.producer_ids.expiration_ms, 86_400_000);
    assert!(!settings.controller.unclean_leader_election_enable);
}

#[test]
fn listeners_have_names_protocols_and_advertised_addresses() {
    let settings = settings(&[
        ("process.roles", "broker,controller"),
        ("node.id", "7"),
        ("listeners", "internal://:9092,EXTERNAL://[::1]:9192,CONTROLLER://:9093"),
        ("advertised.listeners", "INTERNAL://a.example:1,EXTERNAL://b.example:2"),
        ("listener.security.protocol.map", "INTERNAL:PLAINTEXT,EXTERNAL:SASL_SSL,CONTROLLER:SSL"),
        ("controller.listener.names", "CONTROLLER"),
        ("controller.quorum.voters", "7@localhost:9093"),
    ])
    .expect("settings");
    let names: Vec<&str> = settings.client_listeners().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["INTERNAL", "EXTERNAL"]);
    let external = &settings.listeners[1];
    assert_eq!((external.host.as_str(), external.port), ("::1", 9192));
    assert_eq!((external.advertised_host.as_str(), external.advertised_port), ("b.example", 2));
    assert_eq!(external.protocol, SecurityProtocol::SaslSsl);
    assert!(settings.listeners[2].is_for_controllers);
}

#[test]
fn what_is_wrong_is_said_in_one_sentence() {
    assert!(refusal(&[("listeners", "PLAINTEXT:9092")]).contains("NAME://host:port is expected"));
    assert!(refusal(&[("listeners", "X://:1")]).starts_with("listener X has no security protocol"));
    let twice = refusal(&[("listeners", "PLAINTEXT://:1,SSL://:1")]);
    assert_eq!(twice, "listeners PLAINTEXT and SSL have the same port 1: give each its own");
    assert!(refusal(&[("advertised.listeners", "SSL://h:1")]).contains("listeners does not"));
    let inter_broker = refusal(&[("inter.broker.listener.name", "SSL")]);
    assert!(inter_broker.ends_with("no listener of brokers: use one of PLAINTEXT"));
    let both = [
        ("inter.broker.listener.name", "PLAINTEXT"),
        ("security.inter.broker.protocol", "PLAINTEXT"),
    ];
    assert!(refusal(&both).contains("are both given"));
    let map = ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT");
    let unmapped = refusal(&[("controller.listener.names", "C"), map]);
    assert!(unmapped.starts_with("controller.listener.names has C, which has no"), "{unmapped}");
    assert!(refusal(&[("node.id", "1"), ("broker.id", "2")]).contains("remove broker.id"));
    assert!(
        refusal(&[("controller.quorum.voters", "1@h:1,2@h:2")]).starts_with("node.id is missing")
    );
    assert!(refusal(&[("offsets.topic.compression.codec", "5")]).contains("one of 0 none, 1 gzip"));
    assert_eq!(
        refusal(&[("num.partitions", "0")]),
        "Invalid value 0 for configuration num.partitions: Value must be at least 1"
    );
    assert_eq!(
        refusal(&[("socket.request.max.bytes", "many")]),
        "Invalid value many for configuration socket.request.max.bytes: Not a number of type INT"
    );
}

#[test]
fn every_key_of_the_judges_and_the_peer_is_known() {
    let text = include_str!("data/judges.properties");
    let properties = properties::parse(text).expect("a file");
    assert_eq!(config::names::check_names("judges.properties", &properties), Ok(()));
    let file: ConfigMap = properties.into_iter().map(|it| (it.key, it.value)).collect();
    assert!(NodeSettings::new(BrokerConfigLayers::of_file(&file)).is_ok());
}

/// What comes of a client that sets these while a node runs.
fn dynamic(pairs: &[(&str, &str)], is_for_all: bool) -> Result<(), String> {
    let file = map(&[("log.dirs", "/data")]);
    let layers = BrokerConfigLayers::of_file(&file);
    config::dynamic::check(&map(pairs), is_for_all, &layers).map_err(|error| error.to_string())
}

#[test]
fn changes_of_brokers_are_refused_in_kafkas_words() {
    let refusals = include_str!("data/dynamic_refusals.tsv");
    let lines = refusals.lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for line in lines {
        let [resource, change, said] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let (name, value) = change.split_once('=').expect("a change");
        let ours = dynamic(&[(name, value)], resource.is_empty());
        let expected = if said == "OK" { Ok(()) } else { Err(said.to_owned()) };
        assert_eq!(ours, expected, "{change}");
        count += 1;
    }
    assert!(count > 25);
    let several = [("node.id", "2"), ("log.dirs", "/x"), ("num.partitions", "5")];
    let said = dynamic(&several, false).expect_err("refused");
    assert!(said.contains("[log.dirs, node.id, num.partitions]"), "{said}");
}

/// -2 stands for all that is kept, -1 for no bound; any other number is one.
#[test]
fn what_stays_local_of_a_tiered_log_is_bounded_by_all_of_it() {
    let local = |unit: &str, whole: &str, local: &str| {
        let (whole_name, local_name) =
            (format!("log.retention.{unit}"), format!("log.local.retention.{unit}"));
        dynamic(&[(&whole_name, whole), (&local_name, local)], true)
    };
    for unit in ["ms", "bytes"] {
        for (whole, part) in [("1000", "-2"), ("1000", "1000"), ("2", "2"), ("-1", "-1")] {
            assert_eq!(local(unit, whole, part), Ok(()), "{unit} {whole} {part}");
        }
        let said = local(unit, "1", "2").expect_err("refused");
        assert!(said.contains("must not be more than"), "{said}");
        let said = local(unit, "1000", "-1").expect_err("refused");
        assert!(said.contains("must not be -1"), "{said}");
    }
}

#[test]
fn security_protocols_have_kafkas_names_and_codes() {
    let known = [("PLAINTEXT", 0), ("SSL", 1), ("SASL_PLAINTEXT", 2), ("SASL_SSL", 3)];
    for (name, code) in known {
        let protocol = SecurityProtocol::from_name(name).expect("known");
        assert_eq!((protocol.name(), protocol.code()), (name, code));
        assert_eq!(SecurityProtocol::from_name(&name.to_lowercase()), Some(protocol));
    }
    assert_eq!(SecurityProtocol::from_name("TLS"), None);
}

#[test]
fn changes_are_refused_in_kafkas_words() {
    let said =
        |name, value, is_for_all| dynamic(&[(name, value)], is_for_all).expect_err("refused");
    assert_eq!(said("node.id", "2", false), "Cannot update these configs dynamically: [node.id]");
    assert_eq!(
        said("listeners", "PLAINTEXT://:1", true),
        "Cannot update these configs at default cluster level, broker id must be specified: \
         [listeners]"
    );
    assert_eq!(
        said("ssl.keystore.password", "x", false),
        "These security configs can be dynamically updated only per-listener using the listener \
         prefix: [ssl.keystore.password]"
    );
    assert_eq!(dynamic(&[("listener.name.a.ssl.key.password", "x")], false), Ok(()));
    assert_eq!(dynamic(&[("nonsense.key", "x")], true), Ok(()));
    let file = map(&[]);
    let layers = BrokerConfigLayers::of_file(&file);
    let said = |pairs: &[(&str, &str)]| {
        check::topic(&map(pairs), &layers).expect_err("refused").to_string()
    };
    assert_eq!(said(&[("nope", "1")]), "Unknown topic config name: nope");
    assert_eq!(
        said(&[("min.compaction.lag.ms", "6"), ("max.compaction.lag.ms", "5")]),
        "conflict topic config setting min.compaction.lag.ms (6) > max.compaction.lag.ms (5)"
    );
    assert!(said(&[("remote.storage.enable", "true")]).starts_with("Tiered Storage functionality"));
    let said = |name, value| check::group(name, value, &layers).expect_err("refused").to_string();
    assert_eq!(
        said("consumer.session.timeout.ms", "70000"),
        "consumer.session.timeout.ms must be less than or equal to \
         group.consumer.max.session.timeout.ms"
    );
    assert_eq!(
        check::client_metrics("interval.ms", "50").expect_err("refused").to_string(),
        "Invalid value 50 for interval.ms, interval must be between 100 and 3600000 (1 hour)"
    );
}
