//! Which instants of a schedule have come due and what becomes of each: pure, without clock or database.

use std::time::Duration;

use chrono::{DateTime, Utc};
use cogwheel_definition::schedule::Calendar;
use cogwheel_definition::{CatchUp, ScheduleTrigger};

use crate::ports::{Due, DueOutcome, SkipReason};

/// How many due instants are settled in one transaction.
pub(super) const BATCH: usize = 500;

/// An instant found this late while the engine runs was missed: the machine slept or its clock jumped.
const MISSED_AFTER: Duration = Duration::from_mins(1);

/// The part of a schedule that decides about its due instants.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    calendar: Calendar,
    trigger: ScheduleTrigger,
    workflow: String,
    /// Whether what is due starts nothing.
    is_off: bool,
}

/// What the schedule went through before now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    /// Instants up to this one were missed and are made up for as the rule says.
    pub(super) missed_until: DateTime<Utc>,
    /// Instants after the missed ones up to this one came due while the missed ones were run one by one.
    pub(super) busy_until: DateTime<Utc>,
    /// What the catch-up window counts back from.
    pub(super) now: DateTime<Utc>,
}

/// The next instants to settle in one transaction.
#[derive(Debug)]
pub(super) struct Batch {
    /// Those that start nothing, in order; at most [`BATCH`].
    pub(super) skipped: Vec<Due>,
    /// The one after them that starts an execution.
    pub(super) fire: Option<Due>,
    /// The instant that follows the last of the batch.
    pub(super) next: Option<DateTime<Utc>>,
}

impl Rule {
    /// The rule of a checked trigger; `Err` says why its cron expression cannot be read after all.
    pub(super) fn new(trigger: &ScheduleTrigger, workflow: &str, is_off: bool) -> Result<Self, String> {
        let calendar = Calendar::new(&trigger.timing)?;
        Ok(Self { calendar, trigger: trigger.clone(), workflow: workflow.to_owned(), is_off })
    }

    /// The first instant after `after`.
    pub(super) fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.calendar.next_after(after)
    }

    /// When a due instant is to be settled: later by its jitter.
    pub(super) fn fires_at(&self, due: DateTime<Utc>) -> DateTime<Utc> {
        if self.is_off { due } else { self.trigger.put_off(&self.workflow, due) }
    }

    /// Whether each missed instant is run.
    pub(super) fn catches_up_with_all(&self) -> bool {
        self.trigger.catch_up == CatchUp::All
    }

    /// What becomes of the instants after `position` that are due by `past.now`; `None` if there are none.
    ///
    /// Nothing up to `position` is ever looked at again, wherever the clock goes.
    pub(super) fn next_batch(&self, position: DateTime<Utc>, past: Past) -> Option<Batch> {
        let mut due = self.next_after(position).filter(|due| self.fires_at(*due) <= past.now)?;
        let mut skipped = Vec::new();
        loop {
            let next = self.next_after(due);
            let is_catch_up = self.fires_at(due) <= past.missed_until;
            match self.decide(due, next, past) {
                DueOutcome::Fired => {
                    let fire = Some(Due { due_at: due, is_catch_up, outcome: DueOutcome::Fired });
                    return Some(Batch { skipped, fire, next });
                }
                outcome @ DueOutcome::Skipped(_) => skipped.push(Due { due_at: due, is_catch_up, outcome }),
            }
            match next {
                Some(next) if self.fires_at(next) <= past.now && skipped.len() < BATCH => due = next,
                next => return Some(Batch { skipped, fire: None, next }),
            }
        }
    }

    /// Whether an instant, or one soon after it, takes the place of those missed before it.
    fn is_missed_and_runs(&self, mut due: DateTime<Utc>, past: Past) -> bool {
        loop {
            if self.fires_at(due) > past.missed_until {
                return false;
            }
            if !self.calendar.is_excluded(due) {
                return true;
            }
            match self.next_after(due) {
                Some(next) => due = next,
                None => return false,
            }
        }
    }

    fn decide(&self, due: DateTime<Utc>, next: Option<DateTime<Utc>>, past: Past) -> DueOutcome {
        if self.calendar.is_excluded(due) {
            return DueOutcome::Skipped(SkipReason::Calendar);
        }
        if self.is_off {
            return DueOutcome::Skipped(SkipReason::Disabled);
        }
        let fires_at = self.fires_at(due);
        if fires_at > past.missed_until {
            return if fires_at <= past.busy_until {
                DueOutcome::Skipped(SkipReason::Overlap)
            } else {
                DueOutcome::Fired
            };
        }
        let is_last = || next.is_none_or(|next| !self.is_missed_and_runs(next, past));
        let age = (past.now - due).to_std().unwrap_or_default();
        match self.trigger.catch_up {
            CatchUp::None => DueOutcome::Skipped(SkipReason::CatchUpNone),
            _ if self.trigger.catch_up_window.is_some_and(|window| age > window) => {
                DueOutcome::Skipped(SkipReason::OutsideWindow)
            }
            CatchUp::Last if !is_last() => DueOutcome::Skipped(SkipReason::CatchUpSuperseded),
            CatchUp::Last | CatchUp::All => DueOutcome::Fired,
        }
    }
}

