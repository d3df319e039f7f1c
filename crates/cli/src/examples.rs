//! What stands below each tool's options: lines to copy.

pub(crate) const SERVER: &str = "\
Examples:
  strom server
  strom server --config server.properties --override num.partitions=4";
pub(crate) const STORAGE: &str = "\
Examples:
  strom storage random-uuid
  strom storage format --config server.properties --cluster-id Q2xhcmEtU2Nod2FyegAAAA --standalone
  strom storage info --config server.properties";
pub(crate) const TOPICS: &str = "\
Examples:
  strom topics --create --topic orders --partitions 3
  strom topics --describe --topic orders
  strom topics --list";
pub(crate) const CONFIGS: &str = "\
Examples:
  strom configs --describe --topic orders --all
  strom configs --alter --topic orders --add-config retention.ms=86400000";
pub(crate) const PRODUCE: &str = "\
Examples:
  strom produce --topic orders
  strom produce --topic orders --reader-property parse.key=true --reader-property key.separator=:";
pub(crate) const CONSUME: &str = "\
Examples:
  strom consume --topic orders --from-beginning
  strom consume --topic orders --group billing --formatter-property print.key=true";
pub(crate) const GROUPS: &str = "\
Examples:
  strom groups --list
  strom groups --describe --group billing
  strom groups --reset-offsets --group billing --topic orders --to-earliest --execute";
pub(crate) const DUMP_LOG: &str = "\
Examples:
  strom dump-log --print-data-log --files strom-data/orders-0/00000000000000000000.log";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parse;
    use std::ffi::OsString;

    #[test]
    fn every_example_is_understood() {
        let all = [SERVER, STORAGE, TOPICS, CONFIGS, PRODUCE, CONSUME, GROUPS, DUMP_LOG];
        for line in all.iter().flat_map(|text| text.lines().skip(1)) {
            let words = line.split_whitespace().map(OsString::from).collect();
            assert!(parse(words).is_ok(), "{line}");
        }
    }
}
