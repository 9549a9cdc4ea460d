//! The examples that a newcomer runs first.

#[path = "../../examples/trip/services.rs"]
mod trip_services;

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use cogwheel_tests::{Backend, Home, Server, messages, on_both_databases, step, until};
use serde_json::{Value, json};

on_both_databases!(
    a_dropped_csv_is_checked_summarised_and_archived,
    a_malformed_csv_fails_and_stays,
    hello_greets,
    the_disk_is_reported,
    files_are_looked_at_one_by_one,
    an_import_is_tried_again_and_given_up,
    an_order_waits_for_its_decision,
    the_morning_round_runs_others,
    a_job_is_looked_at_until_it_is_done,
    a_region_is_imported_once_at_a_time,
    the_digest_is_planned,
    a_delivery_is_loaded_together_and_put_away,
    a_large_order_comes_in_by_webhook,
    somebody_new_is_taken_on_or_not,
    an_uploaded_csv_is_counted,
    a_trip_is_booked_or_not_at_all,
    who_registers_is_taken_on_once,
    an_order_is_paid_by_somebody_else_or_not_at_all,
);

/// A home with the examples and the settings of the repository; for PostgreSQL one line of these is changed.
fn home(backend: Backend) -> Home {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package lies in the repository");
    let mut home = Home::new(backend);
    fs::create_dir_all(home.path("examples/workflows")).expect("a new folder");
    for entry in fs::read_dir(repository.join("examples/workflows")).expect("the examples are there").flatten() {
        let to = home.path("examples/workflows").join(entry.file_name());
        fs::copy(entry.path(), to).expect("an example can be copied");
    }
    let settings = fs::read_to_string(repository.join("config.toml")).expect("config.toml is there");
    let line = "\ndatabase_url = \"\"\n";
    assert!(settings.contains(line), "{settings}");
    let url = home.unset("database_url").unwrap_or_default();
    home.write("config.toml", settings.replace(line, &format!("\ndatabase_url = \"{url}\"\n")));
    home
}

fn a_dropped_csv_is_checked_summarised_and_archived(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    assert_eq!(home.data().join("cogwheel.db").exists(), backend == Backend::Sqlite);
    let content = "id,name,amount\n1,Ada,10\n2,Grace,20\n";
    home.write("inbox/people.csv", content);

    let ids = server.ended_executions("csv-intake", 1);
    let execution = server.ended_as(&ids[0], "COMPLETED");
    assert_eq!(execution["triggerType"], "FILE");
    assert_eq!(execution["trigger"]["file"]["name"], "people.csv");
    assert_eq!(execution["result"]["rows"], 2);
    assert_eq!(execution["result"]["columns"], 3);
    for key in ["check", "summary", "report", "archive"] {
        assert_eq!(step(&execution, key)["status"], "COMPLETED", "{execution:#}");
    }
    assert!(messages(&execution).iter().any(|line| line.contains("people.csv: 2 rows, 3 columns")), "{execution:#}");

    let file = &execution["files"][0];
    assert_eq!(file["filename"], "people.csv");
    assert_eq!(file["size"], content.len());
    assert_eq!(file["sha256"].as_str().map(str::len), Some(64));
    assert_eq!(file["status"], "PROCESSED");
    assert!(!home.path("inbox/people.csv").exists());
    let archived = execution["result"]["archived"].as_str().expect("its new place");
    assert_eq!(fs::read_to_string(archived).expect("it was moved there"), content);
}

fn a_malformed_csv_fails_and_stays(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    home.write("inbox/broken.csv", "a,b\n1,2\n1,2,3\n");

    let ids = server.ended_executions("csv-intake", 1);
    let execution = server.ended_as(&ids[0], "FAILED");
    assert_eq!(step(&execution, "check")["status"], "FAILED");
    assert_eq!(step(&execution, "archive")["status"], "SKIPPED");
    assert!(messages(&execution).iter().any(|line| line.contains("line 3 has 3 columns")), "{execution:#}");
    assert!(home.path("inbox/broken.csv").exists());
    until("the file's record to tell", || (server.execution(&ids[0])["files"][0]["status"] == "FAILED").then_some(()));
}

