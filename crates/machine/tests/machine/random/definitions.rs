//! Random workflows: graphs of steps of every kind, up to three levels of them.

use std::fmt;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// How deep groups stand inside of one another.
const DEPTH: u32 = 3;

#[derive(Clone)]
pub(crate) struct Definition {
    main: Vec<Spec>,
    on_failure: Option<Vec<Spec>>,
    finally: Option<Vec<Spec>>,
    timeout: u32,
    saga: Option<Saga>,
}

#[derive(Clone, Debug)]
struct Saga {
    pauses: bool,
    deadline: Option<u32>,
    pivot: Option<prop::sample::Index>,
}

/// What undoes a step.
#[derive(Clone, Debug)]
enum Undo {
    Run { attempts: u32 },
    Broken,
    Answer,
    Group(Vec<Spec>),
}

/// A step, without its id, which follows from its place.
#[derive(Clone, Debug)]
struct Spec {
    kind: Kind,
    /// Places of earlier steps of the same list.
    needs: Vec<prop::sample::Index>,
    foreach: Option<Values>,
    until: Option<Until>,
    condition: Option<&'static str>,
    retry: Option<u32>,
    fails_when_lost: bool,
    continue_on_error: bool,
    timeout: Option<u32>,
    declares_outputs: bool,
    compensate: Option<Undo>,
}

#[derive(Clone, Debug)]
enum Kind {
    Run,
    /// A step whose values cannot be evaluated.
    Broken,
    Pause(u32),
    Signal,
    Child {
        waits: bool,
    },
    Group(Vec<Spec>),
    Switch {
        on: usize,
        cases: Vec<Vec<Spec>>,
        default: Option<Vec<Spec>>,
    },
}

#[derive(Clone, Debug)]
enum Values {
    Some { count: usize, max_parallel: Option<usize> },
    NoList,
}

#[derive(Clone, Debug)]
struct Until {
    condition: &'static str,
    every: u32,
    max_attempts: u32,
}

pub(crate) fn definition() -> impl Strategy<Value = Definition> {
    let handlers = || prop::option::weighted(0.3, steps(1, 3, false));
    let timeout = prop_oneof![Just(60_u32), Just(600)];
    (steps(DEPTH, 5, true), handlers(), handlers(), timeout, prop::option::weighted(0.6, saga()))
        .prop_map(|(main, on_failure, finally, timeout, saga)| Definition { main, on_failure, finally, timeout, saga })
}

fn saga() -> impl Strategy<Value = Saga> {
    let pivot = prop::option::weighted(0.3, any::<prop::sample::Index>());
    (any::<bool>(), prop::option::weighted(0.2, 10_u32..60), pivot).prop_map(|(pauses, deadline, pivot)| Saga {
        pauses,
        deadline,
        pivot,
    })
}

fn undo() -> impl Strategy<Value = Undo> {
    prop_oneof![
        12 => (1_u32..3).prop_map(|attempts| Undo::Run { attempts }),
        1 => Just(Undo::Broken),
        1 => Just(Undo::Answer),
        2 => steps(1, 3, false).prop_map(Undo::Group),
    ]
}

fn steps(depth: u32, most: usize, can_be_undone: bool) -> BoxedStrategy<Vec<Spec>> {
    prop::collection::vec(spec(depth, can_be_undone), 1..=most).boxed()
}

fn spec(depth: u32, can_be_undone: bool) -> BoxedStrategy<Spec> {
    let needs = prop::collection::vec(any::<prop::sample::Index>(), 0..3);
    let condition = prop_oneof![
        12 => Just(None),
        1 => Just(Some("always()")),
        1 => Just(Some("failure()")),
        1 => Just(Some("success()")),
        1 => Just(Some("inputs.who == 'nobody'")),
        1 => Just(Some("inputs.who")),
    ];
    let retry = prop::option::weighted(0.3, 1_u32..4);
    let timeout = prop::option::weighted(0.3, 1_u32..30);
    let repeated = (prop::option::weighted(0.2, values()), prop::option::weighted(0.15, until()));
    let rare = prop::bool::weighted(0.15);
    let undo = if can_be_undone { prop::option::weighted(0.5, undo()).boxed() } else { Just(None).boxed() };
    (kind(depth, can_be_undone), needs, repeated, condition, retry, (rare, rare, rare), (timeout, undo))
        .prop_map(|(kind, needs, (foreach, until), condition, retry, (lost, tolerated, declares), (timeout, undo))| {
            Spec {
                kind,
                needs,
                foreach,
                until,
                condition,
                retry,
                fails_when_lost: lost,
                continue_on_error: tolerated,
                timeout,
                declares_outputs: declares,
                compensate: undo,
            }
        })
        .boxed()
}

