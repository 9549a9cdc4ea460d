//! Files that clients send, and what they start.

mod crash;
mod kept;
mod recorded;
mod refused;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use cogwheel_tests::{Answer, Backend, Home, Server, on_both_databases, step, until};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

on_both_databases!(
    a_raw_upload_starts_a_workflow_that_reads_it,
    a_form_with_several_files_starts_one_execution_each,
    graphql_takes_files_as_well,
    a_repeated_key_finds_the_first_upload,
    every_decision_is_in_the_ledger,
    a_file_is_processed_when_all_its_executions_have_ended,
);

const READ: &str = r#"
on: {file: {source: upload, match: '*.csv'}}
steps:
  - id: sum
    run: echo "sha=$(sha256sum < "$FILE" | cut -c1-64)" >> "$COGWHEEL_OUTPUT"
    env: {FILE: '${{ trigger.file.path }}'}
  - {id: seen, uses: set, with: {file: '${{ trigger.file }}', type: '${{ trigger.type }}'}}
"#;

const FILES: &str = "{ files(first: 50) { totalCount nodes { id filename originalFilename size sha256 mimeType source status \
    decisionReason detail downloadPath path executions { id status workflow { name } } watch { triggerKey } } } }";

const UPLOAD: &str = "mutation($input: UploadFileInput!) { uploadFile(input: $input) {
    file { id filename sha256 mimeType status source } executions { id workflow { name } }
    userErrors { code message path } } }";

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn home(backend: Backend) -> Home {
    let mut home = Home::new(backend);
    let blobs = home.path("blobs");
    home.set("blobs_dir", blobs.to_str().expect("a path of letters"));
    home
}

/// The server of a home whose workflow reads uploads.
fn reading(home: &Home) -> Server {
    home.write("workflows/read.yaml", READ);
    home.serve()
}

fn bearer(server: &Server) -> String {
    format!("Bearer {}", server.key().expect("the admin key"))
}

/// Sends a file as the body.
fn send(server: &Server, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let bearer = bearer(server);
    let headers: Vec<(&str, &str)> =
        [("authorization", bearer.as_str())].into_iter().chain(headers.iter().copied()).collect();
    server.send("POST", path, &headers, body)
}

fn get(server: &Server, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let bearer = bearer(server);
    let headers: Vec<(&str, &str)> =
        [("authorization", bearer.as_str())].into_iter().chain(headers.iter().copied()).collect();
    server.send(method, path, &headers, b"")
}

