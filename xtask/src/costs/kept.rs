//! `xtask/costs.txt`: the figures that are kept, a script and its instructions a line.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::stage::root;

const HEAD: &str = "\
# Instructions of the node for one request, by script: `cargo xtask costs --update`.
# Whoever raises one says why in the commit.
";
const COMPILER: &str = "compiler: ";

pub(super) struct Kept {
    /// Who made the code that the figures are of.
    compiler: String,
    figures: Vec<(String, f64)>,
}

fn path() -> PathBuf {
    root().join("xtask/costs.txt")
}

fn compiler() -> Result<String> {
    let output = Command::new("rustc").current_dir(root()).arg("--version").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

impl Kept {
    /// # Errors
    /// When the file is not as `write` left it.
    pub(super) fn read() -> Result<Self> {
        let text = fs::read_to_string(path()).context("xtask/costs.txt")?;
        let compiler = text.lines().find_map(|line| line.strip_prefix(COMPILER));
        let figures = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.starts_with(COMPILER))
            .map(|line| {
                let (name, figure) = line.split_once(' ').context("a name and a figure")?;
                Ok((name.to_owned(), figure.trim().parse()?))
            })
            .collect::<Result<_>>()?;
        Ok(Self { compiler: compiler.unwrap_or_default().to_owned(), figures })
    }

    /// Whether the compiler is the one whose code the figures are of.
    ///
    /// # Errors
    /// When it does not say which one it is.
    pub(super) fn is_of_this_compiler(&self) -> Result<bool> {
        Ok(self.compiler == compiler()?)
    }

    #[must_use]
    pub(super) fn figure(&self, script: &str) -> Option<f64> {
        self.figures.iter().find(|(name, _)| name == script).map(|(_, figure)| *figure)
    }

    pub(super) fn set(&mut self, script: &str, figure: f64) {
        match self.figures.iter_mut().find(|(name, _)| name == script) {
            Some(kept) => kept.1 = figure,
            None => self.figures.push((script.to_owned(), figure)),
        }
    }

    /// # Errors
    /// When the file cannot be written.
    pub(super) fn write(&self) -> Result<()> {
        let lines = self.figures.iter().map(|(name, figure)| format!("{name} {figure:.0}\n"));
        let compiler = format!("{COMPILER}{}\n", compiler()?);
        fs::write(path(), HEAD.to_owned() + &compiler + &lines.collect::<String>())?;
        Ok(())
    }
}
