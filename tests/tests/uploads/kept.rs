//! What is kept: given back in ranges, and to steps whatever happens.

use std::fs;

use cogwheel_tests::{Backend, Server, on_both_databases, step, until};
use serde_json::json;

use super::{UPLOAD, execution_of, file_named, get, home, put, reading, send_form, sha256};

on_both_databases!(
    files_are_given_back_in_ranges,
    a_large_upload_stays_out_of_memory,
    what_was_answered_is_processed_after_a_crash,
    a_retry_reads_the_file_again,
);

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
      test -e go || exit 1
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
    let again = server.ask(retry, &json!({"input": {"id": id}}));
    let again = again["retryExecution"]["execution"]["id"].as_str().expect("an id").to_owned();
    let execution = server.ended_as(&again, "COMPLETED");
    assert_eq!(step(&execution, "sum")["output"]["sha"], sha256(b"a\n9\n"));
}
