//! Follows an execution, and those that it starts, by what is recorded of them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use cogwheel_engine::ports::StoreError;
use cogwheel_engine::views::{LogView, PageRequest, StepView, TimeCursor};
use cogwheel_engine::{Engine, ExecutionId, ExecutionStatus, StepStatus};

/// How many rows are read at once.
const PAGE: u32 = 500;

/// How many steps are asked for by their ids at once; each is a condition of its own.
const STEPS_BY_ID: usize = 200;

/// The step type that starts other executions.
const STARTS_OTHERS: &str = "workflow";

/// Where what is new goes, in the order in which it happened.
pub(super) trait Watcher {
    /// The step of this key began.
    fn started(&mut self, key: &str);

    /// It waits, or is tried again, or goes on.
    fn changed(&mut self, key: &str, step: &StepView);

    /// It wrote a line to the log.
    fn line(&mut self, key: &str, line: &LogView);

    /// It ended, maybe without having begun.
    fn ended(&mut self, key: &str, step: &StepView);
}

/// The executions that are followed.
pub(super) struct Follow<'e> {
    engine: &'e Arc<Engine>,
    /// In the order in which they became known; the first is the one that was asked for.
    executions: Vec<Followed>,
}

/// What is known of one execution.
struct Followed {
    id: ExecutionId,
    /// What the keys of its steps follow.
    prefix: String,
    status: ExecutionStatus,
    /// The keys of its steps, by ordinal.
    keys: Vec<String>,
    /// The steps that have not ended, as they were seen last.
    open: BTreeMap<i32, StepStatus>,
    last_line: Option<i64>,
    /// Whether it has steps that start others.
    starts_others: bool,
    children: HashSet<ExecutionId>,
}

/// Something that happened to a step.
enum News {
    Started(i32),
    Line(LogView),
    Changed(StepView),
    Ended(StepView),
}

/// When something happened; the rest orders what happened at the same time.
///
/// What ended then comes first, from the inside out, since other steps begin when one ends. Then come the steps that began,
/// each with all that happened to it.
type When = (DateTime<Utc>, u8, i64, u8);

impl<'e> Follow<'e> {
    pub(super) fn new(engine: &'e Arc<Engine>, id: ExecutionId) -> Self {
        Self { engine, executions: vec![Followed::new(id, String::new())] }
    }

    /// Where the execution that was asked for stands.
    pub(super) fn status(&self) -> ExecutionStatus {
        self.executions[0].status
    }

    /// Takes in what is new; answers whether all have ended.
    pub(super) async fn look(&mut self, watcher: &mut impl Watcher) -> Result<bool, StoreError> {
        let (mut next, mut all_news) = (0, Vec::new());
        while next < self.executions.len() {
            if !self.executions[next].status.is_terminal() {
                let mut news = Vec::new();
                let children = self.executions[next].look(self.engine, &mut news).await?;
                all_news.extend(news.into_iter().map(|(when, news)| (when, next, news)));
                self.executions.extend(children);
            }
            next += 1;
        }
        all_news.sort_by_key(|(when, ..)| *when);
        for (_, of, news) in &all_news {
            self.executions[*of].tell(news, watcher);
        }
        Ok(self.executions.iter().all(|followed| followed.status.is_terminal()))
    }
}

impl Followed {
    fn new(id: ExecutionId, prefix: String) -> Self {
        Self {
            id,
            prefix,
            status: ExecutionStatus::Queued,
            keys: Vec::new(),
            open: BTreeMap::new(),
            last_line: None,
            starts_others: false,
            children: HashSet::new(),
        }
    }

