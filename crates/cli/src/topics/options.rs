//! Which options go together, in the words of Kafka's tool.

use super::Arguments;
use crate::failure::{Failure, Outcome};

/// # Errors
/// A sentence that names the options that do not fit.
pub(super) fn check(arguments: &Arguments) -> Outcome {
    let actions = [
        ("list", arguments.list),
        ("describe", arguments.describe),
        ("create", arguments.create),
        ("alter", arguments.alter),
        ("delete", arguments.delete),
    ];
    let mut chosen = actions.iter().filter(|(_, given)| *given);
    let (Some((action, _)), None) = (chosen.next(), chosen.next()) else {
        return Err(Failure::said(
            "Command must include exactly one action: --list, --describe, --create, --alter or \
             --delete",
        ));
    };
    required(arguments)?;
    for (option, given, allowed) in limited(arguments) {
        if given && !allowed.contains(action) {
            let text = format!("Option \"[{option}]\" can't be used with option \"[{action}]\"");
            return Err(Failure::said(text));
        }
    }
    if arguments.create && arguments.replica_assignment.is_some() {
        let counts = [
            ("partitions", arguments.partitions.is_some()),
            ("replication-factor", arguments.replication_factor.is_some()),
        ];
        if let Some((option, _)) = counts.iter().find(|(_, given)| *given) {
            return Err(Failure::said(format!(
                "Option \"[replica-assignment]\" can't be used with option \"[{option}]\""
            )));
        }
    }
    Ok(())
}

fn required(arguments: &Arguments) -> Outcome {
    let missing =
        |option: &str| Err(Failure::said(format!("Missing required argument \"[{option}]\"")));
    if (arguments.create || arguments.alter) && arguments.topic.is_none() {
        return missing("topic");
    }
    if arguments.delete && arguments.topic.is_none() {
        return missing("topic");
    }
    if arguments.alter && arguments.partitions.is_none() {
        return missing("partitions");
    }
    Ok(())
}

type Limited = (&'static str, bool, &'static [&'static str]);

/// Options that only some actions take.
fn limited(arguments: &Arguments) -> [Limited; 12] {
    [
        ("config", !arguments.config.is_empty(), &["create"]),
        ("partitions", arguments.partitions.is_some(), &["create", "alter"]),
        ("replication-factor", arguments.replication_factor.is_some(), &["create"]),
        ("replica-assignment", arguments.replica_assignment.is_some(), &["create", "alter"]),
        ("topic-id", arguments.topic_id.is_some(), &["describe"]),
        ("under-replicated-partitions", arguments.under_replicated_partitions, &["describe"]),
        ("unavailable-partitions", arguments.unavailable_partitions, &["describe"]),
        ("under-min-isr-partitions", arguments.under_min_isr_partitions, &["describe"]),
        ("at-min-isr-partitions", arguments.at_min_isr_partitions, &["describe"]),
        ("topics-with-overrides", arguments.topics_with_overrides, &["describe"]),
        ("if-exists", arguments.if_exists, &["alter", "delete", "describe"]),
        ("if-not-exists", arguments.if_not_exists, &["create"]),
    ]
}

/// # Errors
/// A sentence that names the number that cannot be.
pub(super) fn in_range(arguments: &Arguments) -> Outcome {
    if arguments.partitions.is_some_and(|count| count < 1) {
        return Err(Failure::said("The partitions must be greater than 0"));
    }
    let factors = 1..=i32::from(i16::MAX);
    if arguments.replication_factor.is_some_and(|factor| !factors.contains(&factor)) {
        let text = "The replication factor must be between 1 and 32767 inclusive";
        return Err(Failure::said(text));
    }
    Ok(())
}