fn put(server: &Server, name: &str, body: &[u8]) -> Value {
    let answer = send(server, &format!("/files?name={name}"), &[], body);
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

/// A form with these parts: name, head of its own, content.
fn form(parts: &[(&str, Option<&str>, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, file, content) in parts {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        body.extend(format!("--limit\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").into_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--limit--\r\n");
    ("multipart/form-data; boundary=limit".to_owned(), body)
}

fn send_form(server: &Server, path: &str, parts: &[(&str, Option<&str>, &[u8])]) -> Answer {
    let (media, body) = form(parts);
    send(server, path, &[("content-type", &media)], &body)
}

fn execution_of(file: &Value) -> String {
    assert_eq!(file["executions"].as_array().map(Vec::len), Some(1), "{file:#}");
    file["executions"][0]["id"].as_str().expect("an id").to_owned()
}

fn files(server: &Server) -> Vec<Value> {
    server.ask(FILES, &Value::Null)["files"]["nodes"].as_array().cloned().unwrap_or_default()
}

fn file_named(server: &Server, name: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    until(format!("the file {name}"), || {
        files(server).into_iter().find(|file| file["filename"] == name && is_wanted(file))
    })
}

/// How many files lie in the folder of bytes, also those that are on their way.
fn blobs(home: &Home) -> usize {
    files_in(&home.path("blobs"))
}

/// How many files lie in a folder and those below it.
fn files_in(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries.flatten().map(|entry| if entry.path().is_dir() { files_in(&entry.path()) } else { 1 }).sum()
}

fn a_raw_upload_starts_a_workflow_that_reads_it(backend: Backend) {
    let home = home(backend);
    let server = reading(&home);
    let content = b"a,b\n1,2\n";
    let file = put(&server, "orders.csv", content);
    assert_eq!(
        (&file["name"], &file["size"], &file["mimeType"]),
        (&json!("orders.csv"), &json!(8), &json!("text/csv"))
    );
    assert_eq!(
        (&file["decision"], &file["status"], &file["isNew"]),
        (&json!("NEW_VERSION"), &json!("PROCESSING"), &json!(true))
    );
    let hash = sha256(content);
    assert_eq!(file["sha256"], hash);
    let execution = server.ended_as(&execution_of(&file), "COMPLETED");
    assert_eq!(step(&execution, "sum")["output"]["sha"], hash, "{execution:#}");
    assert_eq!((&execution["triggerType"], &execution["triggerKey"]), (&json!("FILE"), &json!("file-0")));
    let seen = &step(&execution, "seen")["output"];
    assert_eq!(
        (&seen["type"], &seen["file"]["name"], &seen["file"]["size"]),
        (&json!("file"), &json!("orders.csv"), &json!(8))
    );
    assert_eq!((&seen["file"]["mime"], &seen["file"]["event"]), (&json!("text/csv"), &json!("created")));
    assert!(seen["file"]["path"].as_str().is_some_and(|path| path.ends_with("/upload/orders.csv")), "{seen}");
    assert_eq!(execution["files"][0]["status"], "PROCESSED");
    let ledger = file_named(&server, "orders.csv", |file| file["status"] == "PROCESSED");
    assert_eq!((&ledger["id"], &ledger["source"], &ledger["path"]), (&file["id"], &json!("UPLOAD"), &Value::Null));
    assert_eq!(ledger["watch"]["triggerKey"], "file-0");
    let watches = server.ask("{ fileWatches(first: 2) { nodes { health location source mimeTypes } } }", &Value::Null);
    let watch = &watches["fileWatches"]["nodes"][0];
    assert_eq!(
        (&watch["health"], &watch["location"], &watch["source"]),
        (&json!("HEALTHY"), &Value::Null, &json!("UPLOAD"))
    );

    let named = [("content-disposition", "attachment; filename=\"x\"; filename*=UTF-8''sp%C3%A4t.csv")];
    let by_header = send(&server, "/files", &named, content);
    assert_eq!((by_header.status, &by_header.json()["name"]), (201, &json!("spät.csv")));
    assert_eq!(send(&server, "/files", &[], content).status, 400, "it has no name");
    assert_eq!(server.send("POST", "/files?name=a.csv", &[], content).status, 401);
    assert_eq!(get(&server, "GET", "/files", &[]).status, 405);
    let foreign = send(&server, "/files?name=a.csv", &[("sec-fetch-site", "cross-site")], content);
    assert_eq!(foreign.status, 403);
    let _ = home.run(&["db", "verify", "--data"]).with_code(0);
}

fn a_form_with_several_files_starts_one_execution_each(backend: Backend) {
    let home = home(backend);
    let server = reading(&home);
    let (first, second) = (b"a\n1\n".as_slice(), b"a\n2\n".as_slice());
    let region = "eu, süd".as_bytes();
    let parts = [
        ("region", None, region),
        ("file", Some("a.csv"), first),
        ("more", Some("b.csv"), second),
        ("note", None, b""),
    ];
    let answer = send_form(&server, "/files", &parts);
    assert_eq!(answer.status, 201, "{answer:?}");
    let answer = answer.json();
    assert_eq!(answer["files"].as_array().map(Vec::len), Some(2));
    for (file, content) in answer["files"].as_array().expect("files").iter().zip([first, second]) {
        let execution = server.ended_as(&execution_of(file), "COMPLETED");
        assert_eq!(step(&execution, "sum")["output"]["sha"], sha256(content));
        let fields = &step(&execution, "seen")["output"]["file"]["fields"];
        assert_eq!(fields, &json!({"region": "eu, süd", "note": ""}), "all files have all fields");
    }
    let one = send_form(&server, "/files", &[("file", Some("c.csv"), first)]);
    assert_eq!((one.status, &one.json()["name"]), (201, &json!("c.csv")));
    for (parts, says) in [
        (vec![], "the form has no file"),
        (vec![("note", None, b"x".as_slice())], "the form has no file"),
        (
            vec![("n", None, b"x".as_slice()), ("n", None, b"y"), ("f", Some("a.csv"), b"z")],
            "the field `n` cannot be taken",
        ),
        (vec![("n", None, b"\xff".as_slice()), ("f", Some("a.csv"), b"z")], "its part `n` is not UTF-8"),
        (vec![("n", None, &[b'x'; 70_000]), ("f", Some("a.csv"), b"z")], "`n` has more than 65536 bytes"),
    ] {
        let refused = send_form(&server, "/files", &parts);
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.text.contains(says), "{refused:?}");
    }
    let (media, body) = form(&[("file", Some("d.csv"), first)]);
    let cut = send(&server, "/files", &[("content-type", &media)], &body[..body.len() - 20]);
    assert_eq!(cut.status, 400, "{cut:?}");
    let unlimited = send(&server, "/files", &[("content-type", "multipart/form-data")], &body);
    assert!(unlimited.status == 400 && unlimited.text.contains("boundary"), "{unlimited:?}");
    let endless = [b"--limit\r\nX: ".as_slice(), &vec![b'x'; 1 << 20]].concat();
    let endless = send(&server, "/files", &[("content-type", &media)], &endless);
    assert!(endless.status == 400 && endless.text.contains("head of a part"), "{endless:?}");
}

fn graphql_takes_files_as_well(backend: Backend) {
    let home = home(backend);
    let server = reading(&home);
    let content = b"a,b\n3,4\n";
    let send = |variables: Value, map: &str, file: &[u8]| {
        let operations = json!({"query": UPLOAD, "variables": variables}).to_string();
        let parts = [
            ("operations", None, operations.as_bytes()),
            ("map", None, map.as_bytes()),
            ("0", Some("../orders.csv"), file),
        ];
        send_form(&server, "/graphql", &parts)
    };
    let map = r#"{"0": ["variables.input.file"]}"#;
    let answer = send(json!({"input": {"file": null, "idempotencyKey": "k"}}), map, content);
    let payload = answer.json()["data"]["uploadFile"].take();
    assert_eq!(payload["userErrors"], json!([]), "{answer:?}");
    assert_eq!((&payload["file"]["filename"], &payload["file"]["source"]), (&json!("orders.csv"), &json!("UPLOAD")));
    assert_eq!(payload["executions"][0]["workflow"]["name"], "read");
    let id = payload["executions"][0]["id"].as_str().expect("an id");
    let execution = server.ended_as(id, "COMPLETED");
    assert_eq!(step(&execution, "sum")["output"]["sha"], sha256(content));

    let again = send(json!({"input": {"file": null, "idempotencyKey": "k"}}), map, content).json();
    assert_eq!(again["data"]["uploadFile"]["file"]["id"], payload["file"]["id"]);
    let other = send(json!({"input": {"file": null, "idempotencyKey": "k"}}), map, b"x").json();
    assert_eq!(other["data"]["uploadFile"]["userErrors"][0]["code"], "IDEMPOTENCY_KEY_IN_USE");
    let renamed = send(json!({"input": {"file": null, "name": "b.txt"}}), map, content).json();
    let renamed = &renamed["data"]["uploadFile"]["file"];
    assert_eq!((&renamed["filename"], &renamed["mimeType"]), (&json!("b.txt"), &json!("text/plain")));
    let with_fields = send(json!({"input": {"file": null, "fields": {"region": "eu"}}}), map, content).json();
    let id = with_fields["data"]["uploadFile"]["executions"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(server.execution(&id)["trigger"]["file"]["fields"], json!({"region": "eu"}));
    for fields in [json!({"n": 1}), json!(["n"])] {
        let wrong = send(json!({"input": {"file": null, "fields": fields}}), map, content).json();
        let error = &wrong["data"]["uploadFile"]["userErrors"][0];
        assert_eq!((&error["code"], &error["path"]), (&json!("INVALID_INPUT"), &json!(["fields"])), "{wrong:#}");
    }
    let bad = send(json!({"input": {"file": null, "name": ".."}}), map, content).json();
    assert_eq!(bad["data"]["uploadFile"]["userErrors"][0]["code"], "INVALID_FILE_NAME");
    for (map, says) in [
        (r#"{"0": ["variables.input.no"]}"#, "has no such variable"),
        (r#"{"1": ["variables.input.file"]}"#, "`map` has no part `0`"),
        (r#"{"0": ["variables.input.file", "variables.input.name"]}"#, "one place"),
        ("[]", "`map` must be an object"),
    ] {
        let refused = send(json!({"input": {"file": null}}), map, content);
        assert!(refused.status == 400 && refused.text.contains(says), "{refused:?}");
    }
    let without = server.post(UPLOAD, &json!({"input": {"file": "#__graphql_file__:0"}})).json();
    assert_eq!(without["data"]["uploadFile"]["userErrors"][0]["code"], "INVALID_INPUT", "{without:#}");
}

fn a_repeated_key_finds_the_first_upload(backend: Backend) {
    let home = home(backend);
    let server = reading(&home);
    let keyed = |key: &str, body: &[u8]| send(&server, "/files?name=a.csv", &[("idempotency-key", key)], body);
    let first = keyed("order-7", b"a\n7\n");
    assert_eq!(first.status, 201, "{first:?}");
    let again = keyed("order-7", b"a\n7\n");
    assert_eq!(again.status, 200, "{again:?}");
    let (first, again) = (first.json(), again.json());
    assert_eq!((&first["id"], &first["executions"]), (&again["id"], &again["executions"]));
    assert_eq!(again["isNew"], false);
    assert_eq!(keyed("order-7", b"a\n8\n").status, 409, "another file needs another key");
    let other = keyed("order-8", b"a\n7\n").json();
    assert_ne!(other["id"], first["id"]);
    assert_eq!(keyed("", b"a\n7\n").status, 400);
    server.ended_executions("read", 2);
    assert_eq!((files(&server).len(), blobs(&home)), (2, 1), "the same bytes are kept once");

    // One key stands for every file of a form, at its place.
    let form = |second: &[u8]| {
        let (media, body) = form(&[("a", Some("a.csv"), b"a\n1\n"), ("b", Some("b.csv"), second)]);
        let long = "k".repeat(255);
        send(&server, "/files", &[("content-type", &media), ("idempotency-key", &long)], &body)
    };
    let (first, again, other) = (form(b"a\n2\n"), form(b"a\n2\n"), form(b"a\n3\n"));
    assert_eq!((first.status, again.status, other.status), (201, 200, 409), "{first:?} {again:?} {other:?}");
    let ids = |answer: &Answer| {
        answer.json()["files"].as_array().map(|files| files.iter().map(|file| file["id"].clone()).collect::<Vec<_>>())
    };
    assert_eq!(ids(&first), ids(&again));
}

fn every_decision_is_in_the_ledger(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let nobody = put(&server, "a.csv", b"a\n1\n");
    assert_eq!((&nobody["status"], &nobody["executions"]), (&json!("READY"), &json!([])));
    assert_eq!(
        (&nobody["decision"], &nobody["reason"]),
        (&json!("FILTERED_PATTERN"), &json!("no workflow has a trigger for uploads"))
    );
    home.write(
        "workflows/pick.yaml",
        "on: {file: {source: upload, match: ['*.csv', '*.png'], ignore: draft-*, mime: [text/csv, image/*], min_size: 3, max_size: 20}}
steps: [{run: 'true'}]\n",
    );
    server.ask_until("the workflow", "{ fileWatches(first: 1) { nodes { id } } }", &Value::Null, |data| {
        data["fileWatches"]["nodes"][0]["id"].is_string().then_some(())
    });
    let png = b"\x89PNG\r\n\x1a\n\0\0";
    let elf = [b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".as_slice(), &[0; 64]].concat();
    for (name, content, decision, says) in [
        ("ok.csv", b"a\n1\n".as_slice(), "NEW_VERSION", ""),
        ("ok.png", png, "NEW_VERSION", ""),
        ("image.csv", png, "NEW_VERSION", ""),
        ("a.txt", b"a\n1\n", "FILTERED_PATTERN", "pick: no pattern of `match` is its name"),
        ("draft-a.csv", b"a\n1\n", "FILTERED_PATTERN", "a pattern of `ignore`"),
        (".a.csv", b"a\n1\n", "HIDDEN_OR_TEMPORARY", "hidden or not finished"),
        ("exe.csv", elf.as_slice(), "FILTERED_MIME", "its content is application/x-executable"),
        ("bytes.csv", b"a\0b", "FILTERED_MIME", "application/octet-stream"),
        ("small.csv", b"a", "FILTERED_SIZE", "it has 1 bytes"),
        ("large.csv", b"aaaaaaaaaaaaaaaaaaaaaaaaa", "FILTERED_SIZE", "from 3 to 20 bytes"),
    ] {
        let file = put(&server, name, content);
        assert_eq!(file["decision"], decision, "{file:#}");
        assert!(file["reason"].as_str().unwrap_or_default().contains(says), "{file:#}");
        let status = if decision == "NEW_VERSION" { "PROCESSED" } else { "READY" };
        let ledger = file_named(&server, name, |file| file["status"] == status);
        assert_eq!((&ledger["decisionReason"], &ledger["detail"]), (&file["decision"], &file["reason"]));
    }
    let pause =
        "mutation($input: SetWorkflowEnabledInput!) { setWorkflowEnabled(input: $input) { userErrors { message } } }";
    server.ask(pause, &json!({"input": {"workflow": "pick", "enabled": false}}));
    let paused = put(&server, "paused.csv", b"a\n1\n");
    assert_eq!((&paused["decision"], &paused["status"]), (&json!("WORKFLOW_NOT_EXECUTABLE"), &json!("READY")));
    assert!(paused["reason"].as_str().is_some_and(|why| why.contains("it is paused")), "{paused:#}");

    // What is asked of content counts for watched folders as well.
    home.write(
        "workflows/watch.yaml",
        "on: {file: {path: inbox, settle: 0s, mime: text/csv, max_size: 9}}\nsteps: [{run: 'true'}]\n",
    );
    for (name, content, decision) in [
        ("in.csv", b"a\n1\n".as_slice(), "NEW_VERSION"),
        ("in-png.csv", png, "FILTERED_MIME"),
        ("in-large.csv", b"a,b,c\n1,2,3\n", "FILTERED_SIZE"),
    ] {
        home.write(&format!("inbox/{name}"), content);
        let file = file_named(&server, name, |file| file["decisionReason"].is_string());
        assert_eq!((&file["decisionReason"], &file["source"]), (&json!(decision), &json!("WATCH")), "{file:#}");
        let gone = get(&server, "GET", &format!("/files/{}", file["id"].as_str().expect("an id")), &[]);
        assert!(gone.status == 404 && gone.text.contains("not kept here"), "{gone:?}");
    }
}

fn a_file_is_processed_when_all_its_executions_have_ended(backend: Backend) {
    let home = home(backend);
    for name in ["one", "two"] {
        home.write(
            &format!("workflows/{name}.yaml"),
            format!("on: {{file: {{source: upload}}}}\nsteps: [{{run: 'until [ -e {name} ]; do sleep 0.02; done; test $(cat {name}) = ok'}}]\n"),
        );
    }
    let server = home.serve();
    for (verdict, status) in [("ok", "PROCESSED"), ("bad", "FAILED")] {
        let name = format!("{verdict}.csv");
        let file = put(&server, &name, b"a\n1\n");
        let executions = file["executions"].as_array().expect("executions").clone();
        assert_eq!(executions.iter().map(|it| it["workflow"].as_str()).collect::<Vec<_>>(), [Some("one"), Some("two")]);
        home.write("one", verdict);
        let first = executions[0]["id"].as_str().expect("an id");
        server.ended_as(first, if verdict == "ok" { "COMPLETED" } else { "FAILED" });
        assert_eq!(file_named(&server, &name, |_| true)["status"], "PROCESSING", "the other one is still going");
        home.write("two", "ok");
        server.ended_as(executions[1]["id"].as_str().expect("an id"), "COMPLETED");
        assert_eq!(file_named(&server, &name, |_| true)["status"], status);
        fs::remove_file(home.path("one")).expect("it is there");
        fs::remove_file(home.path("two")).expect("it is there");
    }
}