    /// Takes in what is new; answers the executions that were started since.
    async fn look(&mut self, engine: &Engine, news: &mut Vec<(When, News)>) -> Result<Vec<Self>, StoreError> {
        let (reads, tenant, id) = (engine.reads(), engine.tenant(), self.id);
        // Read before the rest, so that an end is never seen without all that led to it.
        let row = reads.executions_by_id(tenant, &[id]).await?.pop();
        let open: Vec<(ExecutionId, i32)> = self.open.keys().map(|ordinal| (id, *ordinal)).collect();
        for some in open.chunks(STEPS_BY_ID) {
            for step in reads.steps_by_id(tenant, some).await? {
                self.take_step(step, news);
            }
        }
        self.look_for_new_steps(engine, news).await?;
        let mut highest = None;
        loop {
            let page = PageRequest::Forward { first: PAGE, after: self.last_line };
            let Some(page) = reads.logs_of(tenant, &[(id, None)], page).await?.remove(&(id, None)) else { break };
            for line in page.items {
                self.last_line = Some(line.sequence);
                highest = highest.max(line.step_ordinal);
                let step = line.step_ordinal.map_or(-1, i64::from);
                news.push(((line.logged_at, 1, step, 1), News::Line(line)));
            }
            if !page.has_more {
                break;
            }
        }
        // A step that began after the steps were read may have written by the time the lines were.
        if highest.and_then(|step| usize::try_from(step).ok()).is_some_and(|step| step >= self.keys.len()) {
            self.look_for_new_steps(engine, news).await?;
        }
        let children = if self.starts_others { self.new_children(engine).await? } else { Vec::new() };
        // What is recorded is not removed while it runs; should it be, there is nothing left to wait for.
        self.status = row.map_or(ExecutionStatus::Cancelled, |row| row.status);
        Ok(children)
    }

    async fn look_for_new_steps(&mut self, engine: &Engine, news: &mut Vec<(When, News)>) -> Result<(), StoreError> {
        let (reads, tenant, id) = (engine.reads(), engine.tenant(), self.id);
        loop {
            let after = i32::try_from(self.keys.len()).ok().and_then(|known| known.checked_sub(1));
            let page = PageRequest::Forward { first: PAGE, after: after.filter(|last| *last >= 0) };
            let Some(page) = reads.steps(tenant, &[id], page).await?.remove(&id) else { return Ok(()) };
            for step in page.items {
                self.take_step(step, news);
            }
            if !page.has_more {
                return Ok(());
            }
        }
    }

    fn take_step(&mut self, step: StepView, news: &mut Vec<(When, News)>) {
        let (ordinal, status) = (step.ordinal, step.status);
        let place = i64::from(ordinal);
        let at = usize::try_from(ordinal).unwrap_or_default();
        let is_new = at >= self.keys.len();
        if is_new {
            self.keys.resize(at, self.prefix.clone());
            self.keys.push(format!("{}{}", self.prefix, step.step_key));
            self.starts_others |= step.step_type == STARTS_OTHERS;
            news.extend(step.started_at.map(|at| ((at, 1, place, 0), News::Started(ordinal))));
        }
        let is_ended = status.is_terminal();
        let was = if is_ended { self.open.remove(&ordinal) } else { self.open.insert(ordinal, status) };
        if is_ended {
            let at = step.completed_at.unwrap_or(step.updated_at);
            let began_before = step.started_at.is_some_and(|started| started < at);
            let when = if began_before { (at, 0, -place, 0) } else { (at, 1, place, 3) };
            news.push((when, News::Ended(step)));
        } else if was != Some(status) && !(is_new && status == StepStatus::Running) {
            news.push(((step.updated_at, 1, place, 2), News::Changed(step)));
        }
    }

    fn tell(&self, news: &News, watcher: &mut impl Watcher) {
        match news {
            News::Started(ordinal) => watcher.started(self.key(Some(*ordinal))),
            News::Changed(step) => watcher.changed(self.key(Some(step.ordinal)), step),
            News::Line(line) => watcher.line(self.key(line.step_ordinal), line),
            News::Ended(step) => watcher.ended(self.key(Some(step.ordinal)), step),
        }
    }

    fn key(&self, ordinal: Option<i32>) -> &str {
        let at = ordinal.and_then(|ordinal| usize::try_from(ordinal).ok());
        at.and_then(|at| self.keys.get(at)).unwrap_or(&self.prefix)
    }

    /// The executions that its steps have started since they were looked for, oldest first.
    async fn new_children(&mut self, engine: &Engine) -> Result<Vec<Self>, StoreError> {
        let mut found = Vec::new();
        let mut after = None;
        // Newest first, so that the known ones come last.
        loop {
            let page = PageRequest::Forward { first: PAGE, after };
            let mut pages = engine.reads().children_of_executions(engine.tenant(), &[self.id], page).await?;
            let Some(page) = pages.remove(&self.id) else { break };
            let known_before = found.len();
            for row in page.items {
                after = Some(TimeCursor { at: row.created_at, id: row.id.0 });
                if self.children.insert(row.id) {
                    let step = row.parent.map(|parent| parent.step_ordinal);
                    found.push(Self::new(row.id, format!("{} > ", self.key(step))));
                }
            }
            if !page.has_more || found.len() == known_before {
                break;
            }
        }
        found.reverse();
        Ok(found)
    }
}
