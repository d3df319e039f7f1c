//! What the book comes to, in `docs/reliability.md`.

use anyhow::Result;

use super::book::{Book, Row};
use super::listing::CRATES;
use crate::marks::Marks;

const MARKS: Marks = Marks {
    begin: "<!-- mutants: cargo xtask mutants writes them -->",
    end: "<!-- end of mutants -->",
};
const HEAD: &str = "| crate | drawn | caught when drawn | caught now | explained | left |\n\
                    |---|---|---|---|---|---|";

/// The lines of the table: the crates, and their sum.
pub(super) fn summary(book: &Book) -> Vec<String> {
    let line = |name: &str, rows: &[&Row]| {
        let count = |is: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| is(row)).count();
        let drawn = rows.len();
        let first = count(&|row| row.first.is_caught());
        let now = count(&|row| row.now.is_caught());
        let explained = count(&|row| !row.now.is_caught() && row.is_explained());
        let left = drawn - now - explained;
        let percent = (100 * first).checked_div(drawn).unwrap_or(0);
        format!("| {name} | {drawn} | {first} ({percent} %) | {now} | {explained} | {left} |")
    };
    let of = |name: &str| -> Vec<&Row> {
        book.rows.iter().filter(|(it, _)| it.of == name).map(|(_, row)| row).collect()
    };
    let drawn = CRATES.iter().map(|name| (name, of(name))).filter(|(_, rows)| !rows.is_empty());
    let mut lines: Vec<String> = drawn.map(|(name, rows)| line(name, &rows)).collect();
    lines.push(line("all", &book.rows.values().collect::<Vec<_>>()));
    lines
}

/// # Errors
/// When the page lacks its place, or cannot be written.
pub(super) fn write(book: &Book) -> Result<()> {
    MARKS.write(HEAD, &summary(book))
}

#[cfg(test)]
mod tests {
    use super::super::book::Outcome;
    use super::super::mutant::Identity;
    use super::*;

    #[test]
    fn what_was_caught_when_drawn_is_told_apart_from_what_is_caught_now() {
        let mut book = Book::default();
        let row =
            |first, now, why: &str| Row { first, now, by: "-".to_owned(), why: why.to_owned() };
        let rows = [
            ("raft", row(Outcome::Caught, Outcome::Caught, "-")),
            ("raft", row(Outcome::Survived, Outcome::Timeout, "-")),
            ("base", row(Outcome::Survived, Outcome::Survived, "costs only")),
            ("base", row(Outcome::Survived, Outcome::Survived, "-")),
        ];
        for (number, (of, row)) in rows.into_iter().enumerate() {
            let [file, function, mutation] = [(); 3].map(|()| String::new());
            let of = of.to_owned();
            book.rows.insert(Identity { of, file, function, mutation, number }, row);
        }
        let wanted = [
            "| base | 2 | 0 (0 %) | 0 | 1 | 1 |",
            "| raft | 2 | 1 (50 %) | 2 | 0 | 0 |",
            "| all | 4 | 1 (25 %) | 2 | 1 | 1 |",
        ];
        assert_eq!(summary(&book), wanted);
    }
}
