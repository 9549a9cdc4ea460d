//! The workflows that can be started, in memory: who they are and what sets them off, but not what they do.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use cogwheel_definition::{EventTrigger, FileSource, FileTrigger, ScheduleTrigger, Triggers, WebhookTrigger};
use tokio::sync::watch;

use crate::events::{EVENT_TYPES, EventType};
use crate::ports::{EndpointRecord, ScheduleRecord, WatchRecord, WorkflowRecord};
use crate::{EndpointId, ScheduleId, TenantId, VersionId, WorkflowId};

/// A workflow with its active version, ready to start. Its definition is read when it is needed.
#[derive(Clone, Debug)]
pub struct LoadedWorkflow {
    /// Its id.
    pub id: WorkflowId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name.
    pub name: Arc<str>,
    /// The active version.
    pub version_id: VersionId,
    /// The active version's number.
    pub version: i32,
    /// Whether triggers and people may start it.
    pub is_enabled: bool,
    /// What sets it off by itself, if anything does.
    pub triggers: Option<Arc<LoadedTriggers>>,
}

/// The enabled triggers of a workflow, each as it is stored and as the definition has it.
#[derive(Clone, Debug, Default)]
pub struct LoadedTriggers {
    /// Its schedules.
    pub schedules: Vec<(ScheduleRecord, ScheduleTrigger)>,
    /// Its watches.
    pub watches: Vec<(WatchRecord, FileTrigger)>,
    /// Its addresses for calls.
    pub hooks: Vec<(EndpointRecord, Arc<WebhookTrigger>)>,
    /// The events that start it.
    pub events: Vec<Arc<EventTrigger>>,
}

impl LoadedWorkflow {
    /// A stored workflow together with the triggers of its active version.
    pub fn new(record: WorkflowRecord, defined: &Triggers) -> Self {
        Self {
            id: record.id,
            tenant: record.tenant,
            name: record.name.into(),
            version_id: record.version_id,
            version: record.version,
            is_enabled: record.is_enabled,
            triggers: LoadedTriggers::new(record.schedules, record.watches, record.endpoints, defined).map(Arc::new),
        }
    }
}

impl LoadedWorkflow {
    /// Whether a stored workflow is this one, as it is now.
    pub fn stands_for(&self, record: &WorkflowRecord) -> bool {
        let schedules = self.triggers.iter().flat_map(|triggers| &triggers.schedules);
        let paused = |id| record.schedules.iter().find(|schedule| schedule.id == id).map(|schedule| schedule.is_paused);
        self.version_id == record.version_id
            && self.is_enabled == record.is_enabled
            && schedules.into_iter().all(|(known, _)| paused(known.id) == Some(known.is_paused))
    }

    /// The same with one of its schedules switched off or on; `None` where it has no such schedule.
    pub fn with_paused(&self, schedule: ScheduleId, is_paused: bool) -> Option<Self> {
        let triggers = self.triggers.as_ref()?;
        let mut schedules = triggers.schedules.clone();
        schedules.iter_mut().find(|(record, _)| record.id == schedule)?.0.is_paused = is_paused;
        let triggers = LoadedTriggers { schedules, ..LoadedTriggers::clone(triggers) };
        Some(Self { triggers: Some(Arc::new(triggers)), ..self.clone() })
    }
}

impl LoadedTriggers {
    fn new(
        schedules: Vec<ScheduleRecord>,
        watches: Vec<WatchRecord>,
        endpoints: Vec<EndpointRecord>,
        defined: &Triggers,
    ) -> Option<Self> {
        let schedules: Vec<_> = schedules
            .into_iter()
            .filter_map(|record| {
                let trigger = defined.schedules.iter().find(|trigger| trigger.key == record.trigger_key)?;
                Some((record, trigger.clone()))
            })
            .collect();
        let watches: Vec<_> = watches
            .into_iter()
            .filter_map(|record| {
                let trigger = defined.files.iter().find(|trigger| trigger.key == record.trigger_key)?;
                Some((record, trigger.clone()))
            })
            .collect();
        let hooks: Vec<_> = endpoints
            .into_iter()
            .filter_map(|record| {
                let trigger = defined.webhooks.iter().find(|trigger| trigger.key == record.trigger_key)?;
                Some((record, Arc::new(trigger.clone())))
            })
            .collect();
        let events: Vec<_> = defined.events.iter().cloned().map(Arc::new).collect();
        let is_empty = schedules.is_empty() && watches.is_empty() && hooks.is_empty() && events.is_empty();
        (!is_empty).then_some(Self { schedules, watches, hooks, events })
    }
}

