//! Groups, loops, waits, child workflows and handlers, as a client sees them.

use cogwheel_tests::{Backend, Home, Server, on_both_databases, step, until};
use serde_json::{Value, json};

on_both_databases!(
    steps_nest_and_repeat,
    a_list_that_is_none_fails_its_step,
    a_loop_without_end_ends,
    a_signal_is_kept_until_somebody_waits,
    a_waiting_execution_survives_a_crash,
    a_wait_has_a_limit,
    a_workflow_runs_another,
    a_stopped_workflow_stops_the_one_it_runs,
    workflows_that_run_themselves_end,
    handlers_run_after_a_cancellation,
    a_failed_execution_is_done_over,
    a_paused_workflow_takes_no_starts,
);

const SIGNAL: &str = "mutation($input: SignalExecutionInput!) { signalExecution(input: $input) {
    isNew wokenExecutions userErrors { code message path } } }";
const RETRY: &str = "mutation($input: RetryExecutionInput!) { retryExecution(input: $input) {
    execution { id } userErrors { code message path } } }";
const CANCEL: &str = "mutation($id: ID!) { cancelExecution(input: {id: $id}) { userErrors { code } } }";
const ENABLE: &str = "mutation($input: SetWorkflowEnabledInput!) { setWorkflowEnabled(input: $input) {
    workflow { isEnabled } userErrors { code } } }";

fn signal(server: &Server, input: &Value) -> Value {
    server.ask(SIGNAL, &json!({ "input": input }))["signalExecution"].take()
}

fn cancel(server: &Server, id: &str) {
    let answer = server.ask(CANCEL, &json!({ "id": id }));
    assert_eq!(answer["cancelExecution"]["userErrors"], json!([]));
}

fn reaches(server: &Server, id: &str, key: &str, status: &str) {
    until(format!("{key} to be {status}"), || (step(&server.execution(id), key)["status"] == status).then_some(()));
}

fn steps_nest_and_repeat(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/nest.yaml",
        r#"
inputs: {names: {type: array, default: [a, b, c]}}
outputs: {all: "${{ steps.each.outputs }}", rounds: "${{ steps.poll.outputs.n }}", chosen: "${{ steps.pick.outputs }}"}
steps:
  - id: each
    foreach: ${{ inputs.names }}
    max_parallel: 2
    steps:
      - {id: hello, run: 'echo "said=$N" >> "$COGWHEEL_OUTPUT"', env: {N: "${{ item }}${{ index }}"}}
      - {id: keep, uses: set, with: {said: "${{ steps.hello.outputs.said }}"}}
  - id: poll
    until: steps.poll.outputs.n >= 3
    every: 10ms
    run: 'echo x >> rounds.txt; echo "n=$(wc -l < rounds.txt)" >> "$COGWHEEL_OUTPUT"'
  - id: pick
    switch: ${{ steps.poll.outputs.n }}
    cases:
      - {when: ["3"], steps: [{id: text, uses: set, with: {is: text}}]}
      - {when: 3, steps: [{id: number, uses: set, with: {is: number}}]}
    default: [{id: other, uses: set, with: {is: other}}]
"#,
    );
    let server = home.serve();
    let id = server.start("nest", &json!({}));
    let execution = server.ended_as(&id, "COMPLETED");
    let said: Vec<_> =
        execution["result"]["all"].as_array().expect("a list").iter().map(|one| &one["keep"]["said"]).collect();
    assert_eq!(said, ["a0", "b1", "c2"]);
    assert_eq!(execution["result"]["rounds"], 3);
    assert_eq!(execution["result"]["chosen"], json!({ "number": { "is": "number" } }), "types count");
    assert_eq!(step(&execution, "each[2].hello")["status"], "COMPLETED");
    assert_eq!(step(&execution, "poll[2]")["stepType"], "shell");
}

fn a_list_that_is_none_fails_its_step(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/list.yaml",
        "inputs: {list: {}}\nsteps: [{id: each, foreach: '${{ inputs.list }}', uses: log, with: {message: x}}]\n",
    );
    home.write(
        "workflows/long.yaml",
        "inputs: {list: {}}\nsteps: [{id: each, foreach: '${{ jq(inputs.list, \"[range(.)]\") }}', uses: log, with: {message: x}}]\n",
    );
    let server = home.serve();
    for (workflow, list, said) in [("list", json!("abc"), "needs a list"), ("long", json!(100_001), "100000")] {
        let id = server.start(workflow, &json!({ "list": list }));
        let execution = server.ended_as(&id, "FAILED");
        let title = execution["error"]["title"].as_str().expect("a title");
        assert!(title.contains(said), "{title}");
    }
    let id = server.start("list", &json!({ "list": [] }));
    assert_eq!(step(&server.ended_as(&id, "COMPLETED"), "each")["output"], json!([]));
}

