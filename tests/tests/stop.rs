//! SIGTERM: no new work, time for what runs, nothing left behind.

use cogwheel_tests::{Backend, Home, on_both_databases, step, until};
use serde_json::json;

on_both_databases!(
    running_steps_may_end,
    steps_over_the_grace_are_ended_with_all_their_processes,
    a_second_signal_does_not_wait,
    ctrl_c_stops_an_idle_server,
);

fn running_steps_may_end(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/work.yaml",
        format!(
            r"
on: {{file: [{{path: inbox, match: '*.csv', settle: 0s}}]}}
env: {{MARK: {}}}
steps:
  - {{id: slow, run: 'echo ran >> slow.txt; until [ -e go ]; do sleep 0.02; done; echo done >> slow.txt'}}
  - {{id: after, run: 'echo ran >> after.txt'}}
",
            home.mark()
        ),
    );
    home.write("workflows/probe.yaml", "steps: [{uses: log, with: {message: taken}}]\n");
    let mut server = home.serve();
    let id = server.start("work", &json!({}));
    until("the step to run", || (home.read("slow.txt") == "ran\n").then_some(()));
    server.ask_to_stop();
    until("new work to be refused", || {
        let payload = server.start_payload(&json!({"workflow": "probe"}));
        (payload["userErrors"][0]["code"] == "SERVER_STOPPING").then_some(())
    });
    home.write("inbox/late.csv", "x\n");
    home.write("go", "");
    assert_eq!(server.ended().code(), Some(0), "{}", server.log());
    assert_eq!(home.read("slow.txt"), "ran\ndone\n");
    assert!(home.marked_processes().is_empty());

    let server = home.serve();
    let execution = server.ended_as(&id, "COMPLETED");
    assert_eq!(step(&execution, "slow")["attempt"], 1);
    // The file that came while it stopped has its own execution now.
    until("both executions to end", || (server.count_executions("work", &["COMPLETED"]) >= 2).then_some(()));
    assert_eq!(home.read("slow.txt"), "ran\ndone\nran\ndone\n");
}

fn steps_over_the_grace_are_ended_with_all_their_processes(backend: Backend) {
    let mut home = Home::new(backend);
    home.set("engine.shutdown_grace", "300ms");
    home.set("engine.kill_grace", "300ms");
    home.write(
        "workflows/stubborn.yaml",
        format!(
            "env: {{MARK: {}}}\nsteps:\n  - {{id: stay, run: \"trap '' TERM; sleep 1000 & echo ran >> ran.txt; sleep 1000; sleep 1000\"}}\n",
            home.mark()
        ),
    );
    let server = home.serve();
    let id = server.start("stubborn", &json!({}));
    until("the step to run", || (!home.read("ran.txt").is_empty()).then_some(()));
    assert!(home.marked_processes().len() >= 2);
    assert_eq!(server.stop().code(), Some(0));
    until("the step's processes to be gone", || home.marked_processes().is_empty().then_some(()));
    // What waits for the next start is not a fault.
    let _ = home.run(&["db", "verify", "--data"]).with_code(0);

    // What was not done is done after the next start.
    home.write("workflows/other.yaml", "steps: [{run: 'true'}]\n");
    let server = home.serve();
    until("the step to run again", || (home.read("ran.txt") == "ran\nran\n").then_some(()));
    assert_eq!(server.execution(&id)["status"], "RUNNING");
}

fn a_second_signal_does_not_wait(backend: Backend) {
    let mut home = Home::new(backend);
    home.set("engine.shutdown_grace", "10m");
    home.set("engine.kill_grace", "300ms");
    home.write(
        "workflows/long.yaml",
        format!("env: {{MARK: {}}}\nsteps:\n  - {{id: stay, run: 'touch begun; sleep 1000'}}\n", home.mark()),
    );
    let mut server = home.serve();
    server.start("long", &json!({}));
    until("the step to run", || home.path("begun").exists().then_some(()));
    server.ask_to_stop();
    until("the stop to begin", || server.log().contains("stopping").then_some(()));
    assert!(!home.marked_processes().is_empty());
    server.ask_to_stop();
    assert_eq!(server.ended().code(), Some(0), "{}", server.log());
    assert!(home.marked_processes().is_empty());
}

fn ctrl_c_stops_an_idle_server(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/never.yaml", "on: {file: [{path: inbox}]}\nsteps: [{run: 'true'}]\n");
    let mut server = home.serve();
    server.interrupt();
    assert_eq!(server.ended().code(), Some(0), "{}", server.log());
}
