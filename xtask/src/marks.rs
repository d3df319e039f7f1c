//! The parts of `docs/reliability.md` that are written by what they tell of, each between two marks.

use std::fs;

use anyhow::{Context, Result};

use crate::stage::root;

const PAGE: &str = "docs/reliability.md";

/// Where a part begins and ends.
#[derive(Debug)]
pub(crate) struct Marks {
    pub begin: &'static str,
    pub end: &'static str,
}

impl Marks {
    /// Puts a table between the marks: its head, and its rows.
    ///
    /// # Errors
    /// When the page lacks its place, or cannot be written.
    pub(crate) fn write(&self, head: &str, rows: &[String]) -> Result<()> {
        let path = root().join(PAGE);
        let text = fs::read_to_string(&path).context(PAGE)?;
        let table = format!("{head}\n{}", rows.join("\n"));
        let text = self
            .replaced(&text, &table)
            .with_context(|| format!("the page has no place between {}", self.begin))?;
        Ok(fs::write(path, text)?)
    }

    fn replaced(&self, text: &str, part: &str) -> Option<String> {
        let Marks { begin, end } = self;
        let (before, rest) = text.split_once(begin)?;
        let (_, after) = rest.split_once(end)?;
        Some(format!("{before}{begin}\n\n{part}\n\n{end}{after}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let marks = Marks { begin: "<!-- x -->", end: "<!-- end of x -->" };
        let new = marks.replaced("a\n<!-- x -->\nold\n<!-- end of x -->\nb\n", "| x | 1 |");
        let wanted = "a\n<!-- x -->\n\n| x | 1 |\n\n<!-- end of x -->\nb\n";
        assert_eq!(new.as_deref(), Some(wanted));
        assert_eq!(marks.replaced("no marks", ""), None);
    }
}
