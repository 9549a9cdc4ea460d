//! What a script puts out, and what its log shows.

use cogwheel_engine::FailureKind;
use cogwheel_engine::ports::LogLevel;
use tokio::sync::mpsc::error::TryRecvError;

use super::*;
use crate::shell::capture::MAX_STDOUT;

#[tokio::test]
async fn both_streams_are_logged_line_by_line() {
    let ended = run(r"printf 'one\r\ntwo\n\033[31mred\033[0m\n\377\n'; echo oops >&2; printf last").await;
    assert_eq!(ended.lines_of(LogStream::Stdout), ["one", "two", "\u{1b}[31mred\u{1b}[0m", "\u{FFFD}", "last"]);
    assert!(ended.logged().contains(&(LogStream::Stderr, LogLevel::Warn, "oops")));
    assert!(ended.logged().contains(&(LogStream::Stdout, LogLevel::Info, "last")));
}

#[tokio::test]
async fn outputs_are_what_the_file_the_streams_and_the_end_say() {
    let script = "echo rows=3 >> $COGWHEEL_OUTPUT; echo name=foo >> $COGWHEEL_OUTPUT; echo hello";
    let output = run(script).await.completed();
    assert_eq!(output, json!({"rows": 3, "name": "foo", "stdout": "hello", "exit_code": 0}));
}

#[tokio::test]
async fn standard_output_beyond_the_limit_is_marked() {
    let exact = run(&format!("head -c {MAX_STDOUT} /dev/zero | tr '\\0' x")).await.completed();
    assert_eq!(exact["stdout"].as_str().unwrap().len(), MAX_STDOUT);
    assert!(exact.get("stdout_truncated").is_none());

    let ended = run(&format!("head -c {} /dev/zero | tr '\\0' x", MAX_STDOUT + 1)).await;
    let more = ended.completed();
    assert_eq!(more["stdout"].as_str().unwrap().len(), MAX_STDOUT);
    assert_eq!(more["stdout_truncated"], true);
    assert_eq!(ended.lines_of(LogStream::Stdout).concat().len(), MAX_STDOUT + 1, "the log has all of it");
}

#[tokio::test]
async fn a_malformed_output_file_fails_the_step_and_keeps_the_rest() {
    let (failure, output) = run("echo hi; echo nonsense >> $COGWHEEL_OUTPUT").await.failed(FailureKind::Output);
    assert!(failure.title.contains("line 1"), "{failure:?}");
    assert_eq!(output, json!({"stdout": "hi", "exit_code": 0}));
}

#[tokio::test]
async fn an_output_file_replaced_by_a_pipe_does_not_hang() {
    run("rm $COGWHEEL_OUTPUT; mkfifo $COGWHEEL_OUTPUT").await.failed(FailureKind::Output);
}

#[tokio::test]
async fn an_output_file_beyond_the_limit_is_refused() {
    let script = "{ printf x=; head -c 300000 /dev/zero | tr '\\0' y; } > $COGWHEEL_OUTPUT";
    let (failure, _) = run(script).await.failed(FailureKind::Output);
    assert!(failure.title.contains("256 KiB"), "{failure:?}");
}

/// Nothing is read ahead of the log: while nobody takes lines, the script is held up in its pipe.
#[tokio::test]
async fn a_script_that_prints_faster_than_its_log_is_stored_waits() {
    let attempt = Attempt::new();
    let mut lines = attempt.lines;
    let shell = shell();
    let progress = attempt.context.root.join("progress");
    let script = "i=0; while [ $i -lt 200 ]; do head -c 10000 /dev/zero | tr '\\0' x; echo; i=$((i+1)); echo $i > progress; done";
    let run = shell.run(attempt.context, input(script));
    tokio::pin!(run);

    // 2 MB do not fit into what a pipe, the channel and one chunk hold: the step comes to a stand.
    let mut before = None;
    loop {
        let waited = tokio::time::timeout(Duration::from_millis(500), &mut run).await;
        assert!(waited.is_err(), "the step ended though nobody took its lines");
        let now = std::fs::read_to_string(&progress).ok().filter(|text| !text.is_empty());
        if now.is_some() && now == before {
            break;
        }
        before = now;
    }
    assert!(before.unwrap().trim().parse::<u32>().unwrap() < 100, "far more was read than fits");

    let taken = async {
        let mut bytes = 0;
        while let Some((.., line)) = lines.recv().await {
            bytes += line.message.len();
        }
        bytes
    };
    // The sink goes with the attempt, hence the channel closes when it has ended.
    let (_, bytes) = tokio::time::timeout(HANG, async { tokio::join!(run.as_mut(), taken) }).await.unwrap();
    assert_eq!(bytes, 2_000_000);
    assert_eq!(lines.try_recv().unwrap_err(), TryRecvError::Disconnected);
}

#[tokio::test]
async fn fifty_megabytes_pass_through() {
    let mut attempt = Attempt::new();
    let mut lines = std::mem::replace(&mut attempt.lines, tokio::sync::mpsc::channel(1).1);
    let line = "x".repeat(999);
    let script = format!("yes {line} | head -c 50000000");
    let count = tokio::spawn(async move {
        let mut count = 0;
        while let Some((.., line)) = lines.recv().await {
            assert_eq!(line.message.len(), 999);
            count += 1;
        }
        count
    });
    let ended = run_attempt(attempt, &script).await;
    assert_eq!(ended.completed()["stdout_truncated"], true);
    assert_eq!(count.await.unwrap(), 50_000);
}
