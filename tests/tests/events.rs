//! Events start workflows: each once, also after a crash, and never in an endless chain.

use cogwheel_tests::{Backend, Home, Server, on_both_databases, step, until};
use serde_json::{Value, json};

on_both_databases!(
    an_emitted_event_starts_who_waits_for_it,
    the_end_of_a_workflow_is_an_event,
    what_was_emitted_before_a_crash_is_not_lost,
    a_chain_without_end_ends,
    an_event_that_starts_nothing_is_kept,
    a_full_history_is_recorded_and_read_in_order,
    a_changed_event_is_found,
    what_was_handed_out_is_handed_out_again_and_starts_nothing_twice,
    events_of_the_engine_are_its_own,
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

/// The types of the events of a stream, as the API lists them.
fn types_of(server: &Server, stream: &str) -> Vec<String> {
    let query = "query($stream: String) { events(stream: $stream) { type version position } }";
    let listed = server.ask(query, &json!({"stream": stream}));
    let events = listed["events"].as_array().expect("a list").clone();
    let versions: Vec<i64> = events.iter().map(|event| event["version"].as_i64().expect("a number")).collect();
    assert!((1..).zip(&versions).all(|(expected, version)| expected == *version), "{versions:?}");
    events.iter().map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
}

/// So many events, as the command line lists them.
fn listed(home: &Home, narrowed: &[&str], count: usize) -> Vec<Value> {
    until(format!("{count} events {narrowed:?}"), || {
        let arguments = [&["events", "list", "--output", "json"], narrowed].concat();
        let listed = home.run(&arguments).json();
        listed["events"].as_array().filter(|events| events.len() >= count).cloned()
    })
}

fn a_full_history_is_recorded_and_read_in_order(backend: Backend) {
    let home = Home::new(backend);
    let steps =
        "steps: [{id: a, run: 'true'}, {id: b, uses: set, with: {x: 1}}, {id: c, uses: wait, with: {for: 20ms}}]\n";
    home.write("workflows/told.yaml", format!("history: full\n{steps}"));
    home.write("workflows/silent.yaml", steps);
    let server = home.serve();
    let silent = server.start("silent", &json!({}));
    server.ended_as(&silent, "COMPLETED");
    let told = server.start("told", &json!({}));
    server.ended_as(&told, "COMPLETED");
    // While anybody's older transaction is open, others could still come before them.
    let ends = "{ events(types: [\"workflow.started\", \"workflow.completed\"]) { stream data } }";
    let events = server.ask_until("start and end to be told", ends, &Value::Null, |data| {
        data["events"].as_array().filter(|events| events.len() >= 2).cloned()
    });
    assert_eq!(events.len(), 2, "{events:#?}");
    assert_eq!(events[0]["data"]["workflow"], "told");
    let stream = events[0]["stream"].as_str().expect("a name");
    let expected = [
        "workflow.started",
        "step.started",
        "step.completed",
        "step.completed",
        "step.waiting",
        "workflow.waiting",
        "step.completed",
        "workflow.completed",
    ];
    let types = types_of(&server, stream);
    let seen: Vec<&str> = types.iter().map(String::as_str).filter(|name| *name != "workflow.resumed").collect();
    assert_eq!(seen, expected, "{types:?}");
    assert!(server.stop().success());
    let _ = home.run(&["events", "verify"]).with_code(0);
    let listed = listed(&home, &["--stream", stream, "--type", "step.completed"], 3);
    let shown = home.run(&["events", "show", listed[0]["id"].as_str().expect("an id"), "--output", "json"]).json();
    assert_eq!(&shown, &listed[0]);
    assert_eq!(shown["data"]["data"]["step"], "a");
}

fn a_changed_event_is_found(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/shop.yaml", SHOP);
    let server = home.serve();
    let id = server.start("shop", &json!({"total": 5}));
    server.ended_as(&id, "COMPLETED");
    assert!(server.stop().success());
    let mut sql = home.sql();
    let change = "update event_store set event_type = 'custom.order.cancelled' where event_type = 'custom.order.paid'";
    assert!(sql.try_execute(change).is_err(), "the database refuses");
    assert!(sql.try_execute("delete from event_store").is_err(), "the database refuses");
    match backend {
        Backend::Sqlite => sql.execute("drop trigger trg_event_store_immutable"),
        Backend::Postgres => sql.execute("alter table event_store disable trigger user"),
    }
    sql.execute(change);
    match backend {
        Backend::Sqlite => sql.execute(
            "create trigger trg_event_store_immutable before update on event_store for each row begin \
             select raise(abort, 'this change of event_store is refused'); end",
        ),
        Backend::Postgres => sql.execute("alter table event_store enable trigger user"),
    }
    let found = home.run(&["events", "verify", "--output", "json"]).with_code(1).json();
    let faults = found["faults"].as_array().expect("a list");
    assert_eq!(faults.len(), 1, "{found:#}");
    assert!(faults[0]["problem"].as_str().is_some_and(|problem| problem.contains("its hash is")));
    let stream = faults[0]["stream"].as_str().expect("a name");
    let _ = home.run(&["events", "verify", "--stream", stream]).with_code(1);
    let verified = home.run(&["db", "verify", "--data", "--output", "json"]).with_code(1).json();
    assert_eq!(verified["findings"][0]["kind"], "event_chain", "{verified:#}");
}

fn what_was_handed_out_is_handed_out_again_and_starts_nothing_twice(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/shop.yaml", SHOP);
    home.write("workflows/pack.yaml", PACK);
    let server = home.serve();
    for total in [20, 30] {
        let id = server.start("shop", &json!({"total": total}));
        server.ended_as(&id, "COMPLETED");
    }
    server.ended_executions("pack", 2);
    // It comes later, and gets what was before it when that is handed out again.
    home.write("workflows/count.yaml", PACK.replace("id: pack", "id: count"));
    server.has_version("count", 1);
    let first = listed(&home, &["--type", "custom.order.paid"], 2)[0]["position"].as_i64().expect("a position");
    server.ask_until("the reader to be done with both", "{ viewer { kind } }", &Value::Null, |_| {
        let replayed = home
            .run(&["events", "replay", "--from", &first.to_string(), "--reason", "test", "--output", "json"])
            .json();
        (replayed["events"].as_i64() >= Some(2)).then_some(())
    });
    assert!(server.stop().success());
    let server = home.serve();
    server.ended_executions("count", 2);
    assert_eq!(server.all_executions("pack").len(), 2, "each once");
    let _ = home.run(&["events", "replay", "--from", "1", "--consumer", "nobody"]).with_code(1);
    assert!(
        home.sql().number("select count(*) from audit_log where action = 'event.replayed' and reason = 'test'") > 0
    );
}

fn events_of_the_engine_are_its_own(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/forger.yaml", SHOP.replace("custom.order.paid", "'${{ \"workflow.failed\" }}'"));
    let server = home.serve();
    let id = server.start("forger", &json!({"total": 5}));
    let failed = server.ended_as(&id, "FAILED");
    let error = &step(&failed, "step-1")["error"];
    assert!(error.to_string().contains("begin with `custom.`"), "{error:#}");
}
