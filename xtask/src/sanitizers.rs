//! Unsafe code under the address sanitizer: the tests of every crate that has some.
//!
//! Which ones these are is read from the sources: a crate that comes to have unsafe code is checked from
//! then on. The sanitizer needs a nightly compiler, which is installed where it is missing.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::stage::{host, root, target};

const TOOLCHAIN: &str = "nightly";

/// # Errors
/// When the compiler cannot be had, no crate has unsafe code any more, or a test fails.
pub(crate) fn run() -> Result<()> {
    let crates = crates_with_unsafe_code()?;
    ensure!(!crates.is_empty(), "no crate has unsafe code: take this stage out");
    println!("unsafe code is in {}", crates.join(", "));
    install()?;
    let host = host()?;
    let mut cargo = Command::new("cargo");
    cargo.arg(format!("+{TOOLCHAIN}")).args(["test", "--quiet", "--lib", "--target", &host]);
    for name in &crates {
        cargo.args(["--package", &format!("strom-{name}")]);
    }
    let status = cargo
        .current_dir(root())
        .env("CARGO_TARGET_DIR", target().join("sanitizers"))
        .env("CARGO_ENCODED_RUSTFLAGS", "-Zsanitizer=address")
        .env_remove("RUSTFLAGS")
        // What a test leaves to its process at the end is no leak of the product.
        .env("ASAN_OPTIONS", "detect_leaks=0:detect_stack_use_after_return=1")
        .status()
        .context("running cargo")?;
    ensure!(status.success(), "the tests of {} under the sanitizer: {status}", crates.join(", "));
    Ok(())
}

/// Crates in whose product sources something may be unsafe, by the words that permit it.
fn crates_with_unsafe_code() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("crates"))? {
        let entry = entry?;
        if has_unsafe_code(&entry.path().join("src"))? {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn has_unsafe_code(folder: &Path) -> Result<bool> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let found = if path.is_dir() {
            has_unsafe_code(&path)?
        } else {
            let is_source = path.extension().is_some_and(|it| it == "rs");
            is_source && permits_unsafe(&fs::read_to_string(&path)?)
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The workspace denies unsafe code: whoever has some says so.
fn permits_unsafe(source: &str) -> bool {
    let compact: String = source.chars().filter(|it| !it.is_whitespace()).collect();
    ["expect(unsafe_code", "allow(unsafe_code"].iter().any(|it| compact.contains(it))
}

/// Installs the compiler if it is not there.
fn install() -> Result<()> {
    let is_there = Command::new("rustc")
        .args([&format!("+{TOOLCHAIN}"), "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if is_there {
        return Ok(());
    }
    let status = Command::new("rustup")
        .args(["toolchain", "install", TOOLCHAIN, "--profile", "minimal", "--no-self-update"])
        .status()
        .context("running rustup")?;
    ensure!(status.success(), "no {TOOLCHAIN} compiler for the sanitizer: {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_code_is_found_where_it_is_permitted() {
        assert!(permits_unsafe("#![expect(\n    unsafe_code,\n    reason = \"mapped\"\n)]"));
        assert!(!permits_unsafe("#![deny(unsafe_code)]\nfn f() {}"));
    }
}
