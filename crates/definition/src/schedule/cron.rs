//! Cron expressions: what they say about the wall clock.

use std::fmt;
use std::ops::Range;

use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};

use crate::diagnostic::quoted;
use crate::suggest;

use super::days::{Days, MONTH};
use super::field::{FieldKind, Piece};
use super::names::{LONG_MONTHS, WORDS};

/// After so many years the calendar repeats itself, weekdays included.
const CYCLE_YEARS: i32 = 400;

/// The longest expression, as records keep them.
const MAX_TEXT: usize = 255;

const SECOND: FieldKind = FieldKind { name: "second", least: 0, most: 59, words: &[] };
const MINUTE: FieldKind = FieldKind { name: "minute", least: 0, most: 59, words: &[] };
const HOUR: FieldKind = FieldKind { name: "hour", least: 0, most: 23, words: &[] };

const EVERY_HOUR: u64 = (1 << 24) - 1;

/// A cron expression: five fields, six with leading seconds, or a word such as `@hourly`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    seconds: u64,
    minutes: u64,
    hours: u64,
    months: u64,
    days: Days,
}

/// One thing that is wrong with a cron expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronProblem {
    /// Where in the expression, in bytes.
    pub range: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl fmt::Display for CronProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.help {
            Some(help) => write!(f, "{} ({help})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, in the order in which it stands; also that it never comes due.
    pub fn parse(expression: &str) -> Result<Self, Vec<CronProblem>> {
        let trimmed = expression.trim();
        let start = expression.len() - expression.trim_start().len();
        let whole = Piece::new(trimmed, start);
        if trimmed.len() > MAX_TEXT {
            return Err(vec![whole.problem(format!("it is longer than {MAX_TEXT} characters"), None)]);
        }
        if trimmed.starts_with('@') {
            return match WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(trimmed)) {
                Some((_, meaning)) => Self::parse(meaning),
                None => Err(vec![unknown_word(whole)]),
            };
        }
        let fields: Vec<Piece<'_>> = whole.split_whitespace().collect();
        let (seconds, rest) = match fields.as_slice() {
            [second, rest @ ..] if rest.len() == 5 => (Some(*second), rest),
            rest => (None, rest),
        };
        let [minute, hour, day, month, weekday] = rest else {
            return Err(vec![wrong_count(whole, fields.len())]);
        };
        let mut problems = Vec::new();
        let cron = Self {
            seconds: seconds.map_or(1, |second| SECOND.set(second, &mut problems)),
            minutes: MINUTE.set(*minute, &mut problems),
            hours: HOUR.set(*hour, &mut problems),
            months: MONTH.set(*month, &mut problems),
            days: Days::read(*day, *weekday, &mut problems),
        };
        problems.sort_by_key(|problem| problem.range.start);
        if !problems.is_empty() {
            return Err(problems);
        }
        match cron.next_local(NaiveDate::default().and_hms_opt(0, 0, 0).unwrap_or_default()) {
            Some(_) => Ok(cron),
            None => Err(vec![cron.never(whole)]),
        }
    }

    /// Whether it comes due in every hour of its days: such a one follows elapsed time where clocks are changed.
    pub fn runs_every_hour(&self) -> bool {
        self.hours == EVERY_HOUR
    }

    /// The first wall clock time from `from` on that it names.
    pub(super) fn next_local(&self, from: NaiveDateTime) -> Option<NaiveDateTime> {
        let date = from.date();
        if self.names_date(date)
            && let Some(at) = self.next_in_day(date, from.hour(), from.minute(), from.second())
        {
            return Some(at);
        }
        let (mut year, mut month) = (date.year(), date.month());
        let mut after_day = date.day();
        let last_year = year.saturating_add(CYCLE_YEARS);
        while year <= last_year {
            if self.months >> month & 1 == 1 {
                let later = self.days.of_month(year, month) & (u64::MAX << (after_day + 1));
                if later != 0 {
                    let date = NaiveDate::from_ymd_opt(year, month, later.trailing_zeros())?;
                    return self.next_in_day(date, 0, 0, 0);
                }
            }
            after_day = 0;
            (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        }
        None
    }

    fn names_date(&self, date: NaiveDate) -> bool {
        self.months >> date.month() & 1 == 1 && self.days.of_month(date.year(), date.month()) >> date.day() & 1 == 1
    }

    fn next_in_day(&self, date: NaiveDate, hour: u32, minute: u32, second: u32) -> Option<NaiveDateTime> {
        let at = |hour, minute, second| date.and_hms_opt(hour, minute, second);
        let (first_minute, first_second) = (self.minutes.trailing_zeros(), self.seconds.trailing_zeros());
        if self.hours >> hour & 1 == 1 {
            if self.minutes >> minute & 1 == 1
                && let Some(second) = from(self.seconds, second)
            {
                return at(hour, minute, second);
            }
            if let Some(minute) = from(self.minutes, minute + 1) {
                return at(hour, minute, first_second);
            }
        }
        at(from(self.hours, hour + 1)?, first_minute, first_second)
    }

    fn never(&self, whole: Piece<'_>) -> CronProblem {
        let months: Vec<&str> =
            (1..).zip(LONG_MONTHS).filter(|(month, _)| self.months >> month & 1 == 1).map(|(_, name)| name).collect();
        let days: Vec<String> = self
            .days
            .only_numbers()
            .map(|days| (1..=31).filter(|day| days >> day & 1 == 1).map(|day: u32| day.to_string()).collect())
            .unwrap_or_default();
        let why = if days.is_empty() || days.len() > 3 {
            "no month has such a day".to_owned()
        } else {
            format!("{} never has a day {}", months.join(" or "), days.join(" or "))
        };
        whole.problem(format!("it never comes due: {why}"), "the last day of a month is `L`".to_owned())
    }
}

/// The first number of a set that is not below `least`.
fn from(set: u64, least: u32) -> Option<u32> {
    let rest = set.checked_shr(least)?;
    (rest != 0).then(|| rest.trailing_zeros() + least)
}

fn unknown_word(word: Piece<'_>) -> CronProblem {
    let words = WORDS.map(|(word, _)| word);
    let help = suggest::did_you_mean(word.text, words).unwrap_or_else(|| format!("the words are {}", words.join(", ")));
    word.problem(format!("there is no word {}", quoted(word.text)), help)
}

fn wrong_count(whole: Piece<'_>, fields: usize) -> CronProblem {
    let message =
        format!("it has {fields} fields instead of five (minute hour day month weekday) or six (seconds first)");
    let help = match fields {
        0 => "for example `0 6 * * MON-FRI`: at 06:00 from Monday to Friday".to_owned(),
        1..5 => format!("`*` stands for every value: `{}{}`", whole.text, " *".repeat(5 - fields)),
        7 => "years cannot be given; use `ends_at` to end a schedule".to_owned(),
        _ => "put two values of one field in a list without spaces: `1,15`".to_owned(),
    };
    whole.problem(message, help)
}

impl<'e> Piece<'e> {
    fn split_whitespace(self) -> impl Iterator<Item = Piece<'e>> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let rest = &self.text[at..];
            let skipped = rest.len() - rest.trim_start().len();
            let word = rest.trim_start().split(char::is_whitespace).next().filter(|word| !word.is_empty())?;
            let start = at + skipped;
            at = start + word.len();
            Some(Piece::new(word, self.start + start))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Cron;

    fn next(expression: &str, from: &str, count: usize) -> Vec<String> {
        let cron = Cron::parse(expression).unwrap_or_else(|problems| panic!("{expression}: {problems:?}"));
        let mut from: chrono::NaiveDateTime = from.parse().unwrap();
        (0..count)
            .map(|_| {
                let at = cron.next_local(from).unwrap();
                from = at + chrono::TimeDelta::seconds(1);
                at.to_string()
            })
            .collect()
    }

    #[test]
    fn reads_what_the_language_promises() {
        for expression in [
            "* * * * *",
            "*/10 * * * * *",
            "0 6 * * MON-FRI",
            "0 0 L * *",
            "0 0 L-2 * *",
            "0 0 LW * *",
            "0 0 15W * *",
            "0 9 * * 1#2",
            "0 9 * * FRIL",
            "0 9 * * 5L",
            "0 0 1 JAN,JUL *",
            "@hourly",
            "@daily",
            "@midnight",
            "@Weekly",
            "@monthly",
            "@yearly",
            "@annually",
            "0 0 29 2 *",
            "0 12 ? * SUN",
            "0 0 * * sat-sun",
            "0 0 * * 7",
            "5/15 1-5/2,9 * * *",
            "  0   0 * *\t* ",
        ] {
            assert!(Cron::parse(expression).is_ok(), "{expression}: {:?}", Cron::parse(expression));
        }
    }

    #[test]
    fn says_everything_that_is_wrong_and_where() {
        for (expression, expected) in [
            ("", vec![("", "it has 0 fields")]),
            ("* * *", vec![("* * *", "it has 3 fields")]),
            ("* * * * * * 2030", vec![("* * * * * * 2030", "it has 7 fields")]),
            ("@reboot", vec![("@reboot", "there is no word `@reboot`")]),
            ("@dayly", vec![("@dayly", "there is no word `@dayly` (did you mean `@daily`?)")]),
            ("0 0 30 2 *", vec![("0 0 30 2 *", "it never comes due: February never has a day 30")]),
            ("0 0 31 2,4 *", vec![("0 0 31 2,4 *", "it never comes due: February or April never has a day 31")]),
            ("61 * * * *", vec![("61", "the minute `61` is not from 0 to 59")]),
            ("0 * 25 * * *", vec![("25", "the hour `25` is not from 0 to 23")]),
            ("0 24 * * *", vec![("24", "the hour `24` is not from 0 to 23 (midnight is hour 0)")]),
            ("* * * * FUN", vec![("FUN", "`FUN` is not a weekday (did you mean `SUN`?)")]),
            ("* * * * MONDAY", vec![("MONDAY", "`MONDAY` is not a weekday (did you mean `MON`?)")]),
            ("a b c d e", vec![("a", "`a` is not a minute"), ("b", "`b`"), ("c", "`c`"), ("d", "`d`"), ("e", "`e`")]),
            ("*/0 */24 * * *", vec![("0", "the step `0`"), ("24", "the step `24` of the hour")]),
            (
                "*/90 * * * *",
                vec![("90", "the step `90` of the minute is not a number from 1 to 59 (for longer steps")],
            ),
            (
                "0 22-2 * * *",
                vec![("22-2", "the range `22-2` of the hour runs backwards (to go round the end, write `22-23,0-2`)")],
            ),
            (
                "0 0 * * FRI-MON",
                vec![(
                    "FRI-MON",
                    "the range `FRI-MON` of the weekday runs backwards (to go round the end, write `FRI-SAT,SUN-MON`)",
                )],
            ),
            ("0 0 1,,5 * *", vec![("", "the day has an empty item")]),
            ("0 0 * * L", vec![("L", "`L` alone does not say which weekday")]),
            ("0 0 * * MON#6", vec![("6", "`6` does not name one of five")]),
            ("0 0 W * *", vec![("", "`` is not a day (`W` follows one day")]),
            ("0 0 0 13 8", vec![("0", "the day `0`"), ("13", "the month `13`"), ("8", "the weekday `8`")]),
        ] {
            let problems = Cron::parse(expression).unwrap_err();
            let found: Vec<(&str, String)> =
                problems.iter().map(|problem| (&expression[problem.range.clone()], problem.to_string())).collect();
            assert_eq!(found.len(), expected.len(), "{expression}: {found:?}");
            for ((place, message), (expected_place, begin)) in found.iter().zip(&expected) {
                assert!(place == expected_place && message.starts_with(begin), "{expression}: {found:?}");
            }
        }
    }

    #[test]
    fn names_wall_clock_times() {
        for (expression, from, expected) in [
            ("0 6 * * MON-FRI", "2026-05-08T06:00:01", vec!["2026-05-11 06:00:00", "2026-05-12 06:00:00"]),
            ("59 59 23 31 12 ?", "2026-05-08T00:00:00", vec!["2026-12-31 23:59:59", "2027-12-31 23:59:59"]),
            ("0 0 29 2 *", "2026-05-08T00:00:00", vec!["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
            ("0 0 L * *", "2026-02-01T00:00:00", vec!["2026-02-28 00:00:00", "2026-03-31 00:00:00"]),
            ("0 0 L-2 * *", "2026-02-01T00:00:00", vec!["2026-02-26 00:00:00", "2026-03-29 00:00:00"]),
            // 15 August 2026 is a Saturday, 1 August too; 31 May 2026 is a Sunday.
            ("0 0 15W * *", "2026-08-01T00:00:00", vec!["2026-08-14 00:00:00", "2026-09-15 00:00:00"]),
            ("0 0 1W 8 *", "2026-08-01T00:00:00", vec!["2026-08-03 00:00:00"]),
            ("0 0 31W * *", "2026-05-01T00:00:00", vec!["2026-05-29 00:00:00", "2026-07-31 00:00:00"]),
            ("0 0 LW * *", "2026-05-01T00:00:00", vec!["2026-05-29 00:00:00", "2026-06-30 00:00:00"]),
            ("0 0 * * FRI#2", "2026-05-01T00:00:00", vec!["2026-05-08 00:00:00", "2026-06-12 00:00:00"]),
            ("0 0 * * FRIL", "2026-05-01T00:00:00", vec!["2026-05-29 00:00:00", "2026-06-26 00:00:00"]),
            // Day and weekday: either, unless one begins with a star.
            ("0 0 13 * FRI", "2026-02-12T00:00:00", vec!["2026-02-13 00:00:00", "2026-02-20 00:00:00"]),
            ("0 0 */2 * MON", "2026-05-01T00:00:00", vec!["2026-05-11 00:00:00", "2026-05-25 00:00:00"]),
            ("0 0 * * 0,7", "2026-05-01T00:00:00", vec!["2026-05-03 00:00:00", "2026-05-10 00:00:00"]),
            ("10/20 22 * * *", "2026-05-01T00:00:00", vec!["2026-05-01 22:10:00", "2026-05-01 22:30:00"]),
        ] {
            assert_eq!(next(expression, from, expected.len()), expected, "{expression}");
        }
    }
}
