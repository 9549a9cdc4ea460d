//! The due instants of a schedule, one after the other.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;

use super::cron::Cron;
use super::trigger::{Dst, DstGap, DstOverlap, Recurrence, Timing};
use super::zone;

const SECOND: TimeDelta = TimeDelta::seconds(1);

/// The instants at which a schedule comes due.
///
/// A cron line names times of the wall clock. Where the clocks are changed, the rule is: what comes due in every hour of
/// its days (its hour field covers all 24) follows elapsed time, so that it comes due in a repeated hour again and in a
/// skipped one not at all. Any other time that is skipped comes due at the end of the gap, once, or not at all
/// ([`DstGap`]); one that is repeated comes due the first time, the last time or both times ([`DstOverlap`]).
///
/// An interval counts elapsed seconds, and knows no clocks.
#[derive(Clone, Debug)]
pub struct Calendar {
    timing: Timing,
    /// `None` for an interval.
    cron: Option<Cron>,
}

/// One due instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// When.
    pub due_at: DateTime<Utc>,
    /// What the change of clocks has to do with it.
    pub mark: Option<DstMark>,
}

/// What a change of the clocks has to do with a due instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DstMark {
    /// It stands at the end of a gap for times in it; the first of them.
    Shifted(NaiveDateTime),
    /// The wall clock shows its time twice, and this is the first time.
    First,
    /// The wall clock shows its time twice, and this is the second time.
    Second,
}

impl DstMark {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shifted(_) => "shifted",
            Self::First => "first",
            Self::Second => "second",
        }
    }
}

impl Calendar {
    /// The instants of a checked timing.
    ///
    /// # Errors
    ///
    /// Why its cron line cannot be read after all.
    pub fn new(timing: &Timing) -> Result<Self, String> {
        let cron = match &timing.recurrence {
            Recurrence::Cron(expression) => Some(
                Cron::parse(expression)
                    .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?,
            ),
            Recurrence::Every { interval, .. } if interval.as_secs() == 0 => {
                return Err("an interval lasts at least a second".to_owned());
            }
            Recurrence::Every { .. } => None,
        };
        Ok(Self { timing: timing.clone(), cron })
    }

    /// What it is made of.
    pub fn timing(&self) -> &Timing {
        &self.timing
    }

    /// The first instant after `after`, in whole seconds, at which it comes due.
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // Whole seconds are what is counted in; cutting keeps `after` itself excluded.
        let mut from = after.with_nanosecond(0)?.checked_add_signed(SECOND)?;
        if let Some(starts_at) = self.timing.starts_at {
            let whole = starts_at.with_nanosecond(0)?;
            from = from.max(if whole < starts_at { whole + SECOND } else { whole });
        }
        let next = match (&self.cron, &self.timing.recurrence) {
            (Some(cron), _) => self.next_of_cron(cron, from),
            (None, Recurrence::Every { interval, anchor }) => {
                let anchor = anchor.or(self.timing.starts_at).unwrap_or_default();
                next_of_interval(i64::try_from(interval.as_secs()).ok()?, anchor, from)
            }
            (None, Recurrence::Cron(_)) => None,
        }?;
        self.timing.ends_at.is_none_or(|ends_at| next <= ends_at).then_some(next)
    }

    /// Whether an instant falls on an excluded day of the schedule's zone.
    pub fn is_excluded(&self, due: DateTime<Utc>) -> bool {
        let exclude = &self.timing.exclude;
        !exclude.is_empty() && {
            let day = due.with_timezone(&self.timing.timezone).date_naive();
            exclude.iter().any(|dates| dates.covers(day))
        }
    }

    /// The instants after `after` that start something.
    pub fn occurrences(&self, after: DateTime<Utc>) -> impl Iterator<Item = Occurrence> {
        std::iter::successors(self.next_after(after), |due| self.next_after(*due))
            .filter(|due| !self.is_excluded(*due))
            .map(|due_at| Occurrence { due_at, mark: self.mark(due_at) })
    }

    fn mark(&self, due: DateTime<Utc>) -> Option<DstMark> {
        let cron = self.cron.as_ref()?;
        let zone = self.timing.timezone;
        let local = due.with_timezone(&zone).naive_local();
        if cron.next_local(local) != Some(local) {
            return self.gap_ending_at(cron, due).map(DstMark::Shifted);
        }
        let (first, _) = zone::repeated(zone, local)?;
        Some(if due == first { DstMark::First } else { DstMark::Second })
    }

    fn next_of_cron(&self, cron: &Cron, mut from: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let zone = self.timing.timezone;
        // Each turn ends at a due instant, at a change of the clocks, or after a time that counts another time.
        loop {
            if self.gap_ending_at(cron, from).is_some() {
                return Some(from);
            }
            let offset = zone::offset(zone, from);
            let local = cron.next_local(from.naive_utc() + offset)?;
            let due = (local - offset).and_utc();
            match zone::next_change(zone, from, due, offset) {
                Some(change) => from = change,
                None if counts(cron, self.timing.dst, zone, local, due) => return Some(due),
                None => from = due + SECOND,
            }
        }
    }

    /// The first named time of a gap that ends at an instant and whose times come due there.
    fn gap_ending_at(&self, cron: &Cron, end: DateTime<Utc>) -> Option<NaiveDateTime> {
        if cron.runs_every_hour() || self.timing.dst.gap == DstGap::Skip || self.timing.timezone == Tz::UTC {
            return None;
        }
        let zone = self.timing.timezone;
        let (before, after) = (zone::offset(zone, end - SECOND), zone::offset(zone, end));
        if after <= before {
            return None;
        }
        let skipped = cron.next_local(end.naive_utc() + before)?;
        (skipped < end.naive_utc() + after).then_some(skipped)
    }
}

