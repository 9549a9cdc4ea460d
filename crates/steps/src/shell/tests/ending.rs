//! How scripts end, and that nothing of them is left.

use std::collections::HashSet;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use cogwheel_engine::FailureKind;

use super::*;
use crate::shell::memory::OomKills;

#[tokio::test]
async fn an_exit_code_fails_with_the_last_words() {
    let script =
        "echo n=1 >> $COGWHEEL_OUTPUT; echo out; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo e$i >&2; done; exit 3";
    let (failure, output) = run(script).await.failed(FailureKind::Exit);
    assert_eq!(failure.title, "exit code 3");
    assert_eq!(failure.detail.unwrap(), "e3\ne4\ne5\ne6\ne7\ne8\ne9\ne10\ne11\ne12");
    assert!(failure.retriable);
    assert_eq!(output, json!({"n": 1, "stdout": "out", "exit_code": 3}));
}

#[tokio::test]
async fn the_first_cause_counts() {
    let (failure, _) = run("echo nonsense >> $COGWHEEL_OUTPUT; exit 7").await.failed(FailureKind::Exit);
    assert_eq!((failure.title.as_str(), failure.detail), ("exit code 7", None));
}

#[tokio::test]
async fn a_foreign_signal_is_named() {
    let (failure, output) = run("echo last; kill -9 $$").await.failed(FailureKind::Signal);
    assert!(failure.title.contains("SIGKILL") && failure.detail.unwrap().contains("somebody killed the process"));
    assert_eq!(failure.code.as_deref(), Some("signal.9"));
    assert_eq!(output, json!({"stdout": "last"}));
    let (failure, _) = run("kill -TERM $$").await.failed(FailureKind::Signal);
    assert!(failure.title.contains("SIGTERM"));
    let (failure, _) = run("sh -c 'kill -SEGV $$'; exit $?").await.failed(FailureKind::Exit);
    assert!(failure.title == "exit code 139" && failure.detail.unwrap().contains("SIGSEGV"));
}

/// The kernel kills something after each look at its count.
struct Killing(AtomicU64);

