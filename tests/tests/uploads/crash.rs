//! `kill -9` at every write while a file is uploaded: it is there with all that it sets off, or not at all, and once.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use cogwheel_tests::{Backend, CrashPoint, Home, on_both_databases, until};
use serde_json::Value;

use super::files_in;

on_both_databases!(every_write_of_an_upload_may_be_the_last);

const CONTENT: &str = "a,b\n1,2\n";

fn workflow(name: &str) -> String {
    format!(
        "on: {{file: {{source: upload, mime: text/csv}}}}
steps:
  - {{id: read, run: 'cat \"$FILE\" > {name}.part && mv {name}.part {name}.csv', env: {{FILE: '${{{{ trigger.file.path }}}}'}}}}
"
    )
}

fn every_write_of_an_upload_may_be_the_last(backend: Backend) {
    CrashPoint::each(&(5..200), 1, |point| crash_and_send_again(backend, point));
}

/// Whether the server crashed at all; if not, everything ended before that commit.
fn crash_and_send_again(backend: Backend, point: CrashPoint) -> bool {
    let home = Home::new(backend);
    for name in ["one", "two"] {
        home.write(&format!("workflows/{name}.yaml"), workflow(name));
    }
    let mut crashing = point.serve(&home);
    let answer = crashing.address().and_then(|address| send(&home, &address));
    let has_crashed = crashing.has_crashed(|| is_processed(&home));
    let recorded = recorded(&home);
    assert!([[0, 0, 0], [1, 2, 2]].contains(&recorded), "{point}: half of it is recorded: {recorded:?}");
    assert!(answer.is_none() || recorded[0] == 1, "{point}: what was answered is recorded");

    let server = home.serve();
    let again = send(&home, server.address()).expect("it answers");
    assert_eq!(again["isNew"], recorded[0] == 0, "{point}: {again:#}");
    assert_eq!(again["executions"].as_array().map(Vec::len), Some(2), "{point}: {again:#}");
    until(format!("everything to end after {point}"), || is_processed(&home).then_some(()));
    assert_eq!(self::recorded(&home), [1, 2, 2], "{point}");
    for name in ["one", "two"] {
        assert_eq!(home.read(&format!("{name}.csv")), CONTENT, "{point}");
    }
    assert_eq!(files_in(&home.data().join("blobs")), 1, "{point}: nothing is left half written");
    server.stop();
    let _ = home.run(&["db", "verify", "--data"]).with_code(0);
    has_crashed
}

/// Files, executions, and links between them.
fn recorded(home: &Home) -> [i64; 3] {
    let mut sql = home.sql();
    ["files", "workflow_executions", "execution_files"]
        .map(|table| sql.number(&format!("select count(*) from {table}")))
}

fn is_processed(home: &Home) -> bool {
    home.sql().number("select count(*) from files where status = 'processed'") == 1
}

/// Uploads the file under its key; `None` if the server went away before it answered.
fn send(home: &Home, address: &str) -> Option<Value> {
    let key = fs::read_to_string(home.data().join("admin.key")).expect("it was written");
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket has time-outs");
    let request = format!(
        "POST /files?name=a.csv HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
         Idempotency-Key: once\r\nContent-Length: {}\r\n\r\n{CONTENT}",
        key.trim(),
        CONTENT.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 20"), "{answer}");
    serde_json::from_str(body).ok()
}
