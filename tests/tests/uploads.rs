//! Files that clients send: what they start, what is refused, what is left of them.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

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
    what_is_too_large_leaves_nothing,
    an_upload_that_breaks_off_leaves_nothing,
    the_content_decides_what_may_be_uploaded,
    names_are_cleaned_or_refused,
    files_are_given_back_in_ranges,
    a_large_upload_stays_out_of_memory,
    what_was_answered_is_processed_after_a_crash,
    a_retry_reads_the_file_again,
    several_servers_need_one_folder_for_bytes,
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
    fn count(folder: &std::path::Path) -> usize {
        let Ok(entries) = fs::read_dir(folder) else { return 0 };
        entries.flatten().map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
    }
    count(&home.path("blobs"))
}

fn nothing_is_left(home: &Home, server: &Server) {
    until("the bytes to be gone", || (blobs(home) == 0).then_some(()));
    assert_eq!(files(server), Vec::<Value>::new());
    assert_eq!(home.sql().number("select count(*) from workflow_executions"), 0);
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
    let found = home.run(&["db", "verify"]).with_code(0);
    assert!(found.stdout.contains("0 ") || !found.stdout.contains("files"), "{found:?}");
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
    for (name, content, decision, says) in [
        ("ok.csv", b"a\n1\n".as_slice(), "NEW_VERSION", ""),
        ("ok.png", png, "NEW_VERSION", ""),
        ("image.csv", png, "NEW_VERSION", ""),
        ("a.txt", b"a\n1\n", "FILTERED_PATTERN", "pick: no pattern of `match` is its name"),
        ("draft-a.csv", b"a\n1\n", "FILTERED_PATTERN", "a pattern of `ignore`"),
        (".a.csv", b"a\n1\n", "HIDDEN_OR_TEMPORARY", "hidden or not finished"),
        (
            "exe.csv",
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0",
            "FILTERED_MIME",
            "its content is application/x-executable",
        ),
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

/// Sends the head of a request and so much of a body without saying how long it is.
fn chunked(server: &Server, path: &str, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(40))).expect("a socket has time-outs");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nTransfer-Encoding: chunked\r\n{head}\r\n",
        bearer(server)
    );
    stream.write_all(head.as_bytes()).expect("the head is taken");
    stream
}

fn chunk(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(format!("{:x}\r\n", bytes.len()).as_bytes())?;
    stream.write_all(bytes)?;
    stream.write_all(b"\r\n")
}

fn what_is_too_large_leaves_nothing(backend: Backend) {
    let mut home = home(backend);
    home.set("uploads.max_size", "1MiB");
    let server = reading(&home);
    let large = vec![b'x'; (1 << 20) + 1];
    let announced = send(&server, "/files?name=a.csv", &[], &large);
    assert_eq!(announced.status, 413, "{announced:?}");
    assert!(announced.text.contains("larger than 1048576 bytes") && announced.text.contains("`uploads.max_size`"));
    assert_eq!(send_form(&server, "/files", &[("f", Some("a.csv"), &large)]).status, 413);
    let operations = json!({"query": UPLOAD, "variables": {"input": {"file": null}}}).to_string();
    let parts = [
        ("operations", None, operations.as_bytes()),
        ("map", None, br#"{"0": ["variables.input.file"]}"#),
        ("0", Some("a.csv"), large.as_slice()),
    ];
    let graphql = send_form(&server, "/graphql", &parts);
    assert!(graphql.status == 413 && graphql.text.contains("TOO_COMPLEX"), "{graphql:?}");

    let mut stream = chunked(&server, "/files?name=a.csv", "");
    // The server may close it at any time.
    while chunk(&mut stream, &[b'x'; 64 * 1024]).is_ok() {
        stream.set_nonblocking(true).expect("a socket can be asked");
        let has_answer = stream.peek(&mut [0; 1]).is_ok();
        stream.set_nonblocking(false).expect("a socket can be asked");
        if has_answer {
            break;
        }
    }
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    nothing_is_left(&home, &server);

    // A tenant may have a limit of its own.
    home.sql().execute("update tenants set limits = '{\"upload_max_bytes\": 10}' where slug = 'default'");
    let own = send(&server, "/files?name=a.csv", &[], b"eleven char");
    assert!(own.status == 413 && own.text.contains("`upload_max_bytes`"), "{own:?}");
    nothing_is_left(&home, &server);
    put(&server, "a.csv", b"ten chars\n");
}

fn an_upload_that_breaks_off_leaves_nothing(backend: Backend) {
    let mut home = home(backend);
    home.set("uploads.idle_timeout", "300ms");
    let server = reading(&home);
    for (path, head) in [("/files?name=a.csv", ""), ("/files", "Content-Type: multipart/form-data; boundary=limit\r\n")]
    {
        let mut stream = chunked(&server, path, head);
        chunk(&mut stream, b"--limit\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.csv\"\r\n\r\n")
            .expect("it is taken");
        chunk(&mut stream, &[b'x'; 600 * 1024]).expect("it is taken");
        until("the first bytes on the disk", || (blobs(&home) == 1).then_some(()));
        drop(stream);
        nothing_is_left(&home, &server);
    }
    let mut stream = chunked(&server, "/files?name=a.csv", "");
    chunk(&mut stream, &[b'x'; 600 * 1024]).expect("it is taken");
    until("the first bytes on the disk", || (blobs(&home) == 1).then_some(()));
    server.crash();
    assert_eq!(blobs(&home), 1, "the server could not tidy up");
    let server = home.serve();
    nothing_is_left(&home, &server);
    let mut slow = chunked(&server, "/files?name=a.csv", "");
    chunk(&mut slow, b"a,b\n").expect("it is taken");
    let mut answer = String::new();
    let _ = slow.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("`uploads.idle_timeout`"), "{answer}");
    nothing_is_left(&home, &server);
}

