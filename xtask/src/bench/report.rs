//! The samples side by side: medians over the rounds, and ratios paired by round.

use std::fmt::Write;

use serde_json::{Value, json};

use super::sample::Sample;
use crate::load::system::Kind;

/// What was compared, in the order of the run: name and title.
pub(super) type Titles<'a> = [(&'a str, &'a str)];

#[must_use]
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The samples of one workload on one system, in the order of the rounds.
#[must_use]
pub(super) fn of<'a>(samples: &'a [Sample], workload: &str, kind: Kind) -> Vec<&'a Sample> {
    samples.iter().filter(|sample| sample.workload == workload && sample.kind == kind).collect()
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

/// How many times Strom's figure the other's is, paired by round: median, least, most.
#[must_use]
pub(super) fn ratio(samples: &[Sample], workload: &str, other: Kind) -> Option<[f64; 3]> {
    let strom = of(samples, workload, Kind::Strom);
    let mut ratios: Vec<f64> = of(samples, workload, other)
        .iter()
        .filter_map(|sample| {
            let paired = strom.iter().find(|paired| paired.round == sample.round)?;
            Some(sample.figures.first()?.value / paired.figures.first()?.value)
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    Some([median(ratios.clone()), *ratios.first()?, *ratios.last()?])
}

/// One line for each workload: the figure that is compared, and its ratios.
#[must_use]
pub(super) fn summary(samples: &[Sample], titles: &Titles<'_>) -> String {
    let mut text = String::from(
        "| workload | figure | Strom | Apache Kafka | floor | Kafka / Strom (min–max) | Strom / floor |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for (name, title) in titles {
        let strom = of(samples, name, Kind::Strom);
        let Some(first) = strom.first().and_then(|sample| sample.figures.first()) else { continue };
        let value = |kind: Kind| {
            figure(&of(samples, name, kind), first.name).map_or_else(String::new, number)
        };
        let over_strom = ratio(samples, name, Kind::Kafka)
            .map_or_else(String::new, |[median, min, max]| {
                format!("**{median:.1}** ({min:.1}–{max:.1})")
            });
        let over_floor = ratio(samples, name, Kind::Floor)
            .map_or_else(String::new, |[median, _, _]| format!("{:.2}", 1.0 / median));
        let _ = writeln!(
            text,
            "| {name}: {title} | {} | {} | {} | {} | {over_strom} | {over_floor} |",
            first.name,
            value(Kind::Strom),
            value(Kind::Kafka),
            value(Kind::Floor),
        );
    }
    text
}

/// All figures of all workloads, a table for each.
#[must_use]
pub(super) fn details(samples: &[Sample], titles: &Titles<'_>) -> String {
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
        for kind in Kind::ALL {
            let own = of(samples, name, kind);
            if own.is_empty() {
                continue;
            }
            let cells: Vec<String> = names
                .iter()
                .map(|name| figure(&own, name).map_or_else(String::new, number))
                .collect();
            let _ = writeln!(text, "| {} | {} |", kind.name(), cells.join(" | "));
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
            "system": sample.kind.name(),
            "round": sample.round,
            "figures": figures,
        })
    };
    samples.iter().map(object).collect()
}
