//! Begins the layers of a step: its values, its rounds, its action.

use chrono::{DateTime, TimeDelta, Utc};
use cogwheel_definition::{Action, AwaitedEvents, Case, Template, Wait, parse_duration};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Decision, Effect};
use crate::context::View;
use crate::scope::Inside;
use crate::{Change, EVENT_SIGNAL, Execution, Failure, FailureKind, Layer, SignalName, StepStatus, contains_nul};

/// The longest name and correlation of a signal, in characters.
const LONGEST_SIGNAL_NAME: usize = 255;

/// What a step waits for, evaluated.
enum Awaited {
    Instant(DateTime<Utc>),
    Signal(SignalName),
    /// An event: what is recorded of it as the step's input, and its correlation.
    Event(Value, SignalName),
}

impl Execution {
    /// Begins an instance that is new.
    pub(super) fn begin_layer(&mut self, ordinal: i32, now: DateTime<Utc>, decision: &mut Decision) {
        match self.at(ordinal).layer {
            Layer::Foreach => self.begin_foreach(ordinal, now, decision),
            Layer::Loop => {
                self.start(ordinal, Value::Null, None, now, decision);
                self.instance_mut(ordinal).inside = Inside::Rounds { current: None };
                self.enqueue_round(ordinal);
            }
            Layer::Action => self.begin_action(ordinal, now, decision),
        }
    }

    /// Begins an attempt.
    pub(super) fn begin_action(&mut self, ordinal: i32, now: DateTime<Utc>, decision: &mut Decision) {
        let workflow = std::sync::Arc::clone(&self.new.workflow);
        match &workflow.steps[self.at(ordinal).step].action {
            Action::Shell { .. } | Action::Set { .. } | Action::Log { .. } | Action::Call { .. } => {
                if let Some(input) = self.checked(ordinal, self.step_input(ordinal, now), now, decision) {
                    self.start(ordinal, input, self.timeout_at(ordinal, now), now, decision);
                    decision.effects.push(Effect::Run { step: ordinal });
                }
            }
            Action::Workflow { .. } => {
                if let Some(input) = self.checked(ordinal, self.step_input(ordinal, now), now, decision) {
                    self.start(ordinal, input, self.timeout_at(ordinal, now), now, decision);
                    self.record(Change::StepWaits { step: ordinal, wake_at: None, signal: None }, decision);
                    decision.effects.push(Effect::StartChild { step: ordinal });
                }
            }
            Action::Unwind => self.begin_unwind(ordinal, now, decision),
            Action::Wait(wait) => self.begin_wait(ordinal, wait, now, decision),
            Action::Group { block } => {
                self.start(ordinal, Value::Null, self.timeout_at(ordinal, now), now, decision);
                self.open(ordinal, *block);
            }
            Action::Switch { on, cases, default } => {
                let chosen = self.choose(ordinal, on, cases, now);
                let chosen = chosen.map(|(on, case)| json!({ "on": on, "case": case }));
                if let Some(input) = self.checked(ordinal, chosen, now, decision) {
                    let block = chosen_block(&input, cases, *default);
                    self.start(ordinal, input, self.timeout_at(ordinal, now), now, decision);
                    match block {
                        Some(block) => self.open(ordinal, block),
                        None => self.complete(ordinal, json!({}), now, decision),
                    }
                }
            }
        }
    }

    fn open(&mut self, ordinal: i32, block: usize) {
        let scope = self.add_scope(block, Some(ordinal));
        self.instance_mut(ordinal).inside = Inside::Scope(scope);
        self.begin_scope(scope);
    }

    /// The deciding value of a switch, and the number of the case that it chooses.
    fn choose(
        &self,
        ordinal: i32,
        on: &Template,
        cases: &[Case],
        now: DateTime<Utc>,
    ) -> Result<(Value, Option<usize>), cogwheel_definition::ExpressionError> {
        let view = View::of(self, self.instance(ordinal).scope, Some(ordinal), now)?;
        let on = on.render(&view)?;
        for (number, case) in cases.iter().enumerate() {
            for when in &case.when {
                let when = when.render(&view)?;
                if same(&when, &on) {
                    return Ok((on, Some(number)));
                }
            }
        }
        Ok((on, None))
    }

    fn begin_wait(&mut self, ordinal: i32, wait: &Wait, now: DateTime<Utc>, decision: &mut Decision) {
        let awaited = View::of(self, self.instance(ordinal).scope, Some(ordinal), now)
            .map_err(|error| error.to_string())
            .and_then(|view| awaited(wait, &view, self.new.correlation_id, now));
        let (input, wake_at, signal) = match awaited {
            Err(why) => return self.fail_before_it_ran(ordinal, why, now, decision),
            Ok(Awaited::Instant(at)) => (json!({ "until": crate::context::instant(at) }), Some(at), None),
            Ok(Awaited::Signal(signal)) => {
                (json!({ "signal": signal.name, "correlation": signal.correlation }), None, Some(signal))
            }
            Ok(Awaited::Event(input, signal)) => (input, None, Some(signal)),
        };
        self.start(ordinal, input, self.timeout_at(ordinal, now), now, decision);
        if wake_at.is_some_and(|at| at <= now) {
            return self.complete(ordinal, json!({}), now, decision);
        }
        if signal.is_some() {
            decision.effects.push(Effect::AwaitSignal { step: ordinal });
        }
        self.record(Change::StepWaits { step: ordinal, wake_at, signal }, decision);
    }