fn the_content_decides_what_may_be_uploaded(backend: Backend) {
    let mut home = home(backend);
    home.set("uploads.allowed_types", "text/csv,application/pdf");
    let server = reading(&home);
    let exe = [b"MZ\x90\0".as_slice(), &[0; 64]].concat();
    for content in [exe.as_slice(), b"\x89PNG\r\n\x1a\n", b"a\0b"] {
        let refused = send(&server, "/files?name=a.csv", &[("content-type", "text/csv")], content);
        assert_eq!(refused.status, 415, "{refused:?}");
        assert!(refused.text.contains("`uploads.allowed_types`"), "{refused:?}");
    }
    let early = [exe.as_slice(), &vec![0; 3 << 20]].concat();
    assert_eq!(send(&server, "/files?name=a.csv", &[], &early).status, 415);
    nothing_is_left(&home, &server);
    put(&server, "a.csv", b"a,b\n");
    assert_eq!(put(&server, "a.csv", b"%PDF-1.7\n")["mimeType"], "application/pdf");
    home.sql().execute("update tenants set limits = '{\"upload_types\": [\"image/*\"]}' where slug = 'default'");
    assert_eq!(send(&server, "/files?name=a.csv", &[], b"a,b\n").status, 415);
    assert_eq!(put(&server, "a.csv", b"\x89PNG\r\n\x1a\n")["mimeType"], "image/png");
    // What cannot be understood lifts no limit.
    home.sql().execute("update tenants set limits = '{\"upload_types\": \"any\"}' where slug = 'default'");
    assert_eq!(send(&server, "/files?name=a.csv", &[], b"a,b\n").status, 500);
}

fn names_are_cleaned_or_refused(backend: Backend) {
    let home = home(backend);
    let server = reading(&home);
    for (sent, name) in [
        ("../../etc/passwd.csv", "passwd.csv"),
        ("/etc/passwd.csv", "passwd.csv"),
        ("..%5C..%5Ca.csv", "a.csv"),
        ("a%00b%0a.csv", "a_b_.csv"),
        ("-rf%20'$(id)'.csv", "-rf '$(id)'.csv"),
    ] {
        let file = put(&server, sent, b"a\n1\n");
        assert_eq!(file["name"], name, "{sent}");
        let execution = server.ended_as(&execution_of(&file), "COMPLETED");
        assert_eq!(step(&execution, "sum")["output"]["sha"], sha256(b"a\n1\n"), "{sent}");
        let path = step(&execution, "seen")["output"]["file"]["path"].as_str().expect("a path").to_owned();
        assert!(path.starts_with(home.data().to_str().expect("letters")) && path.ends_with(name), "{path}");
    }
    assert_eq!(file_named(&server, "passwd.csv", |_| true)["originalFilename"], "/etc/passwd.csv");
    let long = put(&server, &format!("{}.csv", "x".repeat(300)), b"a\n1\n");
    assert_eq!(long["name"].as_str().map(str::len), Some(255));
    server.ended_as(&execution_of(&long), "COMPLETED");
    for sent in ["", "..", "a/", "%20", "."] {
        let refused = send(&server, &format!("/files?name={sent}"), &[], b"x");
        assert!(refused.status == 400 && refused.text.contains("file name cannot be used"), "{sent}: {refused:?}");
    }
}

