//! Which options go together, in the words of Kafka's tool.

use super::{Arguments, missing_option};
use crate::failure::Outcome;
use std::io::Write;

/// # Errors
/// A sentence that names what is missing or does not fit.
pub(super) fn check(arguments: &Arguments) -> Outcome {
    let actions = [
        arguments.list,
        arguments.describe,
        arguments.delete,
        arguments.reset_offsets,
        arguments.delete_offsets,
    ];
    if actions.iter().filter(|given| **given).count() != 1 {
        return Err(missing_option(
            "Command must include exactly one action: --list, --describe, --delete, \
             --reset-offsets, --delete-offsets, --validate-regex",
        ));
    }
    let named = arguments.all_groups || !arguments.group.is_empty();
    for (action, given) in [
        ("describe", arguments.describe),
        ("delete", arguments.delete),
        ("reset-offsets", arguments.reset_offsets),
    ] {
        if given && !named {
            let text =
                format!("Option [{action}] takes one of these options: [all-groups], [group]");
            return Err(missing_option(&text));
        }
    }
    if arguments.delete_offsets && (arguments.group.is_empty() || arguments.topic.is_empty()) {
        let text = "Option [delete-offsets] takes the following options: [topic], [group]";
        return Err(missing_option(text));
    }
    if arguments.describe {
        check_describe(arguments)?;
    }
    if arguments.reset_offsets { check_reset(arguments) } else { Ok(()) }
}

fn check_describe(arguments: &Arguments) -> Outcome {
    let parts = [arguments.members, arguments.offsets, arguments.state.is_some()];
    if parts.iter().filter(|given| **given).count() > 1 {
        return Err(missing_option(
            "Option [describe] takes at most one of these options: [members], [offsets], [state]",
        ));
    }
    if arguments.state.as_ref().is_some_and(|states| !states.is_empty()) {
        return Err(missing_option("Option [describe] does not take a value for [state]"));
    }
    Ok(())
}

fn check_reset(arguments: &Arguments) -> Outcome {
    let reset = &arguments.reset;
    if reset.dry_run && reset.execute {
        let text = "Option [reset-offsets] only accepts one of [execute], [dry-run]";
        return Err(missing_option(text));
    }
    if !reset.dry_run && !reset.execute {
        let text = "WARN: No action will be performed as the --execute option is missing. In \
                    version 5.0, this command will require either --dry-run or --execute to be \
                    specified. You should add the --dry-run option explicitly if you are \
                    scripting this command and want to keep the current default behavior without \
                    prompting.";
        // A warning that nobody reads stops nothing.
        let _ = writeln!(std::io::stderr(), "{text}");
    }
    let scenarios = [
        reset.to_earliest,
        reset.to_latest,
        reset.to_current,
        reset.to_offset.is_some(),
        reset.shift_by.is_some(),
        reset.to_datetime.is_some(),
        reset.by_duration.is_some(),
        reset.from_file.is_some(),
    ];
    if scenarios.iter().filter(|given| **given).count() != 1 {
        return Err(missing_option(
            "Option '[reset-offsets]' requires one of the following scenarios: [[to-earliest], \
             [to-offset], [shift-by], [from-file], [to-datetime], [by-duration], [to-latest], \
             [to-current]]",
        ));
    }
    let scoped = arguments.all_topics || !arguments.topic.is_empty();
    if !scoped && reset.from_file.is_none() {
        let text = "One of the reset scopes should be defined: --all-topics, --topic.";
        return Err(missing_option(text));
    }
    Ok(())
}
