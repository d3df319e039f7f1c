//! One program of the README: its packages are installed, it is run as it stands, and what its two
//! groups say and commit is held against the events that stand in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::readme::Sample;
use super::shell::Shell;

/// The groups of every program.
const GROUPS: [&str; 2] = ["dispatch", "billing"];
pub(super) const TOPIC: &str = "driver-location";

const INSTALL_LIMIT: Duration = Duration::from_secs(600);
const RUN_LIMIT: Duration = Duration::from_secs(90);

/// Where a driver was.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub driver: String,
    pub lat: f64,
    pub lng: f64,
}

impl Sample {
    /// Installs what the program needs, once for these commands, and puts it where it belongs. Gives
    /// the folder that the commands end in.
    ///
    /// # Errors
    /// When a command fails.
    pub(super) fn prepare(&self, shell: &Shell, home: &Path) -> Result<PathBuf> {
        let done = home.join("installed");
        let known = fs::read_to_string(&done).unwrap_or_default();
        let folder = match known.strip_prefix(&self.install) {
            Some(folder) if Path::new(folder).is_dir() => PathBuf::from(folder),
            _ => {
                if home.exists() {
                    fs::remove_dir_all(home)?;
                }
                fs::create_dir_all(home)?;
                if self.language == "rust" {
                    // Or it would be taken for a part of the project that it lies in.
                    let manifest = "[workspace]\nmembers = [\"*\"]\nexclude = [\"target\"]\n";
                    fs::write(home.join("Cargo.toml"), manifest)?;
                }
                // On a line of its own, whatever the commands have said without ending theirs.
                let script = format!("{}echo\npwd", self.install);
                let said = shell.run(home, &script, INSTALL_LIMIT)?;
                let folder = PathBuf::from(said.lines().last().unwrap_or_default());
                fs::write(&done, format!("{}{}", self.install, folder.display()))?;
                folder
            }
        };
        let file = folder.join(&self.file);
        fs::write(&file, &self.code).with_context(|| format!("writing {}", file.display()))?;
        if self.language == "rust" {
            // What the first run would do, apart, so that a client that hangs is seen soon.
            shell.run(&folder, "cargo build --quiet", INSTALL_LIMIT)?;
        }
        Ok(folder)
    }

    /// Runs the program against a node whose topic holds `earlier` events that both groups have read.
    ///
    /// # Errors
    /// When a group did not get every event, once, each driver's in order, or did not commit them.
    pub(super) fn check(&self, shell: &Shell, folder: &Path, earlier: &[Event]) -> Result<()> {
        let events = events(&self.code);
        ensure!(events.len() > GROUPS.len(), "no events are found in the {} code", self.language);
        let said = shell.run(folder, &self.run, RUN_LIMIT)?;
        for group in GROUPS {
            let prefix = format!("{group}: ");
            let seen: Vec<Event> = said
                .lines()
                .filter_map(|line| line.strip_prefix(&prefix))
                .filter_map(event)
                .collect();
            ensure!(
                by_driver(&seen) == by_driver(&events),
                "{group} did not get every event once and in order:\n{said}"
            );
        }
        let all = [earlier, events.as_slice()].concat();
        for group in GROUPS {
            check_committed(shell, folder, group, all.len())?;
        }
        check_topic(shell, folder, &all)
    }
}

/// The events that stand in a text, one a line: two fractions and, as the last text before them, who.
pub(super) fn events(text: &str) -> Vec<Event> {
    text.lines().filter_map(event).collect()
}

fn event(line: &str) -> Option<Event> {
    let is_of_number = |character: char| character.is_ascii_digit() || character == '.';
    let numbers: Vec<f64> = line
        .split(|character| !is_of_number(character))
        .filter(|word| word.contains('.'))
        .filter_map(|word| word.parse().ok())
        .collect();
    let [lat, lng] = numbers.as_slice() else { return None };
    let driver = line
        .split(|character: char| !character.is_ascii_alphabetic())
        .find(|word| ["anna", "ben", "cem"].contains(word))?;
    Some(Event { driver: driver.to_owned(), lat: *lat, lng: *lng })
}

/// Each driver's events in order; between drivers no order is promised.
fn by_driver(events: &[Event]) -> Vec<Event> {
    let mut sorted = events.to_vec();
    sorted.sort_by(|left, right| left.driver.cmp(&right.driver));
    sorted
}

/// All events in an order of their own: between runs of several clients none is promised.
fn sorted(events: &[Event]) -> Vec<Event> {
    let mut sorted = by_driver(events);
    sorted
        .sort_by(|left, right| left.driver.cmp(&right.driver).then(left.lat.total_cmp(&right.lat)));
    sorted
}

/// What the group committed, by the tool: in sum all events, and nothing is left to read.
fn check_committed(shell: &Shell, folder: &Path, group: &str, events: usize) -> Result<()> {
    let table = shell.strom(folder, &format!("groups --describe --group {group}"))?;
    let mut committed = 0;
    let mut lag = 0;
    for line in table.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [name, topic, _, current, _, behind, ..] = fields.as_slice()
            && *name == group
            && *topic == TOPIC
        {
            committed += current.parse::<usize>().unwrap_or(0);
            lag += behind.parse::<usize>().unwrap_or(0);
        }
    }
    ensure!(
        committed == events && lag == 0,
        "{group} has committed {committed} of {events} events and lags {lag} behind:\n{table}"
    );
    Ok(())
}

/// The topic itself, read without a group: JSON keyed by driver.
fn check_topic(shell: &Shell, folder: &Path, events: &[Event]) -> Result<()> {
    let options = format!(
        "consume --topic {TOPIC} --from-beginning --max-messages {} --timeout-ms 20000 \
         --formatter-property print.key=true",
        events.len()
    );
    let mut found = Vec::new();
    for line in shell.strom(folder, &options)?.lines() {
        let (key, value) = line.split_once('\t').with_context(|| format!("no key in '{line}'"))?;
        let value: serde_json::Value =
            serde_json::from_str(value).with_context(|| line.to_owned())?;
        let number = |name: &str| value[name].as_f64().with_context(|| format!("{name} in {line}"));
        let event = Event { driver: key.to_owned(), lat: number("lat")?, lng: number("lng")? };
        ensure!(value["driverId"] == *key, "the event is not keyed by its driver: {line}");
        found.push(event);
    }
    ensure!(sorted(&found) == sorted(events), "the topic holds {found:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_in_code_and_in_what_it_prints() {
        let expected = Event { driver: "anna".to_owned(), lat: 52.52, lng: 13.405 };
        for line in [
            "  { driverId: 'anna', lat: 52.5200, lng: 13.4050 },",
            "        json!({ \"driverId\": \"anna\", \"lat\": 52.5200, \"lng\": 13.4050 }),",
            "        new Event(\"anna\", 52.5200, 13.4050),",
            "anna is at 52.52, 13.405",
            "{\"driverId\":\"anna\",\"lat\":52.52,\"lng\":13.405}",
        ] {
            assert_eq!(event(line), Some(expected.clone()), "{line}");
        }
        assert_eq!(event("  clientId: 'fleet', brokers: ['127.0.0.1:9092']"), None);
    }
}
