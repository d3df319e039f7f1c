//! `strom groups`: Kafka's kafka-consumer-groups.

mod delete;
mod describe;
mod list;
mod members;
mod moment;
mod options;
mod reset;
mod targets;

use crate::connect::{self, Connect};
use crate::failure::{Failure, Outcome};
use std::io::Write;
use std::path::PathBuf;
use strom_client::Cluster;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connect: Connect,
    /// List groups
    #[arg(long)]
    list: bool,
    /// Show offsets, members or state of groups
    #[arg(long)]
    describe: bool,
    /// Delete groups with everything they committed
    #[arg(long)]
    delete: bool,
    /// Delete what a group committed for topics
    #[arg(long)]
    delete_offsets: bool,
    /// Move what a group without members committed
    #[arg(long)]
    reset_offsets: bool,
    /// The group; may be given several times
    #[arg(long)]
    group: Vec<String>,
    /// All groups
    #[arg(long)]
    all_groups: bool,
    /// The topic, or topic:0,1,2 for some of its partitions; may be given several times
    #[arg(long)]
    topic: Vec<String>,
    /// All topics that the group committed for
    #[arg(long)]
    all_topics: bool,
    /// With --list: show the state, or only groups in these states; with --describe: show the state
    #[arg(long, num_args = 0..=1, default_missing_value = "", value_name = "STATES")]
    state: Option<String>,
    /// With --list: show the type, or only groups of these types
    #[arg(long = "type", num_args = 0..=1, default_missing_value = "", value_name = "TYPES")]
    group_type: Option<String>,
    /// With --describe: the members
    #[arg(long)]
    members: bool,
    /// With --describe: offsets and lag (the default)
    #[arg(long)]
    offsets: bool,
    /// With --describe: more columns
    #[arg(long)]
    verbose: bool,
    #[command(flatten)]
    reset: ResetArguments,
    /// How long a call may take, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    timeout: u64,
}

#[derive(clap::Args, Debug)]
pub(crate) struct ResetArguments {
    /// To the first offset
    #[arg(long)]
    to_earliest: bool,
    /// To the offset after the last record
    #[arg(long)]
    to_latest: bool,
    /// To what is committed
    #[arg(long)]
    to_current: bool,
    /// To this offset
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    to_offset: Option<i64>,
    /// By so many records, forward or (negative) backward
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true)]
    shift_by: Option<i64>,
    /// To the first record of this time: YYYY-MM-DDThh:mm:ss.sss
    #[arg(long, value_name = "TIME")]
    to_datetime: Option<String>,
    /// To the first record of this long ago: PnDTnHnMnS
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    by_duration: Option<String>,
    /// To what this CSV file says
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Do it
    #[arg(long)]
    execute: bool,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    /// Print the result as CSV
    #[arg(long)]
    export: bool,
}

pub(crate) fn execute(arguments: Arguments) -> Outcome {
    options::check(&arguments)?;
    let further = [("default.api.timeout.ms".to_owned(), arguments.timeout.to_string())];
    let settings = arguments.connect.settings_with("admin-client", &further)?;
    connect::run(async {
        let mut cluster = Cluster::connect(settings).await?;
        match perform(&mut cluster, &arguments).await {
            // Kafka's tool prints what the cluster refused and calls that a success.
            Err(Failure::Refused(reason)) => {
                let what = "Error: Executing consumer group command failed due to";
                Ok(writeln!(std::io::stdout(), "\n{what} {reason}")?)
            }
            outcome => outcome,
        }
    })
}

async fn perform(cluster: &mut Cluster, arguments: &Arguments) -> Outcome {
    if arguments.list {
        return list::perform(cluster, arguments).await;
    }
    let groups = if arguments.all_groups {
        let groups = cluster.list_groups().await?.into_iter();
        groups.filter(list::is_consumer_group).map(|group| group.group_id).collect()
    } else {
        arguments.group.clone()
    };
    if arguments.describe {
        describe::perform(cluster, arguments, &groups).await
    } else if arguments.delete {
        delete::groups(cluster, &groups).await
    } else if arguments.delete_offsets {
        delete::offsets(cluster, arguments, groups.first().map_or("", String::as_str)).await
    } else {
        reset::perform(cluster, arguments, &groups).await
    }
}

/// The name of Kafka's exception for a code, which its tool prints with refusals.
fn exception(code: strom_protocol::ErrorCode) -> String {
    let mut name = String::from("org.apache.kafka.common.errors.");
    match code.name() {
        "NON_EMPTY_GROUP" => name.push_str("GroupNotEmpty"),
        "UNKNOWN_SERVER_ERROR" => name.push_str("UnknownServer"),
        "REQUEST_TIMED_OUT" => name.push_str("Timeout"),
        "MESSAGE_TOO_LARGE" => name.push_str("RecordTooLarge"),
        other => {
            for word in other.split('_') {
                let mut letters = word.chars();
                name.extend(letters.next());
                name.push_str(&letters.as_str().to_lowercase());
            }
        }
    }
    name.push_str("Exception");
    name
}

/// A refusal as Kafka's tool words it.
fn worded(error: &strom_client::ClientError) -> String {
    match error.code() {
        Some(code) => format!("{}: {error}", exception(code)),
        None => error.to_string(),
    }
}

fn missing_option(text: &str) -> Failure {
    Failure::said(text)
}
