//! The names of Kafka's tools: the binary called by one of them is that tool, and so is the
//! subcommand of that name.

use std::ffi::OsString;
use std::path::Path;

/// Kafka's script without `.sh` or `.bat`, and the subcommand that stands for it.
const TOOLS: &[(&str, &str)] = &[
    ("kafka-server-start", "server"),
    ("kafka-topics", "topics"),
    ("kafka-configs", "configs"),
    ("kafka-console-producer", "produce"),
    ("kafka-console-consumer", "consume"),
    ("kafka-consumer-groups", "groups"),
    ("kafka-dump-log", "dump-log"),
    ("kafka-storage", "storage"),
];

/// Inserts the subcommand when the binary was called by a tool's name, and puts it in the place of a
/// tool's name: `strom kafka-topics.sh --list`.
pub(crate) fn as_subcommand(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if let Some(subcommand) = arguments.first().and_then(|program| tool_of(Path::new(program))) {
        arguments.insert(1, OsString::from(subcommand));
    } else if let Some(named) = arguments.get_mut(1)
        && let Some(subcommand) = tool_of(Path::new(named))
    {
        *named = OsString::from(subcommand);
    }
    arguments
}

pub(crate) fn tool_of(program: &Path) -> Option<&'static str> {
    let name = program.file_name()?.to_str()?;
    let name = name.strip_suffix(".sh").or_else(|| name.strip_suffix(".bat")).unwrap_or(name);
    TOOLS.iter().find(|(tool, _)| *tool == name).map(|(_, subcommand)| *subcommand)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(arguments: &[&str]) -> Vec<String> {
        let arguments = as_subcommand(arguments.iter().map(OsString::from).collect());
        arguments.into_iter().map(|argument| argument.into_string().unwrap()).collect()
    }

    #[test]
    fn a_tools_name_is_its_subcommand() {
        let expected = ["bin/kafka-topics.sh", "topics", "--list"];
        assert_eq!(called(&["bin/kafka-topics.sh", "--list"]), expected);
        assert_eq!(called(&["kafka-dump-log"]), ["kafka-dump-log", "dump-log"]);
    }

    #[test]
    fn a_tools_name_may_stand_for_the_subcommand() {
        let expected = ["strom", "topics", "--list"];
        assert_eq!(called(&["strom", "kafka-topics.sh", "--list"]), expected);
        assert_eq!(called(&["kafka-topics", "--topic"]), ["kafka-topics", "topics", "--topic"]);
    }

    #[test]
    fn any_other_name_is_the_binary_itself() {
        assert_eq!(called(&["/usr/bin/strom", "topics"]), ["/usr/bin/strom", "topics"]);
    }
}