/// What [`crate::Engine::start`] and the triggers look workflows up in.
#[derive(Debug)]
pub struct Catalog {
    workflows: RwLock<Workflows>,
    generation: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Workflows {
    by_id: HashMap<WorkflowId, Arc<LoadedWorkflow>>,
    by_name: HashMap<Arc<str>, WorkflowId>,
    /// Those that have triggers, which are looked through at each change of them.
    triggered: HashMap<WorkflowId, Arc<LoadedWorkflow>>,
    /// Whose addresses these paths are.
    by_path: HashMap<String, WorkflowId>,
    /// Those that uploads may start.
    of_uploads: HashSet<WorkflowId>,
    /// Events that start them.
    events: Vec<(WorkflowId, Arc<EventTrigger>)>,
    /// How many of those want each type of the catalogue; none that nobody wants.
    wanted: HashMap<&'static str, usize>,
}

impl Workflows {
    /// Keeps how many want each type, for triggers that came or go.
    fn count_wanted(&mut self, workflow: &LoadedWorkflow, came: bool) {
        for trigger in workflow.triggers.iter().flat_map(|triggers| &triggers.events) {
            for name in EVENT_TYPES.iter().map(EventType::as_str).filter(|name| trigger.pattern.matches(name)) {
                let count = self.wanted.entry(name).or_default();
                *count = if came { *count + 1 } else { count.saturating_sub(1) };
                if *count == 0 {
                    self.wanted.remove(name);
                }
            }
        }
    }

    /// Answers whether triggers came, went or may have changed.
    fn put(&mut self, workflow: Arc<LoadedWorkflow>) -> bool {
        let was_triggered = self.remove(workflow.id);
        self.by_name.insert(Arc::clone(&workflow.name), workflow.id);
        let is_triggered = workflow.triggers.is_some();
        for (_, hook) in workflow.triggers.iter().flat_map(|triggers| &triggers.hooks) {
            self.by_path.insert(hook.path.clone(), workflow.id);
        }
        let mut watches = workflow.triggers.iter().flat_map(|triggers| &triggers.watches);
        if watches.any(|(_, watch)| watch.source == FileSource::Upload) {
            self.of_uploads.insert(workflow.id);
        }
        let events = workflow.triggers.iter().flat_map(|triggers| &triggers.events);
        self.events.extend(events.map(|trigger| (workflow.id, Arc::clone(trigger))));
        self.count_wanted(&workflow, true);
        if is_triggered {
            self.triggered.insert(workflow.id, Arc::clone(&workflow));
        }
        self.by_id.insert(workflow.id, workflow);
        was_triggered || is_triggered
    }

    /// Answers whether triggers went with it.
    fn remove(&mut self, id: WorkflowId) -> bool {
        let Some(old) = self.by_id.remove(&id) else { return false };
        // The name may be another workflow's by now.
        if self.by_name.get(&old.name) == Some(&id) {
            self.by_name.remove(&old.name);
        }
        for (_, hook) in old.triggers.iter().flat_map(|triggers| &triggers.hooks) {
            if self.by_path.get(&hook.path) == Some(&id) {
                self.by_path.remove(&hook.path);
            }
        }
        self.events.retain(|(owner, _)| *owner != id);
        self.count_wanted(&old, false);
        self.of_uploads.remove(&id);
        self.triggered.remove(&id).is_some()
    }
}

impl Default for Catalog {
    fn default() -> Self {
        Self { workflows: RwLock::default(), generation: watch::Sender::new(0) }
    }
}

impl Catalog {
    /// The workflow of this id.
    pub fn by_id(&self, id: WorkflowId) -> Option<Arc<LoadedWorkflow>> {
        self.read().by_id.get(&id).cloned()
    }

