//! `docs/benchmarks.md` and its pictures, written by a run.

use std::fs;

use anyhow::Result;

use super::report::{Titles, details, summary};
use super::sample::Sample;
use super::{machine, picture};
use crate::load::system::Row;
use crate::stage::root;

/// Workloads whose latencies are drawn.
const DRAWN: [&str; 4] = ["W3", "W8-500", "W8-500-bulk", "W8-10k-bulk"];

/// # Errors
/// When a file cannot be written.
pub(super) fn write(
    samples: &[Sample],
    titles: &Titles<'_>,
    rows: &[Row],
    (rounds, failures): (usize, &[String]),
) -> Result<()> {
    let folder = root().join("docs/benchmarks");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("costs.svg"), picture::costs(samples, titles, rows))?;
    let mut pictures = String::from("![costs](benchmarks/costs.svg)\n\n");
    for (name, title) in titles.iter().filter(|(name, _)| DRAWN.contains(name)) {
        if let Some(svg) = picture::latencies(samples, rows, (name, title)) {
            let file = format!("latency-{}.svg", name.to_lowercase());
            fs::write(folder.join(&file), svg)?;
            pictures.push_str(&format!("![{title}](benchmarks/{file})\n\n"));
        }
    }
    let missing = match failures {
        [] => String::new(),
        some => format!("\nNot measured to the end: {}.\n", some.join("; ")),
    };
    let text = format!(
        "{HEAD}{missing}\n## The machine\n\n{}, {rounds} rounds.\n\n## Side by side\n\n{}\n{pictures}\
         ## Every figure\n\n{}",
        machine::describe(),
        summary(samples, titles, rows),
        details(samples, titles, rows).trim_end()
    );
    fs::write(root().join("docs/benchmarks.md"), text + "\n")?;
    Ok(())
}

const HEAD: &str = "\
# Benchmarks

Written by `cargo xtask bench`; do not edit. What the figures led to stands in [decisions](decisions).

The same frames go to Strom, to Apache Kafka 4.3.1 and, where it is a produce, to the floor program: one
thread that reads a frame, checks the CRC, writes the batch and answers, the least anyone can do. `floor`
writes through the page cache, `floor direct` from memory of its own with direct IO. The systems run side
by side and take turns, A B C, then C B A, after a warm-up (of four rounds before the first row); each
round has a topic of its own. Strom is what `cargo xtask dist` builds. Both
brokers acknowledge from the page cache (acks=1, Kafka's default) unless a line says otherwise. A cost is
the CPU time of the broker's process, user and system. `machine / broker` is what the whole machine used
without the load program, in multiples of that: the kernel's own threads are in it, and whatever else
ran. Memory is what is resident, shared memory included. Absolute figures swing with the machine; the
ratios of one run are what counts. Figures are medians over the rounds; produce over many partitions has two
of them (Apache Kafka takes minutes for one), long trials (many partitions, crashes, rest) have one.
`bare sync` is a write of one record over zeros and its sync, by a program that does nothing else, right after
the broker's round: what the disk itself takes; `by socket` the same by a thread that is asked over a loopback
connection and answers, the least that a synced request can take. The many producers of the overload (W19)
run at the lowest priority, so that on one machine they do not take the processors that they would not take
from elsewhere; the floor programs, which have no limit and take who comes first, make
them wait in line there.
";
