//! Life after life until there were enough kills of every kind.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::injection::Injection;
use super::kind::Kind;
use super::life::Life;
use super::options::Options;
use super::outcome::Outcome;
use super::plan::Plan;
use super::victim::Ground;
use super::volume::Volume;
use super::{power, small_disk};
use crate::stage::target;

/// So many lives may fail before a campaign ends: a soak is to tell of more than one cause.
const FAILURES_MAX: usize = 10;
/// A soak tells of itself so often; lives.
const TELL_EVERY: u64 = 10;

/// # Errors
/// When something that was promised does not hold, with the command that repeats it, or when a kind of
/// fault never happened.
pub(crate) fn campaign(options: &Options) -> Result<Outcome> {
    let started = Instant::now();
    let mut outcome = Outcome::default();
    skip_what_is_not_allowed(&mut outcome);
    let mut seed = options.seed;
    let is_complete = |outcome: &Outcome| {
        let is_whole = options.only.is_some() || options.kills == 1 || outcome.missing().is_empty();
        (outcome.kills() + outcome.images() >= options.kills && is_whole)
            || (options.kills == 1 && outcome.lives > 0)
    };
    let mut failures = Vec::new();
    while !is_complete(&outcome)
        && failures.len() < FAILURES_MAX
        && options.limit.is_none_or(|limit| started.elapsed() < limit)
    {
        if let Err(error) = live(seed, options, &mut outcome) {
            eprintln!("{error:#}");
            failures.push(seed);
        }
        outcome.elapsed = started.elapsed();
        if outcome.lives.is_multiple_of(TELL_EVERY) {
            println!("{outcome}");
        }
        seed += 1;
    }
    ensure!(failures.is_empty(), "the lives {failures:?} failed; {outcome}");
    if options.only.is_none() && options.kills > 1 {
        let missing = outcome.missing();
        ensure!(missing.is_empty(), "{missing:?} never happened: {outcome}");
    }
    Ok(outcome)
}

/// Says what this machine refuses, once.
fn skip_what_is_not_allowed(outcome: &mut Outcome) {
    if let Err(error) = Injection::is_allowed() {
        println!("skipped, as processes may not be traced here: {error:#}");
        let injected = Kind::ALL.into_iter().filter(|kind| kind.is_injected());
        outcome.skipped.extend(injected.map(|kind| (kind, format!("{error:#}"))));
    }
    let probe = target().join("crash/probe");
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_mounted()) {
        if let Err(error) = volume(kind, &probe) {
            println!("{kind} is skipped, as nothing may be mounted here: {error:#}");
            outcome.skipped.insert(kind, format!("{error:#}"));
        }
    }
}

fn volume(kind: Kind, folder: &Path) -> Result<Volume> {
    match kind {
        Kind::Power => Volume::ext4(folder, power::VOLUME_BYTES),
        _ => Volume::ext4(folder, small_disk::VOLUME_BYTES)
            .or_else(|_| Volume::in_memory(folder, small_disk::VOLUME_BYTES)),
    }
}

fn live(seed: u64, options: &Options, outcome: &mut Outcome) -> Result<()> {
    let mut plan = Plan::draw(seed, options.only);
    let folder = target().join("crash").join(format!("life-{seed}"));
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    // What cannot be had is a plain kill.
    for kind in plan.rounds.iter_mut().filter(|kind| outcome.skipped.contains_key(kind)) {
        *kind = Kind::Load;
    }
    let mounted = plan.mounted.filter(|kind| !outcome.skipped.contains_key(kind));
    let volume = mounted.map(|kind| volume(kind, &folder)).transpose()?;
    let data = volume.as_ref().map_or(folder.as_path(), Volume::path).join("data");
    let ground = Ground::new(&folder, data, (&plan.settings, options.keeps), &mut plan.random)?;
    let told = || {
        let again = options.again(seed);
        format!("its folder and log are {}; once more: {again}", folder.display())
    };
    Life::begin(&plan, ground, volume, outcome).and_then(Life::live).with_context(told)?;
    Ok(fs::remove_dir_all(&folder)?)
}
