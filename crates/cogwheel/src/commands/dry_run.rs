//! `cogwheel dry-run`: shows what a workflow file would do, and does nothing.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use cogwheel_definition::cron::Cron;
use cogwheel_definition::{ScheduleTrigger, Step, Workflow};
use cogwheel_engine::clock::{Clock, SystemClock};
use serde::Serialize;
use serde_json::{Map, Value};

use super::validate::{self, Problem, Report};
use crate::cli::{GivenInput, Output};
use crate::output;

/// How many due instants of a schedule are shown.
const INSTANTS: usize = 5;

/// What an execution would do, for programs.
#[derive(Debug, Serialize)]
struct Plan {
    #[serde(flatten)]
    report: Report,
    /// The inputs it would have, defaults filled in.
    inputs: Map<String, Value>,
    /// Steps that can run side by side, after those of the waves before.
    waves: Vec<Vec<PlannedStep>>,
    schedules: Vec<PlannedSchedule>,
}

/// One step of the resolved graph.
#[derive(Debug, Serialize)]
struct PlannedStep {
    id: String,
    #[serde(rename = "type")]
    step_type: &'static str,
    needs: Vec<String>,
    timeout_ms: u128,
    /// The timeout as people write it; programs have the milliseconds.
    #[serde(skip)]
    timeout: String,
    /// How many attempts there may be.
    attempts: u32,
    /// The `if`, as written.
    #[serde(rename = "if")]
    condition: Option<Value>,
}

/// A schedule and when it comes due.
#[derive(Debug, Serialize)]
struct PlannedSchedule {
    key: String,
    cron: String,
    timezone: &'static str,
    next: Vec<Instant>,
}

/// One due instant, as RFC 3339.
#[derive(Debug, Serialize)]
struct Instant {
    utc: String,
    /// On the wall clock of the schedule's zone.
    local: String,
}