fn a_loop_without_end_ends(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/endless.yaml",
        "steps: [{id: again, until: 'false', max_attempts: 5, uses: set, with: {n: 1}}]\n",
    );
    let server = home.serve();
    let id = server.start("endless", &json!({}));
    let execution = server.ended_as(&id, "FAILED");
    assert_eq!(execution["error"]["code"], "loop.exhausted", "{execution:#}");
}

const WAITING: &str = "steps:\n\
    - {id: wait, uses: wait, with: {signal: approved, correlation: '${{ inputs.order }}'}}\n\
    - {id: after, uses: set, with: {by: '${{ steps.wait.outputs.payload.by }}'}}\n\
    inputs: {order: {type: string}}\n\
    outputs: {by: '${{ steps.after.outputs.by }}'}\n";

fn a_signal_is_kept_until_somebody_waits(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/waiting.yaml", WAITING);
    let server = home.serve();
    let early = json!({"name": "approved", "correlation": "1", "payload": {"by": "ada"}, "idempotencyKey": "k"});
    assert_eq!(signal(&server, &early)["isNew"], true);
    assert_eq!(signal(&server, &early)["isNew"], false, "the same key is the same signal");
    let first = server.start("waiting", &json!({ "order": "1" }));
    assert_eq!(server.ended_as(&first, "COMPLETED")["result"]["by"], "ada");

    let second = server.start("waiting", &json!({ "order": "1" }));
    let other = server.start("waiting", &json!({ "order": "2" }));
    reaches(&server, &second, "wait", "WAITING");
    reaches(&server, &other, "wait", "WAITING");
    let sent = signal(&server, &json!({"id": other, "name": "approved", "payload": {"by": "bob"}}));
    assert_eq!(sent["userErrors"], json!([]));
    assert_eq!(server.ended_as(&other, "COMPLETED")["result"]["by"], "bob");
    assert_eq!(server.execution(&second)["status"], "WAITING", "the taken signal is gone");
    let late = signal(&server, &json!({"id": other, "name": "approved"}));
    assert_eq!(late["userErrors"][0]["code"], "ALREADY_ENDED", "{late:#}");
}

fn a_waiting_execution_survives_a_crash(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/waiting.yaml", WAITING);
    let server = home.serve();
    let id = server.start("waiting", &json!({ "order": "7" }));
    until("it to be let go of", || {
        let free = "select count(*) from workflow_executions where status = 'waiting' and owner_node_id is null";
        (home.sql().number(free) == 1).then_some(())
    });
    server.crash();
    let server = home.serve();
    let sent = signal(&server, &json!({"name": "approved", "correlation": "7", "payload": {"by": "eve"}}));
    assert_eq!(sent["wokenExecutions"], 1, "{sent:#}");
    assert_eq!(server.ended_as(&id, "COMPLETED")["result"]["by"], "eve");
}

fn a_wait_has_a_limit(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/limit.yaml", "steps: [{id: wait, uses: wait, with: {signal: never}, timeout: 100ms}]\n");
    let server = home.serve();
    let id = server.start("limit", &json!({}));
    let execution = server.ended_as(&id, "FAILED");
    assert_eq!(step(&execution, "wait")["status"], "TIMED_OUT");
}

fn a_workflow_runs_another(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/outer.yaml",
        r#"
inputs: {n: {type: integer}}
outputs: {m: "${{ steps.run.outputs.m }}", id: "${{ steps.detached.outputs.execution_id }}"}
steps:
  - {id: run, uses: ./inner, with: {n: "${{ inputs.n }}"}}
  - {id: detached, uses: workflow, with: {name: inner, inputs: {n: 1}, wait: false}}
"#,
    );
    home.write(
        "workflows/inner.yaml",
        "inputs: {n: {type: integer, maximum: 9}}\noutputs: {m: '${{ inputs.n * 2 }}'}\n\
         steps: [{run: '[ \"$N\" != 3 ]', env: {N: '${{ inputs.n }}'}}]\n",
    );
    let server = home.serve();
    let id = server.start("outer", &json!({ "n": 4 }));
    let execution = server.ended_as(&id, "COMPLETED");
    assert_eq!(execution["result"]["m"], 8);
    assert!(execution["result"]["id"].is_string());
    for (n, code) in [(3, "workflow.failed"), (10, "workflow.not_started")] {
        let id = server.start("outer", &json!({ "n": n }));
        let execution = server.ended_as(&id, "FAILED");
        assert_eq!(execution["error"]["code"], code, "{execution:#}");
    }
}

