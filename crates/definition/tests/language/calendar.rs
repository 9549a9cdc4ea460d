//! Due instants against a reckoning of another kind: every zone of the database, five years, many expressions.
//!
//! The reckoning lists the wall clock times of each day, has a table of each zone's changes of clocks, and puts the two
//! together as sets. The calendar walks from instant to instant.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use cogwheel_definition::schedule::{Calendar, Dst, DstGap, DstOverlap, Timing};
use proptest::prelude::*;

const FIRST_YEAR: i32 = 2024;
const YEARS: i32 = 5;

/// A stretch of time with one offset: from, until, offset.
type Stretch = (DateTime<Utc>, DateTime<Utc>, TimeDelta);

/// Expressions with what they mean, written out: seconds, minutes, hours, and whether a day counts.
struct Meaning {
    expression: &'static str,
    seconds: &'static [u32],
    minutes: &'static [u32],
    hours: &'static [u32],
    day: fn(NaiveDate) -> bool,
}

fn every_day(_: NaiveDate) -> bool {
    true
}

fn weekday(day: NaiveDate) -> u32 {
    day.weekday().number_from_monday()
}

fn is_last_of_month(day: NaiveDate) -> bool {
    day.succ_opt().is_some_and(|next| next.month() != day.month())
}

fn works(day: NaiveDate) -> bool {
    weekday(day) <= 5
}

/// Looks for the working day of the month that is nearest to one of its days.
fn is_nearest_working_day(day: NaiveDate, to: u32) -> bool {
    let Some(wanted) = day.with_day(to) else { return false };
    let in_month = |away: i64| {
        let near = wanted + TimeDelta::days(away);
        (near.month() == day.month() && works(near)).then_some(near)
    };
    [0, -1, 1, -2, 2].into_iter().find_map(in_month) == Some(day)
}

const ALL_HOURS: &[u32] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23];

macro_rules! meaning {
    ($expression:literal, $seconds:expr, $minutes:expr, $hours:expr, $day:expr) => {
        Meaning { expression: $expression, seconds: &$seconds, minutes: &$minutes, hours: $hours, day: $day }
    };
}

fn meanings() -> Vec<Meaning> {
    vec![
        meaning!("@daily", [0], [0], &[0], every_day),
        meaning!("30 2 * * *", [0], [30], &[2], every_day),
        meaning!("0 1,2,3 * * *", [0], [0], &[1, 2, 3], every_day),
        meaning!("15 30 23 * * *", [15], [30], &[23], every_day),
        meaning!("59 59 1 * * *", [59], [59], &[1], every_day),
        meaning!("*/20 0-3 * * *", [0], [0, 20, 40], &[0, 1, 2, 3], every_day),
        meaning!("10/25 2 * * *", [0], [10, 35], &[2], every_day),
        meaning!("0 */6 * * *", [0], [0], &[0, 6, 12, 18], every_day),
        meaning!("@hourly", [0], [0], ALL_HOURS, every_day),
        meaning!("0 30 * * * *", [0], [30], ALL_HOURS, every_day),
        meaning!("30 2 * * MON-FRI", [0], [30], &[2], works),
        meaning!("30 2 * * SAT,SUN", [0], [30], &[2], |day| !works(day)),
        meaning!("0 2 * * 7", [0], [0], &[2], |day| weekday(day) == 7),
        meaning!("@weekly", [0], [0], &[0], |day| weekday(day) == 7),
        meaning!("@monthly", [0], [0], &[0], |day| day.day() == 1),
        meaning!("@yearly", [0], [0], &[0], |day| day.ordinal() == 1),
        meaning!("30 1 L * *", [0], [30], &[1], is_last_of_month),
        meaning!("0 3 L-2 * *", [0], [0], &[3], |day| is_last_of_month(day + TimeDelta::days(2))),
        meaning!("0 0 15W * *", [0], [0], &[0], |day| is_nearest_working_day(day, 15)),
        meaning!("0 0 1W * *", [0], [0], &[0], |day| is_nearest_working_day(day, 1)),
        meaning!("0 2 31W * *", [0], [0], &[2], |day| is_nearest_working_day(day, 31)),
        meaning!("0 2 LW * *", [0], [0], &[2], |day| works(day)
            && (1..4).all(|away| {
                let later = day + TimeDelta::days(away);
                later.month() != day.month() || !works(later)
            })),
        meaning!("0 2 * 3,10,11 SUN#2", [0], [0], &[2], |day| weekday(day) == 7
            && (8..=14).contains(&day.day())
            && [3, 10, 11].contains(&day.month())),
        meaning!("0 1 ? MAR,OCT SUNL", [0], [0], &[1], |day| weekday(day) == 7
            && (day + TimeDelta::days(7)).month() != day.month()
            && [3, 10].contains(&day.month())),
        meaning!("0 2 1,15 * MON", [0], [0], &[2], |day| [1, 15].contains(&day.day()) || weekday(day) == 1),
        meaning!("0 2 */2 * MON", [0], [0], &[2], |day| day.day() % 2 == 1 && weekday(day) == 1),
        meaning!("0 2 29 FEB *", [0], [0], &[2], |day| (day.month(), day.day()) == (2, 29)),
    ]
}