/// Until when instants count as missed, given the first open one: `known` as long as nothing worse is found.
pub(super) fn missed_until(first: DateTime<Utc>, known: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    let late = (now - first).to_std().unwrap_or_default();
    if first > known && late > MISSED_AFTER { now } else { known }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> DateTime<Utc> {
        format!("2026-05-04T{time}Z").parse().unwrap()
    }

    fn rule(cron: &str, catch_up: CatchUp, window: Option<u64>) -> Rule {
        let text =
            format!("on: {{schedule: {{cron: '{cron}', catch_up: {}}}}}\nsteps: [{{run: x}}]", catch_up.as_str());
        let workflow = cogwheel_definition::parse(text.as_bytes(), "w").unwrap();
        let mut trigger = workflow.triggers.schedules[0].clone();
        trigger.catch_up_window = window.map(Duration::from_secs);
        Rule::new(&trigger, "w", false).unwrap()
    }

    /// All outcomes up to `now` as text, with the number of transactions.
    fn settle(rule: &Rule, mut position: DateTime<Utc>, past: Past) -> (Vec<String>, usize) {
        let (mut outcomes, mut batches) = (Vec::new(), 0);
        while let Some(batch) = rule.next_batch(position, past) {
            batches += 1;
            for due in batch.skipped.into_iter().chain(batch.fire) {
                assert!(due.due_at > position, "in order and never twice");
                position = due.due_at;
                outcomes.push(match due.outcome {
                    DueOutcome::Fired if due.is_catch_up => format!("{} late", due.due_at.format("%H:%M")),
                    DueOutcome::Fired => format!("{} fired", due.due_at.format("%H:%M")),
                    DueOutcome::Skipped(reason) => format!("{} {reason:?}", due.due_at.format("%H:%M")),
                });
            }
        }
        (outcomes, batches)
    }

    fn missed(until: &str, now: &str) -> Past {
        Past { missed_until: at(until), busy_until: at(until), now: at(now) }
    }

    #[test]
    fn missed_instants_end_as_the_rule_says() {
        let past = missed("03:30:00", "03:30:00");
        for (catch_up, window, expected) in [
            (CatchUp::None, None, ["01:00 CatchUpNone", "02:00 CatchUpNone", "03:00 CatchUpNone"]),
            (CatchUp::Last, None, ["01:00 CatchUpSuperseded", "02:00 CatchUpSuperseded", "03:00 late"]),
            (CatchUp::All, None, ["01:00 late", "02:00 late", "03:00 late"]),
            (CatchUp::All, Some(7200), ["01:00 OutsideWindow", "02:00 late", "03:00 late"]),
            (CatchUp::Last, Some(1800), ["01:00 OutsideWindow", "02:00 OutsideWindow", "03:00 late"]),
            (CatchUp::Last, Some(60), ["01:00 OutsideWindow", "02:00 OutsideWindow", "03:00 OutsideWindow"]),
        ] {
            let (outcomes, _) = settle(&rule("0 * * * *", catch_up, window), at("00:00:00"), past);
            assert_eq!(outcomes, expected, "{catch_up:?} {window:?}");
        }
    }

    #[test]
    fn an_instant_reached_while_running_is_fired_whatever_the_rule() {
        for catch_up in [CatchUp::None, CatchUp::Last, CatchUp::All] {
            let past = missed("01:30:00", "02:00:00");
            let (outcomes, _) = settle(&rule("0 * * * *", catch_up, None), at("01:00:00"), past);
            assert_eq!(outcomes, ["02:00 fired"], "{catch_up:?}");
        }
    }

    #[test]
    fn instants_that_came_due_during_the_catching_up_overlap_with_it() {
        let past = Past { missed_until: at("02:30:00"), busy_until: at("04:30:00"), now: at("05:00:00") };
        let (outcomes, _) = settle(&rule("0 * * * *", CatchUp::All, None), at("01:00:00"), past);
        assert_eq!(outcomes, ["02:00 late", "03:00 Overlap", "04:00 Overlap", "05:00 fired"]);
    }

    #[test]
    fn a_long_gap_is_settled_in_bounded_transactions() {
        let past = missed("01:00:00", "01:00:00");
        let (outcomes, batches) = settle(&rule("* * * * * *", CatchUp::Last, None), at("00:00:00"), past);
        assert_eq!((outcomes.len(), batches), (3600, 8));
        assert_eq!(outcomes.iter().filter(|outcome| outcome.ends_with("late")).count(), 1);
        assert!(outcomes[3599].ends_with("late"));
    }

    #[test]
    fn a_clock_that_goes_back_fires_nothing_again() {
        let hourly = rule("0 * * * *", CatchUp::All, None);
        assert!(hourly.next_batch(at("05:00:00"), missed("00:00:00", "04:10:00")).is_none());
        let again = hourly.next_batch(at("05:00:00"), missed("00:00:00", "06:00:00")).unwrap();
        assert_eq!(again.fire.unwrap().due_at, at("06:00:00"));
    }

    #[test]
    fn names_the_instant_that_follows() {
        let batch = rule("0 * * * *", CatchUp::None, None).next_batch(at("00:00:00"), missed("01:00:00", "01:30:00"));
        assert_eq!(batch.unwrap().next, Some(at("02:00:00")));
    }

    #[test]
    fn excluded_days_and_switched_off_schedules_start_nothing() {
        let past = missed("03:30:00", "04:00:00");
        let mut off = rule("0 * * * *", CatchUp::All, None);
        off.is_off = true;
        let (outcomes, _) = settle(&off, at("02:00:00"), past);
        assert_eq!(outcomes, ["03:00 Disabled", "04:00 Disabled"]);
        let mut trigger = rule("0 * * * *", CatchUp::All, None).trigger;
        trigger.timing.exclude = vec![cogwheel_definition::schedule::Exclusion::parse("05-04").unwrap()];
        let (outcomes, _) = settle(&Rule::new(&trigger, "w", false).unwrap(), at("02:00:00"), past);
        assert_eq!(outcomes, ["03:00 Calendar", "04:00 Calendar"]);
    }

    #[test]
    fn the_last_missed_instant_that_is_not_excluded_is_run() {
        let mut trigger = rule("0 */6 * * *", CatchUp::Last, None).trigger;
        trigger.timing.exclude = vec![cogwheel_definition::schedule::Exclusion::parse("2026-05-04").unwrap()];
        let rule = Rule::new(&trigger, "w", false).unwrap();
        let began = at("00:00:00") - chrono::TimeDelta::hours(13);
        let (outcomes, _) = settle(&rule, began, missed("12:30:00", "12:30:00"));
        assert_eq!(
            outcomes,
            ["12:00 CatchUpSuperseded", "18:00 late", "00:00 Calendar", "06:00 Calendar", "12:00 Calendar"]
        );
    }

    #[test]
    fn jitter_puts_off_and_keeps_the_order() {
        let mut trigger = rule("0 * * * *", CatchUp::None, None).trigger;
        trigger.jitter = Duration::from_mins(10);
        let rule = Rule::new(&trigger, "w", false).unwrap();
        let fires_at = rule.fires_at(at("02:00:00"));
        assert!(fires_at > at("02:00:00") && fires_at <= at("02:10:00"));
        let early = missed("01:30:00", "02:00:00");
        assert!(rule.next_batch(at("01:00:00"), early).is_none(), "due, but not yet to be settled");
        let (outcomes, _) = settle(&rule, at("01:00:00"), Past { now: fires_at, ..missed("02:00:00", "02:00:00") });
        assert_eq!(outcomes, ["02:00 fired"], "what was put off beyond the pause was not missed");
    }

    #[test]
    fn only_what_is_found_much_too_late_was_missed() {
        let start = at("00:00:00");
        assert_eq!(missed_until(at("01:00:00"), start, at("01:00:59")), start);
        assert_eq!(missed_until(at("01:00:00"), start, at("01:01:01")), at("01:01:01"));
        assert_eq!(missed_until(at("00:00:00"), start, at("09:00:00")), start);
    }
}
