//! The enabled schedules in the order in which they come due.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_definition::ScheduleTrigger;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::plan::Rule;
use crate::ports::ScheduleRecord;
use crate::{LoadedWorkflow, ScheduleId, TenantId, WorkflowId};

/// An enabled schedule as its workflow defines it now.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) id: ScheduleId,
    pub(super) tenant: TenantId,
    pub(super) workflow: WorkflowId,
    pub(super) workflow_name: String,
    pub(super) trigger: ScheduleTrigger,
    is_off: bool,
    pub(super) rule: Rule,
}

impl Line {
    fn is_same(&self, workflow: &LoadedWorkflow, record: &ScheduleRecord, trigger: &ScheduleTrigger) -> bool {
        let old = &self.trigger;
        old.timing == trigger.timing
            && old.key == trigger.key
            && old.jitter == trigger.jitter
            && self.is_off == is_off(workflow, record)
            && old.catch_up == trigger.catch_up
            && old.catch_up_window == trigger.catch_up_window
            && old.overlap == trigger.overlap
            && old.inputs == trigger.inputs
            && *self.workflow_name == *workflow.name
    }

    fn has_same_instants(&self, trigger: &ScheduleTrigger) -> bool {
        self.trigger.timing.has_same_instants(&trigger.timing)
    }

    /// The due instant after `position`, and when it is to be settled.
    fn next_after(&self, position: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.rule.next_after(position).map(|due| self.rule.fires_at(due))
    }
}

/// Whether the due instants of a schedule start nothing, because it or its workflow is switched off.
fn is_off(workflow: &LoadedWorkflow, record: &ScheduleRecord) -> bool {
    record.is_paused || !workflow.is_enabled
}

struct Entry {
    line: Arc<Line>,
    /// The last instant that has its outcome, or the one from which the schedule counts.
    position: DateTime<Utc>,
    /// When the due instant after that is to be settled.
    next: Option<DateTime<Utc>>,
    /// Set while its due instants are being settled.
    settling: Option<Settling>,
}

#[derive(Clone)]
struct Settling {
    claim: u64,
    stop: CancellationToken,
}

/// A schedule whose time has come.
pub(super) struct Claimed {
    /// To give it back with.
    pub(super) claim: u64,
    pub(super) line: Arc<Line>,
    pub(super) position: DateTime<Utc>,
    /// Cancelled when the schedule changes or goes.
    pub(super) stop: CancellationToken,
}

/// Every enabled schedule, each either waiting in the queue or being settled.
#[derive(Default)]
pub(super) struct Agenda {
    entries: HashMap<ScheduleId, Entry>,
    queue: BTreeSet<(DateTime<Utc>, ScheduleId)>,
    /// Where removed schedules stood, so that one that comes back repeats nothing.
    left_at: HashMap<ScheduleId, DateTime<Utc>>,
    claims: u64,
    /// Whether the first plan was made: what it finds goes on from its ledger, what comes later begins then.
    is_planned: bool,
}

impl Agenda {
    /// Brings the agenda in line with the workflows.
    pub(super) fn plan(&mut self, workflows: &[Arc<LoadedWorkflow>], now: DateTime<Utc>) {
        let mut gone: HashMap<ScheduleId, Entry> = std::mem::take(&mut self.entries);
        for workflow in workflows {
            for (record, trigger) in workflow.triggers.iter().flat_map(|triggers| &triggers.schedules) {
                let old = gone.remove(&record.id);
                if let Some(entry) = self.entry(workflow, record, trigger, old, now) {
                    self.entries.insert(record.id, entry);
                }
            }
        }
        for (id, entry) in gone {
            self.left_at.insert(id, entry.position);
            self.take_out(id, &entry);
        }
        self.is_planned = true;
    }

