//! What is refused, and what breaks off: nothing is left of it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use cogwheel_tests::{Backend, Home, Server, on_both_databases, step, until};
use serde_json::{Value, json};

use super::{
    READ, UPLOAD, bearer, blobs, execution_of, file_named, files, form, home, put, reading, send, send_form, sha256,
};

on_both_databases!(
    what_is_too_large_leaves_nothing,
    an_upload_that_breaks_off_leaves_nothing,
    a_body_that_is_shorter_than_it_says_leaves_nothing,
    a_request_has_its_limits,
    the_content_decides_what_may_be_uploaded,
    names_are_cleaned_or_refused,
    several_servers_need_one_folder_for_bytes,
);

fn nothing_is_left(home: &Home, server: &Server) {
    until("the bytes to be gone", || (blobs(home) == 0).then_some(()));
    assert_eq!(files(server), Vec::<Value>::new());
    assert_eq!(home.sql().number("select count(*) from workflow_executions"), 0);
}

/// Sends the head of a request whose body comes in chunks, so that nobody knows how long it is.
fn chunked(server: &Server, path: &str, head: &str) -> TcpStream {
    begin(server, path, &format!("Transfer-Encoding: chunked\r\n{head}"))
}

/// Sends the head of a request.
fn begin(server: &Server, path: &str, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(40))).expect("a socket has time-outs");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nConnection: close\r\n{head}\r\n",
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

/// Reads an answer to the end of its JSON, or of the connection.
fn answer_on(stream: &mut TcpStream) -> String {
    let (mut answer, mut piece) = (String::new(), [0; 1024]);
    while !answer.ends_with("}}") {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(read) => answer.push_str(&String::from_utf8_lossy(&piece[..read])),
        }
    }
    answer
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
    while chunk(&mut stream, &vec![b'x'; 64 * 1024]).is_ok() {
        stream.set_nonblocking(true).expect("a socket can be asked");
        let has_answer = stream.peek(&mut [0; 1]).is_ok();
        stream.set_nonblocking(false).expect("a socket can be asked");
        if has_answer {
            break;
        }
    }
    let answer = answer_on(&mut stream);
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
        chunk(&mut stream, &vec![b'x'; 600 * 1024]).expect("it is taken");
        until("the first bytes on the disk", || (blobs(&home) == 1).then_some(()));
        drop(stream);
        nothing_is_left(&home, &server);
    }
    let mut stream = chunked(&server, "/files?name=a.csv", "");
    chunk(&mut stream, &vec![b'x'; 600 * 1024]).expect("it is taken");
    until("the first bytes on the disk", || (blobs(&home) == 1).then_some(()));
    server.crash();
    assert_eq!(blobs(&home), 1, "the server could not tidy up");
    let server = home.serve();
    nothing_is_left(&home, &server);
    let mut slow = chunked(&server, "/files?name=a.csv", "");
    chunk(&mut slow, b"a,b\n").expect("it is taken");
    let answer = answer_on(&mut slow);
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("`uploads.idle_timeout`"), "{answer}");
    nothing_is_left(&home, &server);
}

fn a_body_that_is_shorter_than_it_says_leaves_nothing(backend: Backend) {
    let home = home(backend);
    let server = reading(&home);
    let content = vec![b'x'; 600 * 1024];
    let (media, form) = form(&[("f", Some("a.csv"), &content)]);
    let whole = content.as_slice();
    for (path, media, body) in [("/files?name=a.csv", "text/csv", whole), ("/files", &media, &form)] {
        let head = format!("Content-Type: {media}\r\nContent-Length: {}\r\n", body.len() + 1);
        let mut cut = begin(&server, path, &head);
        cut.write_all(body).expect("it is taken");
        until("the first bytes on the disk", || (blobs(&home) == 1).then_some(()));
        cut.shutdown(Shutdown::Write).expect("the connection is there");
        let answer = answer_on(&mut cut);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
        nothing_is_left(&home, &server);
    }
}

fn a_request_has_its_limits(backend: Backend) {
    let mut home = home(backend);
    home.set("uploads.max_files", "2");
    home.set("uploads.timeout", "300ms");
    let server = reading(&home);
    let part = |name| (name, Some("a.csv"), b"a\n1\n".as_slice());
    let three = send_form(&server, "/files", &[part("a"), part("b"), part("c")]);
    assert!(three.status == 400 && three.text.contains("more than 2 files"), "{three:?}");
    assert!(three.text.contains("`uploads.max_files`"), "{three:?}");
    let operations = json!({"query": UPLOAD, "variables": {"input": {"file": null}}}).to_string();
    let map = br#"{"0": ["variables.a"], "1": ["variables.b"], "2": ["variables.c"]}"#;
    let parts = [("operations", None, operations.as_bytes()), ("map", None, map.as_slice()), part("0")];
    let graphql = send_form(&server, "/graphql", &parts);
    assert!(graphql.status == 400 && graphql.text.contains("`uploads.max_files`"), "{graphql:?}");

    let mut slow = chunked(&server, "/files?name=a.csv", "");
    chunk(&mut slow, b"a,b\n").expect("it is taken");
    let answer = answer_on(&mut slow);
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("`uploads.timeout`"), "{answer}");
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
