//! One change of the code.

use anyhow::{Context, Result};

/// What names a mutant also after lines were added elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    /// The crate, without its prefix.
    pub of: String,
    pub file: String,
    pub function: String,
    pub mutation: String,
    /// Which of the places of the function where the same is changed; from 1.
    pub number: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Mutant {
    pub identity: Identity,
    pub replacement: String,
    /// Line and column, both from 1; columns are counted in characters.
    pub begin: (usize, usize),
    pub end: (usize, usize),
}

impl Mutant {
    /// The source with the change in it.
    ///
    /// # Errors
    /// When the source does not reach that far.
    pub(super) fn of_source(&self, source: &str) -> Result<String> {
        let begin = offset(source, self.begin).context("the change begins behind the source")?;
        let end = offset(source, self.end).context("the change ends behind the source")?;
        let (before, after) = (source.get(..begin), source.get(end..));
        let (before, after) = before.zip(after).context("the change has no place")?;
        Ok(format!("{before}{}{after}", self.replacement))
    }
}

/// Of a line and a column, in bytes.
fn offset(source: &str, (line, column): (usize, usize)) -> Option<usize> {
    let (line, column) = (line.checked_sub(1)?, column.checked_sub(1)?);
    let mut lines = source.split_inclusive('\n');
    let before: usize = lines.by_ref().take(line).map(str::len).sum();
    let rest = lines.next()?;
    let within = rest.char_indices().map(|(at, _)| at).chain([rest.len()]).nth(column)?;
    Some(before + within)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(begin: (usize, usize), end: (usize, usize), replacement: &str) -> Mutant {
        let identity = Identity {
            of: "base".to_owned(),
            file: "a.rs".to_owned(),
            function: "f".to_owned(),
            mutation: "m".to_owned(),
            number: 1,
        };
        Mutant { identity, replacement: replacement.to_owned(), begin, end }
    }

    #[test]
    fn exactly_the_span_is_replaced_also_behind_wide_characters() {
        let source = "fn f() {\n    \"é\" + x\n}\n";
        let changed = mutant((2, 9), (2, 10), "-").of_source(source).unwrap();
        assert_eq!(changed, "fn f() {\n    \"é\" - x\n}\n");
        let changed = mutant((1, 9), (3, 1), "0").of_source(source).unwrap();
        assert_eq!(changed, "fn f() {0}\n");
    }

    #[test]
    fn a_span_outside_of_the_source_is_an_error() {
        for (begin, end) in [((9, 1), (9, 2)), ((1, 1), (1, 9)), ((0, 1), (1, 1))] {
            assert!(mutant(begin, end, "").of_source("short\n").is_err());
        }
    }
}