    fn entry(
        &mut self,
        workflow: &LoadedWorkflow,
        record: &ScheduleRecord,
        trigger: &ScheduleTrigger,
        old: Option<Entry>,
        now: DateTime<Utc>,
    ) -> Option<Entry> {
        if let Some(old) = old.as_ref().filter(|old| old.line.is_same(workflow, record, trigger)) {
            let Entry { line, position, next, settling } = old;
            return Some(Entry {
                line: Arc::clone(line),
                position: *position,
                next: *next,
                settling: settling.clone(),
            });
        }
        let is_off = is_off(workflow, record);
        let rule = match Rule::new(trigger, &workflow.name, is_off) {
            Ok(rule) => rule,
            Err(why) => {
                error!(workflow = &*workflow.name, schedule = trigger.key, why, "a schedule cannot be planned");
                return None;
            }
        };
        let position = match &old {
            Some(old) if old.line.has_same_instants(trigger) => old.position,
            _ => self.first_position(record, old.as_ref().map(|old| old.position), now),
        };
        let settling = old.and_then(|old| {
            self.take_out(record.id, &old);
            old.settling
        });
        let line = Line {
            id: record.id,
            tenant: workflow.tenant,
            workflow: workflow.id,
            workflow_name: workflow.name.to_string(),
            trigger: trigger.clone(),
            is_off,
            rule,
        };
        let next = line.next_after(position);
        // While the old one is still being settled, the new one waits for its end.
        if let Some(next) = next.filter(|_| settling.is_none()) {
            self.queue.insert((next, record.id));
        }
        Some(Entry { line: Arc::new(line), position, next, settling })
    }

