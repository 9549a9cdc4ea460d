//! Events start workflows: each recorded event is held against the triggers once, in order, also after a restart.

mod chain;
mod waits;

use std::sync::Arc;
use std::time::Duration;

use cogwheel_definition::EventTrigger;
use serde_json::{Map, Value, json};
use tokio::time::sleep;
use tracing::{info, warn};

use crate::ports::{Consumer, DeadLetter, EVENT_TRIGGERS, RecordedEvent, StoreError};
use crate::start::{StartCause, StartError, StartRequest, WorkflowRef};
use crate::{Engine, LoadedWorkflow};

pub(crate) use chain::{depth_of, is_too_deep};
pub(crate) use waits::Emitted;
pub(super) use waits::keep as keep_waits;

/// How many events are read at once.
const PAGE: usize = 256;

/// How long until events are looked for that another server recorded: it deals with them itself, unless it died.
const LOOK: Duration = Duration::from_secs(30);

/// The first and the longest pause between tries while the database is away.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The first and the longest pause until an event is looked for that cannot be read yet.
const FIRST_HOLD_UP: Duration = Duration::from_millis(5);
const LONGEST_HOLD_UP: Duration = Duration::from_secs(1);

/// What became of the trying.
enum Done {
    /// Every event until now is dealt with.
    All,
    /// Some cannot be read yet.
    HeldUp,
    /// The engine is stopping; the next start goes on.
    Stopping,
}

/// Holds events against the triggers until the engine stops.
pub(super) async fn keep(engine: Arc<Engine>) {
    let mut changes = engine.catalog().changes();
    let mut hold_up = FIRST_HOLD_UP;
    loop {
        let mut look = LOOK;
        if engine.catalog().has_event_triggers() {
            match read_on(&engine).await {
                Some(Done::Stopping) => return,
                Some(Done::HeldUp) => {
                    look = hold_up;
                    hold_up = (hold_up * 2).min(LONGEST_HOLD_UP);
                }
                Some(Done::All) | None => hold_up = FIRST_HOLD_UP,
            }
        }
        let woken = async {
            tokio::select! {
                () = engine.events_came().notified() => {}
                _ = changes.changed() => {}
                () = sleep(look) => {}
            }
        };
        if engine.stop().run_until_cancelled(woken).await.is_none() {
            return;
        }
    }
}

/// Reads on to the end; `None` when that has to be tried again later.
async fn read_on(engine: &Arc<Engine>) -> Option<Done> {
    // Other servers may have dealt with what this one did not read yet.
    let mut known =
        until_stored(engine, || engine.store().event_consumer(EVENT_TRIGGERS, engine.clock().now())).await?;
    loop {
        let page = until_stored(engine, || engine.store().events_after(known.place, PAGE)).await?;
        let Some(last) = page.events.last().map(|event| event.place) else {
            return Some(if page.is_held_up { Done::HeldUp } else { Done::All });
        };
        for event in &page.events {
            if let Done::Stopping = hold(engine, &known, event).await? {
                return Some(Done::Stopping);
            }
        }
        known.place = last;
        let is_still_so = until_stored(engine, || engine.store().move_consumer(known, engine.clock().now())).await?;
        if !is_still_so {
            known =
                until_stored(engine, || engine.store().event_consumer(EVENT_TRIGGERS, engine.clock().now())).await?;
        }
    }
}

/// Lets an event start what it is to start; `None` when that has to be tried again later, which finds what was started before.
async fn hold(engine: &Arc<Engine>, consumer: &Consumer, event: &RecordedEvent) -> Option<Done> {
    let mut reasons = Vec::new();
    for (workflow, trigger) in engine.catalog().event_triggers(&event.event_type) {
        if workflow.tenant != event.tenant || !workflow.is_enabled {
            continue;
        }
        match start(engine, &workflow, &trigger, event).await {
            Ok(Done::Stopping) => return Some(Done::Stopping),
            Ok(Done::All | Done::HeldUp) => {}
            Err(why) => {
                warn!(event = %event.id, event_type = event.event_type, workflow = &*workflow.name, why, "an event starts nothing");
                reasons.push(format!("{}: {why}", workflow.name));
            }
        }
    }
    if reasons.is_empty() {
        return Some(Done::All);
    }
    let letter = DeadLetter {
        consumer: consumer.id,
        event: event.id,
        tenant: event.tenant,
        depth: event.depth() + 1,
        reasons,
        at: engine.clock().now(),
    };
    until_stored(engine, || engine.store().bury(letter.clone())).await?;
    Some(Done::All)
}

async fn start(
    engine: &Arc<Engine>,
    workflow: &LoadedWorkflow,
    trigger: &EventTrigger,
    event: &RecordedEvent,
) -> Result<Done, String> {
    let seen = event.seen();
    if !holds(trigger, workflow, &seen)? {
        return Ok(Done::All);
    }
    let depth = event.depth() + 1;
    if is_too_deep(depth) {
        return Err(chain::refusal(depth));
    }
    let request = StartRequest {
        workflow: WorkflowRef::Id(workflow.id),
        inputs: Map::new(),
        idempotency_key: Some(format!("event/{}/{}", trigger.key, event.id)),
        cause: StartCause::Event {
            trigger_key: trigger.key.clone(),
            seen,
            depth,
            correlation_id: event.correlation_id,
        },
    };
    let mut pause = FIRST_PAUSE;
    loop {
        match engine.start(request.clone()).await {
            Ok(_) | Err(StartError::AlreadyRecorded) => return Ok(Done::All),
            Err(StartError::Draining) => return Ok(Done::Stopping),
            Err(StartError::Store(error)) if error.is_transient() => {
                warn!(%error, "the database is away; events wait");
                if engine.stop().run_until_cancelled(sleep(pause)).await.is_none() {
                    return Ok(Done::Stopping);
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Whether the trigger's condition holds; an error is a reason to tell somebody.
fn holds(trigger: &EventTrigger, workflow: &LoadedWorkflow, seen: &Value) -> Result<bool, String> {
    let Some(condition) = &trigger.condition else { return Ok(true) };
    let named = json!({ "name": &*workflow.name, "version": workflow.version });
    match condition.expression.render(&json!({ "event": seen, "workflow": named })) {
        Ok(Value::Bool(holds)) => Ok(holds),
        Ok(other) => Err(format!("the `if` of its trigger `{}` gives {other}, not true or false", trigger.key)),
        Err(error) => Err(format!("the `if` of its trigger `{}`: {error}", trigger.key)),
    }
}

/// Asks the store again while the database is away; `None` when the engine stops, or no retry would help.
async fn until_stored<T, F: Future<Output = Result<T, StoreError>>>(
    engine: &Arc<Engine>,
    ask: impl Fn() -> F,
) -> Option<T> {
    let mut pause = FIRST_PAUSE;
    loop {
        match ask().await {
            Ok(answer) => return Some(answer),
            Err(error) if error.is_transient() => {
                info!(%error, "the database is away; events wait");
                engine.stop().run_until_cancelled(sleep(pause)).await?;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => {
                tracing::error!(%error, "events cannot be read; trying again later");
                return None;
            }
        }
    }
}