    /// The workflow of this name.
    pub fn by_name(&self, name: &str) -> Option<Arc<LoadedWorkflow>> {
        let workflows = self.read();
        workflows.by_name.get(name).and_then(|id| workflows.by_id.get(id)).cloned()
    }

    /// The workflow whose address this path is, and the trigger.
    pub fn hook(&self, path: &str) -> Option<(Arc<LoadedWorkflow>, EndpointId, Arc<WebhookTrigger>)> {
        let workflows = self.read();
        let workflow = workflows.by_path.get(path).and_then(|id| workflows.by_id.get(id))?;
        let (record, hook) = workflow.triggers.as_ref()?.hooks.iter().find(|(_, hook)| hook.path == path)?;
        Some((Arc::clone(workflow), record.id, Arc::clone(hook)))
    }

    /// Every workflow that uploads may start, in the order of their names.
    pub fn of_uploads(&self) -> Vec<Arc<LoadedWorkflow>> {
        let workflows = self.read();
        let found = workflows.of_uploads.iter().filter_map(|id| workflows.by_id.get(id).cloned());
        let mut found: Vec<_> = found.collect();
        found.sort_by(|one, other| one.name.cmp(&other.name));
        found
    }

    /// Whether events start any workflow.
    pub fn has_event_triggers(&self) -> bool {
        !self.read().events.is_empty()
    }

    /// Whether an event of this type of the catalogue could start a workflow.
    pub fn wants_event(&self, event_type: &str) -> bool {
        self.read().wanted.contains_key(event_type)
    }

    /// The workflows that an event of this type could start, with the triggers.
    pub fn event_triggers(&self, event_type: &str) -> Vec<(Arc<LoadedWorkflow>, Arc<EventTrigger>)> {
        let workflows = self.read();
        let matching = workflows.events.iter().filter(|(_, trigger)| trigger.pattern.matches(event_type));
        matching.filter_map(|(id, trigger)| Some((Arc::clone(workflows.by_id.get(id)?), Arc::clone(trigger)))).collect()
    }

    /// Every workflow that has triggers.
    pub fn triggered(&self) -> Vec<Arc<LoadedWorkflow>> {
        self.read().triggered.values().cloned().collect()
    }

    /// The workflow that has this schedule, with the schedule's trigger.
    pub fn of_schedule(&self, id: ScheduleId) -> Option<(Arc<LoadedWorkflow>, ScheduleTrigger)> {
        self.read().triggered.values().find_map(|workflow| {
            let schedules = workflow.triggers.iter().flat_map(|triggers| &triggers.schedules);
            let (_, trigger) = schedules.into_iter().find(|(record, _)| record.id == id)?;
            Some((Arc::clone(workflow), trigger.clone()))
        })
    }

    /// The id of every workflow.
    pub fn ids(&self) -> HashSet<WorkflowId> {
        self.read().by_id.keys().copied().collect()
    }

