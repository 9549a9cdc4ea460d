//! Step types beside `shell`, `set` and `log`: what they are given.

use std::collections::BTreeMap;

use cogwheel_definition::{Action, Template, Wait};
use serde_json::{Value, json};

use super::{good, one};

fn action(step: &str) -> Action {
    good(&format!("inputs: {{a: {{default: 1}}}}\nsteps: [{step}]")).steps[0].action.clone()
}

fn sources(templates: &BTreeMap<String, Template>) -> Value {
    templates.iter().map(|(name, template)| (name.clone(), template.source())).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn waits_have_one_end() {
    let Action::Wait(Wait::For(time)) = action("{uses: wait, with: {for: 90s}}") else { panic!("a duration") };
    assert_eq!(time.source(), "90s");
    let Action::Wait(Wait::Until(at)) = action("{uses: wait, with: {until: '2026-03-01T06:00:00Z'}}") else {
        panic!("an instant")
    };
    assert_eq!(at.source(), "2026-03-01T06:00:00Z");
    let Action::Wait(Wait::Signal { name, correlation }) =
        action("{uses: wait, with: {signal: paid, correlation: '${{ inputs.a }}'}}")
    else {
        panic!("a signal")
    };
    assert_eq!((name.source(), correlation.map(|it| it.source())), (json!("paid"), Some(json!("${{ inputs.a }}"))));
    let Action::Wait(Wait::Event(events)) = action(
        "{uses: wait, with: {event: custom.paid, failure: [custom.refused, custom.lost], subject: '${{ inputs.a }}'}}",
    ) else {
        panic!("an event")
    };
    assert_eq!(
        (events.types, events.failures),
        (vec!["custom.paid".into()], vec!["custom.refused".into(), "custom.lost".into()])
    );
    assert_eq!(
        (events.subject.map(|it| it.source()), events.correlation.is_none()),
        (Some(json!("${{ inputs.a }}")), true)
    );
    for (with, code, message) in [
        ("{for: ¦5}", "COG0108", "`5` is not a duration"),
        ("{for: ¦soon}", "COG0108", "the time to wait: `soon` is not a duration"),
        ("{for: ¦[5]}", "COG0104", "must be text, not a list"),
        ("{until: ¦tomorrow}", "COG0106", "`tomorrow` is not an RFC 3339 instant"),
        ("{until: ¦'2026-03-01'}", "COG0106", "write for example `2026-03-01T06:00:00Z`"),
        ("{for: 1s, ¦signal: x}", "COG0106", "either `for` or `signal`, not both"),
        ("¦{}", "COG0105", "`uses: wait` needs one of `for`, `until`, `signal` and `event`"),
        ("{¦fro: 1s}", "COG0101", "did you mean `for`?"),
        ("{for: 1s, ¦correlation: x}", "COG0106", "`correlation` belongs to `signal` and `event`, which"),
        ("{signal: x, ¦failure: custom.a}", "COG0106", "`failure` belongs to `event`, which this step does not have"),
        ("{signal: x, ¦subject: a}", "COG0106", "`subject` belongs to `event`"),
        ("{event: ¦order.paid}", "COG0106", "`order.paid` is no type of events of your own"),
        ("{event: ¦[]}", "COG0106", "the event names no type"),
        ("{event: [custom.a, ¦custom.a]}", "COG0106", "`custom.a` stands here twice"),
        ("{event: custom.a, failure: ¦custom.a}", "COG0106", "`custom.a` stands here twice"),
        ("{signal: ¦''}", "COG0106", "the signal is empty"),
        ("{signal: ¦' x'}", "COG0107", "starts or ends with a space"),
    ] {
        one(&format!("steps: [{{uses: wait, with: {with}}}]"), code, message);
    }
}

#[test]
fn constant_waits_fit_into_the_execution() {
    one(
        "steps: [{uses: wait, with: {for: ¦1h}}]",
        "COG0108",
        "this waits as long as the whole execution may take, or longer: 5m (give the workflow a `timeout`; without one it is 5m)",
    );
    one("timeout: 90m\nsteps: [{uses: wait, with: {for: ¦2h}}]", "COG0108", "1h30m (raise the workflow's `timeout`)");
    one("finally: [{uses: wait, with: {for: ¦5m}}]\nsteps: [{run: x}]", "COG0108", "5m");
    good("timeout: 3h\nsteps: [{uses: wait, with: {for: 2h}}]");
    good("inputs: {t: {}}\nsteps: [{uses: wait, with: {for: '${{ inputs.t }}'}}]");
}

#[test]
fn outputs_of_waits_are_known() {
    let read = |with: &str, name: &str| {
        format!(
            "steps:\n- {{id: w, uses: wait, with: {with}}}\n- {{uses: set, with: {{a: \"${{{{ steps.w.outputs.{name} }}}}\"}}}}\n"
        )
    };
    good(&read("{signal: x}", "payload.anything"));
    one(&read("{signal: x}", "¦paylod"), "COG0131", "the outputs of `w` have no `paylod` (did you mean `payload`?)");
    good(&read("{event: custom.a}", "data.anything"));
    one(&read("{event: custom.a}", "¦payload"), "COG0131", "the outputs of `w` have no `payload`");
    one(&read("{for: 1s}", "¦payload"), "COG0131", "the outputs of `w` have no `payload`");
}

#[test]
fn other_workflows_are_run_by_name() {
    let Action::Workflow { name, inputs, wait } =
        action("{uses: workflow, with: {name: other, inputs: {x: '${{ inputs.a }}', y: 2}}}")
    else {
        panic!("a workflow")
    };
    assert_eq!(
        (name.source(), sources(&inputs), wait),
        (json!("other"), json!({"x": "${{ inputs.a }}", "y": 2}), true)
    );
    let Action::Workflow { name, inputs, wait } = action("{uses: ./load orders, with: {x: 1}}") else {
        panic!("a workflow")
    };
    assert_eq!((name.source(), sources(&inputs), wait), (json!("load orders"), json!({"x": 1}), true));
    let Action::Workflow { wait, .. } = action("{uses: workflow, with: {name: '${{ inputs.a }}', wait: false}}") else {
        panic!("a workflow")
    };
    assert!(!wait);
    good("steps: [{id: c, uses: ./c}]\noutputs: {a: '${{ steps.c.outputs.anything }}'}");
    one(
        "steps: [{id: c, uses: workflow, with: {name: c, wait: false}}]\noutputs: {a: '${{ steps.c.outputs.¦id }}'}",
        "COG0131",
        "the outputs of `c` have no `id` (there is execution_id)",
    );
    for (step, code, message) in [
        ("{uses: workflow, with: ¦{inputs: {}}}", "COG0105", "`uses: workflow` needs a `name`"),
        ("{uses: workflow, with: {name: ¦' x'}}", "COG0107", "starts or ends with a space"),
        ("{uses: workflow, with: {name: x, wait: ¦'no'}}", "COG0104", "wait must be true or false"),
        ("{uses: workflow, with: {name: x, inputs: ¦[]}}", "COG0104", "the inputs of a workflow must be a mapping"),
        ("{uses: workflow, with: {name: x, inputs: {¦1a: x}}}", "COG0107", "the input `1a` is not a valid name"),
        ("{uses: workflow, with: {name: x, ¦input: {}}}", "COG0101", "did you mean `inputs`?"),
        ("¦{uses: workflow}", "COG0105", "needs its values under `with`"),
        ("{uses: ¦./}", "COG0107", "is empty"),
        ("{uses: ./x, with: ¦5}", "COG0104", "must be a mapping"),
    ] {
        one(&format!("steps: [{step}]"), code, message);
    }
}

#[test]
fn calls_are_given_their_values() {
    let Action::Call { step_type, with } =
        action("{uses: http, with: {url: 'https://x/${{ inputs.a }}', method: POST, json: {n: '${{ inputs.a }}'}}}")
    else {
        panic!("a call")
    };
    assert_eq!(step_type, "http");
    let names = json!({"inputs": {"a": 7}});
    assert_eq!(with.render(&names), Ok(json!({"url": "https://x/7", "method": "POST", "json": {"n": 7}})));
    assert_eq!(action("{uses: transform, with: {input: [1], jq: '.[0]'}}").step_type(), "transform");
    assert_eq!(action("{uses: emit, with: {type: custom.order.paid, data: {a: 1}}}").step_type(), "emit");
    for (step, code, message) in [
        ("{uses: http, with: ¦{method: GET}}", "COG0105", "`uses: http` needs a `url`"),
        ("{uses: http, with: {¦uri: x}}", "COG0101", "did you mean `url`?"),
        ("{uses: http, with: {url: x, ¦timeout: 5s}}", "COG0101", "the values of `http` has the keys method, url"),
        ("{uses: transform, with: ¦{jq: '.'}}", "COG0105", "`uses: transform` needs an `input`"),
        ("{uses: emit, with: ¦{data: 1}}", "COG0105", "`uses: emit` needs a `type`"),
        ("{uses: emit, with: ¦[]}", "COG0104", "the values of `emit` must be a mapping"),
        ("{uses: emit, with: {type: ¦order.paid}}", "COG0106", "`order.paid` is no type of events of your own"),
        ("{uses: emit, with: {type: ¦custom.a b}}", "COG0106", "such as `custom.order.shipped`"),
        ("{uses: emit, with: {type: ¦[a]}}", "COG0104", "the type of an event must be text"),
        ("{uses: emit, with: {type: custom.x, data: '${{ ¦nwo }}'}}", "COG0131", "did you mean `now`?"),
        ("{uses: ¦htp, with: {}}", "COG0112", "did you mean `http`?"),
        ("{uses: ¦frobnicate, with: {}}", "COG0112", "and workflows as `./name`"),
    ] {
        one(&format!("steps: [{step}]"), code, message);
    }
}

#[test]
fn jq_is_a_function_and_a_filter() {
    let set = |text: &str| format!("inputs: {{a: {{}}}}\nsteps: [{{uses: set, with: {{x: \"${{{{ {text} }}}}\"}}}}]");
    for text in
        ["jq(inputs.a, '.b')", "inputs.a | jq('.b') | first", "jq(inputs.a, '.' ~ inputs.a)", "jq({'a': [1, 2]}, '.a')"]
    {
        good(&set(text));
    }
    one(&set("jq(inputs.a, ¦'.b[')"), "COG0130", "the jq filter cannot be read: ");
    one(&set("inputs.a | jq(¦'.b |')"), "COG0130", "the jq filter cannot be read: ");
    // A filter that would take its time is only compiled here.
    good(&set("jq(inputs.a, '[range(1000000000)] | length')"));
}