/// Checks the file and the inputs and prints what an execution would do; code 1 when either is wrong.
pub(super) fn run(file: &Path, given: Vec<GivenInput>, print: Output) -> anyhow::Result<ExitCode> {
    let workflow = match validate::check(file) {
        Ok(workflow) => workflow,
        Err(unsound) => {
            output::answer(print, &unsound.report, &unsound.text)?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let inputs = match resolve(&workflow, given) {
        Ok(inputs) => inputs,
        Err(messages) => {
            let problems: Vec<_> = messages.into_iter().map(|message| input_problem(file, message)).collect();
            let text: Vec<_> = problems.iter().map(|problem| problem.text.clone()).collect();
            let report = Report::unsound(file, Some(workflow.name), problems);
            output::answer(print, &report, &text.join("\n"))?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let schedules = workflow.triggers.schedules.iter().map(|trigger| PlannedSchedule::of(trigger, &SystemClock));
    let plan = Plan {
        report: Report::sound(file, &workflow),
        inputs,
        waves: waves(&workflow.steps)
            .into_iter()
            .map(|wave| wave.into_iter().map(|at| PlannedStep::of(&workflow.steps, at)).collect())
            .collect(),
        schedules: schedules.collect::<anyhow::Result<_>>()?,
    };
    output::answer(print, &plan, &plan.to_text(file, &workflow))?;
    Ok(ExitCode::SUCCESS)
}

/// The inputs of an execution that is started with the given ones, or everything that is wrong with those.
fn resolve(workflow: &Workflow, given: Vec<GivenInput>) -> Result<Map<String, Value>, Vec<String>> {
    let mut inputs = Map::new();
    let mut twice = Vec::new();
    for GivenInput { name, value } in given {
        if inputs.insert(name.clone(), value).is_some() {
            twice.push(format!("`{name}` is given more than once"));
        }
    }
    match workflow.inputs.check(inputs) {
        Ok(inputs) if twice.is_empty() => Ok(inputs),
        Ok(_) => Err(twice),
        Err(problems) => Err(twice.into_iter().chain(problems.iter().map(ToString::to_string)).collect()),
    }
}

fn input_problem(file: &Path, message: String) -> Problem {
    let text = format!("error: {}: input: {message}", file.display());
    Problem { code: None, message, line: None, column: None, help: None, text }
}

/// The steps by wave, in the order of the document: each comes one wave after the last of those it needs.
fn waves(steps: &[Step]) -> Vec<Vec<usize>> {
    let mut open_needs: Vec<usize> = steps.iter().map(|step| step.needs.len()).collect();
    let mut dependents = vec![Vec::new(); steps.len()];
    for (at, step) in steps.iter().enumerate() {
        for &need in &step.needs {
            dependents[need].push(at);
        }
    }
    let mut wave: Vec<usize> = (0..steps.len()).filter(|&at| open_needs[at] == 0).collect();
    let mut waves = Vec::new();
    while !wave.is_empty() {
        let mut next = Vec::new();
        for &dependent in wave.iter().flat_map(|&at| &dependents[at]) {
            open_needs[dependent] -= 1;
            if open_needs[dependent] == 0 {
                next.push(dependent);
            }
        }
        next.sort_unstable();
        waves.push(std::mem::replace(&mut wave, next));
    }
    waves
}

/// As the language writes it: `1h30m`.
fn written(duration: Duration) -> String {
    const UNITS: [(&str, u128); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut rest = duration.as_millis();
    let mut text = String::new();
    for (unit, length) in UNITS {
        if rest >= length {
            // Writing to a text cannot fail.
            let _ = write!(text, "{}{unit}", rest / length);
            rest %= length;
        }
    }
    if text.is_empty() { "0".to_owned() } else { text }
}

impl PlannedStep {
    fn of(steps: &[Step], at: usize) -> Self {
        let step = &steps[at];
        Self {
            id: step.id.clone(),
            step_type: step.action.step_type(),
            needs: step.needs.iter().map(|&need| steps[need].id.clone()).collect(),
            timeout_ms: step.timeout.unwrap_or_default().as_millis(),
            timeout: written(step.timeout.unwrap_or_default()),
            attempts: step.retry.as_ref().map_or(1, |retry| retry.attempts),
            condition: step.condition.as_ref().map(|condition| condition.expression.source()),
        }
    }

    fn to_row(&self, wave: usize) -> Vec<String> {
        let needs = if self.needs.is_empty() { "-".to_owned() } else { self.needs.join(", ") };
        let condition = match &self.condition {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => "-".to_owned(),
        };
        let (timeout, attempts) = (self.timeout.clone(), self.attempts.to_string());
        vec![wave.to_string(), self.id.clone(), self.step_type.to_owned(), needs, timeout, attempts, condition]
    }
}

impl PlannedSchedule {
    fn of(trigger: &ScheduleTrigger, clock: &impl Clock) -> anyhow::Result<Self> {
        let zone = trigger.timezone;
        let cron = Cron::parse(&trigger.cron)
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("cannot read the cron expression of {}", trigger.key))?;
        let first = cron.next_after(zone, clock.now());
        let next = std::iter::successors(first, |&due| cron.next_after(zone, due))
            .take(INSTANTS)
            .map(|due| Instant { utc: due.to_rfc3339(), local: due.with_timezone(&zone).to_rfc3339() })
            .collect();
        Ok(Self { key: trigger.key.clone(), cron: trigger.cron.clone(), timezone: zone.name(), next })
    }
}

impl Plan {
    fn to_text(&self, file: &Path, workflow: &Workflow) -> String {
        let mut sections = vec![format!("{}: ok, {}\n", file.display(), validate::summary(workflow))];
        if !self.inputs.is_empty() {
            let rows: Vec<_> = self.inputs.iter().map(|(name, value)| vec![name.clone(), value.to_string()]).collect();
            sections.push(output::table(&["INPUT", "VALUE"], &rows));
        }
        let numbered = self.waves.iter().zip(1..);
        let rows: Vec<_> =
            numbered.flat_map(|(wave, number)| wave.iter().map(move |step| step.to_row(number))).collect();
        sections.push(output::table(&["WAVE", "STEP", "TYPE", "NEEDS", "TIMEOUT", "ATTEMPTS", "IF"], &rows));
        for PlannedSchedule { key, cron, timezone, next } in &self.schedules {
            let rows: Vec<_> = next.iter().map(|due| vec![due.utc.clone(), due.local.clone()]).collect();
            let table = output::table(&["NEXT IN UTC", &format!("NEXT IN {timezone}")], &rows);
            sections.push(format!("{key}: {cron}\n{table}"));
        }
        sections.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::{waves, written};

    #[test]
    fn a_step_comes_one_wave_after_the_last_of_its_needs() {
        let source = "steps:
  - {id: last, needs: [long, short], run: 'true'}
  - {id: short, needs: first, run: 'true'}
  - {id: long, needs: [middle], run: 'true'}
  - {id: middle, needs: first, run: 'true'}
  - {id: first, run: 'true'}
";
        let workflow = cogwheel_definition::parse(source.as_bytes(), "w").unwrap();
        assert_eq!(waves(&workflow.steps), [vec![4], vec![1, 3], vec![2], vec![0]]);
    }

    #[test]
    fn durations_are_written_as_the_language_reads_them() {
        for text in ["0", "250ms", "30s", "1h", "1h30m", "2d", "1d1h1m1s1ms"] {
            assert_eq!(written(cogwheel_definition::parse_duration(text).unwrap()), text);
        }
    }
}