    pub(super) fn start(
        &mut self,
        ordinal: i32,
        input: Value,
        timeout_at: Option<DateTime<Utc>>,
        at: DateTime<Utc>,
        decision: &mut Decision,
    ) {
        self.record(Change::StepStarted { step: ordinal, input, at, timeout_at }, decision);
    }

    pub(super) fn timeout_at(&self, ordinal: i32, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let limit = TimeDelta::from_std(self.definition(self.at(ordinal)).timeout?).unwrap_or(TimeDelta::MAX);
        Some(now.checked_add_signed(limit).unwrap_or(DateTime::<Utc>::MAX_UTC))
    }

    /// What was evaluated, if it has a value that can be stored; otherwise the step has failed.
    pub(super) fn checked(
        &mut self,
        ordinal: i32,
        evaluated: Result<Value, cogwheel_definition::ExpressionError>,
        now: DateTime<Utc>,
        decision: &mut Decision,
    ) -> Option<Value> {
        let why = match evaluated {
            Ok(value) if contains_nul(&value) => {
                "its values hold the character U+0000, which cannot be stored".to_owned()
            }
            Ok(value) => return Some(value),
            Err(error) => error.to_string(),
        };
        self.fail_before_it_ran(ordinal, why, now, decision);
        None
    }

    /// An attempt that ends as it begins: what it needs to know cannot be computed.
    pub(super) fn fail_before_it_ran(
        &mut self,
        ordinal: i32,
        why: String,
        now: DateTime<Utc>,
        decision: &mut Decision,
    ) {
        self.start(ordinal, Value::Null, None, now, decision);
        let failure = Failure::permanent(FailureKind::Expression, why);
        self.end_step(ordinal, StepStatus::Failed, None, Some(failure), now, decision);
    }
}

/// The block that a switch chose, from what is recorded of it.
pub(crate) fn chosen_block(input: &Value, cases: &[Case], default: Option<usize>) -> Option<usize> {
    let case = input.get("case").and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
    match case {
        Some(number) => cases.get(number).map(|case| case.block),
        None => default,
    }
}

/// Whether two values are equal, types included; a number is the same however it is written.
fn same(one: &Value, other: &Value) -> bool {
    one == other || one.is_number() && other.is_number() && one.as_f64() == other.as_f64()
}

fn awaited(wait: &Wait, view: &View<'_>, own: Uuid, now: DateTime<Utc>) -> Result<Awaited, String> {
    let render = |template: &Template| template.render(view).map_err(|error| error.to_string());
    match wait {
        Wait::For(duration) => {
            let value = render(duration)?;
            let text = match &value {
                Value::String(text) => text.clone(),
                Value::Number(seconds) => format!("{seconds}s"),
                other => return Err(format!("`for` must be a duration such as `90s`, not {other}")),
            };
            let duration = parse_duration(&text).map_err(|why| format!("`for`: {why}"))?;
            let until = TimeDelta::from_std(duration).ok().and_then(|duration| now.checked_add_signed(duration));
            until.map(Awaited::Instant).ok_or_else(|| format!("`for`: {text} is too long"))
        }
        Wait::Until(instant) => {
            let value = render(instant)?;
            let parsed = value.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
            let instant = parsed.ok_or_else(|| {
                format!("`until` must be an instant such as `2027-01-31T08:00:00Z` (RFC 3339), not {value}")
            })?;
            Ok(Awaited::Instant(instant.to_utc()))
        }
        Wait::Signal { name, correlation } => {
            let name = name.render_string(view).map_err(|error| error.to_string())?;
            let correlation = correlation
                .as_ref()
                .map(|correlation| correlation.render_string(view).map_err(|error| error.to_string()))
                .transpose()?;
            for (what, text) in [("signal", Some(&name)), ("correlation", correlation.as_ref())] {
                let length = text.map(|text| text.chars().count());
                if text.is_some_and(|text| text.contains('\0')) {
                    return Err(format!("`{what}` holds the character U+0000, which cannot be stored"));
                }
                if length == Some(0) || length.is_some_and(|length| length > LONGEST_SIGNAL_NAME) {
                    return Err(format!("`{what}` must have 1 to {LONGEST_SIGNAL_NAME} characters"));
                }
            }
            Ok(Awaited::Signal(SignalName { name, correlation }))
        }
        Wait::Event(events) => awaited_event(events, view, own),
    }
}

fn awaited_event(events: &AwaitedEvents, view: &View<'_>, own: Uuid) -> Result<Awaited, String> {
    let render = |template: &Option<Template>| {
        template.as_ref().map(|it| it.render_string(view).map_err(|error| error.to_string())).transpose()
    };
    let subject = render(&events.subject)?;
    if subject.as_ref().is_some_and(|subject| subject.contains('\0')) {
        return Err("`subject` holds the character U+0000, which cannot be stored".to_owned());
    }
    let correlation = match render(&events.correlation)? {
        Some(text) => text
            .parse::<Uuid>()
            .map_err(|_| format!("`correlation` must be the correlation id of an event, a UUID, not `{text}`"))?,
        None => own,
    };
    let correlation = correlation.to_string();
    let input = json!({
        "event": events.types, "failure": events.failures, "subject": subject, "correlation": correlation,
    });
    Ok(Awaited::Event(input, SignalName { name: EVENT_SIGNAL.to_owned(), correlation: Some(correlation) }))
}