fn hello_greets(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let id = server.start("hello", &json!({"name": "Ada $(id) \"x\""}));
    let execution = server.ended_as(&id, "COMPLETED");
    assert_eq!(execution["result"]["greeting"], "Hello, Ada $(id) \"x\"!");
    let id = server.start("hello", &json!({}));
    assert_eq!(server.ended_as(&id, "COMPLETED")["result"]["greeting"], "Hello, world!");
}

fn the_disk_is_reported(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let id = server.start("disk-report", &json!({"path": home.root()}));
    let execution = server.ended_as(&id, "COMPLETED");
    assert!(execution["result"]["used_percent"].as_u64().is_some_and(|percent| percent <= 100), "{execution:#}");
    assert!(execution["result"]["available_mib"].is_u64(), "{execution:#}");
    let schedules = server.ask(
        "{ schedules(filter: {workflow: \"disk-report\"}) { nodes { cron timezone catchUp overlap isEnabled nextDueAt } } }",
        &json!({}),
    );
    let schedule = &schedules["schedules"]["nodes"][0];
    assert_eq!(schedule["cron"], "*/15 * * * *");
    assert_eq!(schedule["isEnabled"], true);
    assert!(schedule["nextDueAt"].is_string(), "{schedule:#}");
}

fn files_are_looked_at_one_by_one(backend: Backend) {
    let home = home(backend);
    home.write("one.txt", "1\n2\n");
    home.write("two, with a comma.txt", "x");
    let server = home.serve();
    let id = server.start("file-facts", &json!({"paths": ["one.txt", home.path("two, with a comma.txt")]}));
    let execution = server.ended_as(&id, "COMPLETED");
    let files = json!([
        {"number": 1, "name": "one.txt", "lines": 2, "bytes": 4},
        {"number": 2, "name": "two, with a comma.txt", "lines": 0, "bytes": 1},
    ]);
    assert_eq!(execution["result"]["files"], files);
    assert_eq!(
        execution["result"]["table"], "bytes,lines,name\n4,2,one.txt\n1,0,\"two, with a comma.txt\"\n",
        "{execution:#}"
    );
    let id = server.start("file-facts", &json!({"paths": ["one.txt", "none.txt"]}));
    let execution = server.ended_as(&id, "FAILED");
    assert_eq!(step(&execution, "files[0].facts")["status"], "COMPLETED", "{execution:#}");
    assert_eq!(step(&execution, "files[1].count")["status"], "FAILED", "{execution:#}");
    let id = server.start("file-facts", &json!({}));
    assert_eq!(server.ended_as(&id, "COMPLETED")["result"]["files"][0]["name"], "config.toml");
}

fn an_import_is_tried_again_and_given_up(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let id = server.start("import-with-retry", &json!({}));
    let execution = server.ended_as(&id, "COMPLETED");
    assert_eq!(execution["result"]["attempts"], 3);
    assert_eq!(step(&execution, "alarm"), &Value::Null);
    assert_eq!(step(&execution, "tidy")["status"], "COMPLETED");
    let id = server.start("import-with-retry", &json!({"failures": 3}));
    let execution = server.ended_as(&id, "FAILED");
    assert_eq!(execution["error"]["code"], "exit.75", "{execution:#}");
    assert!(messages(&execution).contains(&"fetch failed: exit code 75"), "{execution:#}");
    assert_eq!(step(&execution, "tidy")["status"], "COMPLETED");
}

fn somebody_new_is_taken_on_or_not(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let left = || fs::read_dir(home.path("onboarding")).expect("a folder").count();
    let id = server.start("onboarding", &json!({"fails_at": "badge"}));
    let execution = server.ended_as(&id, "COMPENSATED");
    assert_eq!((execution["error"]["step"].as_str(), left()), (Some("badge"), 0), "{execution:#}");
    let id = server.start("onboarding", &json!({}));
    let execution = server.ended_as(&id, "COMPLETED");
    assert_eq!((&execution["result"]["account"], left()), (&json!("account-ada"), 3));
    assert!(messages(&execution).contains(&"welcome, ada"), "{execution:#}");
}

fn an_order_waits_for_its_decision(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let ids = ["4711", "4712", "4713"].map(|order| server.start("order-approval", &json!({"order": order})));
    decide(&server, "4711", &json!({"approved": true, "by": "Ada"}));
    decide(&server, "4712", &json!({"approved": false}));
    decide(&server, "4713", &json!("yes"));
    let execution = server.ended_as(&ids[0], "COMPLETED");
    assert_eq!(execution["result"], json!({"order": "4711", "is_shipped": true, "decided_by": "Ada"}));
    assert_eq!(messages(&execution), ["order 4711 is shipped"]);
    let execution = server.ended_as(&ids[1], "COMPLETED");
    assert_eq!(execution["result"], json!({"order": "4712", "is_shipped": false, "decided_by": "somebody"}));
    assert_eq!(server.ended_as(&ids[2], "FAILED")["error"]["code"], "output.schema");
}

