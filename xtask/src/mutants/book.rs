//! What became of each mutant: a line each.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::mutant::Identity;

/// `first` is the outcome when the mutant was drawn, before any test was written for it, `now` that of
/// the last time it was judged; `why` is written by hand, for a survivor that is to live.
const HEAD: &str = "crate\tfile\tfunction\tmutation\tnumber\tfirst\tnow\tby\twhy";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A test has failed.
    Caught,
    /// The tests did not end in many times the time that they take.
    Timeout,
    Survived,
    /// It does not compile, and says nothing about tests.
    Unviable,
}

impl Outcome {
    const ALL: [Outcome; 4] =
        [Outcome::Caught, Outcome::Timeout, Outcome::Survived, Outcome::Unviable];

    fn name(self) -> &'static str {
        match self {
            Outcome::Caught => "caught",
            Outcome::Timeout => "timeout",
            Outcome::Survived => "survived",
            Outcome::Unviable => "unviable",
        }
    }

    fn from_name(name: &str) -> Result<Outcome> {
        let found = Outcome::ALL.into_iter().find(|outcome| outcome.name() == name);
        found.with_context(|| format!("{name} is no outcome"))
    }

    /// Whether a change like this would have been noticed.
    pub(super) fn is_caught(self) -> bool {
        matches!(self, Outcome::Caught | Outcome::Timeout)
    }
}

/// What judging it came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub outcome: Outcome,
    /// The stage, and the test that failed first; `-` where none did.
    pub by: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub first: Outcome,
    pub now: Outcome,
    pub by: String,
    pub why: String,
}

impl Row {
    pub(super) fn of_first(verdict: Verdict) -> Row {
        let Verdict { outcome, by } = verdict;
        Row { first: outcome, now: outcome, by, why: "-".to_owned() }
    }

    pub(super) fn is_explained(&self) -> bool {
        self.why != "-"
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Book {
    pub rows: BTreeMap<Identity, Row>,
}

impl Book {
    /// An empty one where there is none.
    ///
    /// # Errors
    /// When a line of it says nothing.
    pub(super) fn read(path: &Path) -> Result<Book> {
        if !path.exists() {
            return Ok(Book::default());
        }
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        text.parse().with_context(|| path.display().to_string())
    }

    /// What was drawn once more keeps its first outcome, and the reason why it may live while it does.
    pub(super) fn take_in(&mut self, drawn: Book) {
        for (identity, row) in drawn.rows {
            let known = self.rows.remove(&identity);
            let first = known.as_ref().map_or(row.first, |known| known.first);
            let why = known.map(|known| known.why).filter(|_| !row.now.is_caught());
            let why = why.unwrap_or_else(|| row.why.clone());
            self.rows.insert(identity, Row { first, why, ..row });
        }
    }

    /// # Errors
    /// When the file cannot be written.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        // A run that is killed in the midst leaves the old one.
        let new = path.with_extension("new");
        fs::write(&new, self.to_string())?;
        Ok(fs::rename(new, path)?)
    }
}

impl fmt::Display for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}")?;
        for (Identity { of, file, function, mutation, number }, row) in &self.rows {
            let Row { first, now, by, why } = row;
            let (first, now) = (first.name(), now.name());
            writeln!(
                f,
                "{of}\t{file}\t{function}\t{mutation}\t{number}\t{first}\t{now}\t{by}\t{why}"
            )?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Book {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Book> {
        let mut lines = text.lines();
        ensure!(lines.next() == Some(HEAD), "it does not begin with its head");
        let parse = |line| row(line).with_context(|| format!("the line {line:?}"));
        Ok(Book { rows: lines.map(parse).collect::<Result<_>>()? })
    }
}

fn row(line: &str) -> Result<(Identity, Row)> {
    let cells: Vec<&str> = line.split('\t').collect();
    let &[of, file, function, mutation, number, first, now, by, why] = cells.as_slice() else {
        bail!("nine cells are wanted");
    };
    let identity = Identity {
        of: of.to_owned(),
        file: file.to_owned(),
        function: function.to_owned(),
        mutation: mutation.to_owned(),
        number: number.parse()?,
    };
    let row = Row {
        first: Outcome::from_name(first)?,
        now: Outcome::from_name(now)?,
        by: by.to_owned(),
        why: why.to_owned(),
    };
    Ok((identity, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_is_read_as_it_was_written() {
        let lines = [
            "base\ta.rs\tf\treplace + with - in f\t1\tsurvived\tcaught\town: tests::adds\t-",
            "base\ta.rs\tf\treplace + with - in f\t2\tsurvived\tsurvived\t-\tthe sum is 0",
        ];
        let text = format!("{HEAD}\n{}\n", lines.join("\n"));
        let book: Book = text.parse().unwrap();
        assert_eq!(book.to_string(), text);
        let explained: Vec<bool> = book.rows.values().map(Row::is_explained).collect();
        assert_eq!(explained, [false, true]);
    }

    #[test]
    fn a_second_draw_adds_to_the_first_and_keeps_what_it_said_while_it_is_true() {
        let book = |lines: &[&str]| -> Book {
            let lines: String =
                lines.iter().map(|line| format!("base\ta.rs\tf\t{line}\n")).collect();
            format!("{HEAD}\n{lines}").parse().unwrap()
        };
        let mut known = book(&[
            "m\t1\tsurvived\tsurvived\t-\tcosts only",
            "m\t2\tsurvived\tsurvived\t-\tcosts only",
            "m\t3\tcaught\tcaught\town: a\t-",
        ]);
        known.take_in(book(&[
            "m\t1\tsurvived\tsurvived\t-\t-",
            "m\t2\tcaught\tcaught\town: b\t-",
            "m\t4\ttimeout\ttimeout\town: does not end\t-",
        ]));
        let expected = book(&[
            "m\t1\tsurvived\tsurvived\t-\tcosts only",
            "m\t2\tsurvived\tcaught\town: b\t-",
            "m\t3\tcaught\tcaught\town: a\t-",
            "m\t4\ttimeout\ttimeout\town: does not end\t-",
        ]);
        assert_eq!(known, expected);
    }

    #[test]
    fn a_line_that_says_nothing_is_an_error() {
        assert!("crate\n".parse::<Book>().is_err());
        let short = format!("{HEAD}\nbase\ta.rs\n");
        assert!(short.parse::<Book>().is_err());
        let unknown = format!("{HEAD}\nbase\ta.rs\tf\tm\t1\tdied\tdied\t-\t-\n");
        assert!(unknown.parse::<Book>().is_err());
    }
}
