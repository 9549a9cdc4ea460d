//! Dates on which a schedule starts nothing.

use std::fmt;

use chrono::{Datelike, NaiveDate};

use crate::diagnostic::quoted;

/// Between the first and the last date of a range.
const TO: &str = "..";

/// Days from the first to the last one, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// Of certain years: `2026-12-25`, `2026-12-24..2027-01-02`.
    Once(NaiveDate, NaiveDate),
    /// Of every year, as month and day: `12-25`, `12-24..01-02`.
    Yearly((u32, u32), (u32, u32)),
}

impl Exclusion {
    /// Reads one date or a range of dates.
    ///
    /// # Errors
    ///
    /// What is wrong, and what to write.
    pub fn parse(text: &str) -> Result<Self, (String, String)> {
        let text = text.trim();
        let (first, last) = text.split_once(TO).unwrap_or((text, text));
        let (first, last) = (first.trim(), last.trim());
        if let (Ok(first), Ok(last)) = (date(first), date(last)) {
            if first > last {
                let message = format!("the dates {} run backwards", quoted(text));
                return Err((message, format!("did you mean `{last}{TO}{first}`?")));
            }
            return Ok(Self::Once(first, last));
        }
        if let (Some(first), Some(last)) = (day_of_year(first), day_of_year(last)) {
            return Ok(Self::Yearly(first, last));
        }
        let message = format!("{} is neither a date nor a range of dates", quoted(text));
        Err((message, format!("write `2026-12-25`, `12-25` for every year, or a range `2026-12-24{TO}2027-01-02`")))
    }

    /// Whether a day is among them.
    pub fn covers(&self, day: NaiveDate) -> bool {
        match *self {
            Self::Once(first, last) => first <= day && day <= last,
            Self::Yearly(first, last) => {
                let day = (day.month(), day.day());
                // A range may go round the end of the year.
                if first <= last { first <= day && day <= last } else { first <= day || day <= last }
            }
        }
    }
}

fn date(text: &str) -> Result<NaiveDate, chrono::ParseError> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
}

fn day_of_year(text: &str) -> Option<(u32, u32)> {
    // In a leap year, so that 29 February is a day.
    let date = date(&format!("2024-{text}")).ok()?;
    Some((date.month(), date.day()))
}

/// As it is written.
impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = |(month, day): (u32, u32)| format!("{month:02}-{day:02}");
        match *self {
            Self::Once(first, last) if first == last => write!(f, "{first}"),
            Self::Once(first, last) => write!(f, "{first}{TO}{last}"),
            Self::Yearly(first, last) if first == last => f.write_str(&day(first)),
            Self::Yearly(first, last) => write!(f, "{}{TO}{}", day(first), day(last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Exclusion;

    #[test]
    fn covers_what_it_says() {
        for (text, inside, outside) in [
            ("2026-12-25", vec!["2026-12-25"], vec!["2026-12-24", "2027-12-25"]),
            ("2026-12-24..2027-01-02", vec!["2026-12-24", "2027-01-02"], vec!["2026-12-23", "2027-01-03"]),
            ("12-25", vec!["2026-12-25", "2030-12-25"], vec!["2026-12-26"]),
            ("12-24..01-02", vec!["2026-12-24", "2029-01-02", "2026-12-31"], vec!["2026-01-03", "2026-12-23"]),
            ("02-29", vec!["2028-02-29"], vec!["2026-02-28", "2026-03-01"]),
        ] {
            let dates = Exclusion::parse(text).unwrap();
            assert_eq!(dates.to_string(), text);
            let covers = |day: &&str| dates.covers(day.parse().unwrap());
            assert!(inside.iter().all(&covers) && !outside.iter().any(covers), "{text}");
        }
        for text in ["", "christmas", "2026-02-30", "2026-12-26..2026-12-24", "25.12.2026", "2026-12-24..12-26"] {
            assert!(Exclusion::parse(text).is_err(), "{text}");
        }
    }
}
