//! What is outside a server's hands: its database goes away, its disk fills up, a step puts out more than can be kept.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use cogwheel_tests::{Backend, Home, Proxy, Server, messages, on_both_databases, step, until, within};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};

on_both_databases!(an_output_over_its_limit_fails_its_step);

/// A first step that ends when the test says so, and what follows from it.
const WORK: &str = r"
steps:
  - {id: first, run: 'echo first >> first.txt; until [ -e go ]; do sleep 0.02; done; echo ended >> ended.txt'}
  - {id: pause, uses: wait, with: {for: 100ms}}
  - {id: last, run: 'echo last >> last.txt'}
";

/// How long the trouble lasts.
const AWAY: Duration = Duration::from_secs(5);

/// How long a server may take to notice that its database is back: the longest pause between tries, and the work.
const BACK: Duration = Duration::from_mins(1);

/// Checks for a while that nothing goes on that is not written.
#[expect(clippy::disallowed_methods, reason = "that something does not happen cannot be waited for")]
fn nothing_goes_on(home: &Home) {
    thread::sleep(AWAY);
    assert_eq!(times(home, "last.txt"), 0);
}

fn times(home: &Home, file: &str) -> usize {
    home.read(file).lines().count()
}

/// A server whose line to the database can be cut, with an execution in its first step.
fn under_way(lease: &str) -> (Home, Proxy, Server, String) {
    let mut home = Home::new(Backend::Postgres);
    let proxy = Proxy::to(&home.unset("database_url").expect("it has a database"));
    home.set("database_url", proxy.url());
    home.set("cluster.lease", lease);
    home.write("workflows/work.yaml", WORK);
    let server = home.serve();
    let id = server.start("work", &json!({}));
    until("the first step", || (times(&home, "first.txt") == 1).then_some(()));
    (home, proxy, server, id)
}

/// Checks what a client is told while the database is away.
fn is_told(server: &Server) {
    let answer = server.post(
        "mutation { startWorkflow(input: {workflow: \"work\"}) { execution { id } userErrors { message } } }",
        &Value::Null,
    );
    assert!(answer.text.contains("the database is unavailable; try again later"), "{answer:?}");
    assert_eq!(server.get("/health/live").status, 200);
}

fn is_clean(home: &Home, server: Server) {
    assert!(server.stop().success());
    let _ = home.run(&["db", "verify", "--data"]).with_code(0);
}

#[test]
fn a_database_that_comes_back_finds_everything_where_it_was() {
    let (home, proxy, server, id) = under_way("1m");
    proxy.cut();
    home.write("go", "");
    until("the first step to end", || (times(&home, "ended.txt") == 1).then_some(()));
    is_told(&server);
    assert_eq!(server.get("/health/ready").status, 503);
    nothing_goes_on(&home);
    proxy.mend();
    within(BACK, "the execution to go on", || (times(&home, "last.txt") == 1).then_some(()));
    server.ended_as(&id, "COMPLETED");
    assert_eq!(
        (times(&home, "first.txt"), times(&home, "last.txt")),
        (1, 1),
        "its lease still held: nothing ran twice"
    );
    let later = server.start("work", &json!({}));
    server.ended_as(&later, "COMPLETED");
    is_clean(&home, server);
}

#[test]
fn a_server_that_cannot_reach_the_database_is_relieved() {
    let (mut home, proxy, server, id) = under_way("1s");
    home.set("database_url", proxy.upstream());
    let other = home.serve_from("data-two");
    proxy.cut();
    // Nobody can know that it is alive: what it ran is lost and tried again, and the old process is gone.
    within(BACK, "the other server to take the step over", || (times(&home, "first.txt") == 2).then_some(()));
    proxy.mend();
    home.write("go", "");
    let execution = other.ended_as(&id, "COMPLETED");
    assert_eq!(step(&execution, "first")["attempt"], 2, "{execution:#}");
    assert_eq!((times(&home, "ended.txt"), times(&home, "last.txt")), (1, 1));
    until("the first server to be of use again", || (server.get("/health/ready").status == 200).then_some(()));
    assert!(other.stop().success());
    is_clean(&home, server);
}

#[test]
fn a_database_that_somebody_else_locks_is_waited_for() {
    let home = Home::new(Backend::Sqlite);
    home.write("workflows/work.yaml", WORK);
    let server = home.serve();
    let id = server.start("work", &json!({}));
    until("the first step", || (times(&home, "first.txt") == 1).then_some(()));
    let mut other = home.sql();
    other.execute("begin immediate");
    home.write("go", "");
    until("the first step to end", || (times(&home, "ended.txt") == 1).then_some(()));
    nothing_goes_on(&home);
    other.execute("rollback");
    within(BACK, "the execution to go on", || (times(&home, "last.txt") == 1).then_some(()));
    server.ended_as(&id, "COMPLETED");
    assert_eq!(times(&home, "first.txt"), 1);
    is_clean(&home, server);
}

