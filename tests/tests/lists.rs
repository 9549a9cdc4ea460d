//! Reading lists page by page, and single objects by their ids.

use cogwheel_tests::{Backend, Home, on_both_databases};
use serde_json::{Value, json};

on_both_databases!(
    executions_are_paged_both_ways,
    the_executions_that_steps_start_are_listed_below_theirs,
    a_paused_workflow_is_not_enabled,
    lists_are_narrowed_by_their_filters,
    every_object_is_found_by_its_id
);

const PAGE: &str = "query($first: Int, $after: String, $last: Int, $before: String) {
    workflowExecutions(first: $first, after: $after, last: $last, before: $before) {
        totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { cursor } nodes { id } } }";

fn ids(page: &Value) -> Vec<String> {
    let nodes = page["nodes"].as_array().expect("a list");
    nodes.iter().map(|node| node["id"].as_str().expect("an id").to_owned()).collect()
}

fn executions_are_paged_both_ways(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/one.yaml", "steps: [{uses: log, with: {message: hello}}]\n");
    let server = home.serve();
    let mut started: Vec<_> = (0..7).map(|_| server.start("one", &json!({}))).collect();
    started.reverse();
    let page = |variables: Value| server.ask(PAGE, &variables)["workflowExecutions"].take();

    let first = page(json!({"first": 3}));
    assert_eq!(ids(&first), started[..3]);
    assert_eq!(first["totalCount"], 7);
    assert_eq!(first["pageInfo"]["hasNextPage"], true);
    assert_eq!(first["edges"][2]["cursor"], first["pageInfo"]["endCursor"]);
    let second = page(json!({"first": 3, "after": first["pageInfo"]["endCursor"]}));
    assert_eq!(ids(&second), started[3..6]);
    let third = page(json!({"first": 3, "after": second["pageInfo"]["endCursor"]}));
    assert_eq!(ids(&third), started[6..]);
    assert_eq!(third["pageInfo"]["hasNextPage"], false);

    let back = page(json!({"last": 2, "before": third["pageInfo"]["startCursor"]}));
    assert_eq!(ids(&back), started[4..6]);
    let oldest = page(json!({"last": 2}));
    assert_eq!(ids(&oldest), started[5..]);

    for wrong in [json!({"first": 0}), json!({"first": 101}), json!({"after": "nonsense"})] {
        let refused = server.post(PAGE, &wrong).json();
        assert_eq!(refused["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{wrong}: {refused:#}");
    }
}

fn the_executions_that_steps_start_are_listed_below_theirs(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/child.yaml", "inputs: {n: {type: integer}}\nsteps: [{uses: log, with: {message: hello}}]\n");
    home.write(
        "workflows/parent.yaml",
        "priority: high\nsteps: [{id: each, foreach: [1, 2, 3], max_parallel: 1, uses: ./child, with: {n: '${{ item }}'}}]\n",
    );
    let server = home.serve();
    let id = server.start("parent", &json!({}));
    server.ended_as(&id, "COMPLETED");
    server.start("child", &json!({"n": 9}));
    let query =
        "query($after: String) { workflowExecutions(filter: {workflow: \"parent\"}) { nodes { priority parent { id }
        children(first: 2, after: $after) { totalCount pageInfo { hasNextPage endCursor }
            nodes { inputs priority triggerType parent { id } parentStepOrdinal children { totalCount } } } } } }";
    let page = |after: &Value| {
        let answer = server.ask(query, &json!({ "after": after }));
        let parent = &answer["workflowExecutions"]["nodes"][0];
        assert_eq!((&parent["priority"], &parent["parent"]), (&json!("HIGH"), &Value::Null), "{answer:#}");
        parent["children"].clone()
    };
    let first = page(&Value::Null);
    assert_eq!((&first["totalCount"], &first["pageInfo"]["hasNextPage"]), (&json!(3), &json!(true)), "{first:#}");
    let second = page(&first["pageInfo"]["endCursor"]);
    assert_eq!(second["pageInfo"]["hasNextPage"], false, "{second:#}");
    let nodes: Vec<&Value> =
        [&first, &second].into_iter().flat_map(|page| page["nodes"].as_array().expect("a list")).collect();
    let numbers: Vec<_> = nodes.iter().map(|node| node["inputs"]["n"].clone()).collect();
    assert_eq!(numbers, [3, 2, 1], "newest first");
    for child in nodes {
        assert_eq!((&child["parent"]["id"], &child["triggerType"]), (&json!(id), &json!("WORKFLOW")), "{child:#}");
        assert_eq!((&child["priority"], &child["children"]["totalCount"]), (&json!("NORMAL"), &json!(0)), "{child:#}");
        assert!(child["parentStepOrdinal"].as_i64().is_some_and(|ordinal| ordinal > 0), "{child:#}");
    }
}

