//! `cargo xtask mutants`: changes of the code, drawn at random, that tests must notice.
//!
//! `cargo mutants` says what can be changed; a seed draws from that; each change is tested in a clone
//! below the build folder, by its own crate's tests and then by those of the crates built upon it
//! ([`stages::Stage`]). What became of each stands in a book (`docs/reliability/mutants.tsv`), which grows by
//! each draw. A draw that is broken off goes on where it was; `--again` judges those that survived once more.
//! What is judged is what is committed.

mod book;
mod draw;
mod listing;
mod mutant;
mod page;
mod stages;
mod tree;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::stage::{root, said};
use book::{Book, Outcome, Row};
use mutant::{Identity, Mutant};
use tree::Tree;

const USAGE: &str = "\
cargo xtask mutants [--seed N] [--sample N] [--minutes N] [--only CRATE,…]   draws that many
cargo xtask mutants --again [--minutes N]   judges again those of the book that survived";
const SAMPLE: usize = 100;
const SEED: u64 = 1;

#[derive(Debug)]
struct Options {
    seed: u64,
    sample: usize,
    /// All of them where empty.
    crates: Vec<String>,
    end: Option<Instant>,
    is_again: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Options> {
        let mut options =
            Options { seed: SEED, sample: SAMPLE, crates: Vec::new(), end: None, is_again: false };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if argument == "--again" {
                options.is_again = true;
                continue;
            }
            let value = rest.next().context(USAGE)?;
            match argument.as_str() {
                "--seed" => options.seed = value.parse().context(USAGE)?,
                "--sample" => options.sample = value.parse().context(USAGE)?,
                "--only" => options.crates = value.split(',').map(str::to_owned).collect(),
                "--minutes" => {
                    let minutes: u64 = value.parse().context(USAGE)?;
                    options.end = Some(Instant::now() + Duration::from_secs(60 * minutes));
                }
                other => bail!("{other} is not known: {USAGE}"),
            }
        }
        let unknown = options.crates.iter().find(|name| !listing::CRATES.contains(&name.as_str()));
        ensure!(unknown.is_none(), "no pure crate has this name: {}", listing::CRATES.join(", "));
        ensure!(options.sample > 0, "nothing is said by no mutants");
        Ok(options)
    }

    fn is_over(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }
}

/// # Errors
/// When mutants survive that nobody has explained, or the tests fail without a change.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let options = Options::parse(arguments)?;
    listing::install()?;
    let mut tree = Tree::at_head()?;
    let mutants = listing::list(tree.path())?;
    println!("{} mutants in the pure crates", mutants.len());
    let committed = root().join("docs/reliability/mutants.tsv");
    let mut book = Book::read(&committed)?;
    if options.is_again {
        again(&mut book, &mutants, &mut tree, &options)?;
    } else {
        book.take_in(first(mutants, &mut tree, &options)?);
    }
    book.write(&committed)?;
    page::write(&book)?;
    println!("{}", page::summary(&book).join("\n"));
    let left = book.rows.values().filter(|it| !it.now.is_caught() && !it.is_explained()).count();
    ensure!(left == 0, "{left} mutant(s) survive: see docs/reliability/mutants.tsv");
    Ok(())
}

/// Draws, and judges what was drawn, unless the run before has.
fn first(mutants: Vec<Mutant>, tree: &mut Tree, options: &Options) -> Result<Book> {
    let path = state(options)?;
    let mut book = Book::read(&path)?;
    println!("seed {}, {} judged before", options.seed, book.rows.len());
    let is_wanted =
        |it: &Mutant| options.crates.is_empty() || options.crates.contains(&it.identity.of);
    let mutants = mutants.into_iter().filter(is_wanted).collect();
    let drawn = draw::shuffled(mutants, options.seed);
    loop {
        let is_viable =
            |it: &Mutant| book.rows.get(&it.identity).map(|row| row.first != Outcome::Unviable);
        let next = draw::next(&drawn, options.sample, is_viable);
        if next.is_empty() {
            break;
        }
        for mutant in next {
            ensure!(!options.is_over(), "the time is over: the same command goes on");
            let row = Row::of_first(tree.judge(mutant)?);
            tell(&mutant.identity, &row);
            book.rows.insert(mutant.identity.clone(), row);
            book.write(&path)?;
        }
    }
    // A larger draw may have been here before.
    let order = drawn.iter().filter_map(|it| {
        let row = book.rows.get(&it.identity)?;
        (row.first != Outcome::Unviable).then(|| (it.identity.clone(), row.clone()))
    });
    Ok(Book { rows: order.take(options.sample).collect() })
}

/// What was judged of other code, or of another draw, says nothing here.
fn state(options: &Options) -> Result<PathBuf> {
    let commit = said(Command::new("git").args(["rev-parse", "--short", "HEAD"]))?;
    let Options { seed, crates, .. } = options;
    let name = format!("{commit}-{seed}-{}.tsv", crates.join("-"));
    Ok(tree::folder().join(name))
}

fn again(book: &mut Book, mutants: &[Mutant], tree: &mut Tree, options: &Options) -> Result<()> {
    let path = root().join("docs/reliability/mutants.tsv");
    let survivors: Vec<Identity> = book
        .rows
        .iter()
        .filter(|(_, row)| !row.now.is_caught() && !row.is_explained())
        .map(|(identity, _)| identity.clone())
        .collect();
    for identity in survivors {
        ensure!(!options.is_over(), "the time is over: the same command goes on");
        let mutant = mutants.iter().find(|it| it.identity == identity);
        let Some(mutant) = mutant else {
            println!("not in the code any more: {} in {}", identity.mutation, identity.file);
            continue;
        };
        let verdict = tree.judge(mutant)?;
        if let Some(row) = book.rows.get_mut(&identity) {
            (row.now, row.by) = (verdict.outcome, verdict.by);
            tell(&identity, row);
        }
        book.write(&path)?;
    }
    Ok(())
}

fn tell(identity: &Identity, row: &Row) {
    let Identity { file, mutation, number, .. } = identity;
    let Row { now, by, .. } = row;
    println!("{now:?} by {by}: {file}: {mutation} ({number})");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> Result<Options> {
        Options::parse(&arguments.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_draw_is_named_by_its_seed_its_size_and_its_crates() {
        let drawn = options(&["--seed", "7", "--sample", "20", "--only", "raft,base"]).unwrap();
        assert_eq!((drawn.seed, drawn.sample, drawn.is_again), (7, 20, false));
        assert_eq!(drawn.crates, ["raft", "base"]);
        assert!(!drawn.is_over() && options(&["--minutes", "0"]).unwrap().is_over());
        assert!(options(&["--only", "host"]).is_err());
        assert!(options(&["--sample", "0"]).is_err());
        assert!(options(&["--seed"]).is_err());
    }
}
