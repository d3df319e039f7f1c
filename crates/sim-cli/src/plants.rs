//! Planted defects, one after the other, and how many seeds it takes to find each.

use std::panic::{self, AssertUnwindSafe};

use anyhow::{Result, bail, ensure};
use strom_base::Planted;
use strom_base::planted::plant;
use strom_sim::crash_points::{Pace, SCENARIOS, enumerate};
use strom_sim::{Story, Telling, WorldId, run};

use crate::swarm::points_of;

/// How long is looked for them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    /// The seed to begin with.
    pub(crate) first: u64,
    /// Seeds of one search.
    pub(crate) budget: u64,
    /// So many searches, each through seeds of its own.
    pub(crate) searches: u64,
}

/// Where a search came to its end.
struct Found {
    seeds: u64,
    by: String,
}

/// Their names, a line each.
pub(crate) fn list() {
    Planted::ALL.iter().for_each(|defect| println!("{defect:?}"));
}

/// Searches for those of the name, for all if there is none, and prints a line of a table for each.
///
/// # Errors
/// When one is not found in each search.
pub(crate) fn find(only: Option<&str>, search: Search) -> Result<()> {
    let is_wanted = |name: &str| only.is_none_or(|only| only == name);
    let wanted: Vec<Planted> =
        Planted::ALL.iter().copied().filter(|it| is_wanted(&format!("{it:?}"))).collect();
    ensure!(!wanted.is_empty(), "{} is no planted defect", only.unwrap_or("nothing"));
    // A defect may well end in a panic: that is a way to be found.
    panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    println!(
        "| class | planted | found after, median of {} | by |\n|---|---|---|---|",
        search.searches
    );
    for defect in wanted {
        plant(Some(defect));
        let found: Vec<Option<Found>> =
            (0..search.searches).map(|index| search_once(search, index)).collect();
        let mut told = sum(&found);
        if found.iter().any(Option::is_none) {
            match guarded(crash_points) {
                Some(by) => told = format!("{told}; each crash point: {by}"),
                None => missed.push(format!("{defect:?}")),
            }
        }
        println!("| {} | {defect:?}: {} | {told} |", defect.class(), defect.what());
    }
    plant(None);
    if missed.is_empty() { Ok(()) } else { bail!("not always found: {}", missed.join(", ")) }
}

fn search_once(search: Search, index: u64) -> Option<Found> {
    let first = search.first + index * search.budget;
    (first..first + search.budget).enumerate().find_map(|(count, seed)| {
        let by = guarded(|| broken(&WorldId::of_seed(seed)))?;
        Some(Found { seeds: count as u64 + 1, by: format!("{by} (seed {seed})") })
    })
}

fn broken(id: &WorldId) -> Option<String> {
    run(id, Telling::Nothing).err().map(|failure| failure.reason)
}

/// What breaks, or that it ends in a panic.
fn guarded(look: impl FnOnce() -> Option<String>) -> Option<String> {
    panic::catch_unwind(AssertUnwindSafe(look)).unwrap_or_else(|_| Some("a panic".to_owned()))
}

/// All crash points of scripted scenarios of a log, then those of a node's life.
fn crash_points() -> Option<String> {
    let paces = [Pace::AtOnce, Pace::Late];
    let of_a_log = paces.into_iter().flat_map(|pace| SCENARIOS.iter().map(move |it| (it, pace)));
    let mut broken_logs = of_a_log.filter_map(|(scenario, pace)| enumerate(scenario, pace).err());
    if let Some(failure) = broken_logs.next() {
        return Some(failure.to_string());
    }
    Story::ALL.into_iter().find_map(|story| {
        let points = match points_of(story, 1) {
            Ok(points) => points,
            Err(failure) => return Some(failure.to_string()),
        };
        points.iter().find_map(|id| broken(id).map(|reason| format!("{id}: {reason}")))
    })
}

/// The median of the searches, and what the first of them saw.
fn sum(found: &[Option<Found>]) -> String {
    let by = found.iter().flatten().next().map_or("nothing", |found| &found.by).replace('|', "/");
    let mut seeds: Vec<u64> =
        found.iter().map(|found| found.as_ref().map_or(u64::MAX, |it| it.seeds)).collect();
    seeds.sort_unstable();
    let told = |seeds: u64| if seeds == u64::MAX { "never".to_owned() } else { seeds.to_string() };
    let median = seeds.get(seeds.len() / 2).copied().map_or_else(String::new, told);
    let most = seeds.last().copied().map_or_else(String::new, told);
    format!("{median} (at most {most}) | {by}")
}
