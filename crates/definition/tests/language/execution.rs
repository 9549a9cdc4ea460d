//! What belongs to the whole execution: handlers, concurrency, priority, time in the queue.

use std::time::Duration;

use cogwheel_definition::{Overflow, Priority};
use serde_json::json;

use super::{good, one};

#[test]
fn handlers_are_lists_of_their_own() {
    let workflow = good(
        "steps: [{id: a, uses: set, with: {n: 1}}, {id: g, steps: [{id: p, run: x}]}]\n\
         on_failure:\n- {run: x, env: {WHY: '${{ execution.error.message }}', N: '${{ steps.a.outputs.n }}'}}\n- {id: page, run: x}\n\
         finally:\n- {run: x, if: \"${{ execution.status == 'failed' and steps.page.status == 'failed' }}\"}\n\
         - steps: [{run: x, env: {N: '${{ steps.g.outputs.p.stdout }} ${{ execution.status }}'}}]\n",
    );
    let paths: Vec<&str> = workflow.steps.iter().map(|step| step.path.as_str()).collect();
    let expected = ["a", "g", "g.p", "on_failure-1", "page", "finally-1", "finally-2", "finally-2.step-1"];
    assert_eq!(paths, expected);
    assert_eq!((workflow.on_failure, workflow.finally), (Some(2), Some(3)));
    assert_eq!(workflow.blocks[2].owner, None);
    assert_eq!(workflow.to_json()["on_failure"], json!(["on_failure-1", "page"]));
    assert_eq!(workflow.steps[4].needs, [3]);
}

#[test]
fn handlers_read_what_has_ended_before_them() {
    let with = |rest: &str| format!("steps: [{{id: a, run: x}}]\n{rest}\n");
    for (rest, code, message) in [
        (
            "on_failure: [{run: x, if: \"${{ steps.¦b.status }}\"}]\nfinally: [{id: b, run: x}]",
            "COG0132",
            "one of `finally`",
        ),
        ("on_failure: [{id: b, run: x, needs: ¦a}]", "COG0103", "it has ended by then; remove it from `needs`"),
        ("on_failure: [{id: ¦a, run: x}]", "COG0110", "hides that of another step"),
        ("on_failure: [{id: b, run: x}]\nfinally: [{id: ¦b, run: x}]", "COG0110", "hides that of another step"),
        ("on_failure: [{id: b, run: x}]\noutputs: {a: \"${{ steps.¦b.status }}\"}", "COG0132", "one of `on_failure`"),
        ("finally: [{run: x, env: {A: \"${{ execution.¦erorr }}\"}}]", "COG0131", "did you mean `error`?"),
        ("on_failure: ¦[]", "COG0109", "`on_failure` has no steps"),
        ("finally: ¦{run: x}", "COG0104", "`finally` must be a list"),
        ("outputs: {a: \"${{ execution.¦status }}\"}", "COG0131", "only there in `on_failure` and `finally`"),
    ] {
        one(&with(rest), code, message);
    }
    one(
        "steps: [{run: x, if: \"${{ execution.¦error }}\"}]",
        "COG0131",
        "`execution.error` is only there in `on_failure` and `finally`",
    );
    one(
        "steps: [{run: x, env: {A: \"${{ steps.¦b.status }}\"}}]\nfinally: [{id: b, run: x}]",
        "COG0132",
        "the step `b` is one of `finally`, which runs after this",
    );
}

#[test]
fn concurrency_has_a_key_a_limit_and_a_way() {
    let workflow = good(
        "inputs: {r: {default: eu}}\nconcurrency: {key: '${{ inputs.r }}-${{ workflow.name }}', limit: 2, overflow: replace}\n\
         queue_timeout: 10m\npriority: high\nsteps: [{run: x}]",
    );
    let concurrency = workflow.concurrency.expect("concurrency");
    assert_eq!((concurrency.limit, concurrency.overflow), (2, Overflow::Replace));
    assert_eq!(concurrency.key.expect("a key").source(), "${{ inputs.r }}-${{ workflow.name }}");
    assert_eq!((workflow.queue_timeout, workflow.priority), (Some(Duration::from_mins(10)), Priority::High));
    let workflow = good("concurrency: {}\nsteps: [{run: x}]");
    let concurrency = workflow.concurrency.expect("concurrency");
    assert_eq!((concurrency.limit, concurrency.overflow, concurrency.key.is_none()), (1, Overflow::Queue, true));
    assert_eq!((workflow.queue_timeout, workflow.priority), (None, Priority::Normal));
    for (rest, code, message) in [
        ("concurrency: ¦5", "COG0104", "`concurrency` must be a mapping"),
        ("concurrency: {limit: ¦0}", "COG0106", "limit must be a whole number from 1 to 100000"),
        ("concurrency: {overflow: ¦drop}", "COG0106", "overflow must be one of queue, skip, replace"),
        ("concurrency: {¦max: 1}", "COG0101", "`concurrency` has the keys key, limit, overflow"),
        ("concurrency: {key: ¦''}", "COG0106", "the key is empty"),
        ("concurrency: {key: \"${{ steps.¦a.status }}\"}", "COG0132", "it is there before they are"),
        ("concurrency: {key: \"${{ ¦now }}\"}", "COG0131", "the key of `concurrency` cannot read `now`"),
        ("concurrency: {key: \"${{ ¦execution.id }}\"}", "COG0131", "it can read `inputs`, `trigger`, `workflow`"),
        ("concurrency: {key: \"${{ ¦item }}\"}", "COG0131", "there is no `item` here"),
        ("priority: ¦urgent", "COG0106", "priority must be one of low, normal, high, critical"),
        ("queue_timeout: ¦0s", "COG0108", "longer than nothing"),
        ("¦queue_timout: 5s", "COG0101", "did you mean `queue_timeout`?"),
        ("history: ¦fully", "COG0106", "history must be one of on_demand, full"),
    ] {
        one(&format!("steps: [{{id: a, run: x}}]\n{rest}\n"), code, message);
    }
}
