//! The samples side by side: medians over the rounds, and ratios paired by round.

use std::fmt::Write;

use serde_json::{Value, json};

use super::sample::Sample;
use crate::load::system::{Kind, Row};

/// What was compared, in the order of the run: name and title.
pub(super) type Titles<'a> = [(&'a str, &'a str)];

#[must_use]
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.get(middle.wrapping_sub(1))) {
        (Some(upper), Some(lower)) if values.len().is_multiple_of(2) => (lower + upper) / 2.0,
        (Some(only), _) => *only,
        _ => f64::NAN,
    }
}

/// The samples of one workload on one system, in the order of the rounds.
#[must_use]
pub(super) fn of<'a>(samples: &'a [Sample], workload: &str, row: &Row) -> Vec<&'a Sample> {
    samples.iter().filter(|sample| sample.workload == workload && sample.row == *row).collect()
}

/// The median of a figure; nothing where nobody measured it.
#[must_use]
pub(super) fn figure(samples: &[&Sample], name: &str) -> Option<f64> {
    let values: Vec<f64> = samples
        .iter()
        .filter_map(|sample| sample.figures.iter().find(|figure| figure.name == name))
        .map(|figure| figure.value)
        .collect();
    (!values.is_empty()).then(|| median(values))
}

/// What all others are compared with: the first row of Strom.
#[must_use]
pub(super) fn base(rows: &[Row]) -> Option<&Row> {
    rows.iter().find(|row| row.kind == Kind::Strom).or(rows.first())
}

/// How many times the base's figure the other's is, paired by round: median, least, most.
#[must_use]
pub(super) fn ratio(
    samples: &[Sample],
    workload: &str,
    (base, other): (&Row, &Row),
) -> Option<[f64; 3]> {
    let base = of(samples, workload, base);
    let mut ratios: Vec<f64> = of(samples, workload, other)
        .iter()
        .filter_map(|sample| {
            let paired = base.iter().find(|paired| paired.round == sample.round)?;
            Some(sample.figures.first()?.value / paired.figures.first()?.value)
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    Some([median(ratios.clone()), *ratios.first()?, *ratios.last()?])
}

/// One line for each workload: the figure that is compared, and its ratios.
#[must_use]
pub(super) fn summary(samples: &[Sample], titles: &Titles<'_>, rows: &[Row]) -> String {
    let Some(base) = base(rows) else { return String::new() };
    let others: Vec<&Row> = rows.iter().filter(|row| *row != base).collect();
    let mut columns = vec!["workload".to_owned(), "figure".to_owned()];
    columns.extend(rows.iter().map(|row| row.name.clone()));
    columns.extend(others.iter().map(|other| match other.kind.is_floor() {
        true => format!("{} / {}", base.name, other.name),
        false => format!("{} / {} (min–max)", other.name, base.name),
    }));
    let rule = "|---".repeat(columns.len());
    let mut text = format!("| {} |\n{rule}|\n", columns.join(" | "));
    for (name, title) in titles {
        let Some(first) = of(samples, name, base).first().and_then(|it| it.figures.first()) else {
            continue;
        };
        let mut cells = vec![format!("{name}: {title}"), first.name.to_owned()];
        cells.extend(rows.iter().map(|row| {
            figure(&of(samples, name, row), first.name).map_or_else(String::new, number)
        }));
        cells.extend(others.iter().map(|other| {
            let ratio = ratio(samples, name, (base, other));
            ratio.map_or_else(String::new, |[median, min, max]| match other.kind.is_floor() {
                true => format!("{:.2}", 1.0 / median),
                false => format!("**{median:.1}** ({min:.1}–{max:.1})"),
            })
        }));
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

/// All figures of all workloads, a table for each.
#[must_use]
pub(super) fn details(samples: &[Sample], titles: &Titles<'_>, rows: &[Row]) -> String {
    let mut text = String::new();
    for (name, title) in titles {
        let Some(widest) = samples
            .iter()
            .filter(|sample| sample.workload == *name)
            .max_by_key(|sample| sample.figures.len())
        else {
            continue;
        };
        let names: Vec<&str> = widest.figures.iter().map(|figure| figure.name).collect();
        let _ = writeln!(text, "### {name}: {title}\n\n| system | {} |", names.join(" | "));
        let _ = writeln!(text, "|---|{}", "---|".repeat(names.len()));
        for row in rows {
            let own = of(samples, name, row);
            if own.is_empty() {
                continue;
            }
            let cells: Vec<String> = names
                .iter()
                .map(|name| figure(&own, name).map_or_else(String::new, number))
                .collect();
            let _ = writeln!(text, "| {} | {} |", row.name, cells.join(" | "));
        }
        text.push('\n');
    }
    text
}

/// With as many digits as mean something.
fn number(value: f64) -> String {
    match value {
        value if value.abs() >= 100.0 => format!("{value:.0}"),
        value if value.abs() >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.3}"),
    }
}

/// All samples for other programs: a list of objects, figures by name, latencies left out.
#[must_use]
pub(super) fn json(samples: &[Sample]) -> Value {
    let object = |sample: &Sample| {
        let figures: serde_json::Map<String, Value> = sample
            .figures
            .iter()
            .map(|figure| (figure.name.to_owned(), json!(figure.value)))
            .collect();
        json!({
            "workload": sample.workload,
            "system": sample.row.name,
            "round": sample.round,
            "figures": figures,
        })
    };
    samples.iter().map(object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_two_is_between_them() {
        assert_eq!(median(vec![4.0, 1.0]), 2.5);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert!(median(Vec::new()).is_nan());
    }
}