const RULES: [Dst; 6] = [
    Dst { gap: DstGap::Shift, overlap: DstOverlap::First },
    Dst { gap: DstGap::Shift, overlap: DstOverlap::Last },
    Dst { gap: DstGap::Shift, overlap: DstOverlap::Both },
    Dst { gap: DstGap::Skip, overlap: DstOverlap::First },
    Dst { gap: DstGap::Skip, overlap: DstOverlap::Last },
    Dst { gap: DstGap::Skip, overlap: DstOverlap::Both },
];

fn time(day: NaiveDate, hour: u32, minute: u32, second: u32) -> NaiveDateTime {
    day.and_hms_opt(hour, minute, second).expect("a time of the day")
}

fn midnight(year: i32) -> DateTime<Utc> {
    time(NaiveDate::from_ymd_opt(year, 1, 1).expect("a year"), 0, 0, 0).and_utc()
}

/// The stretches of a zone, found by looking at every quarter of an hour and then at every second.
fn stretches(zone: Tz, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Stretch> {
    let offset = |at: DateTime<Utc>| {
        TimeDelta::seconds(i64::from(zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()))
    };
    let mut stretches = Vec::new();
    let (mut begin, mut known, mut at) = (from, offset(from), from);
    while at < until {
        let next = at + TimeDelta::minutes(15);
        if offset(next) != known {
            let change = (1..=900).map(|second| at + TimeDelta::seconds(second)).find(|at| offset(*at) != known);
            let change = change.expect("it changed within them");
            stretches.push((begin, change, known));
            (begin, known) = (change, offset(change));
        }
        at = next;
    }
    stretches.push((begin, until, known));
    stretches
}

/// Every wall clock time that an expression names.
fn named_times(meaning: &Meaning, from: NaiveDate, until: NaiveDate) -> Vec<NaiveDateTime> {
    let days = from.iter_days().take_while(|day| *day <= until).filter(|day| (meaning.day)(*day));
    let mut times = Vec::new();
    for day in days {
        for hour in meaning.hours {
            for minute in meaning.minutes {
                times.extend(meaning.seconds.iter().map(|second| time(day, *hour, *minute, *second)));
            }
        }
    }
    times
}

/// The due instants as a set: each named time put where the rule puts it.
fn reckoned(times: &[NaiveDateTime], is_hourly: bool, rule: Dst, stretches: &[Stretch]) -> BTreeSet<DateTime<Utc>> {
    let mut due = BTreeSet::new();
    for time in times {
        let shown: Vec<DateTime<Utc>> = stretches
            .iter()
            .map(|(begin, end, offset)| (begin, end, (*time - *offset).and_utc()))
            .filter(|(begin, end, at)| at >= begin && at < end)
            .map(|(_, _, at)| at)
            .collect();
        match shown.as_slice() {
            [] if !is_hourly && rule.gap == DstGap::Shift => {
                // In the gap before the first stretch whose wall clock begins later than it.
                due.extend(
                    stretches[1..]
                        .iter()
                        .find(|(begin, _, offset)| (*begin + *offset).naive_utc() > *time)
                        .map(|s| s.0),
                );
            }
            [] => {}
            [only] => drop(due.insert(*only)),
            all if is_hourly || rule.overlap == DstOverlap::Both => due.extend(all),
            [first, .., last] => drop(due.insert(if rule.overlap == DstOverlap::First { *first } else { *last })),
        }
    }
    due
}

/// Compares both over some time in which a zone has these stretches.
fn agree(
    zone: Tz,
    meaning: &Meaning,
    rule: Dst,
    stretches: &[Stretch],
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> usize {
    let is_hourly = meaning.hours.len() == 24;
    let days = TimeDelta::days(2);
    let times = named_times(meaning, (from - days).date_naive(), (until + days).date_naive());
    let expected: Vec<DateTime<Utc>> =
        reckoned(&times, is_hourly, rule, stretches).into_iter().filter(|at| *at > from && *at <= until).collect();
    let timing = Timing { dst: rule, ..Timing::cron(meaning.expression, zone) };
    let found: Vec<DateTime<Utc>> = Calendar::new(&timing)
        .expect("a good expression")
        .occurrences(from)
        .map(|occurrence| occurrence.due_at)
        .take_while(|at| *at <= until)
        .collect();
    let first = expected.iter().zip(&found).find(|(expected, found)| expected != found);
    assert!(
        first.is_none() && expected.len() == found.len(),
        "{} in {zone} under {rule:?}: first difference {first:?}, {} expected, {} found",
        meaning.expression,
        expected.len(),
        found.len()
    );
    found.len()
}

/// All of five years for the expressions that come a few times a day, and the days around each change of clocks for all.
#[test]
#[expect(clippy::print_stdout, reason = "how much was compared is a figure of the documentation")]
fn every_zone_and_five_years_agree_with_a_reckoning_of_another_kind() {
    let meanings = meanings();
    let (from, until) = (midnight(FIRST_YEAR), midnight(FIRST_YEAR + YEARS));
    let margin = TimeDelta::days(5);
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let compared: usize = std::thread::scope(|scope| {
        let work = (0..workers).map(|worker| {
            let meanings = &meanings;
            scope.spawn(move || {
                let mut compared = 0;
                for (place, zone) in TZ_VARIANTS.iter().enumerate().filter(|(place, _)| place % workers == worker) {
                    let stretches = stretches(*zone, from - margin, until + margin);
                    for (number, meaning) in meanings.iter().enumerate() {
                        // Rules and expressions take turns, so that each meets each other in many zones.
                        let rule = |turn| RULES[(place + number + turn) % RULES.len()];
                        if meaning.hours.len() * meaning.minutes.len() < 4 && (place + number) % 2 == 0 {
                            compared += agree(*zone, meaning, rule(0), &stretches, from, until);
                        }
                        for (turn, (change, _, _)) in stretches[1..].iter().enumerate() {
                            let (from, until) = (*change - TimeDelta::hours(30), *change + TimeDelta::hours(30));
                            compared += agree(*zone, meaning, rule(turn), &stretches, from, until);
                        }
                    }
                }
                compared
            })
        });
        work.collect::<Vec<_>>().into_iter().map(|worker| worker.join().expect("they agree")).sum()
    });
    println!("{} zones, {} expressions, {compared} due instants agree", TZ_VARIANTS.len(), meanings.len());
    assert!(compared > 5_000_000, "{compared} due instants were compared");
}

/// A field as text with its values, made together.
fn field(least: u32, most: u32) -> impl Strategy<Value = (String, Vec<u32>)> {
    let value = least..=most;
    prop_oneof![
        Just(("*".to_owned(), (least..=most).collect())),
        value.clone().prop_map(|value| (value.to_string(), vec![value])),
        (value.clone(), value.clone()).prop_map(|(a, b)| {
            let (from, to) = (a.min(b), a.max(b));
            (format!("{from}-{to}"), (from..=to).collect())
        }),
        (2..=most).prop_map(move |step| {
            (format!("*/{step}"), (least..=most).filter(|value| (value - least).is_multiple_of(step)).collect())
        }),
        prop::collection::btree_set(value, 1..4).prop_map(|values| {
            let text: Vec<String> = values.iter().map(ToString::to_string).collect();
            (text.join(","), values.into_iter().collect())
        }),
    ]
}

proptest! {
    /// Random expressions, around a random change of the clocks of a random zone.
    #[test]
    fn random_expressions_agree_too(
        second in field(0, 59), minute in field(0, 59), hour in field(0, 23), day in field(1, 31), month in field(1, 12),
        place in 0..TZ_VARIANTS.len(), rule in 0..RULES.len(), skip in 0_i64..1500,
    ) {
        let zone = TZ_VARIANTS[place];
        let begin = midnight(FIRST_YEAR) + TimeDelta::days(skip);
        let (from, until) = (begin, begin + TimeDelta::days(190));
        let stretches = stretches(zone, from, until);
        let around = stretches.get(1).map_or(from + TimeDelta::days(90), |stretch| stretch.0);
        let (from, until) = (around - TimeDelta::hours(4), around + TimeDelta::hours(4));
        let expression = [&second.0, &minute.0, &hour.0, &day.0, &month.0].map(String::as_str).join(" ") + " *";
        let times: Vec<NaiveDateTime> = (from.naive_utc() - TimeDelta::hours(26)).date().iter_days().take(5)
            .filter(|date| day.1.contains(&date.day()) && month.1.contains(&date.month()))
            .flat_map(|date| hour.1.iter().map(move |hour| (date, *hour)))
            .flat_map(|(date, hour)| minute.1.iter().map(move |minute| (date, hour, *minute)))
            .flat_map(|(date, hour, minute)| second.1.iter().map(move |second| time(date, hour, minute, *second)))
            .collect();
        let expected: Vec<_> = reckoned(&times, hour.1.len() == 24, RULES[rule], &stretches)
            .into_iter().filter(|at| *at > from && *at <= until).collect();
        let timing = Timing { dst: RULES[rule], ..Timing::cron(expression, zone) };
        let found: Vec<_> = Calendar::new(&timing).map_err(TestCaseError::reject)?
            .occurrences(from).map(|due| due.due_at).take_while(|at| *at <= until).collect();
        prop_assert!(expected == found, "{timing:?}: {} expected, {} found", expected.len(), found.len());
    }
}
