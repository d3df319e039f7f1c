//! The command line as a whole: which tool, and how a mistake in its options is said.

use crate::failure::{Failure, Outcome};
use crate::{configs, consume, dump_log, examples, groups, produce, server, storage, topics};
use clap::error::{ContextKind, ErrorKind};
use clap::{Parser, Subcommand};
use std::ffi::OsString;

#[derive(Parser)]
#[command(
    name = "strom",
    version,
    about = "A Kafka platform in one binary; without a command it starts a node",
    after_help = "Linked under the name of one of Kafka's tools, such as kafka-topics.sh, it is that tool.",
    infer_long_args = true,
    propagate_version = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
#[command(infer_long_args = true)]
pub(crate) enum Command {
    /// Runs a node (kafka-server-start)
    #[command(after_help = examples::SERVER)]
    Server(server::Arguments),
    /// Formats and inspects data folders (kafka-storage)
    #[command(after_help = examples::STORAGE)]
    Storage(storage::Arguments),
    /// Creates, deletes, describes and changes topics (kafka-topics)
    #[command(after_help = examples::TOPICS)]
    Topics(topics::Arguments),
    /// Describes and changes dynamic configuration (kafka-configs)
    #[command(after_help = examples::CONFIGS)]
    Configs(configs::Arguments),
    /// Sends lines of standard input as records (kafka-console-producer)
    #[command(after_help = examples::PRODUCE)]
    Produce(produce::Arguments),
    /// Prints records (kafka-console-consumer)
    #[command(after_help = examples::CONSUME)]
    Consume(consume::Arguments),
    /// Lists, describes, resets and deletes consumer groups (kafka-consumer-groups)
    #[command(after_help = examples::GROUPS)]
    Groups(groups::Arguments),
    /// Prints the contents of log, index and checkpoint files (kafka-dump-log)
    #[command(after_help = examples::DUMP_LOG)]
    DumpLog(dump_log::Arguments),
}

/// # Errors
/// The sentence that explains a mistake; help and version are printed and end quietly.
pub(crate) fn parse(arguments: Vec<OsString>) -> Outcome<Command> {
    match Arguments::try_parse_from(arguments) {
        Ok(arguments) => Ok(arguments.command.unwrap_or_else(without_command)),
        Err(error) => Err(explain(&error)),
    }
}

/// `strom` alone starts a node.
fn without_command() -> Command {
    Command::Server(server::Arguments::default())
}

pub(crate) fn execute(command: Command) -> Outcome {
    match command {
        Command::Server(arguments) => server::serve(arguments).map_err(Failure::Said),
        Command::Storage(arguments) => storage::execute(arguments),
        Command::Topics(arguments) => topics::execute(arguments),
        Command::Configs(arguments) => configs::execute(arguments),
        Command::Produce(arguments) => produce::execute(arguments),
        Command::Consume(arguments) => consume::execute(arguments),
        Command::Groups(arguments) => groups::execute(arguments),
        Command::DumpLog(arguments) => dump_log::execute(arguments),
    }
}

fn explain(error: &clap::Error) -> Failure {
    let context = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            return match error.print() {
                Ok(()) => Failure::Silent(0),
                Err(error) => error.into(),
            };
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            return Failure::Silent(1);
        }
        ErrorKind::UnknownArgument => {
            let argument = context(ContextKind::InvalidArg);
            let name = argument.trim_start_matches('-');
            return Failure::said(format!("{name} is not a recognized option"));
        }
        ErrorKind::MissingRequiredArgument => {
            let name = option_name(error);
            return Failure::said(format!("Missing required argument \"[{name}]\""));
        }
        ErrorKind::InvalidSubcommand => {
            let named = context(ContextKind::InvalidSubcommand);
            return Failure::said(format!("{named} is not a command: see strom --help"));
        }
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let (value, name) = (context(ContextKind::InvalidValue), option_name(error));
            if value.is_empty() {
                return Failure::said(format!("Option {name} requires an argument"));
            }
            return Failure::said(format!("Cannot parse argument '{value}' of option {name}"));
        }
        _ => {}
    }
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    Failure::said(first.strip_prefix("error: ").unwrap_or(first))
}

/// `topic` of `--topic <TOPIC>`, the option that the mistake is about.
fn option_name(error: &clap::Error) -> String {
    let option = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    let name = option.trim_start_matches('-').split([' ', '=']).next();
    name.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn mistake(arguments: &[&str]) -> String {
        match parse(arguments.iter().map(OsString::from).collect()) {
            Err(Failure::Said(sentence)) => sentence,
            _ => panic!("{arguments:?} is no mistake"),
        }
    }

    #[test]
    fn the_options_of_all_tools_fit_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn mistakes_are_one_sentence_in_kafkas_words() {
        let unknown = mistake(&["strom", "topics", "--list", "--frob"]);
        assert_eq!(unknown, "frob is not a recognized option");
        let missing = mistake(&["strom", "produce"]);
        assert_eq!(missing, "Missing required argument \"[topic]\"");
        let number = mistake(&["strom", "topics", "--create", "--topic", "t", "--partitions", "x"]);
        assert_eq!(number, "Cannot parse argument 'x' of option partitions");
        let value = mistake(&["strom", "topics", "--create", "--topic"]);
        assert_eq!(value, "Option topic requires an argument");
        assert_eq!(mistake(&["strom", "frob"]), "frob is not a command: see strom --help");
    }

    #[test]
    fn options_may_be_abbreviated_as_kafkas_tools_allow() {
        let arguments = ["strom", "topics", "--boot", "h:1", "--list"];
        assert!(parse(arguments.iter().map(OsString::from).collect()).is_ok());
    }
}
