//! The one binary, `strom`.
#![forbid(unsafe_code)]

mod server;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
enum Command {
    Server(server::Arguments),
}

fn main() -> std::process::ExitCode {
    let Command::Server(arguments) =
        Command::try_parse().unwrap_or_else(|_| Command::Server(server::Arguments::default()));
    match server::serve(arguments) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            std::process::ExitCode::from(1)
        }
    }
}