fn kind(depth: u32, can_be_undone: bool) -> BoxedStrategy<Kind> {
    let leaf = prop_oneof![
        8 => Just(Kind::Run),
        1 => Just(Kind::Broken),
        2 => (0_u32..20).prop_map(Kind::Pause),
        2 => Just(Kind::Signal),
        2 => any::<bool>().prop_map(|waits| Kind::Child { waits }),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let cases = prop::collection::vec(steps(depth - 1, 2, can_be_undone), 1..3);
    let choice = (0_usize..3, cases, prop::option::of(steps(depth - 1, 2, can_be_undone)))
        .prop_map(|(on, cases, default)| Kind::Switch { on, cases, default });
    prop_oneof![6 => leaf, 3 => steps(depth - 1, 3, can_be_undone).prop_map(Kind::Group), 1 => choice].boxed()
}

fn values() -> impl Strategy<Value = Values> {
    prop_oneof![
        9 => (0_usize..7, prop::option::of(1_usize..4))
            .prop_map(|(count, max_parallel)| Values::Some { count, max_parallel }),
        1 => Just(Values::NoList),
    ]
}

fn until() -> impl Strategy<Value = Until> {
    let condition = prop_oneof![
        5 => Just("(OWN | tojson | length) % 2 == 0"),
        1 => Just("true"),
        1 => Just("false"),
        1 => Just("OWN"),
    ];
    (condition, prop_oneof![Just(0_u32), 1_u32..20], 1_u32..4).prop_map(|(condition, every, max_attempts)| Until {
        condition,
        every,
        max_attempts,
    })
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source())
    }
}

impl Definition {
    /// The document: JSON, which is YAML.
    pub(crate) fn source(&self) -> String {
        let mut ids = 0;
        let mut document = Map::new();
        document.insert("timeout".to_owned(), json!(format!("{}s", self.timeout)));
        document.insert("outputs".to_owned(), json!({ "who": "${{ inputs.who }}" }));
        let mut main = list(&self.main, &mut ids);
        let steps = main.as_array_mut().expect("a list");
        match &self.saga {
            Some(saga) => saga.put_in(steps, &mut document),
            None => steps.iter_mut().for_each(take_undos),
        }
        document.insert("steps".to_owned(), main);
        for (key, steps) in [("on_failure", &self.on_failure), ("finally", &self.finally)] {
            if let Some(steps) = steps {
                document.insert(key.to_owned(), list(steps, &mut ids));
            }
        }
        // The inputs are put before it as lines of their own.
        document.iter().map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>().join("\n")
    }
}

impl Saga {
    /// Keeps the rules for pivots, and says the saga's own where there is anything to undo.
    fn put_in(&self, steps: &mut [Value], document: &mut Map<String, Value>) {
        let pivot = self.pivot.as_ref().map(|pivot| pivot.index(steps.len()));
        if let Some(pivot) = pivot {
            let mut before = vec![pivot];
            let mut next = 0;
            while let Some(&at) = before.get(next) {
                let needs = steps[at]["needs"].as_array().expect("a list").clone();
                before.extend(needs.iter().filter_map(|need| steps.iter().position(|step| &step["id"] == need)));
                next += 1;
            }
            for (at, step) in steps.iter_mut().enumerate() {
                if !before.contains(&at) {
                    take_undos(step);
                }
            }
            let step = steps[pivot].as_object_mut().expect("a step");
            for key in ["compensate", "foreach", "max_parallel", "continue_on_error"] {
                step.remove(key);
            }
        }
        if !steps.iter().any(|step| step.to_string().contains("\"compensate\"")) {
            return;
        }
        if let Some(pivot) = pivot {
            steps[pivot]["pivot"] = json!(true);
        }
        let mut saga = json!({ "on_undo_failure": if self.pauses { "pause" } else { "fail" } });
        if let Some(deadline) = self.deadline {
            saga["deadline"] = json!(format!("{deadline}s"));
        }
        document.insert("saga".to_owned(), saga);
    }
}

