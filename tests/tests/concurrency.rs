//! How executions share the room there is: limits by key, priorities, the time in the queue.

use cogwheel_tests::{Backend, Home, on_both_databases, until};
use serde_json::json;

on_both_databases!(
    executions_of_a_key_run_one_after_the_other,
    one_too_many_is_skipped,
    one_too_many_takes_the_place_of_the_others,
    more_urgent_ones_come_first,
    the_time_in_the_queue_is_limited,
);

/// A workflow whose execution runs until its file is there.
fn keyed(overflow: &str) -> String {
    format!(
        "inputs: {{key: {{type: string}}, name: {{type: string}}}}\n\
         concurrency: {{key: '${{{{ inputs.key }}}}', limit: 1, overflow: {overflow}}}\n\
         steps: [{{run: 'echo \"$N\" >> began.txt; until [ -e \"go-$N\" ]; do sleep 0.02; done', env: {{N: '${{{{ inputs.name }}}}'}}}}]\n"
    )
}

fn executions_of_a_key_run_one_after_the_other(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/keyed.yaml", keyed("queue"));
    let server = home.serve();
    let ids: Vec<_> = ["a", "b", "c"].map(|name| server.start("keyed", &json!({"key": "k", "name": name}))).into();
    let other = server.start("keyed", &json!({"key": "other", "name": "d"}));
    until("one of each key to run", || (home.read("began.txt").lines().count() == 2).then_some(()));
    home.write("go-d", "");
    server.ended_as(&other, "COMPLETED");
    assert_eq!(server.count_executions("keyed", &["QUEUED"]), 2);
    server.crash();
    let server = home.serve();
    for (id, name) in ids.iter().zip(["a", "b", "c"]) {
        assert!(
            !home.read("began.txt").contains(match name {
                "a" => "b",
                "b" => "c",
                _ => "e",
            }),
            "one at a time"
        );
        home.write(&format!("go-{name}"), "");
        server.ended_as(id, "COMPLETED");
    }
}

fn one_too_many_is_skipped(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/keyed.yaml", keyed("skip"));
    let server = home.serve();
    let first = server.start("keyed", &json!({"key": "k", "name": "a"}));
    let second = server.start("keyed", &json!({"key": "k", "name": "b"}));
    let skipped = server.ended_as(&second, "CANCELLED");
    assert!(skipped["error"]["title"].as_str().is_some_and(|title| title.contains("skipped")), "{skipped:#}");
    home.write("go-a", "");
    server.ended_as(&first, "COMPLETED");
    home.write("go-c", "");
    let third = server.start("keyed", &json!({"key": "k", "name": "c"}));
    server.ended_as(&third, "COMPLETED");
}

fn one_too_many_takes_the_place_of_the_others(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/keyed.yaml", keyed("replace"));
    let server = home.serve();
    let first = server.start("keyed", &json!({"key": "k", "name": "a"}));
    until("the first to run", || (home.read("began.txt") == "a\n").then_some(()));
    home.write("go-b", "");
    let second = server.start("keyed", &json!({"key": "k", "name": "b"}));
    server.ended_as(&first, "CANCELLED");
    server.ended_as(&second, "COMPLETED");
}

fn more_urgent_ones_come_first(backend: Backend) {
    let mut home = Home::new(backend);
    home.set("engine.max_running_executions", "1");
    home.write(
        "workflows/block.yaml",
        "steps: [{run: 'echo block >> order.txt; until [ -e go ]; do sleep 0.02; done'}]\n",
    );
    for priority in ["low", "normal", "high", "critical"] {
        home.write(
            &format!("workflows/{priority}.yaml"),
            format!("priority: {priority}\nsteps: [{{run: 'echo {priority} >> order.txt'}}]\n"),
        );
    }
    let server = home.serve();
    server.start("block", &json!({}));
    until("the slot to be taken", || (!home.read("order.txt").is_empty()).then_some(()));
    let ids: Vec<_> = ["low", "critical", "normal", "high"].iter().map(|name| server.start(name, &json!({}))).collect();
    home.write("go", "");
    for id in &ids {
        server.ended_as(id, "COMPLETED");
    }
    assert_eq!(home.read("order.txt"), "block\ncritical\nhigh\nnormal\nlow\n");
}

fn the_time_in_the_queue_is_limited(backend: Backend) {
    let mut home = Home::new(backend);
    home.set("engine.max_running_executions", "1");
    home.write("workflows/block.yaml", "steps: [{run: 'echo x >> run.txt; until [ -e go ]; do sleep 0.02; done'}]\n");
    home.write("workflows/hasty.yaml", "queue_timeout: 300ms\nsteps: [{run: 'true'}]\n");
    let server = home.serve();
    let block = server.start("block", &json!({}));
    until("the slot to be taken", || (!home.read("run.txt").is_empty()).then_some(()));
    let hasty = server.start("hasty", &json!({}));
    let execution = server.ended_as(&hasty, "TIMED_OUT");
    assert_eq!(execution["error"]["code"], "timeout.queue", "{execution:#}");
    assert!(execution["startedAt"].is_null());
    home.write("go", "");
    server.ended_as(&block, "COMPLETED");
    let hasty = server.start("hasty", &json!({}));
    server.ended_as(&hasty, "COMPLETED");
}
