//! Reads durations: `250ms`, `30s`, `1h30m`, `2d` or ISO 8601 (`PT5M`).

use std::time::Duration;

/// Longer ones are surely mistakes and would not fit the clocks they are added to.
const LONGEST: Duration = Duration::from_hours(10 * 366 * 24);

const HELP: &str = "write a number with a unit, such as `250ms`, `30s`, `5m`, `2h` or `1d`";

/// The duration that `text` stands for: `250ms`, `30s`, `1h30m`, `2d` or ISO 8601 (`PT5M`).
///
/// # Errors
///
/// What is wrong, for the author of the text.
pub fn parse(text: &str) -> Result<Duration, String> {
    let trimmed = text.trim();
    if trimmed == "0" {
        return Ok(Duration::ZERO);
    }
    let duration = match trimmed.strip_prefix('P') {
        Some(rest) => iso(rest),
        None => units(trimmed, &UNITS),
    }
    .ok_or_else(|| format!("`{text}` is not a duration; {HELP}"))?;
    if duration > LONGEST {
        return Err(format!("`{text}` is longer than ten years"));
    }
    Ok(duration)
}

/// A duration as the language writes it.
pub(crate) fn shown(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, size) in UNITS {
        if rest >= size {
            text.push_str(&(rest / size).to_string());
            text.push_str(unit);
            rest %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Units in falling order, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

fn iso(text: &str) -> Option<Duration> {
    const DATE: [(&str, u64); 2] = [("W", 7 * 86_400_000), ("D", 86_400_000)];
    const TIME: [(&str, u64); 3] = [("H", 3_600_000), ("M", 60_000), ("S", 1_000)];
    match text.split_once('T') {
        None => units(text, &DATE),
        Some(("", time)) => units(time, &TIME),
        Some((date, time)) => units(date, &DATE)?.checked_add(units(time, &TIME)?),
    }
}

/// One or more of number and unit, each unit at most once and in falling order.
fn units(mut text: &str, mut allowed: &[(&str, u64)]) -> Option<Duration> {
    let mut total = Duration::ZERO;
    if text.is_empty() {
        return None;
    }
    while !text.is_empty() {
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, rest) = text.split_at(digits);
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (unit, rest) = rest.split_at(end);
        let at = allowed.iter().position(|&(name, _)| name == unit)?;
        total = total.checked_add(scaled(number, allowed[at].1)?)?;
        allowed = &allowed[at + 1..];
        text = rest;
    }
    Some(total)
}

/// `number` with at most three decimals, times `unit` milliseconds.
fn scaled(number: &str, unit: u64) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.len() > 3 {
        return None;
    }
    let thousandths: u64 = format!("{fraction:0<3}").parse().ok()?;
    let microseconds = whole.parse::<u64>().ok()?.checked_mul(1_000)?.checked_add(thousandths)?.checked_mul(unit)?;
    Some(Duration::from_micros(microseconds))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{parse, shown};

    #[test]
    fn reads_units_and_iso() {
        for (text, milliseconds) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("1.5s", 1_500),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
            ("0", 0),
            ("0s", 0),
            ("PT5M", 300_000),
            ("PT1H30M0.5S", 5_400_500),
            ("P1D", 86_400_000),
            ("P1DT1S", 86_401_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for text in ["0s", "250ms", "1h30m", "1d", "1d12h", "5m"] {
            assert_eq!(shown(parse(text).unwrap()), text);
        }
    }

    #[test]
    fn refuses_what_has_no_unit_or_no_sense() {
        for text in [
            "",
            "5",
            "m",
            "5 m",
            "5x",
            "-5s",
            "5m1h",
            "1.s",
            ".5s",
            "P",
            "PT",
            "P5M",
            "20000d",
            "99999999999999999999s",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
