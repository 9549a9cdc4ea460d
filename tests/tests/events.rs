//! Events start workflows: each once, also after a crash, and never in an endless chain.

use cogwheel_tests::{Backend, Home, on_both_databases, step};
use serde_json::{Value, json};

on_both_databases!(
    an_emitted_event_starts_who_waits_for_it,
    the_end_of_a_workflow_is_an_event,
    what_was_emitted_before_a_crash_is_not_lost,
    a_chain_without_end_ends,
    an_event_that_starts_nothing_is_kept,
);

const SHOP: &str = "
inputs: {total: {type: integer}}
steps:
  - {uses: emit, with: {type: custom.order.paid, subject: order-7, data: {total: '${{ inputs.total }}'}}}
";

const PACK: &str = "
on:
  event:
    - {id: paid, type: 'custom.order.*', if: event.data.total > 10, inputs: {total: '${{ trigger.event.data.total }}'}}
inputs: {total: {type: integer}}
steps:
  - {id: pack, uses: set, with: {total: '${{ inputs.total }}', of: '${{ trigger.event.subject }}', type: '${{ trigger.event.type }}'}}
";

fn an_emitted_event_starts_who_waits_for_it(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/shop.yaml", SHOP);
    home.write("workflows/pack.yaml", PACK);
    let server = home.serve();
    let small = server.start("shop", &json!({"total": 5}));
    server.ended_as(&small, "COMPLETED");
    let large = server.start("shop", &json!({"total": 50}));
    let shop = server.ended_as(&large, "COMPLETED");
    let packed = server.ended_executions("pack", 1);
    let execution = server.execution(&packed[0]);
    assert_eq!(step(&execution, "pack")["output"], json!({"total": 50, "of": "order-7", "type": "custom.order.paid"}));
    assert_eq!((&execution["triggerType"], &execution["triggerKey"]), (&json!("EVENT"), &json!("paid")));
    assert_eq!(execution["trigger"]["event"]["id"], step(&shop, "step-1")["output"]["id"]);
    let depth = "query($id: ID!) { workflowExecution(id: $id) { depth } }";
    assert_eq!(server.ask(depth, &json!({"id": packed[0]}))["workflowExecution"]["depth"], 1);
    assert_eq!(server.ask(depth, &json!({"id": large}))["workflowExecution"]["depth"], 0);
    assert!(server.stop().success());
    let _ = home.run(&["db", "verify", "--data"]).with_code(0);
}

fn the_end_of_a_workflow_is_an_event(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/job.yaml",
        "inputs: {code: {type: integer}}\nsteps: [{run: 'exit $CODE', env: {CODE: '${{ inputs.code }}'}}]\n",
    );
    home.write(
        "workflows/alarm.yaml",
        "on: {event: {type: workflow.failed, if: \"${{ event.data.workflow != 'alarm' }}\"}}\n\
         steps: [{id: tell, uses: set, with: {of: '${{ trigger.event.data.workflow }}', why: '${{ trigger.event.data.error.title }}'}}]\n",
    );
    let server = home.serve();
    let good = server.start("job", &json!({"code": 0}));
    server.ended_as(&good, "COMPLETED");
    let bad = server.start("job", &json!({"code": 3}));
    server.ended_as(&bad, "FAILED");
    let alarms = server.ended_executions("alarm", 1);
    let alarm = server.execution(&alarms[0]);
    assert_eq!(step(&alarm, "tell")["output"], json!({"of": "job", "why": "exit code 3"}));
    let told = &alarm["trigger"]["event"]["data"]["execution_id"];
    assert_eq!(server.execution(told.as_str().expect("an id"))["id"], bad.as_str());
}

fn what_was_emitted_before_a_crash_is_not_lost(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/shop.yaml", SHOP);
    home.write("workflows/pack.yaml", PACK);
    let mut emitted = 0;
    for round in 0..4 {
        let server = home.serve();
        for total in 0..10 {
            let id = server.start("shop", &json!({"total": 100 * round + total + 11}));
            emitted += 1;
            if total == 9 {
                server.ended_as(&id, "COMPLETED");
            }
        }
        server.crash();
    }
    let server = home.serve();
    server.ask_until(
        "every event to have started its execution",
        "{ workflowExecutions(first: 1, filter: {workflow: \"pack\", status: [COMPLETED]}) { totalCount } }",
        &Value::Null,
        |data| (data["workflowExecutions"]["totalCount"] == emitted).then_some(()),
    );
    assert_eq!(server.all_executions("pack").len(), emitted, "each once");
}

fn a_chain_without_end_ends(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/again.yaml", "on: {event: {type: workflow.completed}}\nsteps: [{uses: set, with: {a: 1}}]\n");
    let server = home.serve();
    server.start("again", &json!({}));
    server.ended_executions("again", 17);
    let letters = "{ eventDeadLetters { eventType reasons createdAt event } }";
    let letter = server.ask_until("the end of the chain to be told", letters, &Value::Null, |data| {
        data["eventDeadLetters"].as_array().and_then(|letters| letters.first().cloned())
    });
    assert_eq!(letter["eventType"], "workflow.completed");
    assert!(letter["reasons"][0].as_str().is_some_and(|why| why.contains("16 deep")), "{letter:#}");
}

fn an_event_that_starts_nothing_is_kept(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/shop.yaml", SHOP.replace("'${{ inputs.total }}'", "lots"));
    home.write("workflows/pack.yaml", PACK.replace("event.data.total > 10", "'true'"));
    let server = home.serve();
    server.start("shop", &json!({"total": 1}));
    let letters = "{ eventDeadLetters { reasons } }";
    server.ask_until("the letter", letters, &Value::Null, |data| {
        data["eventDeadLetters"][0]["reasons"][0].as_str().filter(|why| why.starts_with("pack: ")).map(str::to_owned)
    });
    // What comes after it is not held up.
    home.write("workflows/shop.yaml", SHOP);
    server.has_version("shop", 2);
    server.start("shop", &json!({"total": 12}));
    server.ended_executions("pack", 1);
}