    /// How many workflows there are.
    pub fn len(&self) -> usize {
        self.read().by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts a workflow in, or its newer version in its place.
    pub fn put(&self, workflow: LoadedWorkflow) {
        self.change([workflow], []);
    }

    /// Takes a workflow out: it can be started no more.
    pub fn remove(&self, id: WorkflowId) {
        self.change([], [id]);
    }

    /// Takes workflows out and puts others in, all at once.
    pub fn change(&self, put: impl IntoIterator<Item = LoadedWorkflow>, remove: impl IntoIterator<Item = WorkflowId>) {
        let mut are_triggers_changed = false;
        {
            let mut workflows = self.workflows.write().unwrap_or_else(PoisonError::into_inner);
            for id in remove {
                are_triggers_changed |= workflows.remove(id);
            }
            for workflow in put {
                are_triggers_changed |= workflows.put(Arc::new(workflow));
            }
        }
        if are_triggers_changed {
            self.generation.send_modify(|generation| *generation += 1);
        }
    }

    /// Hears of every change of what [`Self::triggered`] answers from now on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    fn read(&self) -> RwLockReadGuard<'_, Workflows> {
        self.workflows.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use cogwheel_definition::parse;
    use uuid::Uuid;

    use super::*;
    use crate::WatchId;

    fn record(id: u128, name: &str) -> WorkflowRecord {
        WorkflowRecord {
            id: WorkflowId(Uuid::from_u128(id)),
            tenant: TenantId(Uuid::from_u128(0)),
            name: name.to_owned(),
            origin_path: None,
            version_id: VersionId(Uuid::from_u128(id)),
            version: 1,
            checksum: String::new(),
            is_enabled: true,
            schedules: Vec::new(),
            watches: Vec::new(),
            endpoints: Vec::new(),
            has_events: false,
        }
    }

    fn plain(id: u128, name: &str) -> LoadedWorkflow {
        LoadedWorkflow::new(record(id, name), &Triggers::default())
    }

    fn watching(id: u128, name: &str) -> LoadedWorkflow {
        let workflow = parse(b"on: {file: {id: drop, path: in}}\nsteps: [{run: x}]\n", name).unwrap();
        let watches = [("drop", 1), ("gone", 2)]
            .map(|(key, id)| WatchRecord { id: WatchId(Uuid::from_u128(id)), trigger_key: key.to_owned() });
        LoadedWorkflow::new(WorkflowRecord { watches: watches.into(), ..record(id, name) }, &workflow.triggers)
    }

    #[test]
    fn finds_a_workflow_by_its_present_name() {
        let catalog = Catalog::default();
        catalog.put(plain(1, "old"));
        catalog.put(plain(1, "new"));
        assert!(catalog.by_name("old").is_none());
        catalog.put(plain(2, "new"));
        catalog.remove(WorkflowId(Uuid::from_u128(1)));
        assert_eq!(catalog.by_name("new").unwrap().id.0.as_u128(), 2, "the name is the newer one's");
        assert_eq!((catalog.len(), catalog.ids().len()), (1, 1));
    }

    #[test]
    fn knows_which_events_somebody_wants() {
        let listening = |id: u128, pattern: &str| {
            let text = format!("on: {{event: {{type: '{pattern}'}}}}\nsteps: [{{run: x}}]\n");
            let workflow = parse(text.as_bytes(), "a").unwrap();
            LoadedWorkflow::new(WorkflowRecord { has_events: true, ..record(id, "a") }, &workflow.triggers)
        };
        let catalog = Catalog::default();
        let wanted = || ["workflow.failed", "step.failed"].map(|name| catalog.wants_event(name));
        assert_eq!(wanted(), [false, false]);
        catalog.put(listening(1, "workflow.*"));
        catalog.put(listening(2, "*.failed"));
        assert_eq!(wanted(), [true, true]);
        catalog.put(listening(2, "custom.**"));
        assert_eq!(wanted(), [true, false], "the first one still does");
        catalog.remove(WorkflowId(Uuid::from_u128(1)));
        assert_eq!(wanted(), [false, false]);
    }

    #[test]
    fn tells_of_changed_triggers_only() {
        let catalog = Catalog::default();
        let mut changes = catalog.changes();
        let mut has_changed = || std::mem::replace(&mut changes, catalog.changes()).has_changed().unwrap();
        catalog.put(plain(1, "a"));
        assert!(!has_changed());
        catalog.put(watching(1, "a"));
        assert!(has_changed());
        let triggered = catalog.triggered();
        let watches = &triggered[0].triggers.as_ref().unwrap().watches;
        assert_eq!((triggered.len(), watches.len(), watches[0].1.key.as_str()), (1, 1, "drop"));
        catalog.put(plain(1, "a"));
        assert!(has_changed() && catalog.triggered().is_empty());
        catalog.change([watching(2, "b")], [WorkflowId(Uuid::from_u128(1))]);
        assert!(has_changed());
        catalog.remove(WorkflowId(Uuid::from_u128(2)));
        assert!(has_changed() && catalog.is_empty());
    }
}