fn a_stopped_workflow_stops_the_one_it_runs(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/outer.yaml", "steps: [{id: run, uses: ./inner, with: {}}]\n");
    home.write("workflows/inner.yaml", "steps: [{id: long, run: 'echo $$ > pid; sleep 600'}]\n");
    let server = home.serve();
    let id = server.start("outer", &json!({}));
    until("the process to run", || (!home.read("pid").is_empty()).then_some(()));
    cancel(&server, &id);
    server.ended_as(&id, "CANCELLED");
    assert_eq!(server.count_executions("inner", &["CANCELLED"]), 1, "it ended first");
}

fn workflows_that_run_themselves_end(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/again.yaml", "steps: [{id: again, uses: ./again, with: {}}]\n");
    let server = home.serve();
    let id = server.start("again", &json!({}));
    server.ended_as(&id, "FAILED");
    assert_eq!(server.count_executions("again", &["FAILED"]), 17, "one, and sixteen below it");
}

fn handlers_run_after_a_cancellation(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/tidy.yaml",
        r#"
steps: [{id: long, run: 'echo run >> order.txt; sleep 600'}]
on_failure: [{id: alarm, run: 'echo "alarm $S" >> order.txt', env: {S: "${{ execution.status }}"}}]
finally: [{id: tidy, run: 'echo tidy >> order.txt'}]
"#,
    );
    let server = home.serve();
    let id = server.start("tidy", &json!({}));
    until("it to run", || (home.read("order.txt") == "run\n").then_some(()));
    cancel(&server, &id);
    server.ended_as(&id, "CANCELLED");
    assert_eq!(home.read("order.txt"), "run\nalarm cancelled\ntidy\n");
}

fn a_failed_execution_is_done_over(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/over.yaml",
        r#"
inputs: {go: {type: boolean, default: false}}
steps:
  - {id: first, run: 'echo first >> first.txt'}
  - {id: each, foreach: [1, 2, 3], run: 'echo $N >> each.txt; [ $N != 2 ] || [ -e go ]', env: {N: "${{ item }}"}}
  - {id: last, run: '[ "$GO" = true ]', env: {GO: "${{ inputs.go }}"}}
"#,
    );
    let server = home.serve();
    let id = server.start("over", &json!({}));
    server.ended_as(&id, "FAILED");
    home.write("go", "");
    let over = |input: Value| {
        let answer = server.ask(RETRY, &json!({ "input": input }))["retryExecution"].take();
        assert_eq!(answer["userErrors"], json!([]), "{answer:#}");
        answer["execution"]["id"].as_str().expect("an id").to_owned()
    };
    let second = over(json!({ "id": id }));
    let execution = server.ended_as(&second, "FAILED");
    assert_eq!(execution["error"]["step"], "last", "{execution:#}");
    assert_eq!(home.read("first.txt"), "first\n", "what completed is kept");
    assert_eq!(
        home.read("each.txt").lines().filter(|line| *line == "2").count(),
        2,
        "only the failed value is done anew"
    );
    assert_eq!(home.read("each.txt").lines().count(), 4);
    let third = over(json!({ "id": second, "fromStep": "last", "inputs": { "go": true } }));
    server.ended_as(&third, "COMPLETED");
    assert_eq!(server.execution(&id)["status"], "FAILED", "the history stays");
    let nothing = server.ask(RETRY, &json!({ "input": { "id": third } }))["retryExecution"].take();
    assert!(!nothing["userErrors"].as_array().expect("a list").is_empty(), "{nothing:#}");
}

fn a_paused_workflow_takes_no_starts(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/short.yaml",
        "steps: [{id: wait, run: 'echo x >> run.txt; until [ -e go ]; do sleep 0.02; done'}]\n",
    );
    let server = home.serve();
    let running = server.start("short", &json!({}));
    until("it to run", || (!home.read("run.txt").is_empty()).then_some(()));
    let set = |enabled: bool| {
        let answer = server.ask(ENABLE, &json!({"input": {"workflow": "short", "enabled": enabled}}));
        assert_eq!(answer["setWorkflowEnabled"]["workflow"]["isEnabled"], enabled, "{answer:#}");
    };
    set(false);
    let refused = server.start_payload(&json!({ "workflow": "short" }));
    assert_eq!(refused["userErrors"][0]["code"], "NOT_EXECUTABLE", "{refused:#}");
    home.write("go", "");
    server.ended_as(&running, "COMPLETED");
    server.crash();
    let server = home.serve();
    let refused = server.start_payload(&json!({ "workflow": "short" }));
    assert_eq!(refused["userErrors"][0]["code"], "NOT_EXECUTABLE", "it stays paused");
    let answer = server.ask(ENABLE, &json!({"input": {"workflow": "short", "enabled": true}}));
    assert_eq!(answer["setWorkflowEnabled"]["userErrors"], json!([]));
    let id = server.start("short", &json!({}));
    server.ended_as(&id, "COMPLETED");
}