/// Sends the signal that the example shows.
fn decide(server: &Server, order: &str, payload: &Value) {
    let query = "mutation($order: String!, $payload: JSON) {
        signalExecution(input: {name: \"order-decided\", correlation: $order, payload: $payload}) { userErrors { code } } }";
    let answer = server.ask(query, &json!({"order": order, "payload": payload}));
    assert_eq!(answer["signalExecution"]["userErrors"], json!([]));
}

fn the_morning_round_runs_others(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let id = server.start("morning-round", &json!({"path": home.root()}));
    let execution = server.ended_as(&id, "COMPLETED");
    assert_eq!(execution["result"]["greetings"], json!(["Hello, Ada!", "Hello, Grace!"]));
    assert!(execution["result"]["disk"].is_string(), "{execution:#}");
    assert_eq!(server.count_executions("hello", &["COMPLETED"]), 2);
}

fn a_job_is_looked_at_until_it_is_done(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let id = server.start("poll-job", &json!({}));
    let execution = server.ended_as(&id, "COMPLETED");
    assert_eq!(execution["result"], json!({"state": "done", "result": 42}));
    assert_eq!(step(&execution, "look[0]")["output"]["state"], "working", "{execution:#}");
}

fn a_region_is_imported_once_at_a_time(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let first = server.start("region-import", &json!({"region": "eu", "seconds": 2}));
    let second = server.start("region-import", &json!({"region": "eu", "seconds": 0}));
    let other = server.start("region-import", &json!({"region": "us", "seconds": 0}));
    server.ended_as(&other, "COMPLETED");
    server.ended_as(&second, "COMPLETED");
    assert_eq!(server.execution(&first)["status"], "COMPLETED", "the second waited for it");
}

fn the_digest_is_planned(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let id = server.start("nightly-digest", &json!({}));
    let execution = server.ended_as(&id, "COMPLETED");
    assert!(execution["result"]["text"].as_str().is_some_and(|text| text.starts_with("digest of 2")), "{execution:#}");
    let schedules = server.ask(
        "{ schedules(filter: {workflow: \"nightly-digest\"}) { nodes { triggerKey cron everyMs overlap jitterMs exclude
           nextFires(count: 3) { dueAt } } } }",
        &json!({}),
    );
    let nodes = schedules["schedules"]["nodes"].as_array().expect("a list");
    let of = |key: &str| nodes.iter().find(|node| node["triggerKey"] == key).expect("it is there");
    assert_eq!((&of("nightly")["overlap"], &of("nightly")["jitterMs"]), (&json!("QUEUE"), &json!(30_000)));
    assert_eq!(of("nightly")["exclude"], json!(["12-24..12-26", "01-01"]));
    assert_eq!((&of("pulse")["everyMs"], &of("pulse")["overlap"]), (&json!(900_000), &json!("REPLACE")));
    assert!(nodes.iter().all(|node| node["nextFires"].as_array().map(Vec::len) == Some(3)), "{schedules:#}");
}

fn a_delivery_is_loaded_together_and_put_away(backend: Backend) {
    let home = home(backend);
    fs::create_dir_all(home.path("deliveries/monday")).expect("a new folder");
    let server = home.serve();
    for name in ["a", "b", "c"] {
        home.write(&format!("deliveries/monday/{name}.csv"), "1\n2\n");
    }
    home.write("deliveries/monday/_SUCCESS", "");
    let ids = server.ended_executions("nightly-drop", 1);
    assert_eq!(server.ended_as(&ids[0], "COMPLETED")["result"], json!({"files": 3, "rows": 6}));
    until("the files to be put away", || {
        let is_away = |name| home.path("archive/deliveries/monday").join(format!("{name}.csv")).exists();
        ["a", "b", "c"].into_iter().all(is_away).then_some(())
    });
    assert!(home.path("deliveries/monday/_SUCCESS").exists());
}