    /// From where a schedule counts that was not in the agenda, or whose instants are others now.
    fn first_position(
        &self,
        record: &ScheduleRecord,
        before: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> DateTime<Utc> {
        let recorded = record.last_due_at.max(before).max(self.left_at.get(&record.id).copied());
        if !self.is_planned {
            return recorded.map_or(record.since, |last| last.max(record.since));
        }
        // The store computed the coming instant when the change was saved; it may have come since.
        let saved = record.next_due_at.map_or(now, |next| (next - TimeDelta::seconds(1)).min(now));
        recorded.map_or(saved, |last| last.max(saved))
    }

    fn take_out(&mut self, id: ScheduleId, entry: &Entry) {
        if let Some(next) = entry.next {
            self.queue.remove(&(next, id));
        }
        if let Some(settling) = &entry.settling {
            settling.stop.cancel();
        }
    }

    /// When the first waiting schedule comes due.
    pub(super) fn next_due(&self) -> Option<DateTime<Utc>> {
        self.queue.first().map(|(due, _)| *due)
    }

    /// Takes the next schedule that is due by `now`.
    pub(super) fn claim(&mut self, now: DateTime<Utc>) -> Option<Claimed> {
        while let Some((_, id)) = self.queue.first().copied().filter(|(due, _)| *due <= now) {
            self.queue.pop_first();
            if let Some(entry) = self.entries.get_mut(&id) {
                self.claims += 1;
                let settling = Settling { claim: self.claims, stop: CancellationToken::new() };
                let Settling { claim, stop } = settling.clone();
                entry.settling = Some(settling);
                return Some(Claimed { claim, line: Arc::clone(&entry.line), position: entry.position, stop });
            }
        }
        None
    }

    /// Puts a claimed schedule back, with everything up to `position` settled.
    pub(super) fn give_back(&mut self, claim: u64, id: ScheduleId, position: DateTime<Utc>) {
        let Some(entry) = self.entries.get_mut(&id) else {
            let left = self.left_at.entry(id).or_insert(position);
            *left = position.max(*left);
            return;
        };
        if entry.settling.as_ref().is_none_or(|settling| settling.claim != claim) {
            // The schedule went and came back meanwhile; the ledger keeps the two from doing the same twice.
            return;
        }
        entry.settling = None;
        entry.position = position.max(entry.position);
        entry.next = entry.line.next_after(entry.position);
        if let Some(next) = entry.next {
            self.queue.insert((next, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use cogwheel_definition::parse;
    use uuid::Uuid;

    use super::*;
    use crate::VersionId;
    use crate::ports::WorkflowRecord;

    fn at(time: &str) -> DateTime<Utc> {
        format!("2026-05-04T{time}Z").parse().unwrap()
    }

    fn workflow(cron: &str, record: ScheduleRecord) -> Vec<Arc<LoadedWorkflow>> {
        let text = format!("on: {{schedule: {{cron: \"{cron}\"}}}}\nsteps: [{{run: 'true'}}]\n");
        let workflow = WorkflowRecord {
            endpoints: Vec::new(),
            has_events: false,
            id: WorkflowId(Uuid::from_u128(1)),
            tenant: TenantId(Uuid::from_u128(2)),
            name: "hourly".to_owned(),
            origin_path: None,
            version_id: VersionId(Uuid::from_u128(3)),
            version: 1,
            checksum: String::new(),
            is_enabled: true,
            schedules: vec![record],
            watches: Vec::new(),
        };
        vec![Arc::new(LoadedWorkflow::new(workflow, &parse(text.as_bytes(), "hourly").unwrap().triggers))]
    }

    fn record(last: Option<&str>, next: &str) -> ScheduleRecord {
        ScheduleRecord {
            id: ScheduleId(Uuid::from_u128(4)),
            trigger_key: "schedule-0".to_owned(),
            last_due_at: last.map(at),
            next_due_at: Some(at(next)),
            since: at("00:30:00"),
            is_paused: false,
        }
    }

    #[test]
    fn the_first_plan_goes_on_from_the_ledger() {
        let mut agenda = Agenda::default();
        agenda.plan(&workflow("0 * * * *", record(Some("02:00:00"), "03:00:00")), at("09:30:00"));
        assert_eq!(agenda.next_due(), Some(at("03:00:00")));
        let mut agenda = Agenda::default();
        agenda.plan(&workflow("0 * * * *", record(None, "01:00:00")), at("09:30:00"));
        assert_eq!(agenda.next_due(), Some(at("01:00:00")), "nothing before the ledger began");
    }

    #[test]
    fn a_changed_line_counts_from_the_change() {
        let mut agenda = Agenda::default();
        agenda.plan(&workflow("0 * * * *", record(Some("09:00:00"), "10:00:00")), at("09:30:00"));
        agenda.plan(&workflow("15 * * * *", record(Some("09:00:00"), "10:15:00")), at("09:30:00"));
        assert_eq!(agenda.next_due(), Some(at("10:15:00")));
        agenda.plan(&workflow("20 * * * *", record(Some("09:00:00"), "10:20:00")), at("10:20:00"));
        assert_eq!(agenda.next_due(), Some(at("10:20:00")), "due between the save and the plan");
    }

    #[test]
    fn a_schedule_that_comes_back_repeats_nothing() {
        let mut agenda = Agenda::default();
        agenda.plan(&workflow("0 * * * *", record(None, "10:00:00")), at("09:30:00"));
        while let Some(claimed) = agenda.claim(at("10:00:00")) {
            agenda.give_back(claimed.claim, claimed.line.id, at("10:00:00"));
        }
        agenda.plan(&[], at("10:01:00"));
        assert_eq!(agenda.next_due(), None);
        agenda.plan(&workflow("0 * * * *", record(None, "10:00:00")), at("10:02:00"));
        assert_eq!(agenda.next_due(), Some(at("11:00:00")));
    }

    #[test]
    fn a_change_during_settling_ends_it_and_counts_from_there() {
        let mut agenda = Agenda::default();
        agenda.plan(&workflow("0 * * * *", record(Some("09:00:00"), "10:00:00")), at("09:30:00"));
        let claimed = agenda.claim(at("10:00:00")).unwrap();
        assert_eq!(agenda.next_due(), None);
        agenda.plan(&workflow("30 * * * *", record(Some("09:00:00"), "10:30:00")), at("10:00:01"));
        assert!(claimed.stop.is_cancelled());
        assert_eq!(agenda.next_due(), None, "one at a time");
        agenda.give_back(claimed.claim, claimed.line.id, at("10:00:00"));
        assert_eq!(agenda.next_due(), Some(at("10:30:00")));
    }
}
