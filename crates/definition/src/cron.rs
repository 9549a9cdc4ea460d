//! When a cron expression comes due.

use chrono::{DateTime, Timelike, Utc};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};

/// A cron expression: five fields, six with leading seconds, or a word such as `@hourly`.
///
/// Daylight saving: a fixed time in the hour that is skipped comes due at the end of the gap; a fixed time in the
/// hour that is repeated comes due once, the first time. Expressions that recur within the hour (`*/15 * * * *`)
/// follow elapsed time through both.
#[derive(Debug, Clone)]
pub struct Cron(croner::Cron);

const WORDS: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for its author; also when it never comes due.
    pub fn parse(expression: &str) -> Result<Self, String> {
        let trimmed = expression.trim();
        if trimmed.starts_with('@') {
            let lower = trimmed.to_lowercase();
            if !WORDS.contains(&lower.as_str()) {
                return Err(format!("there is no word `{trimmed}`; the words are {}", WORDS.join(", ")));
            }
        } else {
            let fields = trimmed.split_whitespace().count();
            if fields != 5 && fields != 6 {
                return Err(format!(
                    "it has {fields} fields instead of five (minute hour day month weekday) or six (seconds first)"
                ));
            }
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let cron = Self(parser.parse(trimmed).map_err(|error| {
            let field = bad_field(parser, trimmed).map(|field| format!("{field}: ")).unwrap_or_default();
            format!("{field}{}", reason(&error))
        })?);
        match cron.next_after(Tz::UTC, DateTime::UNIX_EPOCH) {
            Some(_) => Ok(cron),
            None => Err("it never comes due".to_owned()),
        }
    }

    /// The first instant after `after`, in whole seconds, at which it comes due by the wall clock of `zone`.
    pub fn next_after(&self, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // Whole seconds are what the search steps by; cutting keeps `after` itself excluded.
        let after = after.with_nanosecond(0)?;
        let next = self.0.find_next_occurrence(&after.with_timezone(&zone), false).ok()?;
        Some(next.with_timezone(&Utc))
    }
}

/// The first field that is wrong by itself.
fn bad_field(parser: CronParser, expression: &str) -> Option<String> {
    const NAMES: [&str; 6] = ["second", "minute", "hour", "day", "month", "weekday"];
    let fields: Vec<&str> = expression.split_whitespace().collect();
    let names = NAMES.get(NAMES.len().checked_sub(fields.len())?..)?;
    fields.iter().zip(names).enumerate().find_map(|(at, (field, name))| {
        let mut alone = vec!["*"; fields.len()];
        alone[at] = field;
        parser.parse(&alone.join(" ")).is_err().then(|| format!("the {name} `{field}`"))
    })
}

/// The text of the library's error without the name of its kind.
fn reason(error: &croner::errors::CronError) -> String {
    let text = error.to_string();
    let text = text.split_once(": ").map_or(text.as_str(), |(_, detail)| detail);
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use chrono_tz::Tz;

    use super::Cron;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn fires(expression: &str, zone: Tz, after: &str, count: usize) -> Vec<String> {
        let cron = Cron::parse(expression).unwrap();
        let first = cron.next_after(zone, at(after));
        std::iter::successors(first, |&due| cron.next_after(zone, due))
            .take(count)
            .map(|due| due.with_timezone(&zone).to_rfc3339())
            .collect()
    }

    #[test]
    fn reads_what_the_language_promises() {
        for expression in [
            "* * * * *",
            "*/10 * * * * *",
            "0 6 * * MON-FRI",
            "0 0 L * *",
            "0 0 15W * *",
            "0 9 * * 1#2",
            "0 9 * * FRIL",
            "0 0 1 JAN,JUL *",
            "@hourly",
            "@daily",
            "@Weekly",
            "@monthly",
            "@yearly",
            "0 0 29 2 *",
            "0 12 ? * SUN",
        ] {
            assert!(Cron::parse(expression).is_ok(), "{expression}: {:?}", Cron::parse(expression));
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (expression, reason) in [
            ("", "it has 0 fields"),
            ("* * *", "it has 3 fields"),
            ("* * * * * * 2030", "it has 7 fields"),
            ("@reboot", "there is no word `@reboot`"),
            ("0 0 30 2 *", "it never comes due"),
            ("61 * * * *", "the minute `61`: "),
            ("0 * 25 * * *", "the hour `25`: "),
            ("* * * * FUN", "the weekday `FUN`: "),
            ("a b c d e", "the minute `a`: "),
        ] {
            let error = Cron::parse(expression).unwrap_err();
            assert!(error.starts_with(reason) && !error.is_empty(), "{expression}: {error}");
        }
    }

    #[test]
    fn is_strictly_after_and_in_whole_seconds() {
        let cron = Cron::parse("* * * * * *").unwrap();
        assert_eq!(cron.next_after(Tz::UTC, at("2026-01-01T00:00:00Z")), Some(at("2026-01-01T00:00:01Z")));
        assert_eq!(cron.next_after(Tz::UTC, at("2026-01-01T00:00:00.999Z")), Some(at("2026-01-01T00:00:01Z")));
    }

    #[test]
    fn a_fixed_time_in_the_gap_shifts_to_its_end() {
        assert_eq!(
            fires("30 2 * * *", Tz::Europe__Berlin, "2026-03-28T12:00:00Z", 2),
            ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
        );
        assert_eq!(
            fires("30 2 * * *", Tz::America__New_York, "2026-03-07T12:00:00Z", 2),
            ["2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"]
        );
    }

    #[test]
    fn a_fixed_time_in_the_overlap_comes_once() {
        assert_eq!(
            fires("30 2 * * *", Tz::Europe__Berlin, "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
        );
        assert_eq!(
            fires("30 1 * * *", Tz::America__New_York, "2026-10-31T12:00:00Z", 2),
            ["2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"]
        );
    }

    #[test]
    fn a_recurring_time_goes_through_the_overlap_twice() {
        assert_eq!(
            fires("*/30 * * * *", Tz::Europe__Berlin, "2026-10-25T00:15:00Z", 4),
            [
                "2026-10-25T02:30:00+02:00",
                "2026-10-25T02:00:00+01:00",
                "2026-10-25T02:30:00+01:00",
                "2026-10-25T03:00:00+01:00",
            ]
        );
    }
}