impl OomKills for Killing {
    fn count(&self) -> Option<u64> {
        Some(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

#[tokio::test]
async fn a_kill_by_the_kernel_for_want_of_memory_is_told_apart() {
    let shell = Shell::with_oom_kills(std::env::vars_os(), Box::new(Killing(AtomicU64::new(7))));
    let killed = Attempt::new().run(&shell, input("echo last; echo words >&2; kill -9 $$")).await;
    let (failure, output) = killed.failed(FailureKind::Memory);
    assert_eq!((failure.title.as_str(), failure.code()), ("was killed because memory ran out", "memory"));
    assert!(failure.retriable && failure.detail.unwrap().starts_with("words\nthe kernel's out-of-memory killer"));
    assert_eq!(output, json!({"stdout": "last"}));

    let killed = Attempt::new().run(&shell, input("sh -c 'kill -9 $$'; exit $?")).await;
    let (failure, output) = killed.failed(FailureKind::Memory);
    assert_eq!(failure.title, "a command of the script was killed because memory ran out");
    assert_eq!(output["exit_code"], 137);

    Attempt::new().run(&shell, input("kill -TERM $$")).await.failed(FailureKind::Signal);
    Attempt::new().run(&shell, input("exit 1")).await.failed(FailureKind::Exit);
    Attempt::new().run(&shell, input("true")).await.completed();
}

#[tokio::test]
async fn what_is_left_in_the_group_is_ended() {
    let begun = Instant::now();
    // One keeps the pipes open, the other does not.
    let script = "sleep 1000 & echo $!; sleep 1000 > /dev/null 2>&1 & echo $!";
    let ended = run(script).await;
    ended.completed();
    let left = ended.lines_of(LogStream::Stdout);
    assert!(left.len() == 2 && left.iter().all(|id| !is_running(id)), "{left:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "the pipe was waited for");
}

#[tokio::test]
async fn a_process_that_ignores_the_request_is_killed_after_the_grace() {
    let mut attempt = Attempt::new();
    attempt.context.kill_grace = Duration::from_millis(50);
    let ended = run_attempt(attempt, "(trap '' TERM; echo up; while :; do sleep 1; done) & echo $!; sleep 0.1").await;
    ended.completed();
    let left = ended.lines_of(LogStream::Stdout).into_iter().find(|line| *line != "up").unwrap().to_owned();
    assert!(!is_running(&left));
}

#[tokio::test]
async fn a_daemon_that_left_the_group_does_not_hold_up_the_step() {
    let attempt = Attempt::new();
    let keys = HashSet::from([attempt.context.step_key.clone()]);
    let ended = run_attempt(
        attempt,
        "setsid sh -c 'echo $$; > up; while :; do echo noise; done' & until [ -e up ]; do sleep 0.01; done",
    )
    .await;
    ended.completed();
    let daemon = ended.lines_of(LogStream::Stdout)[0].to_owned();
    shell().reap(&keys).await;
    assert!(!is_running(&daemon));
}

#[tokio::test]
async fn output_of_a_filter_that_outlives_the_shell_is_complete() {
    let script = "mkfifo p; (cat < p; echo end) & exec > p; i=0; while [ $i -lt 500 ]; do echo line; i=$((i+1)); done";
    let ended = run(script).await;
    let lines = ended.lines_of(LogStream::Stdout);
    assert_eq!((lines.len(), *lines.last().unwrap()), (501, "end"));
}

#[tokio::test]
async fn a_stop_ends_the_whole_group_and_hears_its_last_words() {
    let attempt = Attempt::new();
    let script = "sleep 1000 & echo $!; trap 'echo bye; exit 0' TERM; echo ready; wait";
    let ended = stop_when_ready(attempt, script).await;
    ended.was_stopped();
    let lines = ended.lines_of(LogStream::Stdout);
    assert_eq!(lines[1..], ["ready", "bye"]);
    assert!(!is_running(lines[0]));
}

#[tokio::test]
async fn a_child_may_clean_up_after_the_shell_is_gone() {
    let script = "sh -c 'trap \"sleep 0.5; echo saved; exit 0\" TERM; echo ready; while :; do sleep 0.05; done'; true";
    let ended = stop_when_ready(Attempt::new(), script).await;
    ended.was_stopped();
    assert_eq!(ended.lines_of(LogStream::Stdout), ["ready", "saved"]);
}

#[tokio::test]
async fn a_stop_kills_what_ignores_it_and_what_left_the_group() {
    let mut attempt = Attempt::new();
    attempt.context.kill_grace = Duration::from_millis(50);
    let script =
        "trap '' TERM; setsid sleep 1000 > /dev/null 2>&1 & echo $!; echo $$; echo ready; while :; do sleep 1; done";
    let ended = stop_when_ready(attempt, script).await;
    ended.was_stopped();
    let lines = ended.lines_of(LogStream::Stdout);
    assert!(lines[..2].iter().all(|id| !is_running(id)), "{lines:?}");
}

#[tokio::test]
async fn an_attempt_stopped_before_its_start_ends_at_once() {
    let attempt = Attempt::new();
    attempt.context.stop.cancel();
    run_attempt(attempt, "sleep 1000").await.was_stopped();
}

#[tokio::test]
async fn a_dropped_attempt_leaves_nothing_running() {
    let mut attempt = Attempt::new();
    let shell = shell();
    let mut lines = std::mem::replace(&mut attempt.lines, tokio::sync::mpsc::channel(1).1);
    let mut run = Box::pin(shell.run(attempt.context.clone(), input("trap '' TERM; sleep 1000 & echo $!; wait")));
    let child = tokio::select! {
        line = lines.recv() => line.unwrap().2.message,
        _ = &mut run => panic!("it ended by itself"),
    };
    drop(run);
    let vanished = async {
        while is_running(&child) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(HANG, vanished).await.expect("the child outlives the attempt");
}

/// As after the death of a server: nobody knows these processes any more but by their environment.
#[tokio::test]
async fn survivors_are_found_by_their_step_key() {
    let key = uuid::Uuid::now_v7().to_string();
    let start = |key: &str| {
        Command::new("setsid")
            .args(["sh", "-c", "sleep 1000 & env -i sleep 1000 & echo $$; wait"])
            .env("COGWHEEL_STEP_KEY", key)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let (mut lost, mut other) = (start(&key), start(&format!("{key}0")));
    let members = |leader: u32| -> Vec<String> {
        let all = super::super::procfs::processes().unwrap();
        all.filter(|process| process.is_running && process.group.as_raw_pid().unsigned_abs() == leader)
            .map(|process| process.id.as_raw_pid().to_string())
            .collect()
    };
    let three = |leader| async move {
        while members(leader).len() < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(HANG, async { tokio::join!(three(lost.id()), three(other.id())) }).await.unwrap();

    shell().reap(&HashSet::from([key])).await;
    assert_eq!(members(lost.id()), Vec::<String>::new());
    assert_eq!(members(other.id()).len(), 3, "others are left alone");
    lost.wait().unwrap();
    shell().reap(&HashSet::from([])).await;
    rustix::process::kill_process_group(rustix::process::Pid::from_child(&other), rustix::process::Signal::KILL)
        .unwrap();
    other.wait().unwrap();
}
