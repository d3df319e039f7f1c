//! --describe --members and --describe --state.

use crate::failure::Outcome;
use std::io::Write;
use strom_client::Cluster;
use strom_client::core::assignor::Partitions;
use strom_client::driver::admin::groups::{GroupDescription, GroupMember};

/// A column is as wide as its longest cell.
struct Column {
    title: &'static str,
    least: usize,
    cells: Vec<String>,
}

impl Column {
    fn new(title: &'static str, least: usize, cells: Vec<String>) -> Column {
        Column { title, least, cells }
    }

    fn width(&self) -> usize {
        self.cells.iter().map(String::len).max().unwrap_or(0).max(self.least)
    }
}

pub(super) fn print(group: &GroupDescription, verbose: bool) -> Outcome {
    let members = &group.members;
    let cells = |of: &dyn Fn(&GroupMember) -> String| members.iter().map(of).collect::<Vec<_>>();
    let mut columns = vec![
        Column::new("GROUP", 15, cells(&|_| group.group_id.clone())),
        Column::new("CONSUMER-ID", 15, cells(&|member| member.member_id.clone())),
    ];
    if members.iter().any(|member| member.group_instance_id.is_some()) {
        let instance = |member: &GroupMember| member.group_instance_id.clone().unwrap_or_default();
        columns.push(Column::new("GROUP-INSTANCE-ID", 17, cells(&instance)));
    }
    columns.extend([
        Column::new("HOST", 15, cells(&|member| member.host.clone())),
        Column::new("CLIENT-ID", 15, cells(&|member| member.client_id.clone())),
        Column::new("#PARTITIONS", 15, cells(&|member| member.assignment.len().to_string())),
    ]);
    if verbose {
        let epoch = |member: &GroupMember| {
            member.member_epoch.map_or("-".to_owned(), |epoch| epoch.to_string())
        };
        let current = |member: &GroupMember| assignment(Some(&member.assignment));
        let target = |member: &GroupMember| assignment(member.target_assignment.as_ref());
        let target_epoch = |member: &GroupMember| match group.target_assignment_epoch {
            Some(epoch) if member.target_assignment.is_some() => epoch.to_string(),
            _ => "-".to_owned(),
        };
        columns.extend([
            Column::new("CURRENT-EPOCH", 15, cells(&epoch)),
            Column::new("CURRENT-ASSIGNMENT", 20, cells(&current)),
            Column::new("TARGET-EPOCH", 15, cells(&target_epoch)),
            Column::new("TARGET-ASSIGNMENT", 20, cells(&target)),
        ]);
    }
    let mut output = std::io::stdout().lock();
    writeln!(output)?;
    // Kafka's tool ends the short table's lines with a space, the long one's without.
    let end = if verbose { "" } else { " " };
    let line = |cell: &dyn Fn(&Column) -> String| {
        let cells = columns.iter().map(|column| format!("{:1$}", cell(column), column.width()));
        cells.collect::<Vec<_>>().join(" ")
    };
    writeln!(output, "{}{end}", line(&|column| column.title.to_owned()))?;
    for row in 0..members.len() {
        let cell = |column: &Column| column.cells.get(row).cloned().unwrap_or_default();
        writeln!(output, "{}{end}", line(&cell))?;
    }
    Ok(())
}

/// `alpha:0,1;beta:2`, or `-` for none.
fn assignment(partitions: Option<&Partitions>) -> String {
    let mut text = String::new();
    let mut last: Option<&str> = None;
    for (topic, partition) in partitions.into_iter().flatten() {
        if last == Some(topic.as_str()) {
            text.push_str(&format!(",{partition}"));
        } else {
            let separator = if last.is_some() { ";" } else { "" };
            text.push_str(&format!("{separator}{topic}:{partition}"));
            last = Some(topic);
        }
    }
    if text.is_empty() { "-".to_owned() } else { text }
}

pub(super) fn print_state(cluster: &Cluster, group: &GroupDescription, verbose: bool) -> Outcome {
    let node = group.coordinator;
    let endpoint = cluster.metadata().nodes.get(&node).map(ToString::to_string).unwrap_or_default();
    let coordinator = format!("{endpoint}  ({node})");
    let group_width = group.group_id.len().max(15);
    let coordinator_width = coordinator.len().max(25);
    let mut output = std::io::stdout().lock();
    writeln!(output)?;
    let mut line = |cells: [&str; 7]| {
        let [name, coordinator, strategy, state, epoch, target_epoch, members] = cells;
        write!(output, "{name:group_width$} {coordinator:coordinator_width$} ")?;
        write!(output, "{strategy:20} {state:20} ")?;
        if verbose {
            write!(output, "{epoch:15} {target_epoch:25} ")?;
        }
        writeln!(output, "{members}")
    };
    line([
        "GROUP",
        "COORDINATOR (ID)",
        "ASSIGNMENT-STRATEGY",
        "STATE",
        "GROUP-EPOCH",
        "TARGET-ASSIGNMENT-EPOCH",
        "#MEMBERS",
    ])?;
    let number = |value: Option<i32>| value.map_or("-".to_owned(), |value| value.to_string());
    line([
        &group.group_id,
        &coordinator,
        if group.assignor.is_empty() { "-" } else { &group.assignor },
        &group.state,
        &number(group.group_epoch),
        &number(group.target_assignment_epoch),
        &group.members.len().to_string(),
    ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_written_by_topic() {
        let partitions: Partitions =
            [("a".to_owned(), 0), ("a".to_owned(), 1), ("b".to_owned(), 2)].into();
        assert_eq!(assignment(Some(&partitions)), "a:0,1;b:2");
        assert_eq!(assignment(None), "-");
    }
}
