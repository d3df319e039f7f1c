//! One target in a process of its own, for a while.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::instrumented::Instrumented;
use super::{Outcome, corpus};
use crate::stage::root;

/// Resident memory of a process, in MiB.
const MEMORY_MIB_MAX: u32 = 2048;
/// What one input may take: far beyond what any does.
const INPUT_SECONDS_MAX: u64 = 20;
/// Inputs are small: what is wrong with large ones is a test of its own.
const INPUT_BYTES_MAX: u32 = 8192;
/// Beyond its time a process reads its inputs, and writes what it has found.
const GRACE: Duration = Duration::from_secs(120);

/// Fuzzes a target for so many seconds, after all its inputs.
///
/// # Errors
/// When it cannot be run or goes on for ever.
pub(super) fn fuzz(built: &Instrumented, name: &str, seconds: u64) -> Result<Outcome> {
    let folders =
        [corpus::found(name), corpus::kept(name), corpus::mended(name), corpus::findings()];
    for folder in folders.iter().filter(|it| !it.exists()) {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let [found, kept, mended, findings] = folders;
    let said = findings.join(format!("{name}.log"));
    let before = failing_inputs(name)?;
    let started = Instant::now();
    let child = Command::new(built.program(name))
        .args([&found, &kept, &mended])
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .arg(format!("-artifact_prefix={}/{name}-", findings.display()))
        .arg("-print_final_stats=1")
        .current_dir(root())
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&said).with_context(|| said.display().to_string())?)
        .spawn()
        .context("it does not start")?;
    let status = end_of(child, Duration::from_secs(seconds) + GRACE)?;
    let text = String::from_utf8_lossy(&fs::read(&said)?).into_owned();
    let mut findings = failing_inputs(name)?;
    findings.retain(|path| !before.contains(path));
    if status.success() {
        ensure!(findings.is_empty(), "it ended well and left {findings:?}");
    } else if findings.is_empty() {
        bail!("it ended with {status} without an input, see {}", said.display());
    }
    Ok(Outcome {
        target: name.to_owned(),
        executions: executions(&text),
        edges: edges(&text),
        seconds: started.elapsed().as_secs_f64(),
        findings,
    })
}

/// Waits for a process that ends by itself; ends it when it does not.
fn end_of(mut child: Child, patience: Duration) -> Result<ExitStatus> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            bail!("it goes on beyond its time");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What runs of the target have left so far: inputs that crash, hang or take too much memory.
fn failing_inputs(name: &str) -> Result<Vec<PathBuf>> {
    // A slow one is told of by the fuzzer, too, and is no failure.
    let begins = ["crash", "timeout", "oom", "leak"].map(|kind| format!("{name}-{kind}-"));
    let mut inputs = Vec::new();
    for entry in fs::read_dir(corpus::findings())? {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if begins.iter().any(|begin| file.starts_with(begin)) {
            inputs.push(entry.path());
        }
    }
    inputs.sort();
    Ok(inputs)
}

/// From the statistics at the end; where it failed, from the last line of its progress.
fn executions(said: &str) -> u64 {
    let counted = said
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:")?.trim().parse().ok());
    counted
        .or_else(|| progress(said).find_map(|line| line.split_whitespace().next()?.parse().ok()))
        .unwrap_or(0)
}

fn edges(said: &str) -> u64 {
    let number = |line: &str| {
        let mut words = line.split_whitespace().skip_while(|word| *word != "cov:");
        words.nth(1)?.parse().ok()
    };
    progress(said).find_map(number).unwrap_or(0)
}

/// Lines such as `#1000 pulse cov: 12 …`, the last one first, without their sign.
fn progress(said: &str) -> impl Iterator<Item = &str> {
    said.lines().rev().filter_map(|line| line.strip_prefix('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDED_WELL: &str = "INFO: Seed: 1\n#2\tINITED cov: 7 ft: 8 corp: 1/1b\n\
        #4096\tDONE   cov: 19 ft: 20 corp: 3/9b lim: 40 exec/s: 2048 rss: 30Mb\n\
        Done 4099 runs in 2 second(s)\nstat::number_of_executed_units: 4099\n";

    #[test]
    fn figures_are_read_from_what_the_fuzzer_says() {
        assert_eq!((executions(ENDED_WELL), edges(ENDED_WELL)), (4099, 19));
        let failed = ENDED_WELL.split("Done ").next().expect("a begin");
        assert_eq!((executions(failed), edges(failed)), (4096, 19));
        assert_eq!((executions("nothing"), edges("nothing")), (0, 0));
    }
}
