//! What the command line of a campaign asks for.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::kind::Kind;

const USAGE: &str =
    "cargo xtask crash [--kills N] [--seconds N] [--seed S] [--only KIND] [--keep] [--counts FILE]";

#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Kills to reach, in whole lives; and every kind once, where all are wanted.
    pub kills: u64,
    /// No life begins later than this.
    pub limit: Option<Duration>,
    /// Of the first life; the others follow.
    pub seed: u64,
    pub only: Option<Kind>,
    /// The data folder is copied before each start, for whoever looks for the cause of a failure.
    pub keeps: bool,
    /// A file for the counts, a `name=number` in each line.
    pub counts: Option<PathBuf>,
}

impl Options {
    /// # Errors
    /// When something is not known.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options =
            Self { kills: 50, limit: None, seed: 1, only: None, keeps: false, counts: None };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if argument == "--keep" {
                options.keeps = true;
                continue;
            }
            let value = rest.next().context(USAGE)?;
            let number = || value.parse::<u64>().context(USAGE);
            match argument.as_str() {
                "--kills" => options.kills = number()?,
                "--seconds" => options.limit = Some(Duration::from_secs(number()?)),
                "--seed" => options.seed = number()?,
                "--counts" => options.counts = Some(PathBuf::from(value)),
                "--only" => options.only = Some(Kind::from_name(value)?),
                other => bail!("{other} is not known: {USAGE}"),
            }
        }
        ensure!(options.kills > 0, "no kills at all: {USAGE}");
        Ok(options)
    }

    /// The command that lives one life of this campaign again.
    #[must_use]
    pub(crate) fn again(&self, seed: u64) -> String {
        let only = self.only.map(|kind| format!(" --only {kind}")).unwrap_or_default();
        format!("cargo xtask crash --kills 1 --seed {seed}{only}")
    }
}
