//! What an execution would do, for programs.

use std::collections::HashMap;
use std::time::Duration;

use cogwheel_definition::{Action, Concurrency, MAIN_BLOCK, MAX_ITEMS, Step, Template, Wait, Workflow};
use serde::Serialize;
use serde_json::{Map, Value};

use super::files::PlannedWatch;
use super::known::{Decision, Known};
use super::schedules::PlannedSchedule;
use crate::commands::validate::Report;

/// What an execution would do.
#[derive(Debug, Serialize)]
pub(super) struct Plan {
    #[serde(flatten)]
    report: Report,
    /// The inputs it would have, defaults filled in.
    pub(super) inputs: Map<String, Value>,
    pub(super) timeout_ms: u64,
    pub(super) queue_timeout_ms: Option<u64>,
    pub(super) priority: &'static str,
    pub(super) concurrency: Option<PlannedConcurrency>,
    /// Steps that can run side by side, after those of the waves before.
    pub(super) waves: Waves,
    /// What runs when the execution does not complete.
    pub(super) on_failure: Option<Waves>,
    /// What always runs last.
    pub(super) finally: Option<Waves>,
    pub(super) schedules: Vec<PlannedSchedule>,
    pub(super) files: Vec<PlannedWatch>,
}

/// Steps that can run side by side, after those of the waves before.
pub(super) type Waves = Vec<Vec<PlannedStep>>;

/// How many executions of one key may be live at once.
#[derive(Debug, Serialize)]
pub(super) struct PlannedConcurrency {
    /// The key; without one, the workflow as a whole.
    pub(super) key: Option<Expressed>,
    pub(super) limit: u32,
    pub(super) overflow: &'static str,
}

/// A value as written, with what it comes to where that can be said.
#[derive(Debug, Serialize)]
pub(super) struct Expressed {
    pub(super) written: Value,
    #[serde(flatten)]
    pub(super) decision: Decision,
}

/// One step of the resolved graph.
#[derive(Debug, Serialize)]
pub(super) struct PlannedStep {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) step_type: &'static str,
    pub(super) needs: Vec<String>,
    pub(super) timeout_ms: Option<u64>,
    /// How many attempts there may be.
    pub(super) attempts: u32,
    /// The `if`, as written.
    #[serde(rename = "if")]
    pub(super) condition: Option<Value>,
    /// Whether it runs, where its `if` and what it needs decide that already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) runs: Option<bool>,
    /// Why its `if` can have no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) foreach: Option<PlannedForeach>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<PlannedUntil>,
    /// What there is to tell about its action beyond the type.
    #[serde(flatten)]
    pub(super) does: Option<Does>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) continue_on_error: bool,
}

/// The values that a step runs for.
#[derive(Debug, Serialize)]
pub(super) struct PlannedForeach {
    #[serde(flatten)]
    pub(super) items: Expressed,
    pub(super) max_parallel: Option<usize>,
}

/// What a step is repeated for.
#[derive(Debug, Serialize)]
pub(super) struct PlannedUntil {
    pub(super) condition: Value,
    pub(super) every_ms: u64,
    pub(super) max_attempts: u32,
}

/// What a step does by itself, without a step type.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Does {
    /// It waits.
    Wait(PlannedWait),
    /// It runs another workflow.
    Workflow { name: Expressed, inputs: Map<String, Value>, wait: bool },
    /// It runs steps in a scope of their own.
    #[serde(rename = "waves")]
    Group(Waves),
    /// It runs one of several groups.
    Switch { on: Expressed, cases: Vec<PlannedCase>, default: Option<PlannedCase> },
}

/// What a step waits for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PlannedWait {
    For(Expressed),
    Until(Expressed),
    #[serde(untagged)]
    Signal {
        signal: Expressed,
        correlation: Option<Expressed>,
    },
    #[serde(untagged)]
    Event {
        event: Vec<String>,
        failure: Vec<String>,
        subject: Option<Expressed>,
        correlation: Option<Expressed>,
    },
}

/// One group of a choice.
#[derive(Debug, Serialize)]
pub(super) struct PlannedCase {
    /// The values it stands for; none for the one that runs when no other does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) when: Vec<Value>,
    /// Whether it is the one that runs, where that is decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) runs: Option<bool>,
    pub(super) waves: Waves,
}

impl Plan {
    /// What an execution with these inputs would do.
    pub(super) fn of(
        report: Report,
        workflow: &Workflow,
        inputs: Map<String, Value>,
        known: &Known,
        schedules: Vec<PlannedSchedule>,
    ) -> Self {
        let planner = Planner { workflow, known };
        Self {
            report,
            inputs,
            timeout_ms: milliseconds(workflow.timeout),
            queue_timeout_ms: workflow.queue_timeout.map(milliseconds),
            priority: workflow.priority.as_str(),
            concurrency: workflow.concurrency.as_ref().map(|concurrency| planner.concurrency(concurrency)),
            waves: planner.waves(MAIN_BLOCK),
            on_failure: workflow.on_failure.map(|block| planner.waves(block)),
            finally: workflow.finally.map(|block| planner.waves(block)),
            schedules,
            files: workflow.triggers.files.iter().map(PlannedWatch::of).collect(),
        }
    }
}

