//! `cargo xtask dist`: the program as it is shipped, built as a whole and by the profile of its own work
//! (docs/decisions/0008).
//!
//! It is built twice: once so that it counts what it does while the loads of the bench run on it, and
//! then by what was counted.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::bench;
use crate::load::system::{Kind, Row, SHIPPED, Start, System};
use crate::stage::{command, root, target};

/// Tells where it is.
///
/// # Errors
/// When a compiler says no, or the tools for profiles are not to be had.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    ensure!(arguments.is_empty(), "cargo xtask dist takes no arguments");
    println!("{}", build()?.display());
    Ok(())
}

/// Builds it; where it is.
///
/// # Errors
/// As [`run`].
pub(crate) fn build() -> Result<PathBuf> {
    let llvm_profdata = llvm_profdata()?;
    let folder = target().join("pgo");
    let (counted, profile) = (folder.join("counted"), folder.join("strom.profdata"));
    if counted.exists() {
        fs::remove_dir_all(&counted)?;
    }
    let counting = cargo_build("counting", &format!("-Cprofile-generate={}", counted.display()))?;
    exercise(counting)?;
    let mut merge = Command::new(llvm_profdata);
    let status = merge.args(["merge", "-o"]).arg(&profile).arg(&counted).status()?;
    ensure!(status.success(), "{merge:?} ended with {status}");
    cargo_build("shipped", &format!("-Cprofile-use={}", profile.display()))
}

/// A clean stop, or what was counted is not written.
fn exercise(binary: PathBuf) -> Result<()> {
    let row = Row { binary: Some(binary), ..Row::plain(Kind::Strom) };
    let mut system = System::start(&row, &Start::default())?;
    bench::exercise(&system)?;
    system.stop()
}

/// Builds with these flags into a folder of its own; where the program is.
fn cargo_build(folder: &str, flags: &str) -> Result<PathBuf> {
    let (folder, host) = (target().join("pgo").join(folder), host()?);
    // With a target named, the flags are for what runs there and not for build scripts.
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).env("RUSTFLAGS", flags).env("CARGO_TARGET_DIR", &folder);
    cargo.args(["build", "--profile", SHIPPED, "-p", "strom-cli", "--target", &host]);
    let status = cargo.status().context("running cargo")?;
    ensure!(status.success(), "{cargo:?} ended with {status}");
    Ok(folder.join(host).join(SHIPPED).join("strom"))
}

fn asked(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).current_dir(root()).args(arguments).output();
    let output = output.with_context(|| format!("running {program}"))?;
    ensure!(output.status.success(), "{program} {} failed", arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?)
}

/// What this machine is called by the compiler.
fn host() -> Result<String> {
    let told = asked("rustc", &["--version", "--verbose"])?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}

/// Comes with the compiler, as its component `llvm-tools`: another one does not know its format.
fn llvm_profdata() -> Result<PathBuf> {
    let sysroot = asked("rustc", &["--print", "sysroot"])?;
    let library = PathBuf::from(sysroot.trim()).join("lib/rustlib").join(host()?);
    let program = library.join("bin/llvm-profdata");
    if !program.exists() {
        command("rustup", &["component", "add", "llvm-tools"])?;
    }
    Ok(program)
}
