//! `strom consume`: Kafka's kafka-console-consumer.

mod formatter;
mod session;
mod settings;

use crate::connect::{self, Connect};
use crate::failure::{Failure, Outcome};
use crate::properties;
use formatter::Formatter;
use std::io::Write;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connect: Connect,
    /// The topic to read
    #[arg(long)]
    topic: Option<String>,
    /// Read all topics that match this regular expression
    #[arg(long, value_name = "REGEX")]
    include: Option<String>,
    /// Read only this partition
    #[arg(long, value_name = "PARTITION")]
    partition: Option<i32>,
    /// Where to begin in the partition: a number, earliest or latest
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    offset: Option<String>,
    /// Begin with the first record, unless the group has an offset
    #[arg(long)]
    from_beginning: bool,
    /// The group to read in
    #[arg(long)]
    group: Option<String>,
    /// End after so many records
    #[arg(long, value_name = "COUNT")]
    max_messages: Option<u64>,
    /// End when no record came for so many milliseconds
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u64>,
    /// read_committed or read_uncommitted
    #[arg(long, value_name = "LEVEL", default_value = "read_uncommitted")]
    isolation_level: String,
    /// The class of Kafka's formatters to print with
    #[arg(long, value_name = "CLASS")]
    formatter: Option<String>,
    /// What to print: print.key=true, print.timestamp=true, key.separator=: …
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    formatter_property: Vec<String>,
    /// The older spelling of --formatter-property
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    property: Vec<String>,
    /// Property file with formatter properties
    #[arg(long, value_name = "FILE")]
    formatter_config: Option<PathBuf>,
    /// The class that reads keys
    #[arg(long, value_name = "CLASS")]
    key_deserializer: Option<String>,
    /// The class that reads values
    #[arg(long, value_name = "CLASS")]
    value_deserializer: Option<String>,
    /// A client setting, such as group.id=g
    #[arg(long, value_name = "KEY=VALUE")]
    command_property: Vec<String>,
    /// The older spelling of --command-property
    #[arg(long, value_name = "KEY=VALUE")]
    consumer_property: Vec<String>,
    /// The older spelling of --command-config
    #[arg(long = "consumer.config", value_name = "FILE")]
    consumer_config: Option<PathBuf>,
    /// Go on with the next record when one cannot be printed
    #[arg(long)]
    skip_message_on_error: bool,
}

pub(crate) fn execute(arguments: Arguments) -> Outcome {
    check(&arguments)?;
    warn(&arguments)?;
    let formatter = formatter(&arguments)?;
    let plan = settings::Plan::new(&arguments)?;
    connect::run(session::run(plan, formatter))
}

fn check(arguments: &Arguments) -> Outcome {
    if arguments.topic.is_some() == arguments.include.is_some() {
        return Err(Failure::said(
            "Exactly one of the following arguments is required: [topic], [include]",
        ));
    }
    if arguments.partition.is_some() {
        if arguments.topic.is_none() {
            let text = "The topic is required when partition is specified.";
            return Err(Failure::said(text));
        }
        if arguments.from_beginning && arguments.offset.is_some() {
            let text = "Options from-beginning and offset cannot be specified together.";
            return Err(Failure::said(text));
        }
    } else if arguments.offset.is_some() {
        return Err(Failure::said("The partition is required when offset is specified."));
    }
    if arguments.group.is_some() && arguments.partition.is_some() {
        let text = "Options group and partition cannot be specified together.";
        return Err(Failure::said(text));
    }
    Ok(())
}

fn warn(arguments: &Arguments) -> Outcome {
    let mut output = std::io::stdout().lock();
    for (given, old, new) in [
        (!arguments.property.is_empty(), "property", "formatter-property"),
        (!arguments.consumer_property.is_empty(), "consumer-property", "command-property"),
        (arguments.consumer_config.is_some(), "consumer.config", "command-config"),
    ] {
        if given {
            writeln!(
                output,
                "Option --{old} is deprecated and will be removed in a future version. Use --{new} \
                 instead."
            )?;
        }
    }
    Ok(())
}

fn formatter(arguments: &Arguments) -> Outcome<Formatter> {
    let mut all = match &arguments.formatter_config {
        Some(path) => properties::read(path)?,
        None => Vec::new(),
    };
    all.extend(properties::pairs(&arguments.property)?);
    all.extend(properties::pairs(&arguments.formatter_property)?);
    for (name, class) in [
        ("key.deserializer", &arguments.key_deserializer),
        ("value.deserializer", &arguments.value_deserializer),
    ] {
        all.extend(class.iter().map(|class| (name.to_owned(), class.clone())));
    }
    Formatter::new(arguments.formatter.as_deref(), &all)
}