/// Lets files of the server grow no more, which is how a full disk looks to it, or lets them grow again.
fn let_files_grow(server: &Server, may_grow: bool) {
    let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw);
    let ours = getrlimit(Resource::Fsize);
    let limit = Rlimit { current: if may_grow { ours.current } else { Some(1) }, maximum: ours.maximum };
    prlimit(pid, Resource::Fsize, limit).expect("the server is ours");
}

#[test]
fn a_full_disk_is_waited_for() {
    let home = Home::new(Backend::Sqlite);
    home.write("workflows/work.yaml", WORK);
    // The signal that the system sends beside the error would end any process that does not ignore it.
    let server = home.serve_under(&["/bin/sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
    let id = server.start("work", &json!({}));
    until("the first step", || (times(&home, "first.txt") == 1).then_some(()));
    let_files_grow(&server, false);
    home.write("go", "");
    until("the first step to end", || (times(&home, "ended.txt") == 1).then_some(()));
    nothing_goes_on(&home);
    assert_eq!(server.execution(&id)["status"], "RUNNING", "it can still be read");
    is_told(&server);
    let_files_grow(&server, true);
    let execution = within(BACK, "the execution to end", || {
        let execution = server.execution(&id);
        (execution["status"] != "RUNNING" && execution["status"] != "WAITING").then_some(execution)
    });
    assert_eq!(execution["status"], "COMPLETED", "{execution:#}");
    assert_eq!(times(&home, "first.txt"), 1);
    is_clean(&home, server);
}

fn an_output_over_its_limit_fails_its_step(backend: Backend) {
    let home = Home::new(backend);
    let long = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = long.local_addr().expect("it is bound");
    thread::spawn(move || {
        for mut stream in long.incoming().flatten() {
            // Whoever closes with something unread resets the connection.
            let _ = stream.read(&mut [0; 4096]);
            let body = vec![b'x'; 2 * 1024 * 1024];
            let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(&body);
        }
    });
    home.write(
        "workflows/much.yaml",
        format!(
            r#"
defaults: {{retry: {{attempts: 1}}}}
steps:
  - {{id: file, continue_on_error: true, run: 'head -c 300000 /dev/zero | tr "\0" x | sed "s/^/text=/" >> "$COGWHEEL_OUTPUT"'}}
  - {{id: artifact, continue_on_error: true, needs: [], run: 'truncate -s 2G "$COGWHEEL_ARTIFACTS/large"'}}
  - {{id: artifacts, continue_on_error: true, needs: [], run: 'cd "$COGWHEEL_ARTIFACTS"; seq 1100 | xargs touch'}}
  - {{id: http, continue_on_error: true, needs: [], uses: http, with: {{url: 'http://{address}/'}}}}
  - {{id: value, continue_on_error: true, needs: [], uses: set, with: {{text: '${{{{ range(20000000) | join }}}}'}}}}
  - {{id: filter, continue_on_error: true, needs: [], uses: transform, with: {{input: 1, jq: '[range(2000000)]'}}}}
  - {{id: stdout, needs: [], run: 'head -c 300000 /dev/zero | tr "\0" x'}}
"#
        ),
    );
    let server = home.serve();
    let id = server.start("much", &json!({}));
    let execution = server.ended_as(&id, "COMPLETED");
    for (key, kind, said) in [
        ("file", "output", "256 KiB"),
        ("artifact", "output", "1 GiB"),
        ("artifacts", "output", "1000 files"),
        ("http", "output", "1048576 bytes"),
        ("value", "expression", ""),
        ("filter", "input", "too much data"),
    ] {
        let failed = step(&execution, key);
        assert_eq!(failed["status"], "FAILED", "{key}: {failed:#}");
        assert_eq!(failed["error"]["kind"], kind, "{key}: {failed:#}");
        assert!(failed["error"].to_string().contains(said), "{key}: {failed:#}");
    }
    let stdout = step(&execution, "stdout");
    assert_eq!(stdout["output"]["stdout_truncated"], true, "what is cut says so");
    assert_eq!(stdout["output"]["stdout"].as_str().map(str::len), Some(64 * 1024));
    assert!(messages(&execution).iter().all(|line| line.len() <= 64 * 1024), "long lines are broken up");
}
