//! Mistakes in how a tool is called: one sentence, and no node needed.

use std::process::Command;

fn strom(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_strom"))
        .args(arguments)
        .output()
        .expect("the binary starts");
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

#[test]
fn without_a_node_the_tools_say_how_to_start_one() {
    // Bound and given back: nobody listens there now.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let expected = format!(
        "no node answers at {address}: start one with `strom server`, or name another with \
         --bootstrap-server\n"
    );
    for tool in [&["groups", "--list"][..], &["produce", "--topic", "t"]] {
        let arguments = [tool, &["--bootstrap-server", &address]].concat();
        assert_eq!(strom(&arguments), (Some(1), expected.clone()));
    }
}

#[test]
fn mistakes_in_options_are_one_sentence() {
    let cases: [(&[&str], &str); 6] = [
        (&["topics", "--list", "--frob"], "frob is not a recognized option"),
        (&["topics", "--create"], "Missing required argument \"[topic]\""),
        (
            &["topics", "--list", "--describe"],
            "Command must include exactly one action: --list, --describe, --create, --alter or \
             --delete",
        ),
        (
            &["topics", "--list", "--partitions", "3"],
            "Option \"[partitions]\" can't be used with option \"[list]\"",
        ),
        (
            &["consume", "--topic", "t", "--offset", "1"],
            "The partition is required when offset is specified.",
        ),
        (
            &["groups", "--describe"],
            "Option [describe] takes one of these options: [all-groups], [group]",
        ),
    ];
    for (arguments, expected) in cases {
        assert_eq!(strom(arguments), (Some(1), format!("{expected}\n")), "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn called_by_a_tools_name_the_binary_is_that_tool() {
    let folder = tempfile::tempdir().expect("a folder");
    let tool = folder.path().join("kafka-storage.sh");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_strom"), &tool).expect("a link");
    let output = Command::new(tool).arg("random-uuid").output().expect("it starts");
    assert_eq!(output.stdout.len(), 23);
}
