//! Inputs to begin with: what real clients and a node say to each other, and files that Apache Kafka and
//! Java's tools wrote. How the kept corpus was begun; `cargo xtask fuzz --keep` then goes on with it.
//!
//! `cargo run --manifest-path fuzz/Cargo.toml --example seed -- capture LISTEN NODE FOLDER` stands between
//! clients and a node whose advertised listener is LISTEN, until it is ended; `… -- fixtures FOLDER` reads
//! the fixtures of the tests. Inputs go to FOLDER/<target>, and are merged from there (`-merge=1`).

mod capture;
mod fixtures;
mod inputs;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["capture", listen, node, folder] => capture::run(listen, node, folder.as_ref()),
        ["fixtures", folder] => fixtures::run(folder.as_ref()),
        _ => Err(std::io::Error::other("capture LISTEN NODE FOLDER | fixtures FOLDER")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
