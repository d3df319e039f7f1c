//! `strom consume` as members of a group: partitions are shared and handed over.

use crate::node::Node;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// A member of the group, whose lines go to `lines`.
fn reader(node: &Node, (topic, group): (&str, &str), lines: &Sender<u32>) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_strom"))
        .args(["consume", "--bootstrap-server", node.bootstrap(), "--topic", topic])
        .args(["--group", group, "--from-beginning", "--command-property"])
        .arg("heartbeat.interval.ms=200")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let output = BufReader::new(child.stdout.take().expect("a pipe"));
    let lines = lines.clone();
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            lines.send(line.parse().expect("a number")).expect("the test listens");
        }
    });
    child
}

/// Waits until the members have these numbers of partitions, ascending.
fn await_shares(node: &Node, group: &str, expected: &[usize]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let output = node.run("groups", &["--describe", "--group", group, "--members"]);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let rows = printed.lines().skip(2).filter_map(|row| row.split_whitespace().last());
        let mut shares: Vec<usize> = rows.filter_map(|cell| cell.parse().ok()).collect();
        shares.sort_unstable();
        if shares == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{expected:?} are expected: {printed}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Ctrl-C, and the count that the tool tells.
fn interrupt(child: Child) -> usize {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status().expect("kill runs");
    assert!(sent.success());
    let output = child.wait_with_output().expect("the tool ends");
    assert_eq!(output.status.code(), Some(130));
    let said = String::from_utf8(output.stderr).expect("text");
    let count = said.strip_prefix("Processed a total of ").and_then(|rest| rest.split(' ').next());
    count.and_then(|count| count.parse().ok()).expect("a count")
}

fn produce(node: &Node, topic: &str, numbers: std::ops::Range<u32>) {
    let lines: String = numbers.map(|number| format!("{number}\t{number}\n")).collect();
    let keyed = ["--topic", topic, "--reader-property", "parse.key=true"];
    assert!(node.run_with("produce", &keyed, &lines).status.success());
}

fn await_lines(lines: &Receiver<u32>, read: &mut Vec<u32>, count: usize) {
    while read.len() < count {
        read.push(lines.recv_timeout(PATIENCE).expect("another record"));
    }
}

#[test]
fn members_share_the_partitions_and_hand_them_over_when_they_leave() {
    let node = Node::start();
    let (topic, group) = (node.name("shared"), node.name("sharing"));
    let (sender, lines) = channel();
    let mut read = Vec::new();
    node.prints("topics", &["--create", "--topic", &topic, "--partitions", "4"]);
    let first = reader(&node, (&topic, &group), &sender);
    await_shares(&node, &group, &[4]);
    let second = reader(&node, (&topic, &group), &sender);
    await_shares(&node, &group, &[2, 2]);
    produce(&node, &topic, 0..100);
    await_lines(&lines, &mut read, 100);
    let of_first = interrupt(first);
    await_shares(&node, &group, &[4]);
    produce(&node, &topic, 100..200);
    await_lines(&lines, &mut read, 200);
    let of_second = interrupt(second);
    assert!(of_first > 0 && of_second > 100);
    assert_eq!(of_first + of_second, 200);
    read.sort_unstable();
    assert_eq!(read, (0..200).collect::<Vec<_>>(), "every record once");
}

#[test]
fn a_topic_that_is_made_later_is_read() {
    let node = Node::start();
    let (topic, group) = (node.name("later"), node.name("early"));
    let (sender, lines) = channel();
    let child = reader(&node, (&topic, &group), &sender);
    produce(&node, &topic, 0..3);
    let mut read = Vec::new();
    await_lines(&lines, &mut read, 3);
    assert_eq!(interrupt(child), 3);
}
