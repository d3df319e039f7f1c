//! The one binary, `strom`: the server and the tools.
//!
//! Owns: options and output of the tools, which are those of Kafka's tools.
//! Never does: speak the protocol itself; [`strom_client`] does, and [`strom_host`] runs the node.
//! Start at [`command::Command`]: one variant and one file per tool.
#![forbid(unsafe_code)]

mod command;
mod configs;
mod connect;
mod consume;
mod dump_log;
mod examples;
mod failure;
mod greeting;
mod groups;
mod node_file;
mod produce;
mod properties;
mod server;
mod storage;
mod tool_names;
mod topics;

use std::process::ExitCode;

// A node lives long and its shards free what other threads allocated: the system's allocator
// keeps several times more memory for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = tool_names::as_subcommand(std::env::args_os().collect());
    match command::parse(arguments).and_then(command::execute) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
