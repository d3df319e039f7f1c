//! What the command line of the bench asks for.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::load::system::Kind;

const USAGE: &str = "cargo xtask bench [--only NAME,…] [--quick] [--rounds N] [--scale F] \
                     [--without kafka,floor] [--json FILE] [--write]";

pub(super) struct Options {
    pub rounds: usize,
    /// Parts of the load that a workload has.
    pub scale: f64,
    /// Names of workloads or their beginnings: `W1` is all of W1.
    only: Vec<String>,
    without: Vec<String>,
    pub json: Option<PathBuf>,
    /// Whether the document is written: a whole run does so by itself.
    pub writes: bool,
}

impl Options {
    /// # Errors
    /// When something is not known.
    pub(super) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            rounds: 5,
            scale: 1.0,
            only: Vec::new(),
            without: Vec::new(),
            json: None,
            writes: arguments.is_empty(),
        };
        let mut rest = arguments.iter();
        let names = |text: &String| text.split(',').map(str::to_owned).collect();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--quick" => (options.rounds, options.scale) = (2, 0.25),
                "--scale" => options.scale = rest.next().context(USAGE)?.parse().context(USAGE)?,
                "--rounds" => {
                    options.rounds = rest.next().context(USAGE)?.parse().context(USAGE)?
                }
                "--only" => options.only = rest.next().map(names).context(USAGE)?,
                "--without" => options.without = rest.next().map(names).context(USAGE)?,
                "--json" => options.json = Some(rest.next().context(USAGE)?.into()),
                "--write" => options.writes = true,
                other => bail!("{other} is not known: {USAGE}"),
            }
        }
        Ok(options)
    }

    #[must_use]
    pub(super) fn wants(&self, workload: &str) -> bool {
        let begins = |name: &String| {
            workload
                .strip_prefix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        self.only.is_empty() || self.only.iter().any(begins)
    }

    #[must_use]
    pub(super) fn kinds(&self) -> Vec<Kind> {
        let is_wanted = |kind: &Kind| !self.without.iter().any(|name| name == kind.name());
        Kind::ALL.into_iter().filter(is_wanted).collect()
    }
}
