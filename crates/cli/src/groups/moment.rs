//! Points in time as Kafka's tools take them: ISO-8601 dates with time, and ISO-8601 durations.

use crate::failure::{Failure, Outcome};

/// Milliseconds since the Unix epoch of `YYYY-MM-DDThh:mm:ss.sss`, with `Z` or an offset; without
/// either it is taken as UTC.
pub(super) fn parse_datetime(text: &str) -> Outcome<i64> {
    datetime(text).ok_or_else(|| Failure::said(format!("Unparseable date: \"{text}\"")))
}

fn datetime(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let mut parts = date.splitn(3, '-');
    let year: i64 = parts.next()?.parse().ok().filter(|year| (0..=9999).contains(year))?;
    let month: i64 = parts.next()?.parse().ok().filter(|month| (1..=12).contains(month))?;
    let day: i64 = parts.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone_at);
    let mut parts = clock.split(':');
    let hour: i64 = parts.next()?.parse().ok().filter(|hour| (0..24).contains(hour))?;
    let minute: i64 = parts.next()?.parse().ok().filter(|minute| (0..60).contains(minute))?;
    let second: f64 = parts.next().unwrap_or("0").parse().ok()?;
    if parts.next().is_some() || !(0.0..61.0).contains(&second) {
        return None;
    }
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60;
    Some(seconds * 1_000 + (second * 1_000.0).round() as i64 - zone_ms(zone)?)
}

fn zone_ms(zone: &str) -> Option<i64> {
    let sign = match zone.bytes().next() {
        None | Some(b'Z') => return Some(0),
        Some(b'-') => -1,
        Some(_) => 1,
    };
    let digits: String = zone.chars().filter(char::is_ascii_digit).collect();
    let hours: i64 = digits.get(..2)?.parse().ok()?;
    let minutes: i64 = digits.get(2..4).unwrap_or("0").parse().ok()?;
    Some(sign * (hours * 60 + minutes) * 60_000)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar (Howard Hinnant's algorithm).
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Milliseconds of `PnDTnHnMnS`.
pub(super) fn parse_duration(text: &str) -> Outcome<i64> {
    duration(text)
        .ok_or_else(|| Failure::said(format!("Text cannot be parsed to a Duration: {text}")))
}

fn duration(text: &str) -> Option<i64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    let text = text.strip_prefix('P')?;
    let (days, time) = text.split_once('T').unwrap_or((text, ""));
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let mut total = 0.0;
    for (part, units) in [(days, &[('D', 86_400e3)][..]), (time, &TIME_UNITS[..])] {
        let mut number = String::new();
        for character in part.chars() {
            match units.iter().find(|(unit, _)| *unit == character) {
                Some((_, unit_ms)) => {
                    total += number.parse::<f64>().ok()? * unit_ms;
                    number.clear();
                }
                None => number.push(character),
            }
        }
        if !number.is_empty() {
            return None;
        }
    }
    Some((sign * total) as i64)
}

const TIME_UNITS: [(char, f64); 3] = [('H', 3_600e3), ('M', 60e3), ('S', 1e3)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_milliseconds_since_the_epoch() {
        let cases = [
            ("1970-01-01T00:00:00.000", 0),
            ("2000-02-29T12:30:00.250Z", 951_827_400_250),
            ("2000-02-29T12:30:00+01:00", 951_823_800_000),
            ("2030-01-01T00:00", 1_893_456_000_000),
        ];
        for (text, expected) in cases {
            assert_eq!(datetime(text), Some(expected), "{text}");
        }
        for wrong in ["2000-13-01T00:00:00", "yesterday", "2000-01-01", "2000-01-01T25:00:00"] {
            assert_eq!(datetime(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn durations_add_up() {
        assert_eq!(duration("P1DT2H3M4.5S"), Some(93_784_500));
        assert_eq!(duration("-PT1H"), Some(-3_600_000));
        for wrong in ["1H", "P", "P1", "PT5", "PTxS"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}
