//! `cargo xtask`: everything that is done to the project rather than by it.
//!
//! Start at [`test::run`]: what has to hold before a change lands.

mod bench;
mod costs;
mod crash;
mod dist;
mod fuzz;
mod golden;
mod judges;
mod load;
mod marks;
mod mutants;
mod sanitizers;
mod snippets;
mod soak;
mod stage;
mod test;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask test [--quick] [--only STAGE]   everything that must hold: format, lints, tidy, tests, judges
cargo xtask tidy                            the structure rules alone
cargo xtask bench [--quick] [--only NAME,…]  what work costs, beside Apache Kafka and the floor
cargo xtask crash [--kills N] [--seconds N] [--seed S] [--only KIND]   kill -9 and failing disks under real clients
cargo xtask dist                            the program as it is shipped, built by the profile of its own work
cargo xtask fuzz [--seconds N] [--only TARGET] inputs that break something, searched by coverage
cargo xtask golden --writer kafka|strom --to DIR   a data folder to keep, with all that is to be read in it
cargo xtask mutants [--seed N] [--sample N]    changes of the code that tests must notice, drawn at random
cargo xtask soak [--minutes N] [--only KIND,…]  worlds, kills, inputs, planted defects, and their ledger
cargo xtask costs [--update]                instructions of fixed scripts, beside the figures that are kept";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("", [].as_slice()),
    };
    let result = match command {
        "test" => test::run(rest),
        "tidy" => tidy::run(),
        "bench" => bench::run(rest),
        "costs" => costs::run(rest),
        "crash" => crash::run(rest),
        "dist" => dist::run(rest),
        "soak" => soak::run(rest),
        "fuzz" => fuzz::run(rest),
        "mutants" => mutants::run(rest),
        "golden" => golden::run(rest),
        _ => Err(anyhow::anyhow!("{USAGE}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