fn a_large_order_comes_in_by_webhook(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let set = "mutation { setSecret(input: {name: \"SHOP_HMAC\", value: \"shop\"}) { userErrors { message } } }";
    server.ask(set, &Value::Null);
    let answer = server.call("shop/orders", "shop", "msg_1", r#"{"id": "7", "total": 1500}"#);
    assert_eq!((answer.status, answer.json()), (201, json!({"id": "7", "state": "accepted"})));
    let small = server.call("shop/orders", "shop", "msg_2", r#"{"id": "8", "total": 3}"#);
    assert_eq!(small.status, 201);
    let large = server.ended_executions("large-orders", 1);
    assert_eq!(messages(&server.execution(&large[0])), ["order 7 is worth 1500: somebody should look at it"]);
}

fn an_uploaded_csv_is_counted(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let bearer = format!("Bearer {}", server.key().expect("the admin key"));
    let form = |fields: &str| {
        format!(
            "--end\r\nContent-Disposition: form-data; name=\"file\"; filename=\"people.csv\"\r\n\r\nid,name\n1,Ada\n2,Grace\n\r\n\
             {fields}--end--\r\n"
        )
    };
    let region = "--end\r\nContent-Disposition: form-data; name=\"region\"\r\n\r\neu\r\n";
    for (fields, region) in [(region, "eu"), ("", "unknown")] {
        let headers = [("authorization", bearer.as_str()), ("content-type", "multipart/form-data; boundary=end")];
        let answer = server.send("POST", "/files", &headers, form(fields).as_bytes());
        assert_eq!(answer.status, 201, "{answer:?}");
        let id = answer.json()["executions"][0]["id"].as_str().expect("an execution").to_owned();
        let execution = server.ended_as(&id, "COMPLETED");
        assert_eq!(execution["result"], json!({"file": "people.csv", "region": region, "rows": 2}));
    }
}

fn a_trip_is_booked_or_not_at_all(backend: Backend) {
    let home = home(backend);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let services = format!("http://{}", listener.local_addr().expect("its address"));
    std::thread::spawn(move || trip_services::serve(&listener));
    let server = home.serve();
    let book = |city: &str| server.start("trip-booking", &json!({ "city": city, "services": services }));

    let booked = server.ended_as(&book("Lisbon"), "COMPLETED");
    assert!(booked["result"]["car"].is_u64() && booked["result"]["flight"].is_u64(), "{booked:#}");

    let undone = server.ended_as(&book("Nowhere"), "COMPENSATED");
    for key in ["flight.compensate", "hotel.compensate"] {
        assert_eq!(step(&undone, key)["status"], "COMPLETED", "{undone:#}");
        assert_eq!(step(&undone, key)["output"]["body"]["cancelled"], true, "{undone:#}");
    }
    assert_eq!(step(&undone, "car")["status"], "FAILED", "{undone:#}");
    assert_eq!(step(&undone, "tell")["status"], "SKIPPED", "{undone:#}");
}

fn who_registers_is_taken_on_once(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let id = server.start("registration", &json!({"person": "grace"}));
    server.ended_as(&id, "COMPLETED");
    let hired = server.ended_executions("new-hire", 1);
    assert_eq!(server.ended_as(&hired[0], "COMPLETED")["triggerType"], "EVENT");
    let taken_on = server.ended_executions("onboarding", 1);
    let execution = server.ended_as(&taken_on[0], "COMPLETED");
    assert_eq!(execution["result"]["account"], "account-grace", "{execution:#}");
}

fn an_order_is_paid_by_somebody_else_or_not_at_all(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let id = server.start("order-payment", &json!({}));
    let execution = server.ended_as(&id, "COMPLETED");
    let order = |execution: &Value| step(execution, "pay")["input"]["subject"].as_str().expect("it asked").to_owned();
    assert_eq!(execution["result"]["receipt"], format!("r-{}", order(&execution)));
    assert_eq!(home.read(&format!("payments/{}", order(&execution))), "5\n");
    for inputs in [json!({"total": 2000}), json!({"ships": false})] {
        let id = server.start("order-payment", &inputs);
        let execution = server.ended_as(&id, "COMPENSATED");
        let order = order(&execution);
        assert!(!home.path(&format!("payments/{order}")).exists(), "{execution:#}");
        assert!(home.path(&format!("payments/{order}.cancelled")).exists(), "{execution:#}");
    }
}
