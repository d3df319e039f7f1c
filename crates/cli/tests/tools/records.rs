//! `strom produce` and `strom consume`: records in and out, in the forms of Kafka's console tools.

use crate::node::Node;
use std::process::{Command, Stdio};

const ALL: &[&str] = &[
    "--formatter-property",
    "print.key=true",
    "--formatter-property",
    "print.headers=true",
    "--formatter-property",
    "print.offset=true",
    "--formatter-property",
    "print.partition=true",
];

#[test]
fn lines_become_records_and_records_lines() {
    let node = Node::start();
    let topic = node.name("lines");
    node.prints("topics", &["--create", "--topic", &topic]);
    let produce = [
        "--topic",
        &topic,
        "--reader-property",
        "parse.key=true",
        "--reader-property",
        "key.separator=:",
        "--reader-property",
        "parse.headers=true",
        "--reader-property",
        "null.marker=NULL",
    ];
    let input = "h1:a,h2:b\tk1:v1\nh1:a\tNULL:NULL\nNULL\tk9:v9\n";
    let output = node.run_with("produce", &produce, input);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    let consume = ["--topic", &topic, "--from-beginning", "--max-messages", "3"];
    let expected = "Partition:0\tOffset:0\th1:a,h2:b\tk1\tv1\n\
                    Partition:0\tOffset:1\th1:a\tnull\tnull\n\
                    Partition:0\tOffset:2\tNO_HEADERS\tk9\tv9\n";
    let output = node.run("consume", &[&consume[..], ALL].concat());
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "Processed a total of 3 messages\n");
    let partition = ["--topic", &topic, "--partition", "0", "--offset", "2", "--timeout-ms", "500"];
    assert_eq!(node.prints("consume", &partition), "v9\n");
}

#[test]
fn every_codec_and_every_acks_carry_the_records() {
    let node = Node::start();
    let lines: String = (0..2_000).map(|number| format!("{number}\n")).collect();
    for (codec, acks) in
        [("none", "1"), ("gzip", "-1"), ("snappy", "all"), ("lz4", "1"), ("zstd", "0")]
    {
        let topic = node.name(codec);
        node.prints("topics", &["--create", "--topic", &topic]);
        let acks = format!("acks={acks}");
        let produce =
            ["--topic", &topic, "--compression-codec", codec, "--command-property", &acks];
        let output = node.run_with("produce", &produce, &lines);
        assert!(output.status.success(), "{codec}: {output:?}");
        let consume = ["--topic", &topic, "--from-beginning", "--max-messages", "2000"];
        let printed = node.prints("consume", &[&consume[..], &["--timeout-ms", "10000"]].concat());
        assert!(printed == lines, "{codec}: {} of 2000 lines", printed.lines().count());
    }
}

#[test]
fn a_topic_that_does_not_exist_is_made_by_the_first_record() {
    let node = Node::start();
    let topic = node.name("made");
    let output = node.run_with("produce", &["--topic", &topic], "first\n");
    assert!(output.status.success(), "{output:?}");
    let consume = ["--topic", &topic, "--from-beginning", "--max-messages", "1"];
    assert_eq!(node.prints("consume", &consume), "first\n");
}

#[test]
fn what_stands_before_a_wrong_line_is_sent() {
    let node = Node::start();
    let topic = node.name("wrong-line");
    node.prints("topics", &["--create", "--topic", &topic]);
    let produce = ["--topic", &topic, "--reader-property", "parse.key=true"];
    let output = node.run_with("produce", &produce, "k\tv\nnokey\n");
    assert_eq!(output.status.code(), Some(1));
    let expected = "org.apache.kafka.common.KafkaException: No key separator found on line number \
                    2: 'nokey'\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
    let consume = ["--topic", &topic, "--from-beginning", "--timeout-ms", "500"];
    assert_eq!(node.prints("consume", &consume), "v\n");
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_tool_quietly() {
    let node = Node::start();
    let topic = node.name("pipe");
    let lines: String = (0..20_000).map(|number| format!("{number}\n")).collect();
    node.run_with("produce", &["--topic", &topic], &lines);
    let bootstrap = node.bootstrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_strom"))
        .args(["consume", "--bootstrap-server", bootstrap, "--topic", &topic, "--from-beginning"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the tool ends");
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("Processed a total of ") && said.lines().count() == 1, "{said}");
}

#[test]
fn a_partition_that_does_not_exist_is_not_waited_for() {
    let node = Node::start();
    let topic = node.name("narrow");
    node.prints("topics", &["--create", "--topic", &topic, "--partitions", "1"]);
    let said = node.refuses("consume", &["--topic", &topic, "--partition", "9"]);
    let expected = format!(
        "Processed a total of 0 messages\n\
         topic {topic} has no partition 9: it has 1, counted from 0\n"
    );
    assert_eq!(said, expected);
}
