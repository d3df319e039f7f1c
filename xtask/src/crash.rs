//! `cargo xtask crash`: the real binary is killed under load of real clients, its disk fails and fills,
//! and after each start what it holds is compared with what it ever said.
//!
//! A *life* is one data folder from its first start to its last: [`plan`] draws it from a seed,
//! [`campaign`] lives it. [`book`] has all that clients were told, [`audit`] compares.

#[cfg(feature = "real-client")]
mod audit;
#[cfg(feature = "real-client")]
mod book;
#[cfg(feature = "real-client")]
mod campaign;
#[cfg(feature = "real-client")]
mod injection;
#[cfg(feature = "real-client")]
mod kind;
#[cfg(feature = "real-client")]
mod life;
#[cfg(feature = "real-client")]
mod load;
#[cfg(feature = "real-client")]
mod options;
#[cfg(feature = "real-client")]
mod outcome;
#[cfg(feature = "real-client")]
mod plan;
#[cfg(feature = "real-client")]
mod power;
#[cfg(feature = "real-client")]
mod requests;
#[cfg(feature = "real-client")]
mod small_disk;
#[cfg(feature = "real-client")]
mod victim;
#[cfg(feature = "real-client")]
mod volume;

use anyhow::Result;

use crate::stage::command;

/// # Errors
/// When something that was promised does not hold, with the command that repeats it.
#[cfg(feature = "real-client")]
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let options = options::Options::parse(arguments)?;
    command("cargo", &["build", "--quiet", "--release", "--package", "strom-cli"])?;
    let outcome = campaign::campaign(&options)?;
    println!("{outcome}");
    if let Some(path) = &options.counts {
        std::fs::write(path, format!("kills={}\nlives={}", outcome.kills(), outcome.lives))?;
    }
    Ok(())
}

/// Again, optimised and with librdkafka in it, as the bench does.
///
/// # Errors
/// When something that was promised does not hold, with the command that repeats it.
#[cfg(not(feature = "real-client"))]
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let whole = ["run", "--quiet", "--release", "--package", "xtask", "--features", "real-client"];
    let whole = whole.into_iter().chain(["--", "crash"]);
    command("cargo", &whole.chain(arguments.iter().map(String::as_str)).collect::<Vec<_>>())
}
