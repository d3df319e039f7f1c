//! What the command line of the bench asks for.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use crate::load::system::{Kind, Row};

const USAGE: &str = "cargo xtask bench [--only NAME,…] [--quick] [--rounds N] [--scale F] \
                     [--without kafka,floor,floor-direct] \
                     [--systems strom@BINARY:KEY=VALUE+KEY=VALUE,strom,kafka] [--strom-config KEY=VALUE] \
                     [--json FILE] [--write]";

pub(super) struct Options {
    pub rounds: usize,
    /// Parts of the load that a workload has.
    pub scale: f64,
    /// Names of workloads or their beginnings: `W1` is all of W1.
    only: Vec<String>,
    without: Vec<String>,
    /// What runs, instead of all systems as they come.
    systems: Vec<Row>,
    /// Set for every Strom node.
    strom_keys: Vec<(String, String)>,
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
            systems: Vec::new(),
            strom_keys: Vec::new(),
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
                "--systems" => {
                    let texts = rest.next().context(USAGE)?.split(',');
                    options.systems = texts.map(row).collect::<Result<_>>()?;
                }
                "--strom-config" => {
                    options.strom_keys.push(key_value(rest.next().context(USAGE)?)?);
                }
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

    /// The rows of the report, in the order of the first turn.
    #[must_use]
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = self.systems.clone();
        if rows.is_empty() {
            rows = Kind::ALL.into_iter().map(Row::plain).collect();
        }
        rows.retain(|row| !self.without.iter().any(|name| name == row.kind.name()));
        for row in rows.iter_mut().filter(|row| row.kind == Kind::Strom) {
            row.keys.splice(0..0, self.strom_keys.iter().cloned());
        }
        rows
    }
}

/// `strom:a=b+c=d`, and `strom@/path/of/another/binary`
fn row(text: &str) -> Result<Row> {
    let (system, keys) = text.split_once(':').unwrap_or((text, ""));
    let (name, binary) = system.split_once('@').unwrap_or((system, ""));
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    let mut row = Row::plain(kind.with_context(|| format!("{name} is no system: {USAGE}"))?);
    if !binary.is_empty() {
        ensure!(row.kind == Kind::Strom, "only of Strom another binary can run: {USAGE}");
        row.name = format!("{} @{binary}", row.name);
        row.binary = Some(binary.into());
    }
    if !keys.is_empty() {
        row.name = format!("{} {keys}", row.name);
        row.keys = keys.split('+').map(key_value).collect::<Result<_>>()?;
    }
    Ok(row)
}

fn key_value(text: &str) -> Result<(String, String)> {
    let (key, value) = text.split_once('=').with_context(|| format!("{text} is no KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_settings_of_one_system_are_two_rows() {
        let systems = "strom:a=1+b=2,strom@/old/strom:a=3,kafka";
        let arguments = ["--systems", systems, "--strom-config", "c=4"];
        let options = Options::parse(&arguments.map(str::to_owned)).expect("known");
        let rows = options.rows();
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["strom a=1+b=2", "strom @/old/strom a=3", "kafka"]);
        let binaries = rows.iter().map(|row| row.binary.as_deref());
        let old = Some(std::path::Path::new("/old/strom"));
        assert_eq!(binaries.collect::<Vec<_>>(), [None, old, None]);
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(rows[0].keys, [pair("c", "4"), pair("a", "1"), pair("b", "2")]);
        assert!(rows[2].keys.is_empty());
        assert!(Options::parse(&["--systems".to_owned(), "redpanda".to_owned()]).is_err());
    }
}