/// Whether a named time that the wall clock shows at `due` counts then.
fn counts(cron: &Cron, dst: Dst, zone: Tz, local: NaiveDateTime, due: DateTime<Utc>) -> bool {
    if cron.runs_every_hour() || dst.overlap == DstOverlap::Both || zone == Tz::UTC {
        return true;
    }
    match zone::repeated(zone, local) {
        None => true,
        Some((first, last)) => due == if dst.overlap == DstOverlap::First { first } else { last },
    }
}

/// The first instant from `from` on that is a whole number of intervals away from the anchor.
fn next_of_interval(seconds: i64, anchor: DateTime<Utc>, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let since = from.timestamp().checked_sub(anchor.timestamp())?.checked_rem_euclid(seconds)?;
    let wait = if since == 0 { 0 } else { seconds - since };
    from.checked_add_signed(TimeDelta::seconds(wait))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn dst(gap: DstGap, overlap: DstOverlap) -> Dst {
        Dst { gap, overlap }
    }

    fn fires(expression: &str, zone: Tz, dst: Dst, after: &str, count: usize) -> Vec<String> {
        let calendar = Calendar::new(&Timing { dst, ..Timing::cron(expression, zone) }).unwrap();
        let shown = |due: Occurrence| {
            let mark = due.mark.map(|mark| format!(" {}", mark.as_str())).unwrap_or_default();
            format!("{}{mark}", due.due_at.with_timezone(&zone).format("%m-%d %H:%M %:z"))
        };
        calendar.occurrences(at(after)).take(count).map(shown).collect()
    }

    #[test]
    fn is_strictly_after_and_in_whole_seconds() {
        let calendar = Calendar::new(&Timing::cron("* * * * * *", Tz::UTC)).unwrap();
        assert_eq!(calendar.next_after(at("2026-01-01T00:00:00Z")), Some(at("2026-01-01T00:00:01Z")));
        assert_eq!(calendar.next_after(at("2026-01-01T00:00:00.999Z")), Some(at("2026-01-01T00:00:01Z")));
    }

    #[test]
    fn a_skipped_time_comes_at_the_end_of_the_gap_or_not_at_all() {
        let after = "2026-03-28T12:00:00Z";
        let shift = dst(DstGap::Shift, DstOverlap::First);
        let berlin = Tz::Europe__Berlin;
        assert_eq!(fires("30 2 * * *", berlin, shift, after, 2), ["03-29 03:00 +02:00 shifted", "03-30 02:30 +02:00"]);
        assert_eq!(
            fires("*/20 2,3 * * *", berlin, shift, after, 4),
            ["03-29 03:00 +02:00", "03-29 03:20 +02:00", "03-29 03:40 +02:00", "03-30 02:00 +02:00"],
            "once, and marked only where it would not be due anyway"
        );
        let skip = dst(DstGap::Skip, DstOverlap::First);
        assert_eq!(fires("30 2 * * *", berlin, skip, after, 2), ["03-30 02:30 +02:00", "03-31 02:30 +02:00"]);
        let york = fires("30 2 * * *", Tz::America__New_York, shift, "2026-03-07T12:00:00Z", 2);
        assert_eq!(york, ["03-08 03:00 -04:00 shifted", "03-09 02:30 -04:00"]);
        // A whole day was skipped.
        let apia = fires("0 12 * * *", Tz::Pacific__Apia, shift, "2011-12-29T12:00:00Z", 3);
        assert_eq!(apia, ["12-29 12:00 -10:00", "12-31 00:00 +14:00 shifted", "12-31 12:00 +14:00"]);
        // Half an hour.
        let howe = fires("10 2 * * *", Tz::Australia__Lord_Howe, shift, "2026-10-03T12:00:00Z", 2);
        assert_eq!(howe, ["10-04 02:30 +11:00 shifted", "10-05 02:10 +11:00"]);
    }

    #[test]
    fn a_repeated_time_comes_once_or_twice() {
        for (overlap, expected) in [
            (DstOverlap::First, vec!["10-25 02:30 +02:00 first", "10-26 02:30 +01:00"]),
            (DstOverlap::Last, vec!["10-25 02:30 +01:00 second", "10-26 02:30 +01:00"]),
            (DstOverlap::Both, vec!["10-25 02:30 +02:00 first", "10-25 02:30 +01:00 second", "10-26 02:30 +01:00"]),
        ] {
            let dst = dst(DstGap::Shift, overlap);
            let found = fires("30 2 * * *", Tz::Europe__Berlin, dst, "2026-10-24T12:00:00Z", expected.len());
            assert_eq!(found, expected, "{overlap:?}");
        }
    }

    #[test]
    fn what_comes_every_hour_follows_elapsed_time() {
        let rule = dst(DstGap::Shift, DstOverlap::First);
        assert_eq!(
            fires("*/30 * * * *", Tz::Europe__Berlin, rule, "2026-10-25T00:15:00Z", 4),
            [
                "10-25 02:30 +02:00 first",
                "10-25 02:00 +01:00 second",
                "10-25 02:30 +01:00 second",
                "10-25 03:00 +01:00"
            ]
        );
        assert_eq!(
            fires("15 * * * *", Tz::Europe__Berlin, rule, "2026-03-28T23:30:00Z", 3),
            ["03-29 01:15 +01:00", "03-29 03:15 +02:00", "03-29 04:15 +02:00"]
        );
    }

    #[test]
    fn an_interval_counts_elapsed_time_from_its_anchor() {
        let every = |hours: u64, anchor: Option<&str>| {
            let recurrence = Recurrence::Every { interval: Duration::from_hours(hours), anchor: anchor.map(at) };
            Calendar::new(&Timing::new(recurrence, Tz::Europe__Berlin)).unwrap()
        };
        assert_eq!(every(6, None).next_after(at("2026-03-28T23:00:00Z")), Some(at("2026-03-29T00:00:00Z")));
        let anchored = every(24, Some("2030-01-01T05:30:00Z"));
        assert_eq!(anchored.next_after(at("2026-03-28T05:30:00Z")), Some(at("2026-03-29T05:30:00Z")));
        assert_eq!(anchored.next_after(at("2026-03-28T05:29:59Z")), Some(at("2026-03-28T05:30:00Z")));
    }

    #[test]
    fn begins_ends_and_leaves_days_out() {
        let timing = Timing {
            starts_at: Some(at("2026-12-23T22:59:59.5Z")),
            ends_at: Some(at("2026-12-28T12:00:00Z")),
            exclude: vec![super::super::Exclusion::parse("2026-12-25..2026-12-26").unwrap()],
            ..Timing::cron("0 0 * * *", Tz::Europe__Berlin)
        };
        let calendar = Calendar::new(&timing).unwrap();
        let days: Vec<String> = calendar.occurrences(DateTime::UNIX_EPOCH).map(|due| due.due_at.to_rfc3339()).collect();
        assert_eq!(days, ["2026-12-23T23:00:00+00:00", "2026-12-26T23:00:00+00:00", "2026-12-27T23:00:00+00:00"]);
        assert_eq!(
            calendar.next_after(at("2026-12-24T00:00:00Z")),
            Some(at("2026-12-24T23:00:00Z")),
            "due, but excluded"
        );
        let read = Timing::cron("0 0 * * *", Tz::Europe__Berlin).with_details(timing.details().as_ref());
        assert_eq!(read.exclude, timing.exclude);
        assert_eq!(read.ends_at, timing.ends_at);
    }
}