/// Takes what undoes a step, and those inside of it, away.
fn take_undos(step: &mut Value) {
    match step {
        Value::Object(fields) => {
            fields.remove("compensate");
            fields.values_mut().for_each(take_undos);
        }
        Value::Array(items) => items.iter_mut().for_each(take_undos),
        _ => {}
    }
}

impl Undo {
    fn document(&self, of: &str, ids: &mut usize) -> Value {
        match self {
            Self::Run { attempts } => json!({
                "run": "u",
                "retry": { "attempts": attempts, "delay": "2s" },
                "env": { "WHY": format!("${{{{ saga.cause.kind }}}} ${{{{ steps.{of}.status }}}}") },
            }),
            Self::Broken => json!({ "run": "u", "env": { "X": "${{ inputs.list[9] }}" } }),
            Self::Answer => json!({ "uses": "wait", "with": { "signal": "undone" } }),
            Self::Group(steps) => json!({ "steps": list(steps, ids), "timeout": "100s" }),
        }
    }
}

fn list(specs: &[Spec], ids: &mut usize) -> Value {
    let first = *ids;
    let own: Vec<String> = (first..first + specs.len()).map(|id| format!("s{id}")).collect();
    *ids += specs.len();
    specs.iter().enumerate().map(|(place, spec)| spec.document(place, &own, ids)).collect()
}

impl Spec {
    fn document(&self, place: usize, own: &[String], ids: &mut usize) -> Value {
        let id = &own[place];
        let needs: std::collections::BTreeSet<&String> =
            self.needs.iter().filter(|_| place > 0).map(|need| &own[need.index(place)]).collect();
        let mut step = json!({ "id": id, "needs": needs, "continue_on_error": self.continue_on_error });
        let is_run = matches!(self.kind, Kind::Run | Kind::Broken);
        match &self.kind {
            Kind::Run => step["run"] = json!("x"),
            Kind::Broken => {
                step["run"] = json!("x");
                step["env"] = json!({ "X": "${{ inputs.list[9] }}" });
            }
            Kind::Pause(seconds) => {
                step["uses"] = json!("wait");
                step["with"] = json!({ "for": format!("{seconds}s") });
            }
            Kind::Signal => {
                step["uses"] = json!("wait");
                step["with"] = json!({ "signal": "go" });
            }
            Kind::Child { waits } => {
                step["uses"] = json!("workflow");
                step["with"] = json!({ "name": "other", "wait": waits });
            }
            Kind::Group(steps) => step["steps"] = list(steps, ids),
            Kind::Switch { on, cases, default } => {
                step["switch"] = json!(on);
                let cases =
                    cases.iter().enumerate().map(|(when, steps)| json!({ "when": when, "steps": list(steps, ids) }));
                step["cases"] = cases.collect();
                if let Some(steps) = default {
                    step["default"] = list(steps, ids);
                }
            }
        }
        match &self.foreach {
            Some(Values::Some { count, max_parallel }) => {
                step["foreach"] = json!((0..*count).collect::<Vec<_>>());
                if let Some(max_parallel) = max_parallel {
                    step["max_parallel"] = json!(max_parallel);
                }
            }
            Some(Values::NoList) => step["foreach"] = json!("${{ inputs.who }}"),
            None => {}
        }
        if let Some(until) = &self.until {
            step["until"] = json!(until.condition.replace("OWN", &format!("steps.{id}.outputs")));
            step["every"] = json!(format!("{}s", until.every));
            step["max_attempts"] = json!(until.max_attempts);
        }
        if let Some(condition) = self.condition {
            step["if"] = json!(condition);
        }
        if let Some(attempts) = self.retry.filter(|_| is_run || matches!(self.kind, Kind::Child { .. })) {
            step["retry"] = json!({ "attempts": attempts, "delay": "3s" });
        }
        if self.fails_when_lost && is_run {
            step["on_lost"] = json!("fail");
        }
        if let Some(timeout) = self.timeout {
            step["timeout"] = json!(format!("{timeout}s"));
        }
        if self.declares_outputs && matches!(self.kind, Kind::Run | Kind::Child { waits: true }) {
            step["outputs"] = json!({ "n": { "type": "integer", "maximum": 5 } });
        }
        if let Some(undo) = &self.compensate {
            step["compensate"] = undo.document(id, ids);
        }
        step
    }
}