struct Planner<'a> {
    workflow: &'a Workflow,
    known: &'a Known,
}

impl Planner<'_> {
    fn concurrency(&self, concurrency: &Concurrency) -> PlannedConcurrency {
        PlannedConcurrency {
            key: concurrency.key.as_ref().map(|key| self.text(key)),
            limit: concurrency.limit,
            overflow: concurrency.overflow.as_str(),
        }
    }

    fn waves(&self, block: usize) -> Waves {
        let mut skipped = vec![false; self.workflow.steps.len()];
        let mut plan_step = |at: usize| {
            let step = self.step(at, &skipped);
            skipped[at] = step.runs == Some(false);
            step
        };
        let waves = waves(self.workflow, block);
        waves.into_iter().map(|wave| wave.into_iter().map(&mut plan_step).collect()).collect()
    }

    /// `skipped` are the steps of earlier waves that will not run.
    fn step(&self, at: usize, skipped: &[bool]) -> PlannedStep {
        let step = &self.workflow.steps[at];
        let decision = step.condition.as_ref().map(|condition| self.known.decide(&condition.expression));
        let asks_for_status = step.condition.as_ref().is_some_and(|condition| condition.asks_for_status);
        let is_skipped_with_need = !asks_for_status && step.needs.iter().any(|&need| skipped[need]);
        PlannedStep {
            id: step.id.clone(),
            step_type: step.action.step_type(),
            needs: step.needs.iter().map(|&need| self.workflow.steps[need].id.clone()).collect(),
            timeout_ms: step.timeout.map(milliseconds),
            attempts: step.retry.as_ref().map_or(1, |retry| retry.attempts),
            condition: step.condition.as_ref().map(|condition| condition.expression.source()),
            runs: if is_skipped_with_need {
                Some(false)
            } else {
                decision.as_ref().and_then(Decision::value).and_then(Value::as_bool)
            },
            problem: decision.as_ref().and_then(Decision::problem).map(str::to_owned),
            foreach: step.foreach.as_ref().map(|foreach| PlannedForeach {
                items: self.items(&foreach.items),
                max_parallel: foreach.max_parallel,
            }),
            until: step.until.as_ref().map(|until| PlannedUntil {
                condition: until.condition.source(),
                every_ms: milliseconds(until.every),
                max_attempts: until.max_attempts,
            }),
            does: self.action(step),
            continue_on_error: step.continue_on_error,
        }
    }

    fn action(&self, step: &Step) -> Option<Does> {
        Some(match &step.action {
            Action::Shell { .. } | Action::Set { .. } | Action::Log { .. } | Action::Call { .. } | Action::Unwind => {
                return None;
            }
            Action::Wait(Wait::For(duration)) => Does::Wait(PlannedWait::For(self.value(duration))),
            Action::Wait(Wait::Until(instant)) => Does::Wait(PlannedWait::Until(self.value(instant))),
            Action::Wait(Wait::Signal { name, correlation }) => Does::Wait(PlannedWait::Signal {
                signal: self.text(name),
                correlation: correlation.as_ref().map(|correlation| self.text(correlation)),
            }),
            Action::Wait(Wait::Event(events)) => Does::Wait(PlannedWait::Event {
                event: events.types.clone(),
                failure: events.failures.clone(),
                subject: events.subject.as_ref().map(|subject| self.text(subject)),
                correlation: events.correlation.as_ref().map(|correlation| self.text(correlation)),
            }),
            Action::Workflow { name, inputs, wait } => Does::Workflow {
                name: self.text(name),
                inputs: inputs.iter().map(|(name, template)| (name.clone(), template.source())).collect(),
                wait: *wait,
            },
            Action::Group { block } => Does::Group(self.waves(*block)),
            Action::Switch { on, cases, default } => {
                let on = self.value(on);
                // Whether one of the cases so far runs.
                let mut before = Some(false);
                let cases = cases.iter().map(|case| {
                    let runs = match (before, self.matches(&on.decision, &case.when)) {
                        (Some(true), _) | (_, Some(false)) => Some(false),
                        (Some(false), Some(true)) => Some(true),
                        (None, _) | (_, None) => None,
                    };
                    before = before.and_then(|before| runs.map(|runs| before || runs));
                    let when = case.when.iter().map(Template::source).collect();
                    PlannedCase { when, runs, waves: self.waves(case.block) }
                });
                let cases = cases.collect();
                let runs = before.map(|before| !before);
                let default = default.map(|block| PlannedCase { when: Vec::new(), runs, waves: self.waves(block) });
                Does::Switch { on, cases, default }
            }
        })
    }

    /// Whether the deciding value is one of these, as far as that can be said.
    fn matches(&self, on: &Decision, when: &[Template]) -> Option<bool> {
        let on = on.value()?;
        let when: Vec<Decision> = when.iter().map(|value| self.known.decide(value)).collect();
        if when.iter().any(|value| value.value() == Some(on)) {
            return Some(true);
        }
        when.iter().all(|value| value.value().is_some()).then_some(false)
    }

    fn value(&self, template: &Template) -> Expressed {
        Expressed { written: template.source(), decision: self.known.decide(template) }
    }

    fn text(&self, template: &Template) -> Expressed {
        Expressed { written: template.source(), decision: self.known.decide_text(template) }
    }

    fn items(&self, template: &Template) -> Expressed {
        let Expressed { written, decision } = self.value(template);
        let decision = match decision {
            Decision::Now(Value::Array(items)) if items.len() > MAX_ITEMS => {
                Decision::Never(format!("`foreach` takes at most {MAX_ITEMS} values, and there are {}", items.len()))
            }
            Decision::Now(value) if !value.is_array() => Decision::Never("`foreach` needs a list".to_owned()),
            other => other,
        };
        Expressed { written, decision }
    }
}