fn a_paused_workflow_is_not_enabled(backend: Backend) {
    let home = Home::new(backend);
    for name in ["one", "two"] {
        home.write(&format!("workflows/{name}.yaml"), "steps: [{uses: log, with: {message: hello}}]\n");
    }
    let server = home.serve();
    let pause = "mutation { setWorkflowEnabled(input: {workflow: \"two\", enabled: false}) { workflow { status } } }";
    assert_eq!(server.ask(pause, &json!({}))["setWorkflowEnabled"]["workflow"]["status"], "PAUSED");
    let lists = "{ on: workflows(filter: {isEnabled: true}) { totalCount nodes { name isEnabled } }
        off: workflows(filter: {isEnabled: false}) { totalCount nodes { name isEnabled } } }";
    let on = json!({"totalCount": 1, "nodes": [{"name": "one", "isEnabled": true}]});
    let off = json!({"totalCount": 1, "nodes": [{"name": "two", "isEnabled": false}]});
    assert_eq!(server.ask(lists, &json!({})), json!({"on": on, "off": off}));
}

fn lists_are_narrowed_by_their_filters(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/good.yaml", "steps: [{run: 'true'}]\n");
    home.write("workflows/bad.yaml", "steps: [{run: 'false'}]\n");
    let server = home.serve();
    for _ in 0..2 {
        let good = server.start("good", &json!({}));
        server.ended_as(&good, "COMPLETED");
    }
    let bad = server.start("bad", &json!({}));
    server.ended_as(&bad, "FAILED");
    let count = |filter: &str| {
        let query = format!("{{ workflowExecutions(filter: {{{filter}}}) {{ totalCount }} }}");
        server.ask(&query, &json!({}))["workflowExecutions"]["totalCount"].as_u64().expect("a number")
    };
    assert_eq!(count("workflow: \"good\""), 2);
    assert_eq!(count("status: [FAILED]"), 1);
    assert_eq!(count("status: [FAILED, COMPLETED]"), 3);
    assert_eq!(count("workflow: \"good\", status: [FAILED]"), 0);
    assert_eq!(count("triggerType: [MANUAL]"), 3);
    assert_eq!(count("triggerType: [FILE]"), 0);

    let workflows = server.ask(
        "{ workflows { totalCount nodes { name totalExecutions successfulExecutions failedExecutions } } }",
        &json!({}),
    );
    assert_eq!(workflows["workflows"]["totalCount"], 2);
    let nodes = workflows["workflows"]["nodes"].as_array().expect("a list");
    let counters = |name: &str| {
        let workflow = nodes.iter().find(|node| node["name"] == name).expect("it is listed");
        ["totalExecutions", "successfulExecutions", "failedExecutions"].map(|key| workflow[key].as_i64())
    };
    assert_eq!(counters("good"), [Some(2), Some(2), Some(0)]);
    assert_eq!(counters("bad"), [Some(1), Some(0), Some(1)]);
}

fn every_object_is_found_by_its_id(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/all.yaml",
        "on: {file: [{path: inbox, settle: 0s}], schedule: [{cron: '* * * * * *'}]}\nsteps: [{run: echo line}]\n",
    );
    let server = home.serve();
    home.write("inbox/a.csv", "x\n");
    let lists = "{
        workflows { nodes { id __typename activeVersion { id __typename source } } }
        workflowExecutions { nodes { id __typename steps { nodes { id __typename } } } }
        files { nodes { id __typename } } fileWatches { nodes { id __typename } }
        schedules { nodes { id __typename } } scheduleFires { nodes { id __typename } } }";
    let data = server.ask_until("something in every list", lists, &json!({}), |data| {
        let lists = data.as_object().expect("an object").values();
        // The newest execution may have been looked at before its step began.
        let has_step = data["workflowExecutions"]["nodes"][0]["steps"]["nodes"][0].is_object();
        (has_step && lists.clone().all(|list| list["nodes"] != json!([]))).then(|| data.clone())
    });
    let mut objects: Vec<Value> =
        data.as_object().expect("an object").values().map(|list| list["nodes"][0].clone()).collect();
    objects.push(data["workflows"]["nodes"][0]["activeVersion"].clone());
    objects.push(data["workflowExecutions"]["nodes"][0]["steps"]["nodes"][0].clone());
    let given: Vec<Value> = objects.iter().map(|object| object["id"].clone()).collect();
    let found = server.ask("query($ids: [ID!]!) { nodes(ids: $ids) { id __typename } }", &json!({"ids": given}));
    for (object, found) in objects.iter().zip(found["nodes"].as_array().expect("a list")) {
        assert_eq!((&found["id"], &found["__typename"]), (&object["id"], &object["__typename"]));
    }
    let nobody = server.post("{ node(id: \"nonsense\") { id } }", &json!({})).json();
    assert_eq!(nobody["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{nobody:#}");
}
