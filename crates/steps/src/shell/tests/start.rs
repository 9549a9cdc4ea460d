//! What a script is given, and scripts that cannot start.

use cogwheel_engine::FailureKind;
use cogwheel_engine::ports::Recorded;

use super::*;
use crate::shell::launch::{Launch, STEP_KEY};
use crate::shell::procfs;

#[tokio::test]
async fn a_script_is_told_about_itself_and_runs_in_the_root() {
    let attempt = Attempt::new();
    let context = attempt.context.clone();
    let script = "pwd; env | grep ^COGWHEEL_ | grep -v _OUTPUT= | sort; test -f \"$COGWHEEL_OUTPUT\" && test -d \"$COGWHEEL_ARTIFACTS\"";
    drop(context.logs);
    let ended = run_attempt(attempt, script).await;
    let root = context.root.display();
    let expected = [
        format!("{root}"),
        format!("COGWHEEL_ARTIFACTS={}", context.place.unwrap().artifacts_dir.display()),
        "COGWHEEL_ATTEMPT=2".to_owned(),
        format!("COGWHEEL_CORRELATION_ID={}", context.correlation_id),
        format!("COGWHEEL_EXECUTION_ID={}", context.execution),
        format!("COGWHEEL_ROOT={root}"),
        "COGWHEEL_STEP=load".to_owned(),
        format!("COGWHEEL_STEP_KEY={}", context.step_key),
        "COGWHEEL_WORKDIR=".to_owned() + context.work_dir.to_str().unwrap(),
        "COGWHEEL_WORKFLOW=import".to_owned(),
    ];
    assert_eq!(ended.completed()["stdout"], expected.join("\n"));
}

/// Waits until the attempt's shell has nothing to do.
async fn shell_sleeps(step_key: &str) {
    let entry = format!("{STEP_KEY}={step_key}");
    let is_asleep = |process: procfs::Process| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id.as_raw_pid())).unwrap_or_default();
        stat.contains(") S ") && procfs::environment_has(process.id, |one| one == entry.as_bytes())
    };
    while !procfs::processes().expect("Linux tells of them").any(is_asleep) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_script_waits_until_its_beginning_is_recorded() {
    for is_recorded in [true, false] {
        let mut attempt = Attempt::new();
        attempt.context.recorded = Recorded::default();
        let (recorded, stop) = (attempt.context.recorded.clone(), attempt.context.stop.clone());
        let (step_key, began) = (attempt.context.step_key.clone(), attempt.context.root.join("began"));
        let others = async {
            shell_sleeps(&step_key).await;
            assert!(!began.exists(), "it ran ahead of its record");
            if is_recorded {
                recorded.announce();
            } else {
                stop.cancel();
            }
            began
        };
        let (ended, began) = tokio::join!(run_attempt(attempt, ": > began"), others);
        assert_eq!(began.exists(), is_recorded);
        if is_recorded {
            ended.completed();
        } else {
            ended.was_stopped();
        }
    }
}

#[tokio::test]
async fn a_script_does_not_run_when_its_server_has_died_before() {
    let attempt = Attempt::new();
    let place = attempt.context.place.clone().unwrap();
    let launch = Launch::new(&[], &attempt.context, &place, &input(": > began"));
    let (mut child, gate) = launch.unwrap().spawn().unwrap();
    drop(gate);
    assert!(!child.wait().await.unwrap().success());
    assert!(!attempt.context.root.join("began").exists());
}

#[tokio::test]
async fn a_script_finds_nothing_on_its_input_and_its_lines_have_their_numbers() {
    let ended = run("cat; read -r line || echo none\nunknown-command").await;
    let (failure, output) = ended.failed(FailureKind::Exit);
    assert_eq!(output["stdout"], "none");
    assert!(failure.detail.as_ref().unwrap().contains(": 2: ") || failure.detail.unwrap().contains("line 2"));
}

#[tokio::test]
async fn the_environment_is_clean_and_the_steps_own_variables_win() {
    let server = [
        ("PATH", "/usr/bin:/bin"),
        ("LC_ALL", "C"),
        ("TZ", "UTC"),
        ("COGWHEEL_DATABASE_URL", "postgres://secret"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    let shell = Shell::new(server.map(|(name, value)| (name.into(), value.into())));
    let env = json!({"TZ": "Asia/Tokyo", "FILE": "a b'\"$(x)", "COGWHEEL_STEP_KEY": "forged"});
    let script =
        "env | grep -v -e ^COGWHEEL_ -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD= | sort; echo \"$COGWHEEL_DATABASE_URL\"";
    let attempt = Attempt::new();
    let key = attempt.context.step_key.clone();
    let script = format!("{script}; echo $COGWHEEL_STEP_KEY");
    let ended = attempt.run(&shell, json!({"script": script, "env": env})).await;
    assert_eq!(
        ended.lines_of(LogStream::Stdout),
        ["FILE=a b'\"$(x)", "LC_ALL=C", "PATH=/usr/bin:/bin", "TZ=Asia/Tokyo", "", &key]
    );
}

#[tokio::test]
async fn an_environment_that_is_too_large_is_explained() {
    let env = json!({"BIG": "x".repeat(3_000_000)});
    let ended = Attempt::new().run(&shell(), json!({"script": "true", "env": env})).await;
    let (failure, _) = ended.failed(FailureKind::Spawn);
    assert!(!failure.retriable && failure.detail.unwrap().contains("larger than the system allows"));
}

#[tokio::test]
async fn a_missing_root_is_named() {
    let mut attempt = Attempt::new();
    attempt.context.root = attempt.context.root.join("nowhere");
    let (failure, _) = run_attempt(attempt, "true").await.failed(FailureKind::Spawn);
    let detail = failure.detail.unwrap();
    assert!(detail.contains("nowhere") && detail.contains("does not exist"), "{detail}");
}

#[tokio::test]
async fn names_and_values_that_no_environment_holds_are_refused() {
    for (script, env) in [
        ("true", json!({"A=B": "x"})),
        ("true", json!({"": "x"})),
        ("true", json!({"A": "x\0y"})),
        ("true\0", json!({})),
    ] {
        let ended = Attempt::new().run(&shell(), json!({"script": script, "env": env})).await;
        assert!(!ended.failed(FailureKind::Spawn).0.retriable);
    }
}