/// The steps of a block by wave, in the order of the document: each comes one wave after the last of those it needs.
fn waves(workflow: &Workflow, block: usize) -> Vec<Vec<usize>> {
    let steps = &workflow.blocks[block].steps;
    let mut open_needs: HashMap<usize, usize> = HashMap::new();
    let mut dependents: HashMap<usize, Vec<usize>> = HashMap::new();
    for &step in steps {
        let needs = &workflow.steps[step].needs;
        open_needs.insert(step, needs.len());
        for &need in needs {
            dependents.entry(need).or_default().push(step);
        }
    }
    let mut wave: Vec<usize> = steps.iter().copied().filter(|step| open_needs[step] == 0).collect();
    let mut waves = Vec::new();
    while !wave.is_empty() {
        let mut next = Vec::new();
        for &dependent in wave.iter().flat_map(|step| dependents.get(step).into_iter().flatten()) {
            let open = open_needs.entry(dependent).or_default();
            *open -= 1;
            if *open == 0 {
                next.push(dependent);
            }
        }
        next.sort_unstable();
        waves.push(std::mem::replace(&mut wave, next));
    }
    waves
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(source: &str, inputs: &Value) -> Value {
        let workflow = cogwheel_definition::parse(source.as_bytes(), "w").map_err(|problems| problems.to_string());
        let workflow = workflow.unwrap();
        let inputs = workflow.inputs.check(inputs.as_object().cloned().unwrap_or_default()).unwrap();
        let known = Known::of(&workflow, &inputs);
        let report = Report::sound("w.yaml".as_ref(), &workflow);
        serde_json::to_value(Plan::of(report, &workflow, inputs, &known, Vec::new())).unwrap()
    }

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
        assert_eq!(waves(&workflow, MAIN_BLOCK), [vec![4], vec![1, 3], vec![2], vec![0]]);
    }

    #[test]
    fn what_the_inputs_decide_is_decided() {
        let source = "
inputs: {n: {type: integer}, kinds: {type: array, default: [a, b]}}
steps:
  - {id: small, if: inputs.n < 3, run: 'true'}
  - {id: after, run: 'true'}
  - {id: always, if: always(), run: 'true'}
  - id: each
    if: success() or true
    foreach: ${{ inputs.kinds }}
    steps:
      - {id: in, if: item == 'a', run: 'true'}
  - id: choose
    if: always()
    switch: ${{ inputs.n }}
    cases:
      - {when: 5, steps: [{run: 'true'}]}
      - {when: 7, steps: [{run: 'true'}]}
    default: [{run: 'true'}]
";
        let plan = plan(source, &json!({"n": 7}));
        let step = |at: usize| &plan["waves"][at][0];
        assert_eq!(
            (&step(0)["runs"], &step(1)["runs"], &step(2)["runs"]),
            (&json!(false), &json!(false), &json!(true))
        );
        assert_eq!(
            step(3)["foreach"],
            json!({"written": "${{ inputs.kinds }}", "value": ["a", "b"], "max_parallel": null})
        );
        assert_eq!(step(3)["waves"][0][0]["runs"], json!(null));
        let choice = &step(4)["switch"];
        assert_eq!(choice["on"], json!({"written": "${{ inputs.n }}", "value": 7}));
        let runs = [&choice["cases"][0]["runs"], &choice["cases"][1]["runs"], &choice["default"]["runs"]];
        assert_eq!(runs, [&json!(false), &json!(true), &json!(false)]);
    }
}
