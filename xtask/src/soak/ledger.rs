//! What was run, ever: a line for each piece of work, never changed.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::work::Kind;
use crate::stage::root;

const HEAD: &str = "date\tcommit\tkind\tof\tfirst\tcount\tsimulated_s\tfaults\tfindings";

/// One piece of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// As `2026-01-31`.
    pub date: String,
    pub commit: String,
    pub kind: Kind,
    /// The fuzz target or the planted defect; `-` for the others.
    pub of: String,
    /// The first seed; 0 where there are none.
    pub first: u64,
    /// Worlds, kills, executions, seeds until a defect was found.
    pub count: u64,
    pub simulated_s: u64,
    pub faults: u64,
    pub findings: u64,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { date, commit, kind, of, first, count, simulated_s, faults, findings } = self;
        write!(
            f,
            "{date}\t{commit}\t{kind}\t{of}\t{first}\t{count}\t{simulated_s}\t{faults}\t{findings}"
        )
    }
}

impl Entry {
    fn parse(line: &str) -> Result<Entry> {
        let cells: Vec<&str> = line.split('\t').collect();
        let &[date, commit, kind, of, first, count, simulated_s, faults, findings] =
            cells.as_slice()
        else {
            anyhow::bail!("nine cells are wanted");
        };
        Ok(Entry {
            date: date.to_owned(),
            commit: commit.to_owned(),
            kind: Kind::from_name(kind)?,
            of: of.to_owned(),
            first: first.parse()?,
            count: count.parse()?,
            simulated_s: simulated_s.parse()?,
            faults: faults.parse()?,
            findings: findings.parse()?,
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub entries: Vec<Entry>,
}

fn path() -> PathBuf {
    root().join("docs/reliability/ledger.tsv")
}

impl Ledger {
    /// # Errors
    /// When it is not there, or a line of it says nothing.
    pub(crate) fn read() -> Result<Ledger> {
        let text = fs::read_to_string(path()).context("docs/reliability/ledger.tsv")?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Ledger> {
        let mut lines = text.lines();
        ensure!(lines.next() == Some(HEAD), "the ledger does not begin with its head");
        let parse =
            |line| Entry::parse(line).with_context(|| format!("the ledger's line {line:?}"));
        Ok(Ledger { entries: lines.map(parse).collect::<Result<_>>()? })
    }

    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn append(&mut self, entry: Entry) -> Result<()> {
        let mut file = OpenOptions::new().append(true).open(path())?;
        writeln!(file, "{entry}")?;
        self.entries.push(entry);
        Ok(())
    }

    pub(crate) fn of(&self, kind: Kind) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.kind == kind)
    }

    /// Behind the last seed that was run.
    pub(crate) fn next_seed(&self, kind: Kind) -> u64 {
        self.of(kind).map(|entry| entry.first + entry.count).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written_and_the_next_seed_follows() {
        let entry = Entry {
            date: "2026-01-31".to_owned(),
            commit: "abc1234".to_owned(),
            kind: Kind::Worlds,
            of: "-".to_owned(),
            first: 5000,
            count: 700,
            simulated_s: 90,
            faults: 12,
            findings: 0,
        };
        let ledger = Ledger::parse(&format!("{HEAD}\n{entry}\n")).unwrap();
        assert_eq!(ledger.entries, [entry]);
        assert_eq!(ledger.next_seed(Kind::Worlds), 5700);
        assert_eq!(ledger.next_seed(Kind::Kills), 0);
        assert!(Ledger::parse("date\n").is_err() && Ledger::parse(&format!("{HEAD}\nx")).is_err());
    }
}