fn files_are_given_back_in_ranges(backend: Backend) {
    let home = home(backend);
    let server = home.serve();
    let file = put(&server, "sp%C3%A4t.csv", b"0123456789");
    let path = file["downloadPath"].as_str().expect("a path");
    let etag = format!("\"{}\"", sha256(b"0123456789"));
    let whole = get(&server, "GET", path, &[]);
    assert_eq!((whole.status, whole.text.as_str()), (200, "0123456789"));
    assert_eq!(whole.header("etag"), Some(etag.as_str()));
    assert_eq!(
        (whole.header("x-content-type-options"), whole.header("accept-ranges")),
        (Some("nosniff"), Some("bytes"))
    );
    let disposition = whole.header("content-disposition").expect("it is there");
    assert_eq!(disposition, "attachment; filename=\"sp_t.csv\"; filename*=UTF-8''sp%C3%A4t.csv");
    for (range, status, content, told) in [
        ("bytes=2-4", 206, "234", "bytes 2-4/10"),
        ("bytes=7-", 206, "789", "bytes 7-9/10"),
        ("bytes=-2", 206, "89", "bytes 8-9/10"),
        ("bytes=0-99", 206, "0123456789", "bytes 0-9/10"),
    ] {
        let part = get(&server, "GET", path, &[("range", range)]);
        assert_eq!(
            (part.status, part.text.as_str(), part.header("content-range")),
            (status, content, Some(told)),
            "{range}"
        );
    }
    let beyond = get(&server, "GET", path, &[("range", "bytes=10-")]);
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */10")));
    assert_eq!(get(&server, "GET", path, &[("range", "bytes=0-1,4-5")]).status, 200);
    assert_eq!(get(&server, "GET", path, &[("range", "bytes=2-4"), ("if-range", "\"other\"")]).status, 200);
    assert_eq!(get(&server, "GET", path, &[("range", "bytes=2-4"), ("if-range", &etag)]).status, 206);
    assert_eq!(get(&server, "GET", path, &[("if-none-match", &etag)]).status, 304);
    let head = get(&server, "HEAD", path, &[]);
    assert_eq!((head.status, head.header("content-length"), head.text.as_str()), (200, Some("10"), ""));
    for unknown in ["/files/nothing", "/files/01a213b8-330a-70fe-acde-8ec86dc66d28"] {
        assert_eq!(get(&server, "GET", unknown, &[]).status, 404, "{unknown}");
    }
    assert_eq!(server.send("GET", path, &[], b"").status, 401);
    assert_eq!(get(&server, "DELETE", path, &[]).status, 405);
}

/// The most memory that the server has ever used, in bytes.
fn peak_memory(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel tells");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") * 1024
}

