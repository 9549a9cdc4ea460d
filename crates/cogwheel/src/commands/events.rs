//! `cogwheel events`: what happened, and the proof that it is what was recorded.

use std::process::ExitCode;

use anyhow::Context as _;
use cogwheel_engine::clock::{Clock as _, SystemClock};
use cogwheel_engine::events::EVENT_TYPES;
use cogwheel_engine::history::{ExecutionState, execution_at};
use cogwheel_engine::ports::{self, EventFilter, EventLog as _, Notice, Reads as _, RecordedEvent, Store as _};
use cogwheel_engine::{ExecutionId, ExecutionStatus, TenantId};
use cogwheel_store::SqlStore;
use cogwheel_store::verify::{self, EventWalk};
use serde_json::{Value, json};

use super::database::{self, Missing};
use crate::cli::{EventsCommand, ListEvents, OutputArg, ReplayEvents};
use crate::output;
use crate::settings::Settings;

pub(super) async fn run(command: EventsCommand, settings: &Settings) -> anyhow::Result<ExitCode> {
    match command {
        EventsCommand::Types(print) => return types(print).map(|()| ExitCode::SUCCESS),
        EventsCommand::Verify { stream, output } => return verify(settings, stream.as_deref(), output).await,
        EventsCommand::List(_)
        | EventsCommand::Show { .. }
        | EventsCommand::State { .. }
        | EventsCommand::Replay(_) => {}
    }
    let database = database::connect(settings, Missing::Refuse).await?;
    cogwheel_migration::check(database.admin()).await?;
    let store = database.open().await?;
    let tenant = store.default_tenant().await?;
    let done = carry_out(command, &store, tenant).await;
    SqlStore::close(&store).await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn carry_out(command: EventsCommand, store: &SqlStore, tenant: TenantId) -> anyhow::Result<()> {
    match command {
        EventsCommand::List(list) => self::list(store, tenant, list).await,
        EventsCommand::Show { id, output } => {
            let event = store.event(tenant, id).await?.with_context(|| format!("there is no event {id}"))?;
            let document = document(&event);
            output::answer(output.output, &document, &serde_json::to_string_pretty(&document)?)
        }
        EventsCommand::State { execution, at, output } => {
            let state = execution_at(store, tenant, execution, at).await?;
            output::answer(output.output, &state_document(execution, &state), &state_text(&state))
        }
        EventsCommand::Replay(replay) => self::replay(store, tenant, replay).await,
        EventsCommand::Verify { .. } | EventsCommand::Types(_) => Ok(()),
    }
}

async fn list(store: &SqlStore, tenant: TenantId, list: ListEvents) -> anyhow::Result<()> {
    let filter = EventFilter { stream: list.stream, types: list.types };
    let events = store.events(tenant, &filter, list.after, list.limit).await?;
    let row = |event: &RecordedEvent| {
        vec![
            event.place.position.to_string(),
            event.at.format("%F %T").to_string(),
            event.event_type.clone(),
            format!("{} {}", event.stream, event.version),
            event.id.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = events.iter().map(row).collect();
    let text = if rows.is_empty() {
        "There are no such events.".to_owned()
    } else {
        output::table(&["POSITION", "AT (UTC)", "TYPE", "STREAM AND VERSION", "ID"], &rows)
    };
    let events: Vec<Value> = events.iter().map(document).collect();
    output::answer(list.output.output, &json!({ "events": events }), &text)
}

/// A state as one document; times in UTC.
fn state_document(execution: ExecutionId, state: &ExecutionState) -> Value {
    let steps = state.steps.iter().map(|(ordinal, step)| {
        json!({
            "ordinal": ordinal,
            "step": step.key,
            "parent": step.parent,
            "step_type": step.step_type,
            "status": step.status.as_str(),
            "attempt": step.attempt,
            "started_at": step.started_at,
            "completed_at": step.completed_at,
            "error": step.error,
        })
    });
    let undos = state.undos.values().map(|undo| {
        json!({
            "step": undo.step_key,
            "unwind_number": undo.unwind_number,
            "unwind_order": undo.unwind_order,
            "status": undo.status.as_str(),
            "retry_count": undo.retry_count,
            "started_at": undo.started_at,
            "completed_at": undo.completed_at,
            "error": undo.error,
            "resolution": undo.resolution,
        })
    });
    let saga = state.saga.as_ref().map(|saga| {
        json!({
            "status": saga.status.as_str(),
            "cause": saga.cause,
            "unwind_number": saga.unwind_number,
            "current_step": saga.current_step,
            "total_steps": saga.total_steps,
            "deadline_at": saga.deadline_at,
            "started_at": saga.started_at,
            "completed_at": saga.completed_at,
            "compensations": undos.collect::<Vec<_>>(),
            "timeouts": state.timeouts.values().collect::<Vec<_>>(),
        })
    });
    json!({
        "execution_id": execution.0,
        "version": state.version,
        "at": state.at,
        "status": state.status.map(ExecutionStatus::as_str),
        "saga": saga,
        "steps": steps.collect::<Vec<_>>(),
    })
}

fn state_text(state: &ExecutionState) -> String {
    let title = |error: Option<&Value>| error.and_then(|error| error["title"].as_str()).unwrap_or_default().to_owned();
    let at = state.at.map(|at| at.format("%F %T%.3f UTC").to_string()).unwrap_or_default();
    let mut lines = vec![
        format!("after event  {}, recorded {at}", state.version),
        format!("execution    {}", state.status.map_or("-", ExecutionStatus::as_str)),
    ];
    if let Some(saga) = &state.saga {
        let cause = saga.cause.as_ref().map_or(String::new(), |cause| {
            let step = cause.error.step.as_deref().map_or_else(String::new, |step| format!(" in {step}"));
            format!(", {}{step}: {}", cause.kind.as_str(), cause.error.title)
        });
        lines.push(format!("saga         {}{cause}", saga.status.as_str()));
    }
    let steps: Vec<Vec<String>> = state
        .steps
        .iter()
        .map(|(ordinal, step)| {
            let (status, attempt) = (step.status.as_str().to_owned(), step.attempt.to_string());
            vec![ordinal.to_string(), step.key.clone(), status, attempt, title(step.error.as_ref())]
        })
        .collect();
    let mut text = format!("{}\n", lines.join("\n"));
    if !steps.is_empty() {
        text.push('\n');
        text.push_str(&output::table(&["#", "STEP", "STATUS", "ATTEMPT", "ERROR"], &steps));
    }
    let undos: Vec<Vec<String>> = state
        .undos
        .values()
        .map(|undo| {
            let (order, status) = (undo.unwind_order.to_string(), undo.status.as_str().to_owned());
            vec![undo.step_key.clone(), order, status, undo.retry_count.to_string(), title(undo.error.as_ref())]
        })
        .collect();
    if !undos.is_empty() {
        text.push('\n');
        text.push_str(&output::table(&["UNDONE STEP", "ORDER", "UNDO", "RETRIES", "ERROR"], &undos));
    }
    text
}

async fn replay(store: &SqlStore, tenant: TenantId, replay: ReplayEvents) -> anyhow::Result<()> {
    let ReplayEvents { consumer, from, reason, output } = replay;
    let asked =
        ports::ReplayEvents { tenant, consumer: consumer.clone(), from_position: from, reason, at: SystemClock.now() };
    let replayed = store.replay_events(asked).await?.with_context(|| {
        format!("there is no consumer `{consumer}`; `event-triggers` is there once a workflow has triggers for events")
    })?;
    // A running server goes on from its new place sooner for it; without this it does within half a minute.
    if let Err(error) = store.notify(Notice::Workflows).await {
        tracing::warn!(%error, "running servers were not told");
    }
    let text = if replayed.events == 0 {
        format!("{consumer} is not done with any event from position {from} on: there is nothing to hand out again.")
    } else {
        format!(
            "{consumer} gets {} events again, up to position {}; it had given up on {} of them.",
            replayed.events, replayed.to_position, replayed.dead_letters
        )
    };
    let document = json!({
        "consumer": consumer,
        "events": replayed.events,
        "to_position": replayed.to_position,
        "dead_letters": replayed.dead_letters,
    });
    output::answer(output.output, &document, &text)
}

async fn verify(settings: &Settings, stream: Option<&str>, print: OutputArg) -> anyhow::Result<ExitCode> {
    let database = database::connect(settings, Missing::Refuse).await?;
    cogwheel_migration::check(database.admin()).await?;
    let walked = verify::events(database.admin(), stream).await?;
    output::answer(print.output, &walked, &told(&walked, stream))?;
    Ok(if walked.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn told(walked: &EventWalk, stream: Option<&str>) -> String {
    if let (Some(stream), 0) = (stream, walked.events) {
        return format!("There is no stream {stream}.");
    }
    let looked_at = format!("{} events of {} streams were looked at", walked.events, walked.streams);
    if walked.faults.is_empty() {
        return format!("{looked_at}: each is as it was appended.");
    }
    let row = |fault: &verify::EventFault| {
        vec![
            fault.stream.clone(),
            fault.version.to_string(),
            fault.position.to_string(),
            fault.event.clone(),
            fault.problem.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = walked.faults.iter().map(row).collect();
    let table = output::table(&["STREAM", "VERSION", "POSITION", "EVENT", "WHAT DOES NOT FIT"], &rows);
    format!("{table}{looked_at}: {} of them do not fit.", walked.faults.len())
}

fn types(print: OutputArg) -> anyhow::Result<()> {
    let row = |known: &cogwheel_engine::events::EventType| {
        vec![known.as_str().to_owned(), known.fields().join(", "), known.about().to_owned()]
    };
    let mut rows: Vec<Vec<String>> = EVENT_TYPES.iter().map(row).collect();
    rows.push(vec!["custom.<name>".to_owned(), String::new(), "What a step of type `emit` records.".to_owned()]);
    let text = output::table(&["TYPE", "DATA", "WHAT IT TELLS"], &rows);
    let types: Vec<Value> = EVENT_TYPES
        .iter()
        .map(|known| json!({ "type": known.as_str(), "data": known.fields(), "about": known.about() }))
        .collect();
    output::answer(print.output, &json!({ "types": types }), &text)
}

fn document(event: &RecordedEvent) -> Value {
    json!({
        "id": event.id,
        "type": event.event_type,
        "schema_version": event.schema_version,
        "stream": event.stream,
        "version": event.version,
        "position": event.place.position,
        "aggregate_type": event.aggregate_type,
        "aggregate_id": event.aggregate_id,
        "tenant_id": event.tenant.0,
        "correlation_id": event.correlation_id,
        "causation_id": event.causation_id,
        "data": event.data,
        "metadata": event.metadata,
        "hash": event.hash,
        "recorded_at": event.at,
    })
}
