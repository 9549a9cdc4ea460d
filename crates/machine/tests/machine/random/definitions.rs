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
    let handlers = || prop::option::weighted(0.3, steps(1, 3));
    (steps(DEPTH, 5), handlers(), handlers(), prop_oneof![Just(60_u32), Just(600)])
        .prop_map(|(main, on_failure, finally, timeout)| Definition { main, on_failure, finally, timeout })
}

fn steps(depth: u32, most: usize) -> BoxedStrategy<Vec<Spec>> {
    prop::collection::vec(spec(depth), 1..=most).boxed()
}

fn spec(depth: u32) -> BoxedStrategy<Spec> {
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
    (kind(depth), needs, repeated, condition, retry, (rare, rare, rare), timeout)
        .prop_map(|(kind, needs, (foreach, until), condition, retry, (lost, tolerated, declares), timeout)| Spec {
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
        })
        .boxed()
}

fn kind(depth: u32) -> BoxedStrategy<Kind> {
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
    let cases = prop::collection::vec(steps(depth - 1, 2), 1..3);
    let choice = (0_usize..3, cases, prop::option::of(steps(depth - 1, 2)))
        .prop_map(|(on, cases, default)| Kind::Switch { on, cases, default });
    prop_oneof![6 => leaf, 3 => steps(depth - 1, 3).prop_map(Kind::Group), 1 => choice].boxed()
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
        document.insert("steps".to_owned(), list(&self.main, &mut ids));
        for (key, steps) in [("on_failure", &self.on_failure), ("finally", &self.finally)] {
            if let Some(steps) = steps {
                document.insert(key.to_owned(), list(steps, &mut ids));
            }
        }
        // The inputs are put before it as lines of their own.
        document.iter().map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>().join("\n")
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
        step
    }
}
