//! Pictures for the document: the cost of each workload as bars, latencies as curves. Both axes that
//! span decades are logarithmic.

use std::fmt::Write;
use std::time::Duration;

use super::report::{Titles, base, of, ratio};
use super::sample::Sample;
use crate::load::system::{Kind, Row};

const WIDTH: f64 = 820.0;
const LABEL_WIDTH: f64 = 320.0;
const ROW_HEIGHT: f64 = 22.0;
/// Left and bottom edge of the curves.
const MARGIN: f64 = 60.0;
const CURVE_HEIGHT: f64 = 260.0;

fn color(kind: Kind) -> &'static str {
    match kind {
        Kind::Strom => "#1b7f5c",
        Kind::Kafka => "#b5482f",
        Kind::Floor => "#8a8a8a",
        Kind::FloorDirect => "#c0b070",
    }
}

fn open(height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    )
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let _ =
        writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(
        svg,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#ccc\"/>"
    );
}

/// How many times Strom's figure Apache Kafka's is, a bar for each workload.
#[must_use]
pub(super) fn costs(samples: &[Sample], titles: &Titles<'_>, rows: &[Row]) -> String {
    let kafka = rows.iter().find(|row| row.kind == Kind::Kafka);
    let pair = base(rows).zip(kafka);
    let rows: Vec<(&str, &str, f64)> = titles
        .iter()
        .filter_map(|(name, title)| {
            let [median, _, _] = ratio(samples, name, pair?)?;
            (median.is_finite() && median > 0.0).then_some((*name, *title, median))
        })
        .collect();
    let most = rows.iter().map(|row| row.2).fold(10.0, f64::max);
    let span = WIDTH - LABEL_WIDTH - MARGIN;
    let at = |ratio: f64| LABEL_WIDTH + span * (ratio.max(0.5) / 0.5).ln() / (most / 0.5).ln();
    let height = ROW_HEIGHT * (rows.len() as f64 + 2.0);
    let mut svg = open(height);
    text(&mut svg, 8.0, 16.0, "start", "Apache Kafka's cost, in multiples of Strom's");
    for (index, (name, title, ratio)) in rows.iter().enumerate() {
        let y = ROW_HEIGHT * (index as f64 + 1.3);
        let (from, to) = (at(1.0).min(at(*ratio)), at(1.0).max(at(*ratio)));
        let fill = color(if *ratio >= 1.0 { Kind::Strom } else { Kind::Kafka });
        text(&mut svg, LABEL_WIDTH - 8.0, y + 12.0, "end", &format!("{name}: {title}"));
        let _ = writeln!(
            svg,
            "<rect x=\"{from:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"15\" fill=\"{fill}\"/>",
            to - from
        );
        text(&mut svg, to + 4.0, y + 12.0, "start", &format!("{ratio:.1}×"));
    }
    line(&mut svg, (at(1.0), ROW_HEIGHT), (at(1.0), height - 8.0));
    svg.push_str("</svg>\n");
    svg
}

/// Which part of the requests took longer than what, over all rounds.
#[must_use]
pub(super) fn latencies(
    samples: &[Sample],
    rows: &[Row],
    (workload, title): (&str, &str),
) -> Option<String> {
    let curves: Vec<(&Row, Vec<Duration>)> = rows
        .iter()
        .map(|row| {
            let all = of(samples, workload, row);
            let mut latencies: Vec<Duration> =
                all.iter().flat_map(|sample| sample.latencies.iter().copied()).collect();
            latencies.sort_unstable();
            (row, latencies)
        })
        .filter(|(_, latencies)| !latencies.is_empty())
        .collect();
    let micros = |latency: &Duration| latency.as_secs_f64() * 1e6;
    let least = curves.iter().filter_map(|(_, all)| all.first()).map(micros).fold(1e9, f64::min);
    let most = curves.iter().filter_map(|(_, all)| all.last()).map(micros).fold(0.0, f64::max);
    if curves.is_empty() || most <= least {
        return None;
    }
    let bottom = CURVE_HEIGHT + 30.0;
    let x = |part: f64| MARGIN + (WIDTH - 2.0 * MARGIN) * -(1.0 - part).max(1e-4).log10() / 4.0;
    let y = |us: f64| bottom - CURVE_HEIGHT * (us.max(least) / least).ln() / (most / least).ln();
    let mut svg = open(bottom + 40.0);
    text(&mut svg, MARGIN, 18.0, "start", &format!("{workload}: {title}"));
    for (part, name) in [(0.0, "0"), (0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9")] {
        line(&mut svg, (x(part), 30.0), (x(part), bottom));
        text(&mut svg, x(part), bottom + 16.0, "middle", name);
    }
    for decade in (0..9).map(|power| 10f64.powi(power)).filter(|us| (least..=most).contains(us)) {
        line(&mut svg, (MARGIN, y(decade)), (WIDTH - MARGIN, y(decade)));
        text(&mut svg, MARGIN - 6.0, y(decade) + 4.0, "end", &unit(decade));
    }
    for (index, (row, all)) in curves.iter().enumerate() {
        svg.push_str("<polyline fill=\"none\" stroke-width=\"2\" stroke=\"");
        let _ = write!(svg, "{}\" points=\"", color(row.kind));
        for step in 0..=400 {
            let part = 1.0 - 10f64.powf(-4.0 * f64::from(step) / 400.0);
            let latency = &all[((all.len() - 1) as f64 * part) as usize];
            let _ = write!(svg, "{:.1},{:.1} ", x(part), y(micros(latency)));
        }
        svg.push_str("\"/>\n");
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"18\" fill=\"{}\">{}</text>",
            WIDTH - 330.0 + 70.0 * index as f64,
            color(row.kind),
            row.name
        );
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

fn unit(us: f64) -> String {
    if us >= 1e6 {
        format!("{:.0} s", us / 1e6)
    } else if us >= 1e3 {
        format!("{:.0} ms", us / 1e3)
    } else {
        format!("{us:.0} µs")
    }
}
