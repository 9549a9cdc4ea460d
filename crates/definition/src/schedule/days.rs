//! The days of a month on which an expression comes due.

use chrono::{Datelike, NaiveDate};

use super::cron::CronProblem;
use super::field::{FieldKind, Piece};
use super::names::{MONTHS, WEEKDAYS};

const DAY: FieldKind = FieldKind { name: "day", least: 1, most: 31, words: &[] };
pub(super) const MONTH: FieldKind = FieldKind { name: "month", least: 1, most: 12, words: &MONTHS };
const WEEKDAY: FieldKind = FieldKind { name: "weekday", least: 0, most: 7, words: &WEEKDAYS };

/// The fields of day and weekday.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Days {
    /// Days by number, bits 1 to 31.
    numbers: u64,
    /// Days counted back from the last of the month, which is bit 0.
    from_last: u64,
    /// The Monday to Friday nearest to these days, bits 1 to 31.
    nearest_weekday: u64,
    /// The last Monday to Friday of the month.
    last_weekday: bool,
    /// Weekdays, bits 0 (Sunday) to 6.
    weekdays: u64,
    /// Their last one of the month.
    last_of: u64,
    /// Their nth one of the month, by n from 1.
    nth_of: [u64; 6],
    /// Whether both fields narrow the days; then a day of either counts.
    is_either: bool,
}

impl Days {
    /// Reads both fields.
    pub(super) fn read(day: Piece<'_>, weekday: Piece<'_>, problems: &mut Vec<CronProblem>) -> Self {
        let mut days = Self::default();
        for item in day.split(',') {
            if let Err(problem) = days.day(item) {
                problems.push(problem);
            }
        }
        for item in weekday.split(',') {
            if let Err(problem) = days.weekday(item) {
                problems.push(problem);
            }
        }
        // Sunday has two numbers.
        days.weekdays |= days.weekdays >> 7;
        let narrows = |field: Piece<'_>| !field.text.starts_with(['*', '?']);
        days.is_either = narrows(day) && narrows(weekday);
        days
    }

    fn day(&mut self, item: Piece<'_>) -> Result<(), CronProblem> {
        let upper = item.text.to_ascii_uppercase();
        if upper == "L" {
            self.from_last |= 1;
        } else if upper == "LW" || upper == "WL" {
            self.last_weekday = true;
        } else if let Some(back) = upper.strip_prefix("L-") {
            match back.parse::<u8>() {
                Ok(back) if (1..=30).contains(&back) => self.from_last |= 1 << back,
                _ => {
                    let message = format!("`{}` does not count back from the last day by 1 to 30", item.text);
                    return Err(item.problem(message, "for example `L-3`: three days before the last one".to_owned()));
                }
            }
        } else if upper.ends_with('W') {
            let number = Piece::new(&item.text[..item.text.len() - 1], item.start);
            let one = "`W` follows one day: `15W` is the Monday to Friday nearest to the 15th".to_owned();
            self.nearest_weekday |=
                1 << DAY.value(number).map_err(|problem| CronProblem { help: Some(one), ..problem })?;
        } else {
            self.numbers |= DAY.item(item)?;
        }
        Ok(())
    }

    fn weekday(&mut self, item: Piece<'_>) -> Result<(), CronProblem> {
        if let Some((day, nth)) = item.split_once('#') {
            let day = WEEKDAY.value(day)? % 7;
            match nth.text.parse::<usize>() {
                Ok(nth) if (1..=5).contains(&nth) => self.nth_of[nth] |= 1 << day,
                _ => {
                    let message =
                        format!("`{}` does not name one of five: a month has at most five of a weekday", nth.text);
                    return Err(nth
                        .problem(message, "for example `MON#1`: the first Monday; the last one is `MONL`".to_owned()));
                }
            }
        } else if item.text.eq_ignore_ascii_case("L") {
            let message = "`L` alone does not say which weekday".to_owned();
            return Err(item.problem(message, "for example `FRIL`: the last Friday of the month".to_owned()));
        } else if item.text.len() > 1 && item.text.ends_with(['L', 'l']) {
            let day = WEEKDAY.value(Piece::new(&item.text[..item.text.len() - 1], item.start))? % 7;
            self.last_of |= 1 << day;
        } else {
            self.weekdays |= WEEKDAY.item(item)?;
        }
        Ok(())
    }

    /// The days of a month on which it comes due, as bits 1 to 31.
    pub(super) fn of_month(&self, year: i32, month: u32) -> u64 {
        let Some(first) = NaiveDate::from_ymd_opt(year, month, 1) else { return 0 };
        let length = u32::from(first.num_days_in_month());
        let first_weekday = first.weekday().num_days_from_sunday();
        let (mut by_day, mut by_weekday) = (self.by_day(length, first_weekday), 0);
        for day in 1..=length {
            let weekday = (first_weekday + day - 1) % 7;
            let nth = usize::try_from((day - 1) / 7 + 1).unwrap_or_default();
            let is_last = day + 7 > length;
            if self.weekdays >> weekday & 1 == 1
                || self.nth_of[nth] >> weekday & 1 == 1
                || (is_last && self.last_of >> weekday & 1 == 1)
            {
                by_weekday |= 1 << day;
            }
        }
        by_day &= (1 << (length + 1)) - 2;
        if self.is_either { by_day | by_weekday } else { by_day & by_weekday }
    }

    fn by_day(&self, length: u32, first_weekday: u32) -> u64 {
        let mut days = self.numbers;
        let weekday = |day: u32| (first_weekday + day - 1) % 7;
        for back in (0..length).filter(|back| self.from_last >> back & 1 == 1) {
            days |= 1 << (length - back);
        }
        // Saturday goes to Friday and Sunday to Monday, but not out of the month.
        for day in (1..=length).filter(|day| self.nearest_weekday >> day & 1 == 1) {
            days |= 1
                << match weekday(day) {
                    6 if day == 1 => 3,
                    6 => day - 1,
                    0 if day == length => day - 2,
                    0 => day + 1,
                    _ => day,
                };
        }
        if self.last_weekday {
            days |= 1
                << match weekday(length) {
                    6 => length - 1,
                    0 => length - 2,
                    _ => length,
                };
        }
        days
    }

    /// The numbered days alone, where nothing else says which days.
    pub(super) fn only_numbers(&self) -> Option<u64> {
        let is_alone = self.from_last == 0 && self.nearest_weekday == 0 && !self.last_weekday && !self.is_either;
        is_alone.then_some(self.numbers)
    }
}
