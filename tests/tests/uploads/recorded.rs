//! What is recorded stays so, whatever becomes of the request that brought it.

use std::io::Write as _;
use std::net::TcpStream;

use cogwheel_tests::{Backend, until};

use super::{bearer, execution_of, files, form, get, home, put, reading, send_form, sha256};

const FIRST: &[u8] = b"a\n1\n";
const SECOND: &[u8] = b"a\n2\n";
const PARTS: [(&str, Option<&str>, &[u8]); 2] = [("a", Some("a.csv"), FIRST), ("b", Some("b.csv"), SECOND)];

#[test]
fn a_client_that_hangs_up_leaves_no_half_of_a_form() {
    let home = home(Backend::Postgres);
    let server = reading(&home);
    let mut other = home.sql();
    other.execute("begin");
    other.execute("lock table files in share mode");

    let (media, body) = form(&PARTS);
    let mut client = TcpStream::connect(server.address()).expect("the server listens");
    // What the server says first is not read, so that hanging up is a reset, which it cannot miss.
    let head = format!(
        "POST /files HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Type: {media}\r\nContent-Length: {}\r\nExpect: \
         100-continue\r\n\r\n",
        bearer(&server),
        body.len()
    );
    client.write_all(head.as_bytes()).expect("the head is taken");
    client.peek(&mut [0]).expect("the server wants the body");
    client.write_all(&body).expect("the body is taken");
    let key = sha256(FIRST);
    let place = home.path(&format!("blobs/{}/{}/{key}", &key[..2], &key[2..4]));
    until("the first file to be about to be recorded", || place.exists().then_some(()));
    drop(client);
    // The server's threads have been around once more: it knows.
    for _ in 0..20 {
        assert_eq!(get(&server, "GET", "/files", &[]).status, 405);
    }
    assert_eq!(files(&server).len(), 0);

    other.execute("commit");
    until("both files", || (files(&server).len() == 2).then_some(()));
    server.ended_executions("read", 2);
}

#[test]
fn what_cannot_be_read_back_is_not_asked_for_again() {
    let home = home(Backend::Postgres);
    let server = reading(&home);
    let mut sql = home.sql();
    sql.execute("revoke select on files from cogwheel_app");
    let answer = send_form(&server, "/files", &PARTS);
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (500, &"recorded".into()), "{answer:?}");
    assert!(answer.header("retry-after").is_none() && answer.text.contains("do not send it again"), "{answer:?}");
    sql.execute("grant select on files to cogwheel_app");
    let message = answer.json()["error"]["message"].as_str().expect("a text").to_owned();
    let (_, paths) = message.split_once("again: ").expect("paths");
    let kept: Vec<String> = paths.split(", ").map(|path| get(&server, "GET", path, &[]).text).collect();
    assert_eq!(kept, [FIRST, SECOND].map(|content| String::from_utf8_lossy(content).into_owned()));
    assert_eq!(files(&server).len(), 2);
    server.ended_executions("read", 2);
    execution_of(&put(&server, "c.csv", FIRST));
}
