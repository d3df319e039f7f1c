//! The tests that a mutant has to get by, the cheapest first.

use super::listing::CRATES;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Those of its own crate.
    Own,
    /// Those of all crates that are built upon it, the simulator's worlds among them.
    Users,
}

impl Stage {
    pub(super) const ALL: [Stage; 2] = [Stage::Own, Stage::Users];

    pub(super) fn name(self) -> &'static str {
        match self {
            Stage::Own => "own",
            Stage::Users => "users",
        }
    }

    /// The packages whose tests are run for a mutant of a crate.
    pub(super) fn packages(self, of: &str) -> Vec<String> {
        let named = |names: &[&str]| names.iter().map(|name| format!("strom-{name}")).collect();
        match (self, of) {
            (Stage::Own, of) => named(&[of]),
            // Nothing but the commands is built upon the client.
            (Stage::Users, "client") => named(&["cli"]),
            // They are siblings: only the node is built upon each.
            (Stage::Users, "raft" | "replica" | "metadata" | "coordinator") => {
                named(&["broker", "sim"])
            }
            (Stage::Users, "storage") => named(&["replica", "broker", "sim"]),
            (Stage::Users, "broker" | "intake") => named(&["sim", "host"]),
            (Stage::Users, of) => {
                let above = CRATES.iter().skip_while(|name| **name != of).skip(1);
                let above: Vec<&str> = above.copied().filter(|name| *name != "client").collect();
                named(&[above.as_slice(), &["sim"]].concat())
            }
        }
    }
}

/// The first test that failed, by the summary of the test harness.
pub(super) fn first_failed(output: &str) -> Option<&str> {
    let mut behind = output.lines().skip_while(|line| *line != "failures:").skip(1);
    // The names stand behind the second head; behind the first one are the outputs.
    let mut names = behind.by_ref().skip_while(|line| *line != "failures:").skip(1);
    names.find_map(|line| line.strip_prefix("    ").filter(|name| !name.contains(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survivor_meets_the_tests_of_all_that_is_built_upon_its_crate() {
        assert_eq!(Stage::Own.packages("raft"), ["strom-raft"]);
        assert_eq!(Stage::Users.packages("raft"), ["strom-broker", "strom-sim"]);
        let of_protocol = Stage::Users.packages("protocol");
        assert!(
            ["strom-raft", "strom-storage", "strom-broker", "strom-sim"]
                .iter()
                .all(|wanted| { of_protocol.iter().any(|package| package == wanted) })
        );
        assert!(!of_protocol.contains(&"strom-protocol".to_owned()));
        assert!(!of_protocol.contains(&"strom-client".to_owned()));
        assert_eq!(Stage::Users.packages("client"), ["strom-cli"]);
    }

    #[test]
    fn the_first_failed_test_is_read_from_the_list_behind_the_outputs() {
        let output = "running 2 tests\nF.\nfailures:\n\n---- log::cuts stdout ----\n    left: 1\n\
                      \nfailures:\n    log::cuts\n    log::grows\n\ntest result: FAILED.\n";
        assert_eq!(first_failed(output), Some("log::cuts"));
        assert_eq!(first_failed("error: test failed\n"), None);
    }
}