fn a_large_upload_stays_out_of_memory(backend: Backend) {
    const SIZE: usize = 64 << 20;
    let home = home(backend);
    let server = reading(&home);
    let execution = execution_of(&put(&server, "small.csv", b"a\n"));
    server.ended_as(&execution, "COMPLETED");
    let before = peak_memory(&server);
    let content: Vec<u8> = b"0123456789abcdef".iter().copied().cycle().take(SIZE).collect();
    let file = put(&server, "raw.csv", &content);
    server.ended_as(&execution_of(&file), "COMPLETED");
    assert_eq!(send_form(&server, "/files", &[("f", Some("form.csv"), &content)]).status, 201);
    let operations = json!({"query": UPLOAD, "variables": {"input": {"file": null}}}).to_string();
    let parts = [
        ("operations", None, operations.as_bytes()),
        ("map", None, br#"{"0": ["variables.input.file"]}"#),
        ("0", Some("graphql.csv"), content.as_slice()),
    ];
    let graphql = send_form(&server, "/graphql", &parts).json();
    assert_eq!(graphql["data"]["uploadFile"]["file"]["sha256"], sha256(&content));
    let path = file["downloadPath"].as_str().expect("a path");
    assert_eq!(get(&server, "GET", path, &[]).text.len(), SIZE);
    let grown = peak_memory(&server).saturating_sub(before);
    assert!(grown < 24 << 20, "memory grew by {grown} bytes");
}

fn what_was_answered_is_processed_after_a_crash(backend: Backend) {
    let home = home(backend);
    home.write(
        "workflows/slow.yaml",
        r#"
on: {file: {source: upload}}
steps:
  - id: first
    run: |
      echo "sha=$(sha256sum < "$FILE" | cut -c1-64)" >> "$COGWHEEL_OUTPUT"
      touch began; until [ -e go ]; do sleep 0.02; done
    env: {FILE: '${{ trigger.file.path }}'}
    on_lost: retry
  - id: second
    run: |
      echo "sha=$(sha256sum < "$FILE" | cut -c1-64)" >> "$COGWHEEL_OUTPUT"
      chmod u+w "$FILE"; echo damaged > "$FILE"; rm "$FILE"
    env: {FILE: '${{ trigger.file.path }}'}
  - id: third
    run: echo "sha=$(sha256sum < "$FILE" | cut -c1-64)" >> "$COGWHEEL_OUTPUT"
    env: {FILE: '${{ trigger.file.path }}'}
"#,
    );
    let server = home.serve();
    let content = b"a,b\n5,6\n";
    let file = put(&server, "a.csv", content);
    server.crash();
    // Between the answer and the begin, and then in the middle of a step.
    let server = home.serve();
    until("the first step", || home.path("began").exists().then_some(()));
    server.crash();
    let server = if backend == Backend::Postgres { home.serve_from("other") } else { home.serve() };
    home.write("go", "");
    let id = execution_of(&file);
    let execution = server.ended_as(&id, "COMPLETED");
    for key in ["first", "second", "third"] {
        assert_eq!(step(&execution, key)["output"]["sha"], sha256(content), "{key}");
    }
    assert_eq!(file_named(&server, "a.csv", |_| true)["status"], "PROCESSED");
    let given_back = get(&server, "GET", file["downloadPath"].as_str().expect("a path"), &[]);
    assert_eq!(given_back.text.as_bytes(), content, "no step reaches the kept bytes");
}

fn a_retry_reads_the_file_again(backend: Backend) {
    let home = home(backend);
    home.write(
        "workflows/try.yaml",
        r#"
on: {file: {source: upload}}
steps:
  - id: sum
    run: |
      test -e go
      echo "sha=$(sha256sum < "$FILE" | cut -c1-64)" >> "$COGWHEEL_OUTPUT"
    env: {FILE: '${{ trigger.file.path }}'}
"#,
    );
    let server = home.serve();
    let id = execution_of(&put(&server, "a.csv", b"a\n9\n"));
    server.ended_as(&id, "FAILED");
    assert_eq!(file_named(&server, "a.csv", |_| true)["status"], "FAILED");
    home.write("go", "");
    let retry = "mutation($input: RetryExecutionInput!) { retryExecution(input: $input) { execution { id } userErrors { message } } }";
    let again = server.ask(retry, &json!({"input": {"executionId": id}}));
    let again = again["retryExecution"]["execution"]["id"].as_str().expect("an id").to_owned();
    let execution = server.ended_as(&again, "COMPLETED");
    assert_eq!(step(&execution, "sum")["output"]["sha"], sha256(b"a\n9\n"));
}

fn several_servers_need_one_folder_for_bytes(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let home = Home::new(backend);
    home.write("workflows/read.yaml", READ);
    let server = home.serve();
    put(&server, "a.csv", b"a\n1\n");
    let other = home.serve_from("other");
    for server in [&server, &other] {
        let refused = until("the servers to know of each other", || {
            let answer = send(server, "/files?name=b.csv", &[], b"a\n1\n");
            (answer.status != 201).then_some(answer)
        });
        assert_eq!((refused.status, &refused.json()["error"]["code"]), (503, &json!("not_shared")), "{refused:?}");
        assert!(refused.text.contains("`blobs_dir`") && refused.header("retry-after").is_some(), "{refused:?}");
    }
}
