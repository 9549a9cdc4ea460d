//! Workflow files run to their end on the command line, without a server.

use std::fs;
use std::process::Stdio;

use cogwheel_tests::{Backend, Home, until};
use serde_json::{Value, json};

/// A home whose temporary files lie in it, so that what a run leaves behind shows.
fn home() -> Home {
    let home = Home::unmigrated(Backend::Sqlite);
    fs::create_dir(home.path("tmp")).expect("a new folder");
    home
}

fn arguments(home: &Home, rest: &[&str]) -> std::process::Command {
    let mut command = home.command(&["run"]);
    command.args(rest).env("TMPDIR", home.path("tmp"));
    command
}

struct Ran {
    code: i32,
    out: String,
    progress: String,
}

fn run(home: &Home, rest: &[&str]) -> Ran {
    let output = arguments(home, rest).output().expect("the binary runs");
    assert_eq!(fs::read_dir(home.path("tmp")).expect("it is there").count(), 0, "temporary files are left");
    assert!(!home.data().exists(), "a data folder was made");
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        progress: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The lines about steps without their durations.
fn happened(progress: &str) -> Vec<&str> {
    progress.lines().map(|line| line.split(" in ").next().unwrap_or(line)).collect()
}

#[test]
fn progress_goes_to_standard_error_and_outputs_to_standard_output() {
    let home = home();
    home.write(
        "w.yaml",
        "inputs: {name: {type: string}}
outputs: {said: \"${{ steps.greet.outputs.said }}\", list: [1, 2]}
steps:
  - {id: greet, env: {N: \"${{ inputs.name }}\"}, run: 'echo \"hello $N\"; echo \"said=$N\" >> \"$COGWHEEL_OUTPUT\"'}
  - {id: never, if: inputs.name == 'Bob', run: 'true'}
",
    );
    let ran = run(&home, &["w.yaml", "--input", "name=Ada"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "list: [1,2]\nsaid: Ada\n"), "{}", ran.progress);
    let expected = [
        "step greet started",
        "greet: hello Ada",
        "step greet completed",
        "step never skipped: its `if` is false",
        "completed",
    ];
    assert_eq!(happened(&ran.progress), expected, "{}", ran.progress);
}

#[test]
fn the_code_tells_how_it_ended() {
    let home = home();
    home.write("fails.yaml", "steps: [{id: a, run: 'echo why >&2; exit 7'}]\n");
    home.write("late.yaml", "timeout: 200ms\nsteps: [{id: a, run: sleep 60}]\n");
    home.write("broken.yaml", "steps: []\n");
    let failed = run(&home, &["fails.yaml"]);
    assert_eq!((failed.code, failed.out.as_str()), (1, ""));
    assert!(
        failed.progress.contains("step a: exit code 7") && failed.progress.contains("a: why"),
        "{}",
        failed.progress
    );
    assert_eq!(run(&home, &["late.yaml"]).code, 4);
    for wrong in [&["broken.yaml"][..], &["nowhere.yaml"], &["fails.yaml", "--input", "x=1"]] {
        let refused = run(&home, wrong);
        assert!(refused.code == 2 && refused.out.contains("error"), "{wrong:?}: {}", refused.out);
    }
}

#[test]
fn programs_get_one_document() {
    let home = home();
    home.write("w.yaml", "outputs: {n: 3}\nsteps: [{id: a, foreach: [x, y], run: 'true'}]\n");
    let ran = run(&home, &["w.yaml", "--output", "json"]);
    let document: Value = serde_json::from_str(&ran.out).expect("a JSON document");
    assert_eq!(
        (&document["status"], &document["result"], &document["error"]),
        (&json!("completed"), &json!({"n": 3}), &json!(null))
    );
    let keys: Vec<_> = document["steps"].as_array().expect("a list").iter().map(|step| step["key"].clone()).collect();
    assert_eq!(keys, ["a", "a[0]", "a[1]"]);
    assert_eq!(ran.progress, "");
}

#[test]
fn workflows_of_the_same_folder_can_be_run() {
    let home = home();
    fs::create_dir(home.path("flows")).expect("a new folder");
    home.write(
        "flows/parent.yaml",
        "outputs: {n: \"${{ steps.kid.outputs.double }}\"}\nsteps: [{id: kid, uses: ./child, with: {n: 4}}]\n",
    );
    home.write(
        "flows/child.yaml",
        "inputs: {n: {type: integer}}\noutputs: {double: \"${{ inputs.n * 2 }}\"}\nsteps: [{id: work, run: echo working}]\n",
    );
    home.write("flows/broken.yaml", "steps: []\n");
    let ran = run(&home, &["flows/parent.yaml"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "n: 8\n"), "{}", ran.progress);
    for part in ["broken.yaml defines no workflow", "kid > work: working", "step kid > work completed"] {
        assert!(ran.progress.contains(part), "no {part:?}: {}", ran.progress);
    }
}

#[test]
fn an_interrupt_cancels_and_lets_handlers_run() {
    let home = home();
    home.write(
        "w.yaml",
        "steps: [{id: long, run: 'echo ready > ready; exec sleep 60'}]\nfinally: [{id: clean, run: echo cleaned > cleaned}]\n",
    );
    let running = arguments(&home, &["w.yaml"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
    until("the step to begin", || (!home.read("ready").is_empty()).then_some(()));
    let process = rustix::process::Pid::from_child(&running);
    rustix::process::kill_process(process, rustix::process::Signal::INT).expect("it can be told");
    let output = running.wait_with_output().expect("it ends");
    let progress = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{progress}");
    assert_eq!(home.read("cleaned"), "cleaned\n", "{progress}");
    assert!(progress.contains("step long cancelled"), "{progress}");
    assert_eq!(fs::read_dir(home.path("tmp")).expect("it is there").count(), 0, "temporary files are left");
}

#[test]
fn the_data_of_a_run_can_be_kept_and_served() {
    let home = home();
    home.write("w.yaml", "steps: [{id: a, run: 'true'}]\n");
    let kept = run(&home, &["w.yaml", "--keep", "kept"]);
    assert_eq!(kept.code, 0, "{}", kept.progress);
    let server = home.serve_from("kept");
    let data = server.ask("{ workflowExecutions { nodes { status } } }", &json!({}));
    assert_eq!(data["workflowExecutions"]["nodes"], json!([{"status": "COMPLETED"}]));
    server.stop();
    let again = run(&home, &["w.yaml", "--keep", "kept"]);
    assert!(again.code == 2 && again.progress.contains("is not empty"), "{}", again.progress);
}
